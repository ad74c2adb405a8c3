/* Tests of match.c: the weights of BatchNormalization, with gamma or without, in Keras's files. */
#include <string.h>

#include "outcome.h"
#include "weights.h"

enum { WEIGHTS = 9 };

static const RtLayer layers[] = {
    {"bare", "BatchNormalization", -1, 2, {0, 3}, 9, 0, 3},
    {"out", "Dense", -1, 2, {0, 2}, 8, 3, 2},
    {"norm", "BatchNormalization", -1, 2, {0, 2}, 8, 5, 4},
};
static const RtWeight weights[WEIGHTS] = {
    {"bare/beta", 0, 1, {3}, 0, RT_INIT_ZEROS, 0, 0, 0},
    {"bare/moving_mean", 0, 1, {3}, 64, RT_INIT_ZEROS, 0, 0, 1},
    {"bare/moving_variance", 0, 1, {3}, 128, RT_INIT_ONES, 0, 0, 1},
    {"out/kernel", 1, 2, {3, 2}, 192, RT_INIT_GLOROT_UNIFORM, 3, 2, 0},
    {"out/bias", 1, 1, {2}, 256, RT_INIT_ZEROS, 0, 0, 0},
    {"norm/gamma", 2, 1, {2}, 320, RT_INIT_ONES, 0, 0, 0},
    {"norm/beta", 2, 1, {2}, 384, RT_INIT_ZEROS, 0, 0, 0},
    {"norm/moving_mean", 2, 1, {2}, 448, RT_INIT_ZEROS, 0, 0, 1},
    {"norm/moving_variance", 2, 1, {2}, 512, RT_INIT_ONES, 0, 0, 1},
};
static const RtModel model = {.name = "norms",
                              .layers = layers,
                              .layer_count = 3,
                              .weights = weights,
                              .weight_count = WEIGHTS,
                              .arena_bytes = 64 * WEIGHTS};

/* Weight i holds 100 i, 100 i + 1, … (keras/make.py). */
static void read_and_check(const char *path)
{
    static char arena[64 * WEIGHTS] __attribute__((aligned(64)));
    real *places[WEIGHTS];
    RtRun run = {.arena = arena, .weights = places};
    memset(arena, 0, sizeof arena);
    for (int i = 0; i < WEIGHTS; i++) places[i] = (real *)(arena + weights[i].offset);
    rt_weights_read(&model, &run, path, -1);
    for (int i = 0; i < WEIGHTS; i++) {
        const int count = weights[i].rank == 2 ? 6 : weights[i].dims[0];
        for (int k = 0; k < count; k++)
            if (places[i][k] != (real)(100 * i + k))
                fail_msg("%s: %s[%d] is %g", path, weights[i].name, k, (double)places[i][k]);
    }
}

static void test_legacy_file(void **state)
{
    (void)state;
    read_and_check("tests/unit/keras/batch_norm.h5");
}

static void test_v3_file(void **state)
{
    (void)state;
    read_and_check("tests/unit/keras/batch_norm.weights.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_file),
        cmocka_unit_test(test_v3_file),
    };
    return cmocka_run_group_tests_name("batch_norm", tests, NULL, NULL);
}
