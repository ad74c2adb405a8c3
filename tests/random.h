/* random.h: for programs of tests: numbers that are the same on every run. */
#ifndef RANDOM_H
#define RANDOM_H

#include "rt.h"

/* Numbers in [-1, 1), others for each purpose. */
static inline void fill_random(real *values, size_t count, uint64_t seed, uint32_t purpose)
{
    const RtRun run = {.seed = seed};
    uint32_t words[4];
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0) rt_random4(&run, purpose, 0, (uint32_t)(i / 4), words);
        values[i] = 2 * rt_unit(words[i % 4]) - 1;
    }
}

#endif
