/* Tests of safetensors.c: round trips, other writers' types, and headers that lie. */
#include <math.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "outcome.h"

/* A file of this header and so many bytes of data: 0, 1, 2, … */
static void write_raw(const char *path, const char *header, const void *data, size_t bytes)
{
    uint64_t length = strlen(header);
    char *file = malloc(8 + length + bytes);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    memcpy(file + 8 + length, data, bytes);
    write_file(path, file, 8 + length + bytes);
    free(file);
}

static void open_and_read(const void *path)
{
    RtTensors *file = rt_tensors_open(path);
    for (size_t i = 0; i < rt_tensors_count(file); i++) {
        real values[64];
        rt_tensors_read(file, i, values);
    }
    rt_tensors_close(file);
}

static void test_round_trip(void **state)
{
    (void)state;
    const char *path = scratch("round.safetensors");
    real values[6] = {1, -2, (real)0.1, 4, INFINITY, -0.0f}, bias[2] = {7, 8}, read[6];
    RtType type = sizeof(real) == 8 ? RT_F64 : RT_F32;
    const RtArray arrays[] = {
        {.name = "fc/kernel", .type = type, .rank = 2, .dims = {2, 3}, .data = values},
        {.name = "a \"quoted\" name", .type = type, .rank = 1, .dims = {2}, .data = bias},
        {.name = "scalar", .type = type, .rank = 0, .data = bias},
        {.name = "empty", .type = type, .rank = 2, .dims = {0, 5}, .data = bias},
    };
    const RtMeta meta[] = {{"who", "me\n\"you\""}, {"epoch", "3"}};
    rt_tensors_write(path, arrays, 4, meta, 2);
    RtTensors *file = rt_tensors_open(path);
    assert_int_equal(rt_tensors_count(file), 4);
    assert_string_equal(rt_tensors_meta(file, "who"), "me\n\"you\"");
    assert_string_equal(rt_tensors_meta(file, "epoch"), "3");
    assert_null(rt_tensors_meta(file, "fc/kernel"));
    assert_int_equal(strlen(rt_tensors_meta(file, "xxh3:fc/kernel")), 16);
    for (size_t i = 0; i < 4; i++) {
        int64_t dims[RT_MAX_RANK];
        assert_string_equal(rt_tensors_name(file, i), arrays[i].name);
        assert_int_equal(rt_tensors_shape(file, i, dims), arrays[i].rank);
        for (int j = 0; j < arrays[i].rank; j++) assert_int_equal(dims[j], arrays[i].dims[j]);
        rt_tensors_read(file, i, read);
        assert_memory_equal(read, arrays[i].data,
                            (size_t)rt_array_count(&arrays[i]) * sizeof(real));
    }
    rt_tensors_close(file);

    size_t bytes;
    const unsigned char *data = rt_map(path, 4096, RT_FAILED, &bytes);
    assert_int_equal(data[0] % 8, 0); /* the data begins at a multiple of 8 */
    assert_int_equal(bytes - 8 - data[0] - 256 * (size_t)data[1], 9 * sizeof(real));
    rt_unmap(data, bytes);
}

static void test_no_metadata(void **state)
{
    (void)state;
    const char *path = scratch("plain.safetensors");
    real one = 1;
    const RtArray array = {.name = "x", .type = RT_F32, .rank = 0, .data = &one};
    rt_tensors_write(path, &array, 1, NULL, 0);
    RtTensors *file = rt_tensors_open(path);
    assert_non_null(rt_tensors_meta(file, "xxh3:x"));
    rt_tensors_close(file);
    rt_tensors_write(path, NULL, 0, NULL, 0);
    file = rt_tensors_open(path);
    assert_int_equal(rt_tensors_count(file), 0);
    rt_tensors_close(file);
}

/* Half: 1.0, -2, the least subnormal, 65504; bfloat16: 1.0, -3.140625. The header's length leaves
 * the data unaligned. */
static void test_types(void **state)
{
    (void)state;
    const char *path = scratch("types.safetensors");
    const struct __attribute__((packed)) {
        uint16_t half[4], bf[2];
        double d[1];
        float f[1];
    } data = {{0x3C00, 0xC000, 0x0001, 0x7BFF}, {0x3F80, 0xC049}, {0.5}, {0.25f}};
    write_raw(path,
              "{ \"h\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
              "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
              "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[12,20]},"
              "\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[20,24]}}",
              &data, sizeof data);
    RtTensors *file = rt_tensors_open(path);
    real values[4];
    rt_tensors_read(file, 0, values);
    assert_true(values[0] == 1 && values[1] == -2);
    assert_true(values[2] == (real)0x1p-24 && values[3] == 65504);
    rt_tensors_read(file, 1, values);
    assert_true(values[0] == 1 && values[1] == (real)-3.140625);
    rt_tensors_read(file, 2, values);
    assert_true(values[0] == (real)0.5);
    rt_tensors_read(file, 3, values);
    assert_true(values[0] == (real)0.25);
    rt_tensors_close(file);
}

static void test_lies(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
        const char *said;
    } cases[] = {
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4,
         "tensor \"x\": ends beyond the file"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9,
         "9 bytes of data, and the header tells of 8"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8,
         "tensor \"x\": its data_offsets do not fit its shape"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
         "tensor \"x\" begins at offset 4 of the data; the one before it ends at 0"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         12, "tensor \"y\" begins at offset 4 of the data; the one before it ends at 8"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}", 8,
         "tensor \"x\": no data_offsets [begin, end]"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
         "tensor \"x\": a shape that is no list of sizes"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[0.5],\"data_offsets\":[0,4]}}", 4,
         "tensor \"x\": a shape that is no list of sizes"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":{\"a\":1},\"data_offsets\":[0,4]}}", 4,
         "tensor \"x\": no shape of at most 8 dimensions"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         "tensor \"x\": no shape of at most 8 dimensions"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
         "\"data_offsets\":[0,0]}}",
         0, "tensor \"x\": a shape that is no list of sizes"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
         "tensor \"x\": a shape that is no list of sizes"}, /* 2^62 x 4 is 0 in 64 bits */
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648],\"data_offsets\":[0,0]}}", 0,
         "tensor \"x\": its data_offsets do not fit its shape"},
        {"{\"x\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "tensor \"x\": no dtype that is known"},
        {"{\"x\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor \"x\": no dtype"},
        {"{\"x\":7}", 0, "tensor \"x\": no dtype"},
        {"{\"x\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8,
         "tensor \"x\": is not of floating-point numbers"},
        {"[1]", 0, "the header is not an object"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"x\":{}}", 4,
         "header of safetensors: the key \"x\" occurs twice in an object"},
        {"{\"x\":", 0, "header of safetensors: line 1, column 6: a value is expected here"},
        {"", 0, "header of safetensors: line 1, column 1: a value is expected here"},
    };
    static const char zeros[16];
    const char *path = scratch("lies.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_raw(path, cases[i].header, zeros, cases[i].bytes);
        expect_end(RT_BAD_WEIGHTS, cases[i].said, open_and_read, path);
    }
}

static void test_header_length(void **state)
{
    (void)state;
    const char *path = scratch("length.safetensors");
    static const unsigned char files[][10] = {
        {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, /* one more than there is */
        {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, '{', '}'},
        {0xFA, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, '{', '}'}, /* 8 + it wraps to 2 */
    };
    for (int i = 0; i < 3; i++) {
        write_file(path, files[i], 10);
        expect_end(RT_BAD_WEIGHTS, "not a whole safetensors file: 10 bytes, and a header of",
                   open_and_read, path);
    }
    write_file(path, files, 7);
    expect_end(RT_BAD_WEIGHTS, "not a whole safetensors file: 7 bytes", open_and_read, path);
    write_file(path, "", 0);
    expect_end(RT_BAD_WEIGHTS, "not a whole safetensors file: 0 bytes", open_and_read, path);
}

/* Every bit of the data is guarded. */
static void test_damage(void **state)
{
    (void)state;
    const char *path = scratch("damaged.safetensors");
    real values[2] = {1, 2};
    const RtArray array = {.name = "fc/bias",
                           .type = sizeof(real) == 8 ? RT_F64 : RT_F32,
                           .rank = 1,
                           .dims = {2},
                           .data = values};
    rt_tensors_write(path, &array, 1, NULL, 0);
    size_t bytes;
    const unsigned char *data = rt_map(path, 4096, RT_FAILED, &bytes);
    unsigned char copy[4096];
    memcpy(copy, data, bytes);
    rt_unmap(data, bytes);
    char said[200];
    snprintf(said, sizeof said, "tensor \"fc/bias\" at offset %zu: its checksum is ",
             bytes - sizeof values);
    for (size_t bit = 0; bit < 8 * sizeof values; bit += 3) {
        size_t at = bytes - sizeof values + bit / 8;
        copy[at] ^= (unsigned char)(1u << bit % 8);
        write_file(path, copy, bytes);
        expect_end(RT_BAD_WEIGHTS, said, open_and_read, path);
        copy[at] ^= (unsigned char)(1u << bit % 8);
    }
    write_file(path, copy, bytes - 1);
    expect_end(RT_BAD_WEIGHTS, "tensor \"fc/bias\": ends beyond the file", open_and_read, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_no_metadata),
        cmocka_unit_test(test_types),         cmocka_unit_test(test_lies),
        cmocka_unit_test(test_header_length), cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
