/* Tests of h5.c: files that were made to harm. Each must be refused with a message. */
#include "arrays.h"
#include "files.h"
#include "ground.h"
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

    char name[5000] = "";
    memset(name, 'n', sizeof name - 1);
    for (size_t length = 0; length <= 5000; length += 5000) {
        made = new_h5(path);
        put_strings(made, "layer_names", LIST("a", ""), length);
        H5Fclose(made);
        expect_refused(path, "/: holds an empty or overlong name");
        made = new_h5(path);
        put_strings(made, "layer_names", LIST(name), length);
        H5Fclose(made);
        expect_refused(path, length ? "/: holds an empty or overlong name"
                                    : "/: has an attribute that is not a list of names");
    }

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

/* A string whose place tells another length than the heap where it lies. HDF5 1.10 writes beyond
 * its buffer for the first, and takes 4 GiB of memory for the second. */
static void test_false_lengths(void **state)
{
    (void)state;
    const char *path = scratch("lengths.h5");
    static char text[30001];
    memset(text, 'A', 30000);
    for (uint32_t told = 5;; told = UINT32_MAX) {
        hid_t made = new_h5(path);
        put_strings(made, "layer_names", LIST(text), 0);
        H5Fclose(made);
        FILE *file = fopen(path, "r+b");
        uint32_t found = 0;
        for (long at = 0; found != 30000; at += 4) {
            fseek(file, at, SEEK_SET);
            assert_int_equal(fread(&found, 4, 1, file), 1);
        }
        fseek(file, -4, SEEK_CUR);
        fwrite(&told, 4, 1, file);
        fclose(file);
        expect_refused(path, told == 5 ? "/AAAAA: is listed but not in the file"
                                       : "/: has an attribute that is not a list of names");
        if (told != 5) break;
    }
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
        cmocka_unit_test(test_links),     cmocka_unit_test(test_other_storage),
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_filters_and_types),
        cmocka_unit_test(test_bad_lists), cmocka_unit_test(test_false_lengths),
        cmocka_unit_test(test_cycles),    cmocka_unit_test(test_not_hdf5),
        cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
