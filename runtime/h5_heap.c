/* h5_heap.c: the global heap of an HDF5 file, which holds its strings of varying length, read from
 * the mapped file itself: h5.c says why not by the library. */
#include <string.h>

#include "arrays.h"

uint64_t rt_h5_number(const unsigned char *at, int bytes)
{
    uint64_t number = 0;
    while (bytes--) number = number << 8 | at[bytes];
    return number;
}

const unsigned char *rt_h5_heap_object(const unsigned char *map, size_t map_bytes, uint64_t heap,
                                       uint64_t index, uint64_t *bytes)
{
    if (heap > map_bytes || map_bytes - heap < 16) return NULL;
    map += heap;
    uint64_t end = rt_h5_number(map + 8, 8), at = 16;
    if (memcmp(map, "GCOL\1", 5) != 0 || end > map_bytes - heap) return NULL;
    for (int seen = 0; seen < 65536 && at < end && end - at >= 16; seen++) {
        uint64_t found = rt_h5_number(map + at, 2);
        *bytes = rt_h5_number(map + at + 8, 8);
        at += 16;
        if (!found || *bytes > end - at) return NULL; /* 0: the room that is left */
        if (found == index) return map + at;
        at += (*bytes + 7) / 8 * 8;
    }
    return NULL;
}
