/* hash.c: the two checksums: MD5, by which Keras names its official files, and XXH3, by which we
 * guard our own. Neither is a defence against a forger. Both read mapped files, which may be larger
 * than the memory there is: what was read is let go. */
#include <md5.h>
#include <stdlib.h>
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

/* ---- Of parts -------------------------------------------------------------------------------- */

struct RtHash {
    XXH3_state_t *state;
};

RtHash *rt_hash_open(void)
{
    RtHash *hash = rt_alloc(1, sizeof *hash);
    hash->state = XXH3_createState();
    if (!hash->state) rt_die(RT_NO_ROOM, NULL, "out of memory for a checksum");
    XXH3_64bits_reset(hash->state);
    return hash;
}

void rt_hash_add(RtHash *hash, const void *data, size_t bytes)
{
    XXH3_64bits_update(hash->state, data, bytes);
}

uint64_t rt_hash_close(RtHash *hash)
{
    uint64_t sum = XXH3_64bits_digest(hash->state);
    XXH3_freeState(hash->state);
    free(hash);
    return sum;
}

uint64_t rt_checksum_mapped(const void *mapped, size_t bytes)
{
    RtHash *hash = rt_hash_open();
    for (size_t at = 0; at < bytes; at += next_part(at, bytes)) {
        const unsigned char *part = (const unsigned char *)mapped + at;
        rt_hash_add(hash, part, next_part(at, bytes));
        rt_map_forget(part, next_part(at, bytes));
    }
    return rt_hash_close(hash);
}
