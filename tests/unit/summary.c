/* Tests of summary.c: the same bytes as model.summary() of Keras 3.15 prints for this model, at
 * three widths of the terminal, as recorded from it. */
#include "ground.h"
#include "outcome.h"

static const RtLayer layers[] = {
    {"random_flip", "RandomFlip", -1, 4, {0, 180, 180, 3}, 0, 0, 0},
    {"vgg16", "Functional", -1, 4, {0, 90, 90, 64}, 0, 0, 0},
    {"input_layer", "InputLayer", 0, 4, {0, 180, 180, 3}, 0, 0, 0},
    {"block1_conv1", "Conv2D", 0, 4, {0, 180, 180, 64}, 1792, 0, 2},
    {"block1_conv2", "Conv2D", 0, 4, {0, 180, 180, 64}, 36928, 2, 2},
    {"block1_pool", "MaxPooling2D", 0, 4, {0, 90, 90, 64}, 0, 0, 0},
    {"flatten", "Flatten", -1, 2, {0, 518400}, 0, 0, 0},
    {"fc_with_a_really_long_name_that_never_ends", "Dense", -1, 2, {0, 256}, 132710656, 4, 2},
    {"out", "Dense", -1, 2, {0, 1}, 257, 6, 2},
};
enum { LAYERS = sizeof layers / sizeof *layers };

static void check(const char *wanted, const char *trainable, bool expand, int width)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    rt_print_summary(out, "pets", layers, LAYERS, trainable, 132710913, expand, width);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_standard_width(void **state)
{
    (void)state;
    check(
        "Model: \"pets\"\n"
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓\n"
        "┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃\n"
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩\n"
        "│ random_flip (RandomFlip)        │ (None, 180, 180, 3)    │             0 │\n"
        "├─────────────────────────────────┼────────────────────────┼───────────────┤\n"
        "│ vgg16 (Functional)              │ (None, 90, 90, 64)     │        38,720 │\n"
        "├─────────────────────────────────┼────────────────────────┼───────────────┤\n"
        "│ flatten (Flatten)               │ (None, 518400)         │             0 │\n"
        "├─────────────────────────────────┼────────────────────────┼───────────────┤\n"
        "│ fc_with_a_really_long_name_tha… │ (None, 256)            │   132,710,656 │\n"
        "│ (Dense)                         │                        │               │\n"
        "├─────────────────────────────────┼────────────────────────┼───────────────┤\n"
        "│ out (Dense)                     │ (None, 1)              │           257 │\n"
        "└─────────────────────────────────┴────────────────────────┴───────────────┘\n"
        " Total params: 132,749,633 (506.40 MB)\n"
        " Trainable params: 132,710,913 (506.25 MB)\n"
        " Non-trainable params: 38,720 (151.25 KB)\n",
        NULL, false, 80);
}

static void test_wide(void **state)
{
    (void)state;
    check(
        "Model: \"pets\"\n"
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━┓\n"
        "┃ Layer (type)                         ┃ Output Shape                ┃         Param # ┃\n"
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━┩\n"
        "│ random_flip (RandomFlip)             │ (None, 180, 180, 3)         │               0 │\n"
        "├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤\n"
        "│ vgg16 (Functional)                   │ (None, 90, 90, 64)          │          38,720 │\n"
        "├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤\n"
        "│ flatten (Flatten)                    │ (None, 518400)              │               0 │\n"
        "├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤\n"
        "│ fc_with_a_really_long_name_that_nev… │ (None, 256)                 │     132,710,656 │\n"
        "│ (Dense)                              │                             │                 │\n"
        "├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤\n"
        "│ out (Dense)                          │ (None, 1)                   │             257 │\n"
        "└──────────────────────────────────────┴─────────────────────────────┴─────────────────┘\n"
        " Total params: 132,749,633 (506.40 MB)\n"
        " Trainable params: 132,710,913 (506.25 MB)\n"
        " Non-trainable params: 38,720 (151.25 KB)\n",
        NULL, false, 120);
}

static void test_expanded_with_trainable(void **state)
{
    (void)state;
    check(
        "Model: \"pets\"\n"
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━┓\n"
        "┃ Layer (type)                ┃ Output Shape          ┃    Param # ┃ Trai… ┃\n"
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━┩\n"
        "│ random_flip (RandomFlip)    │ (None, 180, 180, 3)   │          0 │   -   │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│ vgg16 (Functional)          │ (None, 90, 90, 64)    │     38,720 │   N   │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│    └ input_layer            │ (None, 180, 180, 3)   │          0 │   -   │\n"
        "│ (InputLayer)                │                       │            │       │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│    └ block1_conv1 (Conv2D)  │ (None, 180, 180, 64)  │      1,792 │   N   │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│    └ block1_conv2 (Conv2D)  │ (None, 180, 180, 64)  │     36,928 │   N   │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│    └ block1_pool            │ (None, 90, 90, 64)    │          0 │   -   │\n"
        "│ (MaxPooling2D)              │                       │            │       │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│ flatten (Flatten)           │ (None, 518400)        │          0 │   -   │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│ fc_with_a_really_long_name… │ (None, 256)           │ 132,710,6… │   Y   │\n"
        "│ (Dense)                     │                       │            │       │\n"
        "├─────────────────────────────┼───────────────────────┼────────────┼───────┤\n"
        "│ out (Dense)                 │ (None, 1)             │        257 │   Y   │\n"
        "└─────────────────────────────┴───────────────────────┴────────────┴───────┘\n"
        " Total params: 132,749,633 (506.40 MB)\n"
        " Trainable params: 132,710,913 (506.25 MB)\n"
        " Non-trainable params: 38,720 (151.25 KB)\n",
        "-N-NN--YY", true, 80);
}

static void test_narrow(void **state)
{
    (void)state;
    check(
        "Model: \"pets\"\n"
        "┏━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━┳━━━━━┓\n"
        "┃                    ┃               ┃ Param ┃     ┃\n"
        "┃ Layer (type)       ┃ Output Shape  ┃     # ┃ Tr… ┃\n"
        "┡━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━╇━━━━━┩\n"
        "│ random_flip        │ (None, 180,   │     0 │  -  │\n"
        "│ (RandomFlip)       │ 180, 3)       │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│ vgg16 (Functional) │ (None, 90,    │ 38,7… │  N  │\n"
        "│                    │ 90, 64)       │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│    └ input_layer   │ (None, 180,   │     0 │  -  │\n"
        "│ (InputLayer)       │ 180, 3)       │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│    └ block1_conv1  │ (None, 180,   │ 1,792 │  N  │\n"
        "│ (Conv2D)           │ 180, 64)      │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│    └ block1_conv2  │ (None, 180,   │ 36,9… │  N  │\n"
        "│ (Conv2D)           │ 180, 64)      │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│    └ block1_pool   │ (None, 90,    │     0 │  -  │\n"
        "│ (MaxPooling2D)     │ 90, 64)       │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│ flatten (Flatten)  │ (None,        │     0 │  -  │\n"
        "│                    │ 518400)       │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│ fc_with_a_really_… │ (None, 256)   │ 132,… │  Y  │\n"
        "│ (Dense)            │               │       │     │\n"
        "├────────────────────┼───────────────┼───────┼─────┤\n"
        "│ out (Dense)        │ (None, 1)     │   257 │  Y  │\n"
        "└────────────────────┴───────────────┴───────┴─────┘\n"
        " Total params: 132,749,633 (506.40 MB)\n"
        " Trainable params: 132,710,913 (506.25 MB)\n"
        " Non-trainable params: 38,720 (151.25 KB)\n",
        "-N-NN--YY", true, 56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_width),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_expanded_with_trainable),
        cmocka_unit_test(test_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
