/* Tests of parallel.c, level.c and the arena: every task runs once, whoever calls and how often. */
#define _GNU_SOURCE /* sched_setaffinity */
#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "ground.h"
#include "outcome.h"

enum { TASKS = 64 };

static atomic_int hits[TASKS];

static void count_task(const RtCall *call, int task)
{
    (void)call;
    atomic_fetch_add(&hits[task], 1);
}

static void check_hits(int tasks, int times)
{
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(atomic_exchange(&hits[i], 0), i < tasks ? times : 0);
}

static void test_every_task_runs_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        RtRun run = {.pool = rt_pool_open(threads)};
        RtCall call = {.run = &run};
        assert_int_equal(rt_pool_threads(run.pool), threads);
        for (int tasks = 0; tasks <= TASKS; tasks++) {
            for (int i = 0; i < 20; i++) rt_parallel(count_task, tasks, &call);
            check_hits(tasks, 20);
        }
        rt_pool_close(run.pool);
    }
}

static void test_without_a_pool(void **state)
{
    (void)state;
    RtRun run = {.pool = NULL};
    RtCall call = {.run = &run};
    rt_parallel(count_task, 5, &call);
    check_hits(5, 1);
    assert_int_equal(rt_pool_threads(NULL), 1);
}

static void call_again(const RtCall *call, int task)
{
    (void)task;
    rt_parallel(count_task, 7, call);
}

static void test_nested_calls_run_inline(void **state)
{
    (void)state;
    RtRun run = {.pool = rt_pool_open(3)};
    RtCall call = {.run = &run};
    rt_parallel(call_again, 10, &call);
    check_hits(7, 10);
    rt_pool_close(run.pool);
}

static void *call_often(void *call)
{
    for (int i = 0; i < 2000; i++) rt_parallel(count_task, 9, call);
    return NULL;
}

static void test_two_callers_at_once(void **state)
{
    (void)state;
    RtRun run = {.pool = rt_pool_open(2)};
    RtCall call = {.run = &run};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, call_often, &call), 0);
    call_often(&call);
    pthread_join(other, NULL);
    check_hits(9, 4000);
    rt_pool_close(run.pool);
}

/* Workers must wake from sleep, too, not only from spinning. */
static void test_after_a_pause(void **state)
{
    (void)state;
    RtRun run = {.pool = rt_pool_open(2)};
    RtCall call = {.run = &run};
    for (int i = 0; i < 5; i++) {
        usleep(20000);
        rt_parallel(count_task, TASKS, &call);
    }
    check_hits(TASKS, 5);
    rt_pool_close(run.pool);
}

static volatile float smallest = FLT_MIN;
static atomic_int denormals;

static void make_denormal(const RtCall *call, int task)
{
    (void)call;
    (void)task;
    if (smallest / 2 != 0) atomic_fetch_add(&denormals, 1);
}

static void test_denormals_are_flushed(void **state)
{
    (void)state;
#if defined __x86_64__ || defined __aarch64__
    RtRun run = {.pool = rt_pool_open(3)};
    RtCall call = {.run = &run};
    rt_parallel(make_denormal, 300, &call);
    assert_int_equal(denormals, 0);
    rt_pool_close(run.pool);
    assert_true(smallest / 2 != 0); /* the caller's mode is put back */
#else
    skip();
#endif
}

static int told_tasks;

static void note_call(const RtCall *call, int tasks, double seconds)
{
    assert_string_equal(call->name, "count_task");
    assert_true(seconds >= 0);
    told_tasks += tasks;
}

static void test_profiler_is_told(void **state)
{
    (void)state;
    RtRun run = {.pool = NULL};
    RtCall call = {.run = &run, .name = "count_task"};
    rt_profiler = note_call;
    rt_parallel(count_task, 3, &call);
    rt_parallel(count_task, 4, &call);
    rt_profiler = NULL;
    rt_parallel(count_task, 4, &call);
    assert_int_equal(told_tasks, 7);
}

static void limit_to_one_cpu(const void *unused)
{
    (void)unused;
    cpu_set_t set;
    int cpu = sched_getcpu();
    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : cpu, &set);
    _exit(sched_setaffinity(0, sizeof set, &set) == 0 ? rt_default_threads() : 99);
}

static void test_default_follows_affinity(void **state)
{
    (void)state;
    assert_true(rt_default_threads() >= 1);
    assert_int_equal(run_apart(limit_to_one_cpu, NULL).code, 1);
}

static void use_level(const void *name)
{
    setenv("TLC_LEVEL", name, 1);
    _exit(100 + (int)rt_level());
}

static void test_levels(void **state)
{
    (void)state;
    unsetenv("TLC_LEVEL");
    RtLevel best = rt_level();
    for (int level = RT_GENERIC; level < RT_LEVELS; level++) {
        const char *name = rt_level_name((RtLevel)level);
        if (level <= (int)best)
            expect_end(100 + level, "", use_level, name);
        else
            expect_end(RT_USAGE, "this machine offers no more than", use_level, name);
    }
    expect_end(RT_USAGE, "levels are generic, avx2, avx512", use_level, "sse9");
    assert_true(strlen(rt_cpu_name()) > 0);
}

static void test_arena(void **state)
{
    (void)state;
    size_t bytes = 3 * 1000 * 1000 + 7;
    char *arena = rt_arena_open(bytes, "toy", true);
    assert_int_equal((uintptr_t)arena % 64, 0);
    for (size_t i = 0; i < bytes; i++) assert_true(arena[i] == 0);
    memset(arena, 1, bytes);
    rt_arena_close(arena, bytes);
}

static void open_huge_arena(const void *unused)
{
    (void)unused;
    rt_arena_open((size_t)1 << 46, "toy", true);
}

static void test_arena_beyond_memory(void **state)
{
    (void)state;
    expect_end(RT_NO_ROOM, "toy needs 67108864.0 MiB of memory; ", open_huge_arena, NULL);
}

static void alloc_too_much(const void *unused)
{
    (void)unused;
    rt_alloc(SIZE_MAX / 2, 4);
}

static void grow_too_much(const void *unused)
{
    (void)unused;
    rt_grow(NULL, SIZE_MAX / 2, 4);
}

static void test_alloc_overflow(void **state)
{
    (void)state;
    expect_end(RT_NO_ROOM, "out of memory", alloc_too_much, NULL);
    expect_end(RT_NO_ROOM, "out of memory", grow_too_much, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_without_a_pool),
        cmocka_unit_test(test_nested_calls_run_inline),
        cmocka_unit_test(test_two_callers_at_once),
        cmocka_unit_test(test_after_a_pause),
        cmocka_unit_test(test_denormals_are_flushed),
        cmocka_unit_test(test_profiler_is_told),
        cmocka_unit_test(test_default_follows_affinity),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_beyond_memory),
        cmocka_unit_test(test_alloc_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
