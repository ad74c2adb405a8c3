/* Tests of h5.c: every layout that Keras writes. */
#include "arrays.h"
#include "make_h5.h"

static void assert_entry(const RtH5 *file, size_t index, const char *layer, const char *path,
                         const char *name, int position)
{
    const RtH5Entry *entry = rt_h5_entry(file, index);
    if (layer)
        assert_string_equal(entry->layer, layer);
    else
        assert_null(entry->layer);
    assert_string_equal(entry->path, path);
    assert_string_equal(entry->name, name);
    assert_int_equal(entry->index, position);
}

/* ---- What Keras writes ----------------------------------------------------------------------- */

/* Order of the file: layer_names, not the alphabet. length 0: strings of varying length. */
static void check_legacy(const char *path, const char *root, size_t length)
{
    hid_t made = new_h5(path);
    hid_t group = put_group(made, root);
    put_strings(group, "layer_names", LIST("z_conv", "pool", "a_fc"), length);
    H5Gclose(group);
    put_layer(made, root, "z_conv", LIST("z_conv/kernel:0", "z_conv/bias:0"), length);
    put_layer(made, root, "pool", NULL, 0, 0);
    put_layer(made, root, "a_fc", LIST("a_fc_W_1:0", "a_fc_b_1:0"), length);
    char place[512];
    const char *const sets[] = {"z_conv/z_conv/kernel:0", "z_conv/z_conv/bias:0", "a_fc/a_fc_W_1:0",
                                "a_fc/a_fc_b_1:0"};
    const hsize_t *dims[] = {DIMS(2, 1, 3, 4), DIMS(4), DIMS(5, 2), DIMS(2)};
    for (int i = 0; i < 4; i++) {
        snprintf(place, sizeof place, "%s%s", root, sets[i]);
        put_floats(made, place, 100.0f * (float)i, dims[i]);
    }
    H5Fclose(made);

    RtH5 *file = rt_h5_open(path);
    real values[24];
    assert_int_equal(rt_h5_kind(file), RT_H5_LEGACY);
    assert_int_equal(rt_h5_count(file), 4);
    for (size_t i = 0; i < 4; i++) {
        snprintf(place, sizeof place, "%s%s", root, sets[i]);
        assert_entry(file, i, i < 2 ? "z_conv" : "a_fc", place, strrchr(sets[i], '/') + 1, i % 2);
        rt_h5_read(file, i, values);
        assert_true(values[0] == 100 * (real)i && values[1] == 100 * (real)i + 1);
    }
    assert_int_equal(rt_h5_entry(file, 0)->rank, 4);
    assert_int_equal(rt_h5_entry(file, 0)->dims[2], 3);
    rt_h5_read(file, 0, values);
    assert_true(values[23] == 23);
    rt_h5_close(file);
}

static void test_legacy(void **state)
{
    (void)state;
    check_legacy(scratch("fixed.h5"), "/", 20);
    check_legacy(scratch("varying.h5"), "/", 0);
    check_legacy(scratch("whole.h5"), "/model_weights/", 0);
}

static void test_full_length_names(void **state)
{
    (void)state;
    hid_t made = new_h5(scratch("full.h5")); /* names as long as the type: no NUL behind them */
    put_strings(made, "layer_names", LIST("abcd"), 4);
    put_layer(made, "/", "abcd", LIST("abcd/k"), 6);
    put_floats(made, "abcd/abcd/k", 7, DIMS(1));
    H5Fclose(made);
    RtH5 *file = rt_h5_open(scratch("full.h5"));
    assert_int_equal(rt_h5_count(file), 1);
    assert_entry(file, 0, "abcd", "/abcd/abcd/k", "k", 0);
    rt_h5_close(file);
}

static void test_split_lists(void **state)
{
    (void)state;
    hid_t made = new_h5(scratch("split.h5"));
    put_strings(made, "layer_names0", LIST("one", "two"), 0);
    put_strings(made, "layer_names1", LIST("three"), 0);
    put_layer(made, "/", "one", NULL, 0, 0);
    put_layer(made, "/", "two", LIST("two/kernel"), 0);
    hid_t group = put_group(made, "/three");
    put_strings(group, "weight_names0", LIST("three/kernel"), 12);
    put_strings(group, "weight_names1", LIST("three/bias"), 10);
    H5Gclose(group);
    put_floats(made, "two/two/kernel", 1, DIMS(1));
    put_floats(made, "three/three/kernel", 2, DIMS(1));
    put_floats(made, "three/three/bias", 3, DIMS(1));
    H5Fclose(made);
    RtH5 *file = rt_h5_open(scratch("split.h5"));
    assert_int_equal(rt_h5_count(file), 3);
    assert_entry(file, 2, "three", "/three/three/bias", "bias", 1);
    rt_h5_close(file);
}

static void test_nested_base(void **state)
{
    (void)state;
    hid_t made = new_h5(scratch("nested.h5"));
    put_strings(made, "layer_names", LIST("vgg16", "fc"), 0);
    put_layer(made, "/", "vgg16", LIST("block5_conv1/kernel:0", "block1_conv1/kernel:0"), 0);
    put_layer(made, "/", "fc", LIST("fc/kernel:0"), 0);
    put_floats(made, "vgg16/block5_conv1/kernel:0", 5, DIMS(1, 1, 2, 2));
    put_floats(made, "vgg16/block1_conv1/kernel:0", 1, DIMS(1, 1, 2, 2));
    put_floats(made, "fc/fc/kernel:0", 9, DIMS(2, 2));
    H5Fclose(made);
    RtH5 *file = rt_h5_open(scratch("nested.h5"));
    assert_int_equal(rt_h5_count(file), 3);
    assert_entry(file, 1, "vgg16", "/vgg16/block1_conv1/kernel:0", "kernel:0", 1);
    rt_h5_close(file);
}

static void put_var_name(hid_t made, const char *vars, const char *name)
{
    hid_t group = put_group(made, vars);
    put_string(group, "name", name);
    H5Gclose(group);
}

static void test_v3(void **state)
{
    (void)state;
    hid_t made = new_h5(scratch("v3.h5"));
    for (int i = 0; i < 12; i++) {
        char path[100] = "layers/conv2d/vars/0";
        if (i) sprintf(path, "layers/conv2d_%d/vars/0", i);
        put_floats(made, path, (float)i, DIMS(1));
    }
    put_floats(made, "layers/dense/vars/0", 50, DIMS(2, 2));
    put_floats(made, "layers/dense/vars/1", 60, DIMS(2));
    put_var_name(made, "layers/dense/vars", "fc");
    put_floats(made, "layers/functional/layers/conv2d/vars/0", 70, DIMS(3));
    put_var_name(made, "layers/functional/layers/conv2d/vars", "block1_conv1");
    H5Gclose(put_group(made, "layers/flatten/vars"));
    put_floats(made, "optimizer/vars/0", 1, DIMS(1));
    H5Fclose(made);
    RtH5 *file = rt_h5_open(scratch("v3.h5"));
    assert_int_equal(rt_h5_kind(file), RT_H5_V3);
    assert_int_equal(rt_h5_count(file), 15);
    assert_entry(file, 0, NULL, "/layers/conv2d/vars/0", "0", 0);
    assert_entry(file, 2, NULL, "/layers/conv2d_2/vars/0", "0", 0);
    assert_entry(file, 10, NULL, "/layers/conv2d_10/vars/0", "0", 0);
    assert_entry(file, 13, "fc", "/layers/dense/vars/1", "1", 1);
    assert_entry(file, 14, "block1_conv1", "/layers/functional/layers/conv2d/vars/0", "0", 0);
    rt_h5_close(file);
}

static void put_doubles(hid_t made, const char *path, hid_t properties, hid_t type)
{
    double values[64];
    for (int i = 0; i < 64; i++) values[i] = i / 8.0;
    hsize_t dims = 64;
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(1, &dims, NULL);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(made, path, type, space, links, properties, H5P_DEFAULT);
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(links);
}

/* Half, double, big-endian; deflate with shuffle: all give the same numbers. */
static void test_storage(void **state)
{
    (void)state;
    hsize_t chunk = 16;
    hid_t made = new_h5(scratch("storage.h5")), packed = H5Pcreate(H5P_DATASET_CREATE);
    hid_t half = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(half, 15, 10, 5, 0, 10);
    H5Tset_size(half, 2);
    H5Tset_ebias(half, 15);
    H5Pset_chunk(packed, 1, &chunk);
    H5Pset_shuffle(packed);
    H5Pset_deflate(packed, 9);
    put_doubles(made, "layers/a/vars/0", H5P_DEFAULT, H5T_IEEE_F64LE);
    put_doubles(made, "layers/b/vars/0", H5P_DEFAULT, H5T_IEEE_F32BE);
    put_doubles(made, "layers/c/vars/0", H5P_DEFAULT, half);
    put_doubles(made, "layers/d/vars/0", packed, H5T_IEEE_F32LE);
    H5Fclose(made);
    RtH5 *file = rt_h5_open(scratch("storage.h5"));
    assert_int_equal(rt_h5_count(file), 4);
    for (size_t i = 0; i < 4; i++) {
        real values[64];
        rt_h5_read(file, i, values);
        for (int j = 0; j < 64; j++) assert_true(values[j] == (real)(j / 8.0));
    }
    rt_h5_close(file);
}

static void test_official_file(void **state)
{
    (void)state;
    const char *folder = getenv("TLC_DATA");
    char path[1000];
    snprintf(path, sizeof path, "%s/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
             folder ? folder : "");
    if (!folder || access(path, R_OK) != 0) {
        print_message("skipped: TLC_DATA names no folder with Keras's VGG16 file\n");
        skip();
    }
    real kernel[1728]; /* (3, 3, 3, 64) */
    RtH5 *file = rt_h5_open(path);
    assert_int_equal(rt_h5_count(file), 26);
    assert_entry(file, 0, "block1_conv1", "/block1_conv1/block1_conv1_W_1:0", "block1_conv1_W_1:0",
                 0);
    assert_int_equal(rt_h5_entry(file, 25)->dims[0], 512);
    rt_h5_read(file, 0, kernel);
    assert_true(kernel[0] == (real)0.42947057f && kernel[1] == (real)0.11727387f);
    assert_true(kernel[2] == (real)0.03401296f);
    rt_h5_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_full_length_names),
        cmocka_unit_test(test_split_lists),
        cmocka_unit_test(test_nested_base),
        cmocka_unit_test(test_v3),
        cmocka_unit_test(test_storage),
        cmocka_unit_test(test_official_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
