/* hash.c: the two checksums: MD5, by which Keras names its official files, and XXH3, by which we
 * guard our own and know contents. Neither is a defence against a forger. Both read mapped files,
 * which may be larger than the memory there is: what was read is let go. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <md5.h>
#include <xxhash.h>

#include "files.h"
#include "ground.h"

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

struct RtChecksum {
    XXH3_state_t *state;
};

RtChecksum *rt_checksum_open(void)
{
    RtChecksum *hash = rt_alloc(1, sizeof *hash);
    hash->state = XXH3_createState();
    if (!hash->state) rt_die(RT_NO_ROOM, NULL, "out of memory for a checksum");
    XXH3_64bits_reset(hash->state);
    return hash;
}

void rt_checksum_add(RtChecksum *hash, const void *data, size_t bytes)
{
    XXH3_64bits_update(hash->state, data, bytes);
}

uint64_t rt_checksum_close(RtChecksum *hash)
{
    uint64_t sum = XXH3_64bits_digest(hash->state);
    XXH3_freeState(hash->state);
    free(hash);
    return sum;
}

uint64_t rt_checksum_mapped(const void *mapped, size_t bytes)
{
    RtChecksum *hash = rt_checksum_open();
    for (size_t at = 0; at < bytes; at += next_part(at, bytes)) {
        const unsigned char *part = (const unsigned char *)mapped + at;
        rt_checksum_add(hash, part, next_part(at, bytes));
        rt_map_forget(part, next_part(at, bytes));
    }
    return rt_checksum_close(hash);
}

/* ---- Of contents ----------------------------------------------------------------------------- */

static RtHash as_hash(XXH128_hash_t sum) { return (RtHash){sum.low64, sum.high64}; }

RtHash rt_hash(const void *data, size_t bytes) { return as_hash(XXH3_128bits(data, bytes)); }

static bool hash_open_file(int file, XXH3_state_t *state)
{
    struct stat status;
    char part[1 << 16];
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    for (;;) {
        ssize_t got = read(file, part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        XXH3_128bits_update(state, part, (size_t)got);
    }
}

bool rt_hash_file(const char *path, RtHash *hash)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (file < 0) return false;
    XXH3_state_t *state = XXH3_createState();
    if (!state) rt_die(RT_NO_ROOM, NULL, "out of memory for a checksum");
    XXH3_128bits_reset(state);
    bool whole = hash_open_file(file, state);
    *hash = as_hash(XXH3_128bits_digest(state));
    XXH3_freeState(state);
    close(file);
    return whole;
}
