/* Tests of h5.c: every layout that Keras writes, and files that were made to harm. */
#include "../../runtime/internal.h"
#include "make_h5.h"

static void open_and_read(const void *path)
{
    RtH5 *file = rt_h5_open(path);
    for (size_t i = 0; i < rt_h5_count(file); i++) {
        int64_t count = 1;
        for (int j = 0; j < rt_h5_entry(file, i)->rank; j++) count *= rt_h5_entry(file, i)->dims[j];
        assert_true(count <= 1 << 20);
        real *values = calloc((size_t)count + 1, sizeof *values);
        rt_h5_read(file, i, values);
        free(values);
    }
    rt_h5_close(file);
}

static void expect_refused(const char *path, const char *said)
{
    expect_end(RT_BAD_WEIGHTS, said, open_and_read, path);
}

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

/* ---- What Keras writes
 * ---------------------------------------------------------------------------- */

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

/* ---- What was made to harm
 * -------------------------------------------------------------------------- */

/* A legacy file with one layer "d" that names one weight "k"; the weight is the test's. */
static hid_t new_bait(const char *path)
{
    hid_t made = new_h5(path);
    put_strings(made, "layer_names", LIST("d"), 0);
    put_layer(made, "/", "d", LIST("k"), 0);
    return made;
}

static void test_links(void **state)
{
    (void)state;
    const char *path = scratch("link.h5"), *victim = scratch("victim.h5");
    hid_t made = new_h5(victim);
    put_floats(made, "secret", 1, DIMS(1));
    H5Fclose(made);

    made = new_bait(path);
    put_floats(made, "real", 1, DIMS(1));
    H5Lcreate_soft("/real", made, "d/k", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(made);
    expect_refused(path, "/d/k: is a soft, external or user-defined link; links are not followed");

    made = new_bait(path);
    H5Lcreate_external(victim, "/secret", made, "d/k", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(made);
    expect_refused(path, "/d/k: is a soft, external or user-defined link");

    made = new_h5(path); /* a link in the middle of a path */
    put_strings(made, "layer_names", LIST("d"), 0);
    H5Lcreate_external(victim, "/", made, "d", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(made);
    expect_refused(path, "/d: is a soft, external or user-defined link");

    made = new_h5(path);
    H5Lcreate_external(victim, "/", made, "layers", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(made);
    expect_refused(path, "/layers: is a soft, external or user-defined link");
}

static void put_with(hid_t made, const char *path, hid_t type, hid_t properties, hsize_t size)
{
    hid_t space = H5Screate_simple(1, &size, NULL);
    hid_t set = H5Dcreate2(made, path, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void test_other_storage(void **state)
{
    (void)state;
    const char *path = scratch("storage_elsewhere.h5"), *victim = scratch("passwords");
    write_file(victim, "0123456789abcdef", 16);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(properties, victim, 0, 16);
    hid_t made = new_bait(path);
    put_with(made, "d/k", H5T_IEEE_F32LE, properties, 4);
    H5Fclose(made);
    expect_refused(path, "/d/k: is stored in other files");

    hsize_t four = 4;
    hid_t space = H5Screate_simple(1, &four, NULL);
    properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(properties, space, victim, "/secret", space);
    made = new_bait(path);
    put_with(made, "d/k", H5T_IEEE_F32LE, properties, 4);
    H5Fclose(made);
    expect_refused(path, "/d/k: is a virtual data set");
}

static void test_sizes(void **state)
{
    (void)state;
    const char *path = scratch("sizes.h5");
    hsize_t chunk = 1024;
    hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(chunked, 1, &chunk);
    hid_t made = new_bait(path);
    put_with(made, "d/k", H5T_IEEE_F32LE, chunked, (hsize_t)1 << 40);
    H5Fclose(made);
    expect_refused(path, "/d/k: declares more than 4 GiB");

    made = new_bait(path); /* chunked and contiguous, and nothing stored */
    put_with(made, "d/k", H5T_IEEE_F32LE, chunked, 1 << 28);
    H5Fclose(made);
    expect_refused(path, "/d/k: declares far more data than the file holds");
    made = new_bait(path);
    put_with(made, "d/k", H5T_IEEE_F32LE, H5P_DEFAULT, 1 << 28);
    H5Fclose(made);
    expect_refused(path, "/d/k: declares far more data than the file holds");

    hsize_t wide[2] = {(hsize_t)1 << 62, 8};
    hid_t space = H5Screate_simple(2, wide, NULL);
    hsize_t chunks[2] = {1, 8};
    H5Pset_chunk(chunked, 2, chunks);
    made = new_bait(path); /* 2^62 x 8 x 4 bytes: 128 in 64 bits */
    hid_t set = H5Dcreate2(made, "d/k", H5T_IEEE_F32LE, space, H5P_DEFAULT, chunked, H5P_DEFAULT);
    H5Dclose(set);
    H5Fclose(made);
    expect_refused(path, "/d/k: declares more than 4 GiB");

    made = new_bait(path);
    put_floats(made, "d/k", 0, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1));
    H5Fclose(made);
    expect_refused(path, "/d/k: has too many dimensions");
}

static void test_filters_and_types(void **state)
{
    (void)state;
    const char *path = scratch("types.h5");
    hsize_t chunk = 4;
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE), varying = H5Tvlen_create(H5T_IEEE_F32LE);
    H5Pset_chunk(properties, 1, &chunk);
    H5Pset_filter(properties, 32015, H5Z_FLAG_OPTIONAL, 0, NULL); /* zstd: a plug-in */
    hid_t made = new_bait(path);
    put_with(made, "d/k", H5T_IEEE_F32LE, properties, 4);
    H5Fclose(made);
    expect_refused(path, "/d/k: needs a filter other than deflate and shuffle");

    const hid_t types[] = {varying, H5T_STD_I32LE, H5T_C_S1};
    for (int i = 0; i < 3; i++) {
        made = new_bait(path);
        put_with(made, "d/k", types[i], H5P_DEFAULT, 4);
        H5Fclose(made);
        expect_refused(path, "/d/k: does not hold floating-point numbers of 16, 32 or 64 bits");
    }
    made = new_bait(path);
    H5Gclose(put_group(made, "d/k"));
    H5Fclose(made);
    expect_refused(path, "/d/k: is not a data set");
}

static void test_bad_lists(void **state)
{
    (void)state;
    const char *path = scratch("lists.h5");
    static const char *many[9000];
    for (int i = 0; i < 9000; i++) many[i] = "x";
    hid_t latest = H5Pcreate(H5P_FILE_ACCESS); /* lets attributes pass 64 KiB */
    H5Pset_libver_bounds(latest, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t made = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, latest);
    put_strings(made, "layer_names", many, 9000, 1);
    H5Fclose(made);
    expect_refused(path, "/: has an attribute of too many names");

    made = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, latest);
    put_strings(made, "layer_names", many, 8000, 4000);
    H5Fclose(made);
    expect_refused(path, "/: has an attribute that is not a list of names");

    made = new_h5(path);
    put_strings(made, "layer_names", LIST("a", ""), 0);
    H5Fclose(made);
    expect_refused(path, "/: holds an empty or overlong name");

    char name[5000] = "";
    memset(name, 'n', sizeof name - 1);
    made = new_h5(path);
    put_strings(made, "layer_names", LIST(name), 0);
    H5Fclose(made);
    expect_refused(path, "/: holds an empty or overlong name");

    made = new_h5(path);
    put_strings(made, "layer_names", LIST("absent"), 0);
    H5Fclose(made);
    expect_refused(path, "/absent: is listed but not in the file");

    made = new_bait(path);
    H5Fclose(made);
    expect_refused(path, "/d/k: is named in weight_names but not in the file");

    hsize_t three = 3;
    hid_t space = H5Screate_simple(1, &three, NULL);
    made = new_h5(path);
    H5Aclose(H5Acreate2(made, "layer_names", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(made);
    expect_refused(path, "/: has an attribute that is not a list of names");

    made = new_h5(path);
    put_strings(made, "layer_names", LIST("d"), 0);
    put_layer(made, "/", "d", LIST("./k"), 0);
    put_floats(made, "d/k", 0, DIMS(1));
    H5Fclose(made);
    expect_refused(path, "/d/./k: \".\" is no name");
}

static void test_cycles(void **state)
{
    (void)state;
    const char *path = scratch("cycle.h5");
    char name[32];
    hid_t made = new_h5(path); /* layers/a/layers is layers itself */
    H5Gclose(put_group(made, "layers/a"));
    H5Lcreate_hard(made, "layers", made, "layers/a/layers", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(made);
    expect_refused(path, "models are nested too deep");

    made = new_h5(path); /* and twenty ways round */
    H5Gclose(put_group(made, "layers/a"));
    H5Lcreate_hard(made, "layers", made, "layers/a/layers", H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < 20; i++) {
        sprintf(name, "layers/a%d", i);
        H5Lcreate_hard(made, "layers/a", made, name, H5P_DEFAULT, H5P_DEFAULT);
    }
    H5Fclose(made);
    expect_refused(path, "models are nested too deep");

    made = new_h5(path); /* a broad tree of names over one group, without end at the bound */
    H5Gclose(put_group(made, "layers/a"));
    H5Gclose(put_group(made, "layers/a/layers"));
    for (int i = 0; i < 8000; i++) {
        sprintf(name, "layers/a/layers/b%d", i);
        H5Gclose(put_group(made, name));
    }
    for (int i = 0; i < 50; i++) {
        sprintf(name, "layers/c%d", i);
        H5Lcreate_hard(made, "layers/a", made, name, H5P_DEFAULT, H5P_DEFAULT);
    }
    H5Fclose(made);
    expect_refused(path, "too many objects, or a cycle of them");
}

static void test_not_hdf5(void **state)
{
    (void)state;
    const char *path = scratch("x.h5");
    write_file(path, "hello", 5);
    expect_refused(path, "x.h5: not a whole HDF5 file (5 bytes)");
    write_file(path, "", 0);
    expect_refused(path, "x.h5: not a whole HDF5 file (0 bytes)");
    expect_refused(scratch("absent.h5"), "absent.h5: cannot open: No such file or directory");
    hid_t made = new_h5(path);
    H5Gclose(put_group(made, "other"));
    H5Fclose(made);
    expect_refused(path, "/: no weights of Keras in it: neither layer_names nor layers");
}

/* Cut at every kilobyte: always a message, never a crash. */
static void test_truncated(void **state)
{
    (void)state;
    const char *path = scratch("cut.h5"), *whole = scratch("uncut.h5");
    hid_t made = new_bait(whole);
    put_floats(made, "d/k", 0, DIMS(32, 32));
    H5Fclose(made);
    size_t bytes;
    const unsigned char *data = rt_map(whole, SIZE_MAX, RT_FAILED, &bytes);
    for (size_t kept = 0; kept < bytes; kept += 1024) {
        write_file(path, data, kept);
        expect_refused(path, "cut.h5: not a whole HDF5 file");
    }
    rt_unmap(data, bytes);
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
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_other_storage),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_filters_and_types),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_not_hdf5),
        cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
