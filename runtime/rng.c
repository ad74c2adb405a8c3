/* rng.c: random numbers as a pure function of what they are for. No state: the same numbers come
 * out whatever the number of threads, and a run can be taken up in the middle of an epoch. */
#include <math.h>
#include <string.h>

#include "ground.h"

enum { ROUNDS = 10 };

/* Streams of the library, out of reach of the small numbers that the compiler gives out. */
static const uint32_t PURPOSE_SHUFFLE = 0xffffffffu, PURPOSE_INITIALIZE = 0xfffffffeu;

/* Philox4x32-10; the constants are those of the paper (rt.h) and of Random123. */
static void philox(uint64_t seed, const uint32_t counter[4], uint32_t out[4])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
        c3 = (uint32_t)p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The counter has 128 bits for 160: the upper half of the sample number shares a word with
 * purpose, whose own numbers are small. */
void rt_random4(const RtRun *run, uint32_t purpose, uint64_t sample, uint32_t index,
                uint32_t out[4])
{
    uint32_t high = (uint32_t)(sample >> 32);
    philox(run->seed, (uint32_t[4]){index, purpose ^ high << 16, (uint32_t)sample, run->epoch},
           out);
}

/* A number below bound: 64 random bits x bound, the upper half. Its bias, bound / 2^64, is far
 * below what any run could show. */
static uint64_t random_below(uint64_t seed, uint32_t epoch, uint64_t at, uint64_t bound)
{
    uint32_t words[4];
    philox(seed, (uint32_t[4]){(uint32_t)at, PURPOSE_SHUFFLE, (uint32_t)(at >> 32), epoch}, words);
    uint64_t bits = (uint64_t)words[0] << 32 | words[1];
    return (uint64_t)((unsigned __int128)bits * bound >> 64);
}

void rt_shuffle(uint64_t seed, uint32_t epoch, uint64_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++) order[i] = i;
    for (size_t i = n; i > 1; i--) {
        uint64_t j = random_below(seed, epoch, i, i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

/* FNV-1a, 64 bits: spreads names over the streams. */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

static void fill_uniform(const RtWeight *weight, uint64_t seed, real limit, real *values,
                         size_t count)
{
    uint64_t stream = hash_name(weight->name);
    uint32_t words[4];
    for (size_t i = 0; i < count; i++) {
        uint32_t counter[4] = {(uint32_t)(i / 4), PURPOSE_INITIALIZE, (uint32_t)stream,
                               (uint32_t)(stream >> 32)};
        if (i % 4 == 0) philox(seed, counter, words);
        values[i] = (2 * rt_unit(words[i % 4]) - 1) * limit;
    }
}

void rt_initialize(const RtWeight *weight, uint64_t seed, real *values)
{
    size_t count = 1;
    for (int i = 0; i < weight->rank; i++) count *= (size_t)weight->dims[i];
    if (weight->init == RT_INIT_GLOROT_UNIFORM) {
        real limit = (real)sqrt(6.0 / (weight->fan_in + weight->fan_out));
        fill_uniform(weight, seed, limit, values, count);
        return;
    }
    for (size_t i = 0; i < count; i++) values[i] = weight->init == RT_INIT_ONES;
}
