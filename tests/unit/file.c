/* Tests of file.c: whole or not at all. */
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "files.h"
#include "ground.h"
#include "outcome.h"

static int count_files(const char *folder)
{
    int count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));) count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static void assert_content(const char *path, const char *text)
{
    size_t bytes;
    const unsigned char *data = rt_map(path, 1 << 20, RT_FAILED, &bytes);
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(data, text, bytes);
    rt_unmap(data, bytes);
}

static void test_commit(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", scratch("commit/a/b"));
    char *path = rt_format("%s/out.txt", folder);
    RtOut *out = rt_out_open(path);
    rt_out_write(out, "one ", 4);
    fprintf(rt_out_file(out), "%s", "two");
    assert_int_not_equal(access(path, F_OK), 0);
    rt_out_commit(out);
    assert_content(path, "one two");
    assert_int_equal(count_files(folder), 1);
    out = rt_out_open(path);
    rt_out_write(out, "three", 5);
    assert_content(path, "one two"); /* until it is committed */
    rt_out_commit(out);
    assert_content(path, "three");
    free(path);
}

static void test_many_in_turn(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) rt_out_commit(rt_out_open(scratch("turn")));
    assert_content(scratch("turn"), "");
}

static void test_link_keeps_its_place(void **state)
{
    (void)state;
    struct stat info;
    write_file(scratch("target"), "old", 3);
    assert_int_equal(symlink(scratch("target"), scratch("link")), 0);
    RtOut *out = rt_out_open(scratch("link"));
    rt_out_write(out, "new", 3);
    rt_out_commit(out);
    assert_int_equal(lstat(scratch("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_content(scratch("target"), "new");
}

static void die_while_writing(const void *path)
{
    rt_out_write(rt_out_open(path), "half", 4);
    rt_die(RT_FAILED, NULL, "interrupted");
}

static void test_unfinished_is_removed(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch("unfinished"), 0777), 0);
    write_file(scratch("unfinished/x"), "old", 3);
    expect_end(RT_FAILED, "interrupted", die_while_writing, scratch("unfinished/x"));
    assert_int_equal(count_files(scratch("unfinished")), 1);
    assert_content(scratch("unfinished/x"), "old");
}

/* A child that inherits an open file must not take it from its parent. */
static void just_die(const void *unused)
{
    (void)unused;
    rt_die(RT_FAILED, NULL, "child");
}

static void test_child_leaves_it(void **state)
{
    (void)state;
    RtOut *out = rt_out_open(scratch("inherited"));
    expect_end(RT_FAILED, "child", just_die, NULL);
    rt_out_write(out, "mine", 4);
    rt_out_commit(out);
    assert_content(scratch("inherited"), "mine");
}

/* A file size limit stands in for a full disk. */
static void write_too_much(const void *path)
{
    static const char block[65536];
    struct rlimit limit = {100000, 100000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    RtOut *out = rt_out_open(path);
    for (int i = 0; i < 4; i++) rt_out_write(out, block, sizeof block);
    rt_out_commit(out);
}

static void print_too_much(const void *path)
{
    struct rlimit limit = {100, 100};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    RtOut *out = rt_out_open(path);
    for (int i = 0; i < 100; i++) fprintf(rt_out_file(out), "line %d\n", i);
    rt_out_commit(out);
}

static void test_full_disk(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch("full"), 0777), 0);
    write_file(scratch("full/x"), "old", 3);
    expect_end(RT_NO_ROOM, "full/x: cannot write: File too large", write_too_much,
               scratch("full/x"));
    expect_end(RT_NO_ROOM, "full/x: cannot write: File too large", print_too_much,
               scratch("full/x"));
    assert_int_equal(count_files(scratch("full")), 1);
    assert_content(scratch("full/x"), "old");
}

static void try_too_much(const void *path)
{
    static const char block[65536];
    struct rlimit limit = {100000, 100000};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    RtOut *out = rt_out_try(path);
    for (int i = 0; i < 4; i++) rt_out_write(out, block, sizeof block);
    if (rt_out_commit(out)) rt_die(RT_FAILED, NULL, "it was written");
    out = rt_out_try(path);
    rt_out_write(out, "new", 3);
    if (!rt_out_commit(out)) rt_die(RT_FAILED, NULL, "it was not written");
    RtOut *under_file = rt_out_try(scratch("tried/x/below"));
    fprintf(rt_out_file(under_file), "goes nowhere");
    if (rt_out_commit(under_file)) rt_die(RT_FAILED, NULL, "it was written");
}

/* A trial that fails is told of, and the program goes on. */
static void test_try(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch("tried"), 0777), 0);
    write_file(scratch("tried/x"), "old", 3);
    expect_end(0, "tried/x: cannot write: File too large", try_too_much, scratch("tried/x"));
    assert_int_equal(count_files(scratch("tried")), 1);
    assert_content(scratch("tried/x"), "new");
}

static void open_out(const void *path) { rt_out_open(path); }

static void test_bad_names(void **state)
{
    (void)state;
    write_file(scratch("plain"), "", 0);
    expect_end(RT_NO_ROOM, "plain: cannot make this folder: Not a directory", open_out,
               scratch("plain/x"));
    expect_end(RT_NO_ROOM, "/dev/null: is not a regular file", open_out, "/dev/null");
}

static void map_it(const void *path)
{
    size_t bytes;
    rt_map(path, 10, RT_BAD_DATA, &bytes);
}

static void test_map(void **state)
{
    (void)state;
    write_file(scratch("eleven"), "12345678901", 11);
    assert_int_equal(mkfifo(scratch("pipe"), 0600), 0);
    expect_end(RT_BAD_DATA, "absent: cannot open: No such file or directory", map_it,
               scratch("absent"));
    expect_end(RT_BAD_DATA, "eleven: has 11 bytes; at most 10 are taken", map_it,
               scratch("eleven"));
    expect_end(RT_BAD_DATA, "pipe: is not a regular file", map_it, scratch("pipe"));
    expect_end(RT_BAD_DATA, "/: is not a regular file", map_it, "/");
}

static void test_hashes(void **state)
{
    (void)state;
    char hex[33];
    rt_md5_mapped("abc", 3, hex); /* RFC 1321, A.5 */
    assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
    rt_md5_mapped("", 0, hex);
    assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
    assert_int_equal(rt_checksum("", 0), 0x2D06800538D394C2); /* xxHash's sanity check */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit),
        cmocka_unit_test(test_many_in_turn),
        cmocka_unit_test(test_link_keeps_its_place),
        cmocka_unit_test(test_unfinished_is_removed),
        cmocka_unit_test(test_child_leaves_it),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
