/* evict.c (test): which stores are removed, and that none is that some process has open, nor any
 * file of others. */
#include "outcome.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "cache.h"
#include "files.h"
#include "ground.h"

enum { ROW = 4096, STORES = 4 };

static RtHash key_of(int number) { return (RtHash){(uint64_t)number + 1, 0}; }

static char *folder_of(const char *root, int number)
{
    return rt_format("%s/%032x", root, (unsigned)number + 1);
}

/* Store `number` with so many rows, last used `age` seconds ago. */
static void make_store(const char *root, int number, int rows, int age)
{
    static const unsigned char row[ROW];
    char *folder = folder_of(root, number), *used = rt_format("%s/used", folder);
    RtStore *store = rt_store_open(folder, key_of(number), ROW);
    assert_true(rt_store_lock(store));
    for (int i = 0; i < rows; i++) rt_store_add(store, (RtHash){(uint64_t)i, 1}, row);
    rt_store_unlock(store);
    rt_store_close(store);
    const struct timespec time = {.tv_sec = 1700000000 - age}, times[2] = {time, time};
    assert_int_equal(utimensat(AT_FDCWD, used, times, 0), 0);
    free(used);
    free(folder);
}

static bool is_there(const char *root, int number)
{
    struct stat status;
    char *folder = folder_of(root, number);
    bool there = stat(folder, &status) == 0;
    free(folder);
    return there;
}

/* Which are there: "0.23". */
static const char *left(const char *root)
{
    static char text[STORES + 1];
    for (int i = 0; i < STORES; i++) text[i] = is_there(root, i) ? (char)('0' + i) : '.';
    return text;
}

static const char *make_stores(const char *name)
{
    static const int ages[STORES] = {30, 10, 40, 20};
    const char *root = scratch(name);
    for (int i = 0; i < STORES; i++) make_store(root, i, 25, ages[i]);
    return root;
}

static void test_least_recently_used(void **state)
{
    (void)state;
    const char *root = make_stores("least");
    uint64_t all = rt_stores_bytes(root), one = all / STORES;
    assert_in_range(all, STORES * 25 * ROW, STORES * 30 * ROW);
    rt_stores_evict(root, all, 0);
    assert_string_equal(left(root), "0123");
    rt_stores_evict(root, all - 1, 0);
    assert_string_equal(left(root), "01.3");
    rt_stores_evict(root, all, 2 * one); /* room for what is to come */
    assert_string_equal(left(root), ".1.3");
    rt_stores_evict(root, 0, 0);
    assert_string_equal(left(root), "....");
    rt_stores_evict(root, 0, 0);
    rt_stores_evict(scratch("nothing"), 0, 0);
    assert_int_equal(rt_stores_bytes(scratch("nothing")), 0);
}

static void test_open_ones_stay(void **state)
{
    (void)state;
    const char *root = make_stores("open");
    char *folder = folder_of(root, 2);
    RtStore *store = rt_store_open(folder, key_of(2), ROW);
    rt_stores_evict(root, 0, 0);
    assert_string_equal(left(root), "..2.");
    assert_true(rt_store_lock(store));
    assert_non_null(rt_store_find(store, (RtHash){7, 1}));
    rt_store_close(store);
    rt_stores_evict(root, 0, 0);
    assert_string_equal(left(root), "....");
    free(folder);
}

/* In another process, until it is told to end. */
static void test_open_elsewhere(void **state)
{
    (void)state;
    const char *root = make_stores("elsewhere");
    char *folder = folder_of(root, 0), letter;
    int ready[2], end[2];
    assert_int_equal(pipe(ready) | pipe(end), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        rt_store_open(folder, key_of(0), ROW);
        close(end[1]);
        _exit(write(ready[1], "", 1) == 1 && read(end[0], &letter, 1) == 0 ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &letter, 1), 1);
    rt_stores_evict(root, 0, 0);
    assert_string_equal(left(root), "0...");
    close(end[0]);
    close(end[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    rt_stores_evict(root, 0, 0);
    assert_string_equal(left(root), "....");
    close(ready[0]);
    close(ready[1]);
    free(folder);
}

static void test_files_of_others(void **state)
{
    (void)state;
    struct stat status;
    const char *root = make_stores("others");
    char *folder = folder_of(root, 1), *mine = rt_format("%s/notes.txt", folder);
    char *other = rt_format("%s/thesis", root), *features = rt_format("%s/1.features", other);
    write_file(mine, "x", 1);
    rt_make_folders(other);
    write_file(features, "x", 1);
    rt_stores_evict(root, 0, 0);
    assert_string_equal(left(root), ".1..");
    assert_int_equal(stat(mine, &status), 0);
    assert_int_equal(stat(features, &status), 0);
    free(features);
    free(other);
    free(mine);
    free(folder);
}

/* Whoever opens a store while another removes it has a whole one, or makes it anew. */
static void test_opened_while_removed(void **state)
{
    (void)state;
    const char *root = scratch("race");
    static const unsigned char row[ROW] = {1};
    char *folder = folder_of(root, 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        freopen("/dev/null", "w", stderr);
        for (;;) rt_stores_evict(root, 0, 0);
    }
    for (int i = 0; i < 100; i++) {
        RtStore *store = rt_store_open(folder, key_of(0), ROW);
        assert_true(rt_store_lock(store));
        rt_store_add(store, (RtHash){1, 1}, row);
        rt_store_unlock(store);
        assert_memory_equal(rt_store_find(store, (RtHash){1, 1}), row, ROW);
        rt_store_close(store);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_recently_used), cmocka_unit_test(test_open_ones_stay),
        cmocka_unit_test(test_open_elsewhere), cmocka_unit_test(test_files_of_others),
        cmocka_unit_test(test_opened_while_removed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
