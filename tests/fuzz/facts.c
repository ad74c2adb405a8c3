/* libFuzzer entry: any bytes as the headers of a picture file, EXIF among them. Seeds:
 * tests/unit/pictures. */
#include <stdlib.h>

#include "../../runtime/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    RtFacts facts = rt_picture_facts(data, bytes);
    if (facts.orientation < 0 || facts.orientation > 8 || !rt_format_name(facts.format)) abort();
    return 0;
}
