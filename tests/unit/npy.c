/* Tests of npy.c and tensors.c: every type there and back, numpy's own headers, and damaged files.
 * The archive of tests/unit/pictures was written, compressed, by numpy itself. */
#include <math.h>
#include <unistd.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "outcome.h"

#define ARCHIVE "tests/unit/pictures/keras.npz"

/* ---- Files made by hand ------------------------------------------------------------------------
 */

typedef struct {
    const char *header, *data;
    size_t bytes; /* of data */
    int version;
} Hand;

static const char *write_npy(const Hand *hand)
{
    static char file[4096];
    const char *path = scratch("hand.npy");
    size_t length = strlen(hand->header), at = 8;
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (char)(hand->version ? hand->version : 1);
    file[7] = 0;
    for (int i = 0; i < (hand->version > 1 ? 4 : 2); i++)
        file[at++] = (char)(length >> 8 * i & 255);
    memcpy(file + at, hand->header, length);
    if (hand->bytes) memcpy(file + at + length, hand->data, hand->bytes);
    write_file(path, file, at + length + hand->bytes);
    return path;
}

static RtArray read_npy(const Hand *hand) { return rt_npy_read(write_npy(hand), "x", 100, 4); }

static void try_npy(const void *hand) { read_npy(hand); }

static void try_path(const void *path) { rt_npy_read(path, "x", 100, RT_BAD_WEIGHTS); }

static void every_version_and_spelling(void **state)
{
    (void)state;
    const Hand hands[] = {
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }   \n", "\1\0\0\0\2\0\0\0", 8,
         1},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }   \n", "\1\0\0\0\2\0\0\0", 8,
         2},
        {"{'shape': (2,1), 'fortran_order': False, 'descr': '<i4'}\n", "\1\0\0\0\2\0\0\0", 8, 3},
    };
    for (int i = 0; i < 3; i++) {
        RtArray array = read_npy(&hands[i]);
        assert_int_equal(array.type, RT_I32);
        assert_int_equal(array.rank, 2);
        assert_int_equal(array.dims[0], 2);
        assert_int_equal(array.dims[1], 1);
        assert_memory_equal(array.data, ((int32_t[]){1, 2}), 8);
        rt_array_free(&array);
    }
}

static void scalars_and_empty_arrays(void **state)
{
    (void)state;
    const Hand scalar = {"{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "\7", 1, 1};
    const Hand empty = {"{'descr': '<f8', 'fortran_order': True, 'shape': (0,), }", "", 0, 1};
    RtArray array = read_npy(&scalar);
    assert_int_equal(array.rank, 0);
    assert_int_equal(rt_array_count(&array), 1);
    assert_int_equal(*(uint8_t *)array.data, 7);
    rt_array_free(&array);
    array = read_npy(&empty);
    assert_int_equal(rt_array_count(&array), 0);
    rt_array_free(&array);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        Hand hand;
    } cases[] = {
        {"numbers of type <c8 are not read; float16, float32, float64",
         {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "12345678", 8, 1}},
        {"numbers of type >f4 are not read",
         {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "1234", 4, 1}},
        {"numbers of type |O are not read",
         {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "1234", 4, 1}},
        {"cannot make out its header: {'descr': [('a', '<f4')]",
         {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234", 4, 1}},
        {"is in Fortran order",
         {"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }", "1234", 4, 1}},
        {"its shape wants 5 bytes, 4 are there",
         {"{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }", "1234", 4, 1}},
        {"its shape wants 3 bytes, 4 are there",
         {"{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "1234", 4, 1}},
        {"more numbers than the 100 that may be",
         {"{'descr': '|u1', 'fortran_order': False, 'shape': (101,), }", "1234", 4, 1}},
        {"more numbers than the 100 that may be",
         {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967297), }", "", 0,
          1}},
        {"cannot make out its header",
         {"{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }", "1234", 4, 1}},
        {"cannot make out its header",
         {"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}", "", 0, 1}},
        {"cannot make out its header",
         {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}", "1", 1,
          1}},
        {"cannot make out its header", {"{'descr': '|u1', 'shape': (1,), }", "1", 1, 1}},
        {"cannot make out its header", {"{'descr': '|u1", "1", 1, 1}},
        {"is not a numpy array",
         {"{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", "1", 1, 9}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_end(RT_BAD_DATA, cases[i].message, try_npy, &cases[i].hand);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const Hand hand = {"{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", "1234", 4, 1};
    const char *path = write_npy(&hand);
    for (off_t length = 10 + (off_t)strlen(hand.header) + 3; length >= 0; length--) {
        assert_int_equal(truncate(path, length), 0);
        assert_int_equal(run_apart(try_path, path).code, RT_BAD_WEIGHTS);
    }
}

static void paths_that_are_no_arrays(void **state)
{
    (void)state;
    expect_end(5, "no/such.npy: cannot be opened: No such file or directory", try_path,
               "no/such.npy");
    expect_end(5, "tests: not a regular file", try_path, "tests");
    expect_end(5, "is not a numpy array", try_path, "tests/unit/npy.c");
}

/* ---- Conversion
 * ---------------------------------------------------------------------------------- */

static void halves(void **state)
{
    (void)state;
    static uint16_t bits[1 << 16];
    static real values[1 << 16];
    for (int i = 0; i < 1 << 16; i++) bits[i] = (uint16_t)i;
    RtArray array = {.type = RT_F16, .rank = 1, .dims = {1 << 16}, .data = bits};
    rt_array_to_real(&array, values);
    for (int i = 0; i < 1 << 16; i++) {
        int exponent = i >> 10 & 31, fraction = i & 1023;
        double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        if (exponent == 31) size = fraction ? NAN : INFINITY;
        double want = i >> 15 ? -size : size;
        if (isnan(want))
            assert_true(isnan(values[i]));
        else
            assert_true((double)values[i] == want && !signbit(values[i]) == !signbit(want));
    }
}

static void expect_reals(RtType type, void *data, const double *want)
{
    real values[3];
    RtArray array = {.type = type, .rank = 1, .dims = {3}, .data = data};
    rt_array_to_real(&array, values);
    for (int i = 0; i < 3; i++) assert_true((double)values[i] == want[i]);
}

static void other_types(void **state)
{
    (void)state;
    expect_reals(RT_F32, (float[]){-1.5f, 0, 3e9f}, (double[]){-1.5, 0, 3e9});
    expect_reals(RT_F64, (double[]){-1.5, 0, 4096}, (double[]){-1.5, 0, 4096});
    expect_reals(RT_U8, (uint8_t[]){0, 128, 255}, (double[]){0, 128, 255});
    expect_reals(RT_I32, (int32_t[]){-7, 0, 1 << 20}, (double[]){-7, 0, 1 << 20});
    expect_reals(RT_I64, (int64_t[]){-7, 0, 1 << 20}, (double[]){-7, 0, 1 << 20});
    expect_reals(RT_BOOL, (uint8_t[]){0, 1, 2}, (double[]){0, 1, 1});
}

/* ---- There and back
 * ------------------------------------------------------------------------------- */

static void expect_same(const RtArray *got, const RtArray *want)
{
    assert_int_equal(got->type, want->type);
    assert_int_equal(got->rank, want->rank);
    for (int i = 0; i < want->rank; i++) assert_int_equal(got->dims[i], want->dims[i]);
    size_t bytes = (size_t)rt_array_count(want) * rt_type_size(want->type);
    if (bytes) assert_memory_equal(got->data, want->data, bytes);
}

static const int64_t shapes[][3] = {{0}, {5}, {2, 3}, {0, 4}, {2, 3, 4}};
static const int ranks[] = {0, 1, 2, 2, 3};

static unsigned char bytes_of_arrays[24 * 8];

static RtArray make_array(RtType type, int shape)
{
    RtArray array = {.type = type, .rank = ranks[shape], .data = bytes_of_arrays};
    memcpy(array.dims, shapes[shape], (size_t)ranks[shape] * sizeof array.dims[0]);
    return array;
}

static void npy_there_and_back(void **state)
{
    (void)state;
    const char *path = scratch("deep/er/x.npy");
    for (int type = RT_F32; type <= RT_BOOL; type++) {
        for (int shape = 0; shape < 5; shape++) {
            RtArray array = make_array((RtType)type, shape);
            rt_npy_write(path, &array);
            RtArray got = rt_npy_read(path, NULL, 24, RT_BAD_DATA);
            assert_string_equal(got.name, path);
            expect_same(&got, &array);
            rt_array_free(&got);
        }
    }
}

static void npz_there_and_back(void **state)
{
    (void)state;
    const char *path = scratch("x.npz");
    RtArray arrays[5];
    for (int i = 0; i < 5; i++) {
        arrays[i] = make_array((RtType)i, i);
        arrays[i].name = rt_format("block%d/kernel:0", i);
    }
    rt_npz_write(path, arrays, 5);
    char **names = rt_npz_names(path);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(names[i], arrays[i].name);
        assert_true(rt_npz_has(path, names[i]));
        RtArray got = rt_npy_read(path, names[i], 24, RT_BAD_DATA);
        assert_string_equal(got.name, names[i]);
        expect_same(&got, &arrays[i]);
        rt_array_free(&got);
        free(names[i]);
        free(arrays[i].name);
    }
    assert_null(names[5]);
    free(names);
    assert_false(rt_npz_has(path, "block0/kernel"));
    assert_false(rt_npz_has("tests/unit/npy.c", "x"));
    expect_end(5, "x.npz, array \"x\": there is none of that name", try_path, path);
}

static void npz_is_the_same_every_time(void **state)
{
    (void)state;
    const char *paths[] = {scratch("a.npz"), scratch("b.npz")};
    RtArray array = make_array(RT_I64, 4);
    array.name = (char[]){"x"};
    size_t bytes[2];
    const unsigned char *data[2];
    for (int i = 0; i < 2; i++) {
        if (i) sleep(2); /* a step of the clock in archives */
        rt_npz_write(paths[i], &array, 1);
        data[i] = rt_map(paths[i], 1 << 20, RT_FAILED, &bytes[i]);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(data[0], data[1], bytes[0]);
    for (int i = 0; i < 2; i++) rt_unmap(data[i], bytes[i]);
}

static void numpy_wrote_this(void **state)
{
    (void)state;
    RtArray array = rt_npy_read(ARCHIVE, "grey.jpg/nearest/3", 162, RT_BAD_DATA);
    assert_int_equal(array.type, RT_U8);
    assert_int_equal(array.rank, 3);
    assert_int_equal(array.dims[0], 6);
    assert_int_equal(array.dims[1], 9);
    assert_int_equal(array.dims[2], 3);
    rt_array_free(&array);
}

/* libzip checks names, sizes and checksums; what it says must come through. */
static void damaged_archive(void **state)
{
    (void)state;
    const char *path = scratch("damaged.npz");
    RtArray array = make_array(RT_U8, 4);
    array.name = (char[]){"x"};
    rt_npz_write(path, &array, 1);
    FILE *file = fopen(path, "r+b");
    fseek(file, 30 + 5 + 128, SEEK_SET); /* local header, "x.npy", array's header: the numbers */
    fputc('!', file);
    fclose(file);
    expect_end(5, "damaged.npz, array \"x\": CRC error", try_path, path);
    assert_int_equal(truncate(path, 100), 0);
    expect_end(5, "damaged.npz: cannot be read as an .npz archive", try_path, path);
}

int main(void)
{
    for (size_t i = 0; i < sizeof bytes_of_arrays; i++)
        bytes_of_arrays[i] = (unsigned char)(i * 73 + 5);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_and_spelling),
        cmocka_unit_test(scalars_and_empty_arrays),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(paths_that_are_no_arrays),
        cmocka_unit_test(halves),
        cmocka_unit_test(other_types),
        cmocka_unit_test(npy_there_and_back),
        cmocka_unit_test(npz_there_and_back),
        cmocka_unit_test(npz_is_the_same_every_time),
        cmocka_unit_test(numpy_wrote_this),
        cmocka_unit_test(damaged_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
