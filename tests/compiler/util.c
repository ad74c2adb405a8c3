/* util.c (test): memory, text, numbers and names of the compiler. */
#include "../unit/outcome.h"

#include "tlc.h"

static void test_alloc(void **state)
{
    (void)state;
    for (size_t size = 1; size < (size_t)8 << 20; size = size * 3 + 1) {
        char *memory = alloc(size, 1);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++) assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
    }
    free_all();
    assert_int_equal(*(char *)alloc(1, 1), 0);
}

static void take_too_much(const void *count) { alloc(*(const size_t *)count, SIZE_MAX / 4); }

static void test_alloc_overflow(void **state)
{
    (void)state;
    expect_end(EXIT_ROOM, "tlc: out of memory", take_too_much, &(size_t){8});
}

static void test_append(void **state)
{
    (void)state;
    int numbers[1000], **items = NULL, count = 0;
    for (int i = 0; i < 1000; i++) append(&items, &count, &numbers[i]);
    assert_int_equal(count, 1000);
    for (int i = 0; i < 1000; i++) assert_ptr_equal(items[i], &numbers[i]);
}

static void test_text(void **state)
{
    (void)state;
    Text text = {0};
    for (int i = 0; i < 2000; i++) add_text(&text, "%d,", i % 10);
    assert_int_equal(text.length, 4000);
    assert_int_equal(strlen(text.data), 4000);
    assert_string_equal(text.data + 3990, "5,6,7,8,9,");
    assert_string_equal(copy_text("abcdef", 3), "abc");
    assert_string_equal(format("%s-%d", "x", 7), "x-7");
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(shape_text(4, (int64_t[]){9, 5, 5, 512}, true), "(None, 5, 5, 512)");
    assert_string_equal(shape_text(2, (int64_t[]){3, 4}, false), "(3, 4)");
    assert_string_equal(shape_text(1, (int64_t[]){64}, false), "(64,)");
    assert_string_equal(bytes_text(0), "0 bytes");
    assert_string_equal(bytes_text(1023), "1023 bytes");
    assert_string_equal(bytes_text(1024), "1.0 KiB");
    assert_string_equal(bytes_text(64801997), "61.8 MiB");
    assert_string_equal(bytes_text(SIZE_MAX), "16.0 EiB");
    assert_string_equal(count_text(0), "0");
    assert_string_equal(count_text(999), "999");
    assert_string_equal(count_text(1000), "1,000");
    assert_string_equal(count_text(17992001), "17,992,001");
    assert_string_equal(count_text(-123456), "-123,456");
    assert_string_equal(count_text(INT64_MIN), "-9,223,372,036,854,775,808");
    assert_string_equal(number_text(0.1), "0.1");
    assert_string_equal(number_text(1e-5), "1e-05");
    assert_string_equal(number_text(3), "3");
    assert_true(strtod(number_text(1.0 / 3), NULL) == 1.0 / 3);
}

static void test_multiply(void **state)
{
    (void)state;
    const int64_t limit = (int64_t)1 << 53;
    int64_t product;
    assert_true(multiply(1 << 26, 1 << 27, &product) && product == limit);
    assert_false(multiply(limit, 2, &product));
    assert_false(multiply(INT64_MAX, INT64_MAX, &product));
    assert_false(multiply(INT64_MIN, -1, &product));
    assert_true(multiply(INT64_MAX, 0, &product) && product == 0);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "_", "block1_conv1", "A9", "whiles"};
    static const char *const bad[] = {"",      "1a",    "a-b", "a b", "a.b",
                                      "größe", "while", "int", "a\n"};
    char name[66];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(is_identifier(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(is_identifier(bad[i]));
    memset(name, 'a', 65);
    name[63] = 0;
    assert_true(is_identifier(name));
    name[63] = 'a', name[64] = 0;
    assert_false(is_identifier(name));
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"units", "activation", "use_bias", "kernel_size"};
    assert_int_equal(edit_distance("kitten", "sitting"), 3);
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_int_equal(edit_distance("Conv2d", "conv2D"), 0);
    assert_string_equal(nearest("unit", words, 4), "units");
    assert_string_equal(nearest("kernelsize", words, 4), "kernel_size");
    assert_null(nearest("strides", words, 4));
    assert_null(nearest("x", words, 0));
}

/* FIPS 180-4's examples. */
static void test_sha256(void **state)
{
    (void)state;
    char hex[65];
    sha256("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),   cmocka_unit_test(test_alloc_overflow),
        cmocka_unit_test(test_append),  cmocka_unit_test(test_text),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests_name("compiler/util", tests, NULL, NULL);
}
