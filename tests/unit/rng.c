/* Tests of rng.c: the known answers of Random123 (kat_vectors), and what the library makes of them.
 */
#include <math.h>

#include "ground.h"
#include "outcome.h"

static void check_words(uint64_t seed, const uint32_t counter[4], const uint32_t wanted[4])
{
    RtRun run = {.seed = seed, .epoch = counter[3]};
    uint32_t words[4];
    rt_random4(&run, counter[1], counter[2], counter[0], words);
    for (int i = 0; i < 4; i++) assert_int_equal(words[i], wanted[i]);
}

static void test_known_answers(void **state)
{
    (void)state;
    check_words(0, (uint32_t[4]){0, 0, 0, 0},
                (uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check_words(0xffffffffffffffff, (uint32_t[4]){0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                (uint32_t[4]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check_words(0x299f31d0a4093822, (uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                (uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

static void test_large_samples_have_numbers_of_their_own(void **state)
{
    (void)state;
    RtRun run = {.seed = 1};
    uint32_t a[4], b[4];
    rt_random4(&run, 3, 5, 0, a);
    rt_random4(&run, 3, 5 + ((uint64_t)1 << 32), 0, b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void test_unit_is_below_one(void **state)
{
    (void)state;
    assert_true(rt_unit(0) == 0);
    assert_true(rt_unit(0xffffffff) == (real)(1 - 1.0 / 16777216));
}

static void test_shuffle_is_a_permutation(void **state)
{
    (void)state;
    enum { N = 1000 };
    static uint64_t order[N], again[N], other[N];
    static bool seen[N];
    rt_shuffle(7, 2, order, N);
    rt_shuffle(7, 2, again, N);
    rt_shuffle(7, 3, other, N);
    assert_memory_equal(order, again, sizeof order);
    assert_memory_not_equal(order, other, sizeof order);
    for (int i = 0; i < N; i++) {
        assert_true(order[i] < N && !seen[order[i]]);
        seen[order[i]] = true;
    }
    rt_shuffle(7, 2, order, 1);
    assert_int_equal(order[0], 0);
    rt_shuffle(7, 2, order, 0);
}

/* Each of the 24 orders of four comes up about as often: chi squared with 23 degrees of freedom
 * stays below 49.7 with probability 0.999. */
static void test_shuffle_is_fair(void **state)
{
    (void)state;
    enum { RUNS = 24000 };
    int counts[256] = {0};
    double chi = 0, expected = RUNS / 24.0;
    for (uint32_t epoch = 0; epoch < RUNS; epoch++) {
        uint64_t order[4];
        rt_shuffle(1, epoch, order, 4);
        counts[order[0] | order[1] << 2 | order[2] << 4 | order[3] << 6]++;
    }
    for (int i = 0; i < 256; i++)
        if (counts[i]) chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    assert_true(chi < 49.7);
}

static void test_glorot_uniform(void **state)
{
    (void)state;
    enum { IN = 300, OUT = 100 };
    static real values[IN * OUT], more[IN * OUT];
    RtWeight weight = {.name = "fc/kernel",
                       .rank = 2,
                       .dims = {IN, OUT},
                       .init = RT_INIT_GLOROT_UNIFORM,
                       .fan_in = IN,
                       .fan_out = OUT};
    double limit = sqrt(6.0 / (IN + OUT)), sum = 0, squares = 0, most = 0;
    rt_initialize(&weight, 5, values);
    for (int i = 0; i < IN * OUT; i++) {
        sum += values[i];
        squares += (double)values[i] * values[i];
        most = fmax(most, fabs(values[i]));
    }
    double variance = limit * limit / 3; /* the mean of n has a standard error of sqrt(v / n) */
    assert_true(most <= limit && most > 0.99 * limit);
    assert_true(fabs(sum / (IN * OUT)) < 4 * sqrt(variance / (IN * OUT)));
    assert_true(fabs(squares / (IN * OUT) / variance - 1) < 0.02);
    weight.name = "fc2/kernel"; /* another name, other numbers; the same name, the same */
    rt_initialize(&weight, 5, more);
    assert_true(values[0] != more[0] && values[99] != more[99]);
    weight.name = "fc/kernel";
    rt_initialize(&weight, 5, more);
    assert_memory_equal(values, more, sizeof values);
}

static void test_constants(void **state)
{
    (void)state;
    real values[3] = {9, 9, 9};
    RtWeight weight = {.name = "b", .rank = 1, .dims = {3}, .init = RT_INIT_ZEROS};
    rt_initialize(&weight, 0, values);
    for (int i = 0; i < 3; i++) assert_true(values[i] == 0);
    weight.init = RT_INIT_ONES;
    rt_initialize(&weight, 0, values);
    for (int i = 0; i < 3; i++) assert_true(values[i] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_large_samples_have_numbers_of_their_own),
        cmocka_unit_test(test_unit_is_below_one),
        cmocka_unit_test(test_shuffle_is_a_permutation),
        cmocka_unit_test(test_shuffle_is_fair),
        cmocka_unit_test(test_glorot_uniform),
        cmocka_unit_test(test_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
