/* tuned.c (test): the table of measured choices, written and read again. What is no table is in
 * tests/bad/tuned. */
#include "../unit/outcome.h"

#include "tlc.h"

static TunedChoice rows[] = {
    {{"conv2d_3x3_28x28_256_512", true, 112, 4, NULL}, 3.8, 11.25, false},
    {{"conv2d_3x3_7x7_64_64", false, 0, 0, NULL}, 0.5, 0.625, false},
};

static Tuning *write_and_read(void)
{
    Tuning table = {.model = "m",
                    .precision = "high",
                    .cpu = "A CPU (R) @ 2.0GHz",
                    .level = "avx2",
                    .threads = 2,
                    .batch = 8};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        append(&table.rows, &table.count, &rows[i]);
    write_tuning(&table, scratch("table.json"));
    return read_tuning(scratch("table.json"));
}

static void test_round_trip(void **state)
{
    (void)state;
    Tuning *t = write_and_read();
    assert_int_equal(t->count, 2);
    assert_string_equal(t->model, "m");
    assert_string_equal(t->precision, "high");
    assert_string_equal(t->cpu, "A CPU (R) @ 2.0GHz");
    const Choice *c = find_choice(t, "conv2d_3x3_28x28_256_512");
    assert_true(c->winograd);
    assert_int_equal(c->tiles, 112);
    assert_int_equal(c->groups, 4);
    assert_string_equal(c->why, "by tuning on A CPU (R) @ 2.0GHz: 3.8 ms against 11.2 ms direct");
    assert_false(find_choice(t, "conv2d_3x3_7x7_64_64")->winograd);
    assert_null(find_choice(t, "conv2d_3x3_7x7_64_65"));
    assert_null(find_choice(NULL, "conv2d_3x3_7x7_64_64"));
}

/* A choice for all comes before the rows. */
static void test_forced(void **state)
{
    (void)state;
    Tuning *t = write_and_read();
    const Choice direct = {.winograd = false};
    t->forced = &direct;
    assert_ptr_equal(find_choice(t, "conv2d_3x3_28x28_256_512"), &direct);
}

/* A comment of C must not end early, nor a line, nor a string. */
static void test_plain_text(void **state)
{
    (void)state;
    assert_string_equal(plain_text("a */ b \\ \"?\n\xc3\xa9"), "a _/ b _ _____");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_forced),
        cmocka_unit_test(test_plain_text),
    };
    return cmocka_run_group_tests_name("compiler/tuned", tests, NULL, NULL);
}
