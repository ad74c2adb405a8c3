/* cache.c (test): rows of the store, whatever happens to its files; numbers of 16 bits. */
#include "outcome.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cache.h"
#include "files.h"
#include "ground.h"

enum { ROW = 100 };

static const RtHash key = {1, 2};

static RtHash hash_of(int number) { return (RtHash){(uint64_t)number * 7, (uint64_t)number}; }

static void fill_row(unsigned char *row, int number) { memset(row, number, ROW); }

static void add(RtStore *store, int from, int to)
{
    unsigned char row[ROW];
    assert_true(rt_store_lock(store));
    for (int i = from; i < to; i++) {
        fill_row(row, i);
        rt_store_add(store, hash_of(i), row);
    }
    rt_store_unlock(store);
}

static int count_found(RtStore *store, int count)
{
    unsigned char wanted[ROW];
    int found = 0;
    for (int i = 0; i < count; i++) {
        const void *row = rt_store_find(store, hash_of(i));
        if (!row) continue;
        fill_row(wanted, i);
        assert_memory_equal(row, wanted, ROW);
        found++;
    }
    return found;
}

static void test_rows_come_back(void **state)
{
    (void)state;
    const char *folder = scratch("store");
    RtStore *store = rt_store_open(folder, key, ROW);
    assert_int_equal(count_found(store, 10), 0);
    add(store, 0, 5);
    add(store, 5, 10);
    assert_int_equal(count_found(store, 12), 10);
    RtStore *other = rt_store_open(folder, key, ROW);
    assert_int_equal(count_found(other, 12), 10);
    add(store, 10, 12);
    assert_int_equal(count_found(other, 12), 10);
    assert_true(rt_store_lock(other)); /* shows what others added */
    rt_store_unlock(other);
    assert_int_equal(count_found(other, 12), 12);
    rt_store_close(store);
    rt_store_close(other);
}

static void test_other_keys_and_sizes(void **state)
{
    (void)state;
    const char *folder = scratch("keys");
    RtStore *store = rt_store_open(folder, key, ROW);
    add(store, 0, 5);
    rt_store_close(store);
    store = rt_store_open(folder, (RtHash){1, 3}, ROW);
    assert_int_equal(count_found(store, 5), 0);
    rt_store_close(store);
    store = rt_store_open(folder, key, ROW / 2);
    assert_null(rt_store_find(store, hash_of(1)));
    rt_store_close(store);
}

/* Every byte of a file in turn: a row is right or absent. */
static void test_flipped_and_cut(void **state)
{
    (void)state;
    const char *folder = scratch("damage");
    char path[300];
    RtStore *store = rt_store_open(folder, key, ROW);
    add(store, 0, 4);
    rt_store_close(store);
    snprintf(path, sizeof path, "%s/00000000.features", folder);
    size_t bytes;
    const unsigned char *whole = rt_map(path, SIZE_MAX, 1, &bytes);
    unsigned char *copy = rt_alloc(1, bytes);
    for (size_t i = 0; i < 2 * bytes; i++) {
        memcpy(copy, whole, bytes);
        if (i < bytes) copy[i] ^= 0x10;
        unlink(path); /* the mapping keeps its own */
        write_file(path, copy, i < bytes ? bytes : i - bytes);
        store = rt_store_open(folder, key, ROW);
        int found = count_found(store, 4);
        assert_int_equal(found, i < 4 * ROW ? 3 : 0);
        rt_store_close(store);
    }
    free(copy);
    rt_unmap(whole, bytes);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void add_many(const void *folder)
{
    RtStore *store = rt_store_open(folder, key, ROW);
    limit_files(1000);
    add(store, 3, 400);
}

/* What was safe before stays; a store that may fail takes no more. */
static void test_full(void **state)
{
    (void)state;
    const char *folder = scratch("full");
    signal(SIGXFSZ, SIG_IGN);
    RtStore *store = rt_store_try(folder, key, ROW);
    add(store, 0, 3);
    expect_end(RT_NO_ROOM, "00000001.features: cannot ", add_many, folder);
    limit_files(1000);
    add(store, 3, 400);
    limit_files(0);
    assert_true(rt_store_failed(store));
    add(store, 4, 6);
    assert_int_equal(count_found(store, 400), 3);
    rt_store_close(store);
    store = rt_store_open(folder, key, ROW);
    assert_int_equal(count_found(store, 400), 3);
    add(store, 3, 6);
    assert_int_equal(count_found(store, 400), 6);
    rt_store_close(store);
}

static void open_below_file(const void *path) { rt_store_open(path, key, ROW); }

static void test_no_folder(void **state)
{
    (void)state;
    write_file(scratch("file"), "", 0);
    const char *folder = scratch("file/store");
    expect_end(RT_NO_ROOM, "file: cannot make this folder", open_below_file, folder);
    RtStore *store = rt_store_try(folder, key, ROW);
    assert_true(rt_store_failed(store));
    add(store, 0, 3);
    assert_int_equal(count_found(store, 3), 0);
    rt_store_close(store);
}

/* A process that is killed loses what it added since the last segment. */
static void test_pace(void **state)
{
    (void)state;
    unsigned char row[ROW];
    RtStore *store = rt_store_open(scratch("pace"), key, ROW);
    assert_true(rt_store_lock(store));
    for (int i = 0; i < 6; i++) {
        if (i == 2) rt_store_pace(store, 0);
        fill_row(row, i);
        rt_store_add(store, hash_of(i), row);
        RtStore *other = rt_store_open(scratch("pace"), key, ROW);
        assert_int_equal(count_found(other, 6), i < 2 ? 0 : i + 1);
        rt_store_close(other);
    }
    rt_store_close(store);
}

static void test_halves(void **state)
{
    (void)state;
    const real values[] = {0,     1,        -2,       (real)0.1,  65504,      1e9f,
                           -1e9f, 0x1p-24f, 0x1p-26f, (real)2049, (real)2051, 0x1.ffcp-15f};
    const real wanted[] = {0, 1,    -2,   0.0999755859375f, 65504, 65504, -65504, 0x1p-24f,
                           0, 2048, 2052, 0x1p-14f};
    enum { COUNT = sizeof values / sizeof *values };
    uint16_t halves[COUNT];
    real back[COUNT];
    rt_to_halves(values, halves, COUNT);
    rt_from_halves(halves, back, COUNT);
    for (int i = 0; i < COUNT; i++) assert_true(back[i] == wanted[i]);
    for (uint32_t h = 0; h < 0x10000; h++) { /* each comes back */
        if ((h & 0x7c00) == 0x7c00) continue;
        uint16_t half = (uint16_t)h, again;
        real value;
        rt_from_halves(&half, &value, 1);
        rt_to_halves(&value, &again, 1);
        assert_int_equal(again, half);
    }
    const real nan = (real)NAN;
    rt_to_halves(&nan, halves, 1);
    rt_from_halves(halves, back, 1);
    assert_true(isnan(back[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back),  cmocka_unit_test(test_other_keys_and_sizes),
        cmocka_unit_test(test_flipped_and_cut), cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_folder),       cmocka_unit_test(test_pace),
        cmocka_unit_test(test_halves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
