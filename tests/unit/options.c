/* Tests of options.c: what is taken from a command line, and what is said of a wrong one. */
#include "ground.h"
#include "program.h"
#include "session.h"
#include "toy_model.h"

static RtOptions parse(const char *arguments)
{
    static char line[1024]; /* options point into it */
    char *argv[64];
    RtOptions options;
    snprintf(line, sizeof line, "toy %s", arguments);
    assert_true(rt_options_parse(&toy_model, split_arguments(line, argv), argv, &options));
    return options;
}

static void test_train(void **state)
{
    (void)state;
    RtOptions o =
        parse("train --data d --validation-split 0.25 --weights=w.h5 --out r --phase tune "
              "--epochs 3 --seed 18446744073709551615 --threads 2 --no-shuffle --steps 7 "
              "--trace t.npz --strict --quiet");
    assert_string_equal(o.command, "train");
    assert_string_equal(o.data, "d");
    assert_true(o.validation_split == 0.25);
    assert_string_equal(o.weights, "w.h5");
    assert_string_equal(o.out, "r");
    assert_string_equal(o.phase, "tune");
    assert_string_equal(o.trace, "t.npz");
    assert_int_equal(o.epochs, 3);
    assert_int_equal(o.steps, 7);
    assert_int_equal(o.threads, 2);
    assert_true(o.seed == UINT64_MAX && !o.shuffle && o.strict && o.quiet);
    free(o.images);
}

static void test_defaults(void **state)
{
    (void)state;
    RtOptions o = parse("train --data d");
    assert_true(o.shuffle && !o.strict && !o.quiet && !o.json && o.seed == 0);
    assert_true(!o.validation && !o.weights && !o.out && !o.phase && !o.trace);
    assert_true(o.epochs == 0 && o.steps == 0 && o.threads == 0 && o.validation_split == 0);
    free(o.images);
}

static void test_predict(void **state)
{
    (void)state;
    RtOptions o = parse("predict a.jpg --top 3 --json b.png -o y.npy -- --c.jpg");
    assert_int_equal(o.image_count, 3);
    assert_string_equal(o.images[0], "a.jpg");
    assert_string_equal(o.images[1], "b.png");
    assert_string_equal(o.images[2], "--c.jpg");
    assert_string_equal(o.output, "y.npy");
    assert_true(o.top == 3 && o.json);
    free(o.images);
}

static void test_trying_out(void **state)
{
    (void)state;
    RtOptions o = parse("train --data d --dry-run");
    assert_true(o.dry_run && !o.overfit_batch);
    free(o.images);
    o = parse("train --data d --overfit-batch --steps 9");
    assert_true(o.overfit_batch && o.steps == 9);
    free(o.images);
    o = parse("lrfind --data d --min-lr 1e-5 --max-lr=0.5 --steps 50 --phase head --json");
    assert_true(o.min_lr == 1e-5 && o.max_lr == 0.5 && o.steps == 50 && o.json);
    free(o.images);
    o = parse("check --data d --validation v --strict --json --threads 3");
    assert_true(o.strict && o.json && o.threads == 3);
    assert_string_equal(o.validation, "v");
    free(o.images);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "no command given"},
        {"trian --data d", "did you mean train?"},
        {"xyzzy", "toy --help lists commands"},
        {"train", "train needs --data DIR"},
        {"train --data", "--data needs a value: --data DIR"},
        {"train --data d --epoch 3", "did you mean --epochs?"},
        {"train --data d --qqqqqqqq", "toy train --help lists its options"},
        {"train --data d --top 3", "train has no option --top"},
        {"train --data d --epochs 0", "--epochs 0: must be a whole number from 1 to 1000000000"},
        {"train --data d --epochs 2x", "--epochs 2x: must be a whole number"},
        {"train --data d --epochs 99999999999999999999", "must be a whole number"},
        {"train --data d --threads 1025", "must be a whole number from 1 to 1024"},
        {"train --data d --seed -1", "--seed -1: must be a whole number from 0 to 2^64 - 1"},
        {"train --data d --validation-split 1", "--validation-split 1: must lie between 0 and 1"},
        {"train --data d --validation-split nan", "must lie between 0 and 1"},
        {"train --data d --validation v --validation-split 0.5", "not both"},
        {"train --data d --strict=1", "--strict takes no value"},
        {"train --data d --phase tone", "did you mean tune?"},
        {"train --data d --phase zzzzz", "its phases: head tune"},
        {"train --data d --checkpoint-every 0",
         "--checkpoint-every 0: must be a number above 0"},
        {"train --data d --until haed", "--until haed: the model has no such phase"},
        {"train --data d --until head --phase head", "either --phase or --until, not both"},
        {"train --resume --fresh", "either --resume or --fresh, not both"},
        {"train --data d cat.jpg", "train: unexpected argument \"cat.jpg\""},
        {"train --data d --dry-run --overfit-batch", "not both"},
        {"check", "check needs --data DIR"},
        {"check --data d --epochs 3", "check has no option --epochs"},
        {"lrfind --data d --min-lr 0", "--min-lr 0: must be a number above 0"},
        {"lrfind --data d --max-lr nan", "must be a number above 0"},
        {"predict", "predict: no picture given"},
        {"predict a.jpg --input x.npy", "either pictures or --input"},
        {"features --data d", "features needs -o FILE.npy"},
        {"summary --phase none", "the model has no such phase"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failure(&toy_model, RT_USAGE, cases[i][1], cases[i][0]);
}

static void test_model_without_phases(void **state)
{
    (void)state;
    RtModel model = toy_model;
    model.phases = NULL;
    model.phase_count = 0;
    expect_failure(&model, RT_USAGE, "can predict, but neither train nor evaluate",
                   "train --data d");
    expect_failure(&model, RT_USAGE, "it has none", "summary --phase head");
}

static void expect_help(const char *arguments, const char *const *wanted)
{
    Result result = run_model(&toy_model, RT_OK, arguments);
    for (; *wanted; wanted++) assert_says(result.out, *wanted);
    assert_string_equal(result.err, "");
    free_result(&result);
}

static void test_help(void **state)
{
    (void)state;
    const char *const general[] = {
        "usage: toy COMMAND",  "train", "evaluate", "predict", "features", "bench",
        "head       2 epochs", NULL};
    const char *const train[] = {"usage: toy train --data DIR",
                                 "--validation-split F",
                                 "--epochs N",
                                 "--trace FILE.npz",
                                 "--no-shuffle",
                                 NULL};
    const char *const version[] = {"toy, graph 7079", "by tlc 0.1", NULL};
    expect_help("--help", general);
    expect_help("-h", general);
    expect_help("train --help", train);
    expect_help("--version", version);
    Result result = run_model(&toy_model, RT_OK, "predict --help");
    assert_null(strstr(result.out, "--epochs"));
    free_result(&result);
}

int main(void)
{
    scratch("");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_trying_out),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_model_without_phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
