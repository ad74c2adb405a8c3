/* small_model.h: for unit tests: a small model, and files of its weights. The two convolutions have
 * the same shape, so only the right match gives the right values. */
#ifndef SMALL_MODEL_H
#define SMALL_MODEL_H

#include "arrays.h"
#include "outcome.h"
#include "weights.h"

enum { WEIGHTS = 8 };

/* Like VGG16 cut after two convolutions, with a head. */
static const RtLayer layers[] = {
    {"flip", "RandomFlip", -1, 4, {0, 2, 2, 3}, 0, 0, 0},
    {"vgg16", "Functional", -1, 4, {0, 1, 1, 3}, 24, 0, 0},
    {"block1_conv1", "Conv2D", 0, 4, {0, 2, 2, 3}, 12, 0, 2},
    {"block1_conv2", "Conv2D", 0, 4, {0, 2, 2, 3}, 12, 2, 2},
    {"block1_pool", "MaxPooling2D", 0, 4, {0, 1, 1, 3}, 0, 4, 0},
    {"flatten", "Flatten", -1, 2, {0, 3}, 0, 4, 0},
    {"fc", "Dense", -1, 2, {0, 2}, 8, 4, 2},
    {"dropout", "Dropout", -1, 2, {0, 2}, 0, 6, 0},
    {"out", "Dense", -1, 2, {0, 2}, 6, 6, 2},
};
static const RtWeight weights[WEIGHTS] = {
    {"block1_conv1/kernel", 2, 4, {1, 1, 3, 3}, 0, RT_INIT_GLOROT_UNIFORM, 3, 3, 0},
    {"block1_conv1/bias", 2, 1, {3}, 128, RT_INIT_ZEROS, 1, 1, 0},
    {"block1_conv2/kernel", 3, 4, {1, 1, 3, 3}, 192, RT_INIT_GLOROT_UNIFORM, 3, 3, 0},
    {"block1_conv2/bias", 3, 1, {3}, 320, RT_INIT_ZEROS, 1, 1, 0},
    {"fc/kernel", 6, 2, {3, 2}, 384, RT_INIT_GLOROT_UNIFORM, 3, 2, 0},
    {"fc/bias", 6, 1, {2}, 448, RT_INIT_ONES, 1, 1, 0},
    {"out/kernel", 8, 2, {2, 2}, 512, RT_INIT_GLOROT_UNIFORM, 2, 2, 0},
    {"out/bias", 8, 1, {2}, 576, RT_INIT_ZEROS, 1, 1, 0},
};
static const char *const official[] = {"block1_conv1", "block1_conv2", "block2_conv1", "fc1"};
static const RtBase base = {"vgg16",
                            "imagenet",
                            "official.h5",
                            "https://example.org/official.h5",
                            "00000000000000000000000000000000",
                            1,
                            2,
                            3,
                            official,
                            4};
#define HASH "1111111111111111111111111111111111111111111111111111111111111111"
static const RtModel model = {.name = "pets",
                              .hash = HASH,
                              .tlc = "0.1",
                              .preprocessing = "caffe",
                              .layers = layers,
                              .layer_count = 9,
                              .weights = weights,
                              .weight_count = WEIGHTS,
                              .bases = &base,
                              .base_count = 1,
                              .arena_bytes = 640};

static char arena[640] __attribute__((aligned(64)));

/* A run whose weights lie in the arena. */
static inline RtRun *new_run(void)
{
    static real *places[WEIGHTS];
    static RtRun run;
    for (int i = 0; i < WEIGHTS; i++) places[i] = (real *)(arena + weights[i].offset);
    run = (RtRun){.arena = arena, .weights = places, .seed = 1};
    return &run;
}

static inline const real *values_of(int weight)
{
    return (const real *)(arena + weights[weight].offset);
}

static inline size_t count_of(int weight)
{
    size_t count = 1;
    for (int i = 0; i < weights[weight].rank; i++) count *= (size_t)weights[weight].dims[i];
    return count;
}

/* In the files that the tests make, weight i holds 100 i, 100 i + 1, … */
static inline bool has_own_values(int weight)
{
    for (size_t j = 0; j < count_of(weight); j++)
        if (values_of(weight)[j] != (real)(100 * weight + (int)j)) return false;
    return true;
}

static inline void set_arena(real value)
{
    for (size_t i = 0; i < sizeof arena / sizeof(real); i++) ((real *)arena)[i] = value;
}

/* Weights first … last were read, and no other was touched. */
static inline void read_and_check(const char *path, int of_base, int first, int last)
{
    set_arena(-1);
    rt_weights_read(&model, new_run(), path, of_base);
    for (int i = 0; i < WEIGHTS; i++) {
        bool wanted = i >= first && i <= last;
        if (wanted ? !has_own_values(i) : values_of(i)[0] != -1)
            fail_msg("%s: %s begins with %g", path, weights[i].name, (double)values_of(i)[0]);
    }
}

/* An array named like each weight, those first … last. */
static inline void make_tensors(const char *path, int first, int last, const RtMeta *meta,
                                size_t metas)
{
    RtArray arrays[WEIGHTS];
    real values[WEIGHTS][9];
    size_t n = 0;
    for (int i = first; i <= last; i++, n++) {
        arrays[n] = (RtArray){.name = (char *)weights[i].name, .rank = weights[i].rank};
        arrays[n].type = sizeof(real) == 8 ? RT_F64 : RT_F32;
        arrays[n].data = values[i];
        for (int j = 0; j < weights[i].rank; j++) arrays[n].dims[j] = weights[i].dims[j];
        for (int j = 0; j < 9; j++) values[i][j] = (real)(100 * i + j);
    }
    rt_tensors_write(path, arrays, n, meta, metas);
}

static inline void read_whole(const void *path) { rt_weights_read(&model, new_run(), path, -1); }

static inline void read_base(const void *path) { rt_weights_read(&model, new_run(), path, 0); }

#endif
