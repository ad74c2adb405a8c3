/* plan.c (test): the planner's offsets. Every plan is held against an independent byte map, and its
 * size against the lower bound: traces of allocations (in tests/plan, in the manner of Glow's
 * allocator tests: "ALLOC id bytes", "FREE id") and 300 random networks stay within 1.05 of it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tlc.h"

enum { MOST = 1024, MOVES = 400 };

/* Marks each buffer's life in a map of 64-byte cells for every step: slow, and of another mind than the
 * planner's own checks. */
static void assert_disjoint(const Buffer *buffers, int count, size_t total)
{
    int steps = 0;
    for (int i = 0; i < count; i++)
        if (buffers[i].last >= steps) steps = buffers[i].last + 1;
    const size_t cells = total / 64 + 1;
    unsigned char *map = malloc(cells);
    for (int step = 0; step < steps; step++) {
        memset(map, 0, cells);
        for (int i = 0; i < count; i++) {
            if (step < buffers[i].first || step > buffers[i].last) continue;
            assert_true(buffers[i].offset % 64 == 0);
            assert_true(buffers[i].offset + buffers[i].bytes <= total);
            for (size_t c = buffers[i].offset / 64; c < (buffers[i].offset + buffers[i].bytes) / 64; c++) {
                assert_int_equal(map[c], 0);
                map[c] = 1;
            }
        }
    }
    free(map);
}

static double plan_ratio(Buffer *buffers, int count)
{
    const size_t total = plan_buffers(buffers, count, MOVES);
    const size_t bound = lower_bound(buffers, count);
    assert_true(total >= bound);
    assert_disjoint(buffers, count, total);
    return (double)total / (double)bound;
}

static uint64_t state;

static int random_below(int below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)below);
}

/* A network as the planner meets them: a chain with some skips, each tensor read up to its last user,
 * with workspaces; training ones are read again on the way back. */
static int random_network(Buffer *buffers, bool training)
{
    const int layers = 4 + random_below(40);
    const int end = training ? 2 * layers : layers;
    int count = 0;
    for (int i = 0; i < layers; i++) {
        const size_t bytes = 64 * (size_t)(1 + random_below(1 << (4 + random_below(8))));
        const int reach = random_below(5) == 0 ? 1 + random_below(6) : 1;
        int last = i + reach < layers ? i + reach : layers;
        if (training && random_below(3)) last = end - i;
        buffers[count++] = (Buffer){bytes, 0, i, last};
        if (random_below(3) == 0)
            buffers[count++] = (Buffer){64 * (size_t)(1 + random_below(512)), 0, i, i};
        if (training) buffers[count++] = (Buffer){bytes, 0, end - i - 1, end - i};
    }
    return count;
}

static void test_random_networks(void **unused)
{
    (void)unused;
    static Buffer buffers[MOST];
    for (int seed = 1; seed <= 300; seed++) {
        state = (uint64_t)seed;
        const int count = random_network(buffers, seed % 2);
        const double ratio = plan_ratio(buffers, count);
        if (ratio > 1.05) fail_msg("seed %d: %.3f of the bound", seed, ratio);
    }
}

static int read_trace(const char *path, Buffer *buffers)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char verb[8];
    int id, ids[MOST], count = 0, step = 0;
    size_t bytes;
    while (fscanf(file, "%7s %d", verb, &id) == 2) {
        if (strcmp(verb, "ALLOC") == 0) {
            assert_int_equal(fscanf(file, "%zu", &bytes), 1);
            ids[count] = id;
            buffers[count++] = (Buffer){(bytes + 63) / 64 * 64, 0, step++, -1};
            continue;
        }
        for (int i = 0; i < count; i++)
            if (ids[i] == id && buffers[i].last < 0) buffers[i].last = step - 1;
    }
    fclose(file);
    for (int i = 0; i < count; i++)
        if (buffers[i].last < 0) buffers[i].last = step;
    return count;
}

static void test_traces(void **unused)
{
    (void)unused;
    static Buffer buffers[MOST];
    struct dirent **names;
    const int found = scandir("tests/plan", &names, NULL, alphasort);
    int traces = 0;
    for (int i = 0; i < found; i++) {
        if (strstr(names[i]->d_name, ".trace")) {
            const int count = read_trace(format("tests/plan/%s", names[i]->d_name), buffers);
            const double ratio = plan_ratio(buffers, count);
            if (ratio > 1.05) fail_msg("%s: %.3f of the bound", names[i]->d_name, ratio);
            traces++;
        }
        free(names[i]);
    }
    free(names);
    assert_true(traces >= 10);
}

static void test_same_plan_twice(void **unused)
{
    (void)unused;
    static Buffer one[MOST], two[MOST];
    state = 77;
    const int count = random_network(one, true);
    memcpy(two, one, sizeof one);
    plan_buffers(one, count, MOVES);
    plan_buffers(two, count, MOVES);
    assert_memory_equal(one, two, (size_t)count * sizeof *one);
}

static void test_empty_plan(void **unused)
{
    (void)unused;
    assert_int_equal(plan_buffers(NULL, 0, MOVES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_traces),
        cmocka_unit_test(test_same_plan_twice),
        cmocka_unit_test(test_empty_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
