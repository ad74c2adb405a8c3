/* hash.c: the two checksums: MD5, by which Keras names its official files, and XXH3, by which we
 * guard our own. Neither is a defence against a forger. */
#include <md5.h>
#include <xxhash.h>

#include "internal.h"

void rt_md5(const void *data, size_t bytes, char hex[33]) { MD5Data(data, bytes, hex); }

uint64_t rt_checksum(const void *data, size_t bytes) { return XXH3_64bits(data, bytes); }
