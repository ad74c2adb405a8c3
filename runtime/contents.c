/* contents.c: what pictures are known by, wherever they lie and whatever they are called: a hash of
 * each file's bytes, or of each row of an array. */
#include <stdlib.h>
#include <sys/stat.h>

#include "arrays.h"
#include "data.h"
#include "files.h"
#include "ground.h"

RtContent rt_content_now(const RtData *data, size_t sample)
{
    RtContent content = {.known = true};
    if (data->paths) {
        content.known = rt_hash_file(data->paths[sample], &content.hash);
        return content;
    }
    size_t numbers = (size_t)rt_array_count(&data->x) / data->count;
    size_t bytes = numbers * rt_type_size(data->x.type);
    content.hash = rt_hash((const char *)data->x.data + sample * bytes, bytes);
    content.hash.low += (uint64_t)data->x.type + 1; /* equal bytes of another type */
    return content;
}

const RtContent *rt_contents(RtData *data)
{
    if (data->contents) return data->contents;
    data->contents = rt_alloc(data->count, sizeof *data->contents);
    for (size_t i = 0; i < data->count; i++) data->contents[i] = rt_content_now(data, i);
    return data->contents;
}

uint64_t rt_file_bytes(const RtData *data)
{
    uint64_t bytes = 0;
    for (size_t i = 0; data->paths && i < data->count; i++) {
        struct stat status;
        if (stat(data->paths[i], &status) == 0) bytes += (uint64_t)status.st_size;
    }
    return bytes;
}
