/* Tests of weights.c and match.c: the weights of a small model in every kind of file. */
#include <math.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "make_h5.h"
#include "small_model.h"
#include "weights.h"

static void put_weight(hid_t made, const char *path, int weight)
{
    hsize_t dims[5] = {0};
    for (int i = 0; i < weights[weight].rank; i++) dims[i] = (hsize_t)weights[weight].dims[i];
    put_floats(made, path, 100.0f * (float)weight, dims);
}

/* ---- Legacy files ---------------------------------------------------------------------------- */

/* A layer of two weights, kernel and bias, whose data sets have this form: "%s/kernel:0". */
static void put_pair(hid_t made, const char *layer, const char *kernel, const char *bias, int first)
{
    char names[2][100], path[300];
    const char *const list[] = {names[0], names[1]};
    snprintf(names[0], 100, kernel, layer);
    snprintf(names[1], 100, bias, layer);
    put_layer(made, "/", layer, list, 2, 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", layer, names[i]);
        put_weight(made, path, first + i);
    }
}

static void test_legacy_names(void **state)
{
    (void)state;
    const char *path = scratch("names.h5");
    static const char *const forms[][2] = {
        {"%s/kernel:0", "%s/bias:0"},
        {"%s/kernel", "%s/bias"},
        {"sequential/%s/kernel", "sequential/%s/bias"},
        {"%s_W_1:0", "%s_b_1:0"},
        {"%s_W", "%s_b"},
        {"kernel", "bias"},
        {"%s_1/kernel_1:0", "%s_1/bias_1:0"},
    };
    for (int i = 0; i < 7; i++) {
        hid_t made = new_h5(path); /* in an order that is not the model's */
        put_strings(made, "layer_names", LIST("out", "fc", "block1_conv2", "block1_conv1"), 0);
        put_pair(made, "out", forms[i][0], forms[i][1], 6);
        put_pair(made, "fc", forms[i][0], forms[i][1], 4);
        put_pair(made, "block1_conv2", forms[i][0], forms[i][1], 2);
        put_pair(made, "block1_conv1", forms[i][0], forms[i][1], 0);
        H5Fclose(made);
        read_and_check(path, -1, 0, 7);
    }
}

/* Names tell kernel and bias apart even where the order does not. */
static void test_bias_first(void **state)
{
    (void)state;
    const char *path = scratch("bias_first.h5");
    hid_t made = new_h5(path);
    put_strings(made, "layer_names", LIST("block1_conv1", "block1_conv2"), 0);
    put_layer(made, "/", "block1_conv1", LIST("bias:0", "kernel:0"), 0);
    put_weight(made, "block1_conv1/kernel:0", 0);
    put_weight(made, "block1_conv1/bias:0", 1);
    put_pair(made, "block1_conv2", "%s/x:0", "%s/y:0", 2); /* unknown: by their order */
    H5Fclose(made);
    read_and_check(path, 0, 0, 3);
}

/* A whole model with its base inside, saved while block1_conv1 was frozen: it comes last. */
static void make_nested(const char *path, const char *group)
{
    hid_t made = new_h5(path);
    put_strings(made, "layer_names", LIST("flip", "vgg16", "flatten", "fc", "out"), 0);
    put_layer(made, "/", "flip", NULL, 0, 0);
    put_layer(made, "/", "flatten", NULL, 0, 0);
    put_layer(made, "/", group,
              LIST("block1_conv2/kernel:0", "block1_conv2/bias:0", "block1_conv1/kernel:0",
                   "block1_conv1/bias:0"),
              0);
    put_weight(made, "vgg16/block1_conv1/kernel:0", 0);
    put_weight(made, "vgg16/block1_conv1/bias:0", 1);
    put_weight(made, "vgg16/block1_conv2/kernel:0", 2);
    put_weight(made, "vgg16/block1_conv2/bias:0", 3);
    put_pair(made, "fc", "%s/kernel:0", "%s/bias:0", 4);
    put_pair(made, "out", "%s/kernel:0", "%s/bias:0", 6);
    H5Fclose(made);
}

static void test_nested_base(void **state)
{
    (void)state;
    const char *path = scratch("nested.h5");
    make_nested(path, "vgg16");
    read_and_check(path, -1, 0, 7);
    read_and_check(path, 0, 0, 3);
}

/* The official file: more layers than the model took. */
static void make_official(const char *path)
{
    hid_t made = new_h5(path);
    put_strings(made, "layer_names",
                LIST("block1_conv1", "block1_conv2", "block1_pool", "block2_conv1", "fc1"), 20);
    put_pair(made, "block1_conv1", "%s_W_1:0", "%s_b_1:0", 0);
    put_pair(made, "block1_conv2", "%s_W_1:0", "%s_b_1:0", 2);
    put_layer(made, "/", "block1_pool", NULL, 0, 0);
    put_pair(made, "block2_conv1", "%s_W_1:0", "%s_b_1:0", 0);
    put_pair(made, "fc1", "%s_W_1:0", "%s_b_1:0", 4);
    H5Fclose(made);
}

static void test_official_layout(void **state)
{
    (void)state;
    const char *path = scratch("official.h5");
    make_official(path);
    read_and_check(path, 0, 0, 3);
    expect_end(RT_BAD_WEIGHTS,
               "official.h5: does not fit the model \"pets\": 4 of 8 weights missing, 4 extra, "
               "0 of other shape\n"
               "  extra: /block2_conv1/block2_conv1_W_1:0 (1, 1, 3, 3)\n"
               "  extra: /block2_conv1/block2_conv1_b_1:0 (3,)\n"
               "  extra: /fc1/fc1_W_1:0 (3, 2)\n"
               "  extra: /fc1/fc1_b_1:0 (2,)\n"
               "  missing: fc/kernel (3, 2)\n"
               "  missing: fc/bias (2,)\n"
               "  missing: out/kernel (2, 2)\n"
               "  missing: out/bias (2,)\n"
               "  hint: weights are found by the names of their layers: compare them\n",
               read_whole, path);
}

static void put_unnamed(hid_t made, const char *const *names, size_t n)
{
    put_strings(made, "layer_names", names, n, 0);
    for (size_t i = 0; i < n; i++) put_pair(made, names[i], "%s/kernel:0", "%s/bias:0", (int)i * 2);
}

/* No name is known: Keras's rule, by position, said aloud. */
static void test_positions(void **state)
{
    (void)state;
    const char *path = scratch("positions.h5");
    hid_t made = new_h5(path);
    put_unnamed(made, LIST("conv2d_7", "conv2d_5", "dense_9", "dense_1"));
    H5Fclose(made);
    read_and_check(path, -1, 0, 7);
    expect_end(RT_OK, "no layer has a name of this model; its weights are taken in their order",
               read_whole, path);

    made = new_h5(path); /* a base, by itself or with what follows */
    put_unnamed(made, LIST("conv2d_7", "conv2d_5"));
    H5Fclose(made);
    read_and_check(path, 0, 0, 3);
    made = new_h5(path);
    put_unnamed(made, LIST("conv2d_7", "conv2d_5", "dense_9"));
    H5Fclose(made);
    read_and_check(path, 0, 0, 3);

    made = new_h5(path); /* another number of layers: nothing to go by */
    put_unnamed(made, LIST("conv2d_7", "conv2d_5", "dense_9"));
    H5Fclose(made);
    expect_end(RT_BAD_WEIGHTS, "8 of 8 weights missing, 6 extra, 0 of other shape", read_whole,
               path);
    expect_end(RT_BAD_WEIGHTS, "hint: it seems to be of another network", read_whole, path);
}

static void test_problems(void **state)
{
    (void)state;
    const char *path = scratch("problems.h5");
    hid_t made = new_h5(path);
    put_strings(made, "layer_names", LIST("block1_conv1", "block1_conv2", "fc", "out"), 0);
    put_pair(made, "block1_conv1", "%s/kernel:0", "%s/bias:0", 0);
    put_pair(made, "block1_conv2", "%s/kernel:0", "%s/bias:0", 2);
    put_layer(made, "/", "fc", LIST("kernel:0", "bias:0", "kernel"), 0);
    put_floats(made, "fc/kernel:0", 0, DIMS(4, 2));
    put_floats(made, "fc/bias:0", 0, DIMS(2, 1));
    put_floats(made, "fc/kernel", 0, DIMS(3, 2));
    put_pair(made, "out", "%s/kernel:0", "%s/bias:0", 6);
    H5Fclose(made);
    expect_end(RT_BAD_WEIGHTS,
               "0 of 8 weights missing, 1 extra, 2 of other shape\n"
               "  extra: /fc/kernel (3, 2) (this weight is in the file twice)\n"
               "  other shape: /fc/kernel:0 is (4, 2), the model has fc/kernel (3, 2)\n"
               "  other shape: /fc/bias:0 is (2, 1), the model has fc/bias (2,)\n"
               "  hint: it was saved with another input size, or other units or filters\n",
               read_whole, path);
}

static void test_long_lists(void **state)
{
    (void)state;
    const char *path = scratch("long.h5");
    static char names[13][8];
    const char *list[13] = {"fc"};
    for (int i = 1; i < 13; i++) list[i] = names[i], sprintf(names[i], "x%d", i);
    hid_t made = new_h5(path);
    put_strings(made, "layer_names", list, 13, 0);
    put_pair(made, "fc", "%s/kernel:0", "%s/bias:0", 4);
    for (int i = 1; i < 13; i++) put_pair(made, list[i], "%s/kernel:0", "%s/bias:0", 0);
    H5Fclose(made);
    expect_end(RT_BAD_WEIGHTS, "  extra: /x5/x5/bias:0 (3,)\n  extra: 14 more\n", read_whole, path);
}

/* ---- .weights.h5 ----------------------------------------------------------------------------- */

static void put_vars(hid_t made, const char *layer, int first, const char *name)
{
    char path[300];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "layers/%s/vars/%d", layer, i);
        put_weight(made, path, first + i);
    }
    if (!name) return;
    snprintf(path, sizeof path, "layers/%s/vars", layer);
    hid_t group = put_group(made, path);
    put_string(group, "name", name);
    H5Gclose(group);
}

static void test_v3_classes(void **state)
{
    (void)state;
    const char *path = scratch("classes.weights.h5");
    hid_t made = new_h5(path);
    put_vars(made, "functional/layers/conv2d", 0, NULL);
    put_vars(made, "functional/layers/conv2d_1", 2, NULL);
    put_vars(made, "dense", 4, NULL);
    put_vars(made, "dense_1", 6, NULL);
    H5Fclose(made);
    read_and_check(path, -1, 0, 7);
    read_and_check(path, 0, 0, 3);

    made = new_h5(path); /* built as one model without another inside */
    put_vars(made, "conv2d", 0, NULL);
    put_vars(made, "conv2d_1", 2, NULL);
    put_vars(made, "dense", 4, NULL);
    put_vars(made, "dense_1", 6, NULL);
    H5Fclose(made);
    read_and_check(path, -1, 0, 7);

    made = new_h5(path); /* the whole network of which the model has the first part */
    put_vars(made, "conv2d", 0, NULL);
    put_vars(made, "conv2d_1", 2, NULL);
    put_vars(made, "conv2d_2", 0, NULL);
    put_vars(made, "dense", 4, NULL);
    H5Fclose(made);
    read_and_check(path, 0, 0, 3);

    made = new_h5(path); /* the head lacks a layer */
    put_vars(made, "functional/layers/conv2d", 0, NULL);
    put_vars(made, "functional/layers/conv2d_1", 2, NULL);
    put_vars(made, "dense", 4, NULL);
    H5Fclose(made);
    expect_end(RT_BAD_WEIGHTS, "2 of 8 weights missing, 0 extra", read_whole, path);
}

static void test_v3_names(void **state)
{
    (void)state;
    const char *path = scratch("named.weights.h5");
    hid_t made = new_h5(path); /* numbers that would mislead */
    put_vars(made, "functional/layers/conv2d", 2, "block1_conv2");
    put_vars(made, "functional/layers/conv2d_1", 0, "block1_conv1");
    put_vars(made, "dense", 6, "out");
    put_vars(made, "dense_1", 4, "fc");
    H5Fclose(made);
    read_and_check(path, -1, 0, 7);
    read_and_check(path, 0, 0, 3);

    made = new_h5(path); /* names of another model: by class */
    put_vars(made, "functional/layers/conv2d", 0, "conv2d_8");
    put_vars(made, "functional/layers/conv2d_1", 2, "conv2d_9");
    put_vars(made, "dense", 4, "dense_3");
    put_vars(made, "dense_1", 6, "dense_4");
    H5Fclose(made);
    read_and_check(path, -1, 0, 7);
}

/* What Keras 3.15 wrote (keras/make.py), with and without the names that it adds since 3.10. */
static void test_files_of_keras(void **state)
{
    (void)state;
    static const char *const whole[] = {
        "nested.h5",     "nested.weights.h5",     "nested_unnamed.weights.h5",
        "sequential.h5", "sequential.weights.h5", "sequential_unnamed.weights.h5",
    };
    char path[200];
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "tests/unit/keras/%s", whole[i]);
        read_and_check(path, -1, 0, 7);
        if (i < 3) read_and_check(path, 0, 0, 3);
    }
    read_and_check("tests/unit/keras/base.weights.h5", 0, 0, 3);
    read_and_check("tests/unit/keras/base_unnamed.weights.h5", 0, 0, 3);
}

/* ---- safetensors, and no weight files -------------------------------------------------------- */

static void test_tensors(void **state)
{
    (void)state;
    const char *path = scratch("foreign.safetensors");
    make_tensors(path, 0, 7, NULL, 0);
    read_and_check(path, -1, 0, 7);
    expect_end(RT_BAD_WEIGHTS, "does not fit the base \"vgg16\": 0 of 4 weights missing, 4 extra",
               read_base, path);
    make_tensors(path, 0, 7, &(RtMeta){"tlc_model_hash", "of another model"}, 1);
    read_and_check(path, 0, 0, 3);
    make_tensors(path, 1, 3, NULL, 0);
    expect_end(RT_BAD_WEIGHTS,
               "1 of 4 weights missing, 0 extra, 0 of other shape\n"
               "  missing: block1_conv1/kernel (1, 1, 3, 3)\n",
               read_base, path);
}

static void test_other_formats(void **state)
{
    (void)state;
    const char *path = scratch("some.weights");
    write_file(path, "PK\3\4 a zip archive", 17);
    expect_end(RT_BAD_WEIGHTS, "hint: if it is a .keras archive: unzip", read_whole, path);
    write_file(path, "version https://git-lfs.github.com/spec/v1\n", 43);
    expect_end(RT_BAD_WEIGHTS, "hint: it seems to be a pointer of Git LFS", read_whole, path);
    write_file(path, "<html>", 6);
    expect_end(RT_BAD_WEIGHTS, "some.weights: neither HDF5 nor safetensors (6 bytes)\n  hint: give",
               read_whole, path);
    write_file(path, "", 0);
    expect_end(RT_BAD_WEIGHTS, "neither HDF5 nor safetensors (0 bytes)", read_whole, path);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void load(const RtModel *of, const char *file)
{
    set_arena(-1);
    rt_weights_load(of, new_run(), file);
}

static void load_imagenet(const void *of) { load(of, NULL); }

static void load_file(const void *path) { load(&model, path); }

static void check_initial_head(void)
{
    real limit = (real)sqrt(6.0 / 5);
    assert_true(values_of(4)[0] != values_of(4)[1]);
    for (int i = 0; i < 6; i++) assert_true(fabs((double)values_of(4)[i]) <= (double)limit);
    assert_true(values_of(5)[0] == 1 && values_of(5)[1] == 1 && values_of(7)[1] == 0);
}

static void test_imagenet(void **state)
{
    (void)state;
    char folder[400], md5[33], said[1200];
    snprintf(folder, sizeof folder, "%s", scratch("home"));
    setenv("KERAS_HOME", folder, 1);
    snprintf(said, sizeof said,
             "the ImageNet weights of \"vgg16\" are not on this machine\n"
             "  file: %s/models/official.h5\n"
             "  from: https://example.org/official.h5\n"
             "  md5: 00000000000000000000000000000000\n"
             "  hint: curl -L --create-dirs -o %s/models/official.h5 "
             "https://example.org/official.h5\n",
             folder, folder);
    expect_end(RT_BAD_WEIGHTS, said, load_imagenet, &model);

    const char *path = scratch("home/models/official.h5");
    rt_make_folders(scratch("home/models"));
    make_official(path);
    size_t bytes;
    const unsigned char *data = rt_map(path, SIZE_MAX, RT_FAILED, &bytes);
    rt_md5_mapped(data, bytes, md5);
    rt_unmap(data, bytes);
    snprintf(said, sizeof said,
             "home/models/official.h5: not the official file: its md5 is %s and should be "
             "00000000000000000000000000000000\n  hint: fetch it again: curl",
             md5);
    expect_end(RT_BAD_WEIGHTS, said, load_imagenet, &model);

    RtBase right = base;
    RtModel trusting = model;
    right.md5 = md5;
    trusting.bases = &right;
    load(&trusting, NULL);
    for (int i = 0; i < 4; i++) assert_true(has_own_values(i));
    check_initial_head();
    right.weights = NULL; /* the base, too, from initial values */
    load(&trusting, NULL);
    assert_false(has_own_values(0));
    assert_true(values_of(0)[0] != -1 && values_of(1)[0] == 0);
    right.weights = path;
    load(&trusting, NULL);
    assert_true(has_own_values(0));
    unsetenv("KERAS_HOME");
}

static void test_given_file(void **state)
{
    (void)state;
    const char *path = scratch("given.h5");
    make_nested(path, "vgg16");
    load(&model, path); /* holds all: no need of the official file */
    for (int i = 0; i < WEIGHTS; i++) assert_true(has_own_values(i));
    make_official(path);
    expect_end(RT_OK, "given.h5: weights of a pretrained base; the layers around it start anew",
               load_file, path);
    load(&model, path);
    for (int i = 0; i < 4; i++) assert_true(has_own_values(i));
    check_initial_head();
    make_tensors(path, 0, 5, NULL, 0); /* half a head is a mistake */
    expect_end(RT_BAD_WEIGHTS, "does not fit the model \"pets\": 2 of 8 weights missing", load_file,
               path);
}

/* ---- A run that only reads them -------------------------------------------------------------- */

enum { LARGE = 128 * 256 };

static const RtLayer large_layers[] = {{"fc", "Dense", -1, 2, {0, 256}, LARGE + 256, 0, 2}};
static const RtWeight large_weights[] = {
    {"fc/kernel", 0, 2, {128, 256}, 0, RT_INIT_ZEROS, 0, 0, 0},
    {"fc/bias", 0, 1, {256}, LARGE * sizeof(real), RT_INIT_ZEROS, 0, 0, 0}};
static const RtModel large_model = {.name = "large",
                                    .layers = large_layers,
                                    .layer_count = 1,
                                    .weights = large_weights,
                                    .weight_count = 2};
static real large_arena[LARGE + 256];

static void load_large(const void *path, int read_only, real *places[2])
{
    RtRun run = {.arena = (char *)large_arena, .weights = places, .read_only = read_only};
    memset(large_arena, 0, sizeof large_arena);
    rt_weights_read(&large_model, &run, path, -1);
}

static void load_large_read_only(const void *path)
{
    real *places[2];
    load_large(path, 1, places);
}

/* The kernel stays in the file, the bias is small. */
static void check_large(const char *path, bool mapped)
{
    real *places[2];
    for (int read_only = 0; read_only < 2; read_only++) {
        load_large(path, read_only, places);
        assert_true((places[0] == large_arena) == !(read_only && mapped));
        assert_ptr_equal(places[1], large_arena + LARGE);
        for (int i = 0; i < LARGE; i++) assert_true(places[0][i] == (real)i);
        for (int i = 0; i < 256; i++) assert_true(places[1][i] == (real)(7 + i));
    }
}

static void test_mapped(void **state)
{
    (void)state;
    static real values[LARGE];
    const char *path = scratch("large.h5");
    hid_t made = new_h5(path);
    put_strings(made, "layer_names", LIST("fc"), 0);
    put_layer(made, "/", "fc", LIST("kernel", "bias"), 0);
    put_floats(made, "fc/kernel", 0, (const hsize_t[]){128, 256, 0});
    put_floats(made, "fc/bias", 7, (const hsize_t[]){256, 0});
    H5Fclose(made);
    check_large(path, sizeof(real) == sizeof(float));

    path = scratch("large.safetensors");
    for (int i = 0; i < LARGE; i++) values[i] = (real)i;
    const RtType type = sizeof(real) == sizeof(double) ? RT_F64 : RT_F32;
    const RtArray arrays[] = {
        {.name = "fc/kernel", .type = type, .rank = 2, .dims = {128, 256}, .data = values},
        {.name = "fc/bias", .type = type, .rank = 1, .dims = {256}, .data = values + 7}};
    rt_tensors_write(path, arrays, 2, NULL, 0);
    check_large(path, true);
    FILE *file = fopen(path, "r+b");
    assert_true(file && fseek(file, -2000, SEEK_END) == 0 && fputc(1, file) == 1);
    fclose(file);
    expect_end(RT_BAD_WEIGHTS, "the file was damaged", load_large_read_only, path);
}

static void test_keras_file(void **state)
{
    (void)state;
    setenv("KERAS_HOME", "/keras", 1);
    char *path = rt_keras_file("a.json");
    assert_string_equal(path, "/keras/models/a.json");
    free(path);
    unsetenv("KERAS_HOME");
    setenv("HOME", "/home/me", 1);
    path = rt_keras_file("a.json");
    assert_string_equal(path, "/home/me/.keras/models/a.json");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_names), cmocka_unit_test(test_bias_first),
        cmocka_unit_test(test_nested_base),  cmocka_unit_test(test_official_layout),
        cmocka_unit_test(test_positions),    cmocka_unit_test(test_problems),
        cmocka_unit_test(test_long_lists),   cmocka_unit_test(test_v3_classes),
        cmocka_unit_test(test_v3_names),     cmocka_unit_test(test_files_of_keras),
        cmocka_unit_test(test_tensors),      cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_imagenet),     cmocka_unit_test(test_given_file),
        cmocka_unit_test(test_mapped),       cmocka_unit_test(test_keras_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
