/* hash.c: SHA-256, by libmd. */
#include <sha2.h>

#include "tlc.h"

void sha256(const void *data, size_t bytes, char hex[65]) { SHA256Data(data, bytes, hex); }
