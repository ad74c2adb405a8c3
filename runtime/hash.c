/* hash.c: the two checksums: MD5, by which Keras names its official files, and XXH3, by which we
 * guard our own. Neither is a defence against a forger. Both read mapped files, which may be larger
 * than the memory there is: what was read is let go. */
#include <md5.h>
#include <xxhash.h>

#include "internal.h"

enum { PART = 1 << 20 };

static size_t next_part(size_t at, size_t bytes) { return bytes - at < PART ? bytes - at : PART; }

void rt_md5_mapped(const void *mapped, size_t bytes, char hex[33])
{
    MD5_CTX state;
    MD5Init(&state);
    for (size_t at = 0; at < bytes; at += next_part(at, bytes)) {
        const unsigned char *part = (const unsigned char *)mapped + at;
        MD5Update(&state, part, next_part(at, bytes));
        rt_map_forget(part, next_part(at, bytes));
    }
    MD5End(&state, hex);
}

uint64_t rt_checksum(const void *data, size_t bytes) { return XXH3_64bits(data, bytes); }

uint64_t rt_checksum_mapped(const void *mapped, size_t bytes)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state) rt_die(RT_NO_ROOM, NULL, "out of memory for a checksum");
    XXH3_64bits_reset(state);
    for (size_t at = 0; at < bytes; at += next_part(at, bytes)) {
        const unsigned char *part = (const unsigned char *)mapped + at;
        XXH3_64bits_update(state, part, next_part(at, bytes));
        rt_map_forget(part, next_part(at, bytes));
    }
    uint64_t sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return sum;
}
