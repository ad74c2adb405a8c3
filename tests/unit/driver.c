/* Tests of train.c, driver.c, session.c, history.c, trace.c and signals.c: whole training runs of a
 * small model, held against a plain loop over the same step functions. */
#include <signal.h>

#include "arrays.h"
#include "ground.h"
#include "measures.h"
#include "program.h"
#include "toy_model.h"

enum { PICTURES = 10, STEPS = 3 }; /* steps of an epoch: batches of 4, 4 and 2 */

static float pixels[PICTURES * TOY_IN], labels[PICTURES * TOY_UNITS];

/* Pictures of noise whose class is whether the first half is the brighter one. */
static void make_data(const char *name, int shift)
{
    RtRun run = {.seed = 11};
    uint32_t words[4];
    for (int i = 0; i < PICTURES * TOY_IN; i++) {
        rt_random4(&run, 1, (uint64_t)shift, (uint32_t)i, words);
        pixels[i] = (float)(words[0] >> 24);
    }
    for (int i = 0; i < PICTURES; i++) {
        float balance = 0;
        for (int j = 0; j < TOY_IN; j++)
            balance += (j < TOY_IN / 2 ? 1.0f : -1.0f) * pixels[i * TOY_IN + j];
        labels[2 * i] = balance > 0;
        labels[2 * i + 1] = balance <= 0;
    }
    RtArray arrays[] = {
        {.name = "x", .rank = 4, .dims = {PICTURES, 4, 4, 3}, .data = pixels},
        {.name = "y", .rank = 2, .dims = {PICTURES, TOY_UNITS}, .data = labels},
    };
    rt_npz_write(scratch(name), arrays, 2);
}

static RtArray read_trace(const char *name, const char *member)
{
    return rt_npy_read(scratch(name), member, 1000000, RT_BAD_DATA);
}

static void assert_same_member(const char *a, const char *b, const char *member)
{
    RtArray x = read_trace(a, member), y = read_trace(b, member);
    assert_int_equal(rt_array_count(&x), rt_array_count(&y));
    assert_memory_equal(x.data, y.data, (size_t)rt_array_count(&x) * rt_type_size(x.type));
    rt_array_free(&x);
    rt_array_free(&y);
}

static void assert_member(const char *trace, const char *member, const void *wanted, size_t bytes)
{
    RtArray x = read_trace(trace, member);
    assert_int_equal((size_t)rt_array_count(&x) * rt_type_size(x.type), bytes);
    assert_memory_equal(x.data, wanted, bytes);
    rt_array_free(&x);
}

/* ---- What training comes to -------------------------------------------------------------------
 */

typedef struct {
    _Alignas(64) char arena[TOY_ARENA];
    double losses[64];
    int steps, correct;
    real out[TOY_BATCH * TOY_UNITS];
} Reference;

static void start_reference(Reference *reference, uint64_t seed)
{
    memset(reference, 0, sizeof *reference);
    for (int i = 0; i < 2; i++)
        rt_initialize(&toy_weights[i], seed, (real *)(reference->arena + toy_weights[i].offset));
}

/* An epoch of a phase in the given order (NULL: as they are). */
static void run_reference(Reference *reference, const RtPhase *phase, const uint64_t *order)
{
    RtRun run = {.arena = reference->arena,
                 .kernels = &toy_kernels,
                 .learning_rate = (real)phase->learning_rate};
    real x[TOY_BATCH * TOY_IN], y[TOY_BATCH * TOY_UNITS];
    for (int first = 0; first < PICTURES; first += TOY_BATCH) {
        int n = PICTURES - first < TOY_BATCH ? PICTURES - first : TOY_BATCH;
        for (int i = 0; i < n; i++) {
            uint64_t from = order ? order[first + i] : (uint64_t)(first + i);
            for (int j = 0; j < TOY_IN; j++) x[i * TOY_IN + j] = pixels[from * TOY_IN + (size_t)j];
            for (int j = 0; j < 2; j++) y[2 * i + j] = labels[2 * from + (size_t)j];
        }
        double loss = phase->train(&run, x, y, n, reference->out);
        reference->losses[reference->steps++] = loss;
        reference->correct += rt_correct(&toy_model, phase->loss, y, reference->out, n);
    }
}

static void test_trace_holds_every_number(void **state)
{
    (void)state;
    static Reference reference;
    start_reference(&reference, 5);
    run_reference(&reference, &toy_phases[0], NULL);
    run_reference(&reference, &toy_phases[0], NULL);
    Result result = run_model(
        &toy_model, RT_OK, "train --data d.npz --phase head --seed 5 --no-shuffle --trace t.npz");
    free_result(&result);
    size_t kernel = TOY_IN * TOY_UNITS * sizeof(real), bias = TOY_UNITS * sizeof(real);
    assert_member("t.npz", "loss", reference.losses, 2 * STEPS * sizeof(double));
    assert_member("t.npz", "output", reference.out, 2 * TOY_UNITS * sizeof(real));
    assert_member("t.npz", "out/kernel", reference.arena + TOY_KERNEL, kernel);
    assert_member("t.npz", "out/bias", reference.arena + TOY_BIAS, bias);
    assert_member("t.npz", "optimizer/out/kernel/momentum", reference.arena + TOY_V_KERNEL, kernel);
    assert_member("t.npz", "optimizer/out/bias/momentum", reference.arena + TOY_V_BIAS, bias);
    assert_false(exists(scratch("runs"))); /* a trace, and nothing beside it */
}

/* All phases in a row, shuffled by epochs counted over all; the second begins without momentum. */
static void test_phases_follow_each_other(void **state)
{
    (void)state;
    static Reference reference;
    uint64_t order[PICTURES];
    start_reference(&reference, 9);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        rt_shuffle(9, epoch, order, PICTURES);
        if (epoch == 2) memset(reference.arena + TOY_V_BIAS, 0, 2 * sizeof(real));
        run_reference(&reference, &toy_phases[epoch / 2], order);
    }
    Result result = run_model(&toy_model, RT_OK, "train --data d.npz --seed 9 --trace all.npz");
    free_result(&result);
    assert_member("all.npz", "loss", reference.losses, 3 * STEPS * sizeof(double));
    assert_member("all.npz", "out/bias", reference.arena + TOY_BIAS, 2 * sizeof(real));
    assert_member("all.npz", "optimizer/out/bias/momentum", reference.arena + TOY_V_BIAS,
                  2 * sizeof(real));
}

static void test_same_bits_for_any_threads(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        char arguments[200];
        snprintf(arguments, sizeof arguments, "train --data d.npz --threads %d --trace t%d.npz",
                 threads, threads);
        Result result = run_model(&toy_model, RT_OK, arguments);
        free_result(&result);
        snprintf(arguments, sizeof arguments, "t%d.npz", threads);
        assert_same_member("t1.npz", arguments, "loss");
        assert_same_member("t1.npz", arguments, "out/kernel");
    }
}

static void test_steps_end_a_run(void **state)
{
    (void)state;
    Result result = run_model(&toy_model, RT_OK, "train --data d.npz --steps 4 --trace s.npz");
    RtArray loss = read_trace("s.npz", "loss");
    assert_int_equal(loss.dims[0], 4);
    rt_array_free(&loss);
    free_result(&result);
    assert_false(exists(scratch("runs")));
    result = run_model(&toy_model, RT_OK, "train --data d.npz --steps 4 --out four");
    assert_true(exists(scratch("four/last.safetensors")));
    free_result(&result);
    result = run_model(&toy_model, RT_OK, "train --data d.npz --phase head --steps 99");
    assert_says(result.err, "the data gave 6 steps, not 99");
    free_result(&result);
}

/* ---- What is shown and kept ---------------------------------------------------------------------
 */

/* The number under `name` in line `row` (from 0) of history.csv. */
static double read_history(const char *path, int row, const char *name)
{
    char *text = read_text(scratch(path)), *lines = text, *line, *head = strsep(&lines, "\n");
    assert_non_null(head);
    for (line = strsep(&lines, "\n"); row > 0; row--) line = strsep(&lines, "\n");
    for (char *column; (column = strsep(&head, ",\r"));) {
        char *field = strsep(&line, ",\r");
        if (strcmp(column, name) != 0) continue;
        double value = strtod(field, NULL);
        free(text);
        return value;
    }
    fail_msg("%s: no column %s", path, name);
    return 0;
}

static double weigh_losses(const double *losses)
{
    return (4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / PICTURES;
}

static void test_results_of_a_run(void **state)
{
    (void)state;
    static Reference reference;
    start_reference(&reference, 5);
    Result result = run_model(
        &toy_model, RT_OK, "train --data d.npz --validation v.npz --seed 5 --no-shuffle --out r/a");
    assert_says(result.err, "Epoch 1/2: 3/3 - 0s - ");
    assert_says(result.err, " - val_accuracy: ");
    assert_says(result.out, "best: r/a/best.safetensors (phase ");
    assert_says(result.out, "last: r/a/last.safetensors (phase tune, 1 epochs)\n");
    free_result(&result);
    for (int epoch = 0; epoch < 2; epoch++) {
        reference.correct = 0;
        run_reference(&reference, &toy_phases[0], NULL);
        assert_true(read_history("r/a/history.csv", epoch, "epoch") == epoch);
        assert_true(read_history("r/a/history.csv", epoch, "loss") ==
                    weigh_losses(reference.losses + STEPS * epoch));
        assert_true(read_history("r/a/history.csv", epoch, "accuracy") ==
                    reference.correct / (double)PICTURES);
    }
    assert_true(read_history("r/a/history.csv", 2, "epoch") == 2);
}

/* The loss that evaluate finds for best is the least val_loss of the history, for last the last:
 * both with the penalty that the phase adds, once. */
static void test_saved_weights_are_those_of_the_history(void **state)
{
    (void)state;
    double least = INFINITY, last = 0, found;
    for (int epoch = 0; epoch < 3; epoch++) {
        last = read_history("r/a/history.csv", epoch, "val_loss");
        least = fmin(least, last);
    }
    Result result = run_model(
        &toy_model, RT_OK, "evaluate --data v.npz --json --quiet --weights r/a/best.safetensors");
    assert_int_equal(sscanf(strstr(result.out, "\"loss\": "), "\"loss\": %lf", &found), 1);
    assert_true(fabs(found - least) < 1e-8);
    free_result(&result);
    result = run_model(&toy_model, RT_OK,
                       "evaluate --data v.npz --json --quiet --weights r/a/last.safetensors");
    assert_int_equal(sscanf(strstr(result.out, "\"loss\": "), "\"loss\": %lf", &found), 1);
    assert_true(fabs(found - last) < 1e-8);
    free_result(&result);
}

/* A phase on the weights of the one before is the whole run: same order, same numbers. */
static void test_phase_by_phase_is_the_whole(void **state)
{
    (void)state;
    static const char *const runs[] = {
        "train --data d.npz --quiet --seed 3 --out whole",
        "train --data d.npz --quiet --seed 3 --out p --phase head",
        "train --data d.npz --quiet --seed 3 --out p --fresh --phase tune "
        "--weights p/last.safetensors",
    };
    for (int i = 0; i < 3; i++) {
        Result result = run_model(&toy_model, RT_OK, runs[i]);
        free_result(&result);
    }
    assert_true(read_history("whole/history.csv", 2, "loss") ==
                read_history("p/history.csv", 0, "loss"));
    assert_true(read_history("p/history.csv", 0, "epoch") == 2);
}

/* ---- What goes wrong
 * ----------------------------------------------------------------------------- */

static double train_nan(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    double loss = toy_train_head(run, x, y, n, out);
    return run->step == 4 ? NAN : loss;
}

static RtModel with_train(RtTrain *train, RtPhase phases[2])
{
    RtModel model = toy_model;
    memcpy(phases, toy_phases, 2 * sizeof *phases);
    phases[0].train = train;
    model.phases = phases;
    return model;
}

static void test_nan_loss(void **state)
{
    (void)state;
    RtPhase phases[2];
    RtModel model = with_train(train_nan, phases);
    expect_failure(&model, RT_FAILED, "phase head, epoch 2, step 5: the loss is nan",
                   "train --data d.npz --out nan");
}

static double train_interrupted(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    if (run->step == 4) raise(SIGINT);
    return toy_train_head(run, x, y, n, out);
}

static double train_terminated(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    if (run->step == 1) raise(SIGTERM);
    return toy_train_head(run, x, y, n, out);
}

static double train_killed(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    for (int i = 0; run->step == 1 && i < 2; i++) raise(SIGTERM);
    return toy_train_head(run, x, y, n, out);
}

static void test_signals(void **state)
{
    (void)state;
    RtPhase phases[2];
    RtModel model = with_train(train_interrupted, phases);
    Result result = run_model(&model, 130, "train --data d.npz --out int --trace int.npz");
    assert_says(result.err, "stopping after this step");
    RtArray loss = read_trace("int.npz", "loss");
    assert_int_equal(loss.dims[0], 5); /* the step was finished */
    rt_array_free(&loss);
    free_result(&result);
    assert_true(exists(scratch("int/last.safetensors")));
    model = with_train(train_terminated, phases);
    result = run_model(&model, 143, "train --data d.npz --out term");
    free_result(&result);
    assert_true(exists(scratch("term/last.safetensors")));
    assert_false(exists(scratch("term/best.safetensors")));
    model = with_train(train_killed, phases);
    result = run_model(&model, 143, "train --data d.npz --out kill");
    free_result(&result);
    assert_false(exists(scratch("kill/last.safetensors")));
}

static void test_other_library(void **state)
{
    (void)state;
    RtModel model = toy_model;
    model.abi = RT_ABI + 1;
    expect_failure(&model, RT_FAILED, "was made for version", "--version");
}

static void test_too_little_memory(void **state)
{
    (void)state;
    RtModel model = toy_model;
    model.arena_bytes = (size_t)1 << 46;
    expect_failure(&model, RT_NO_ROOM, "toy needs 67108864.0 MiB of memory", "train --data d.npz");
}

static void test_full_output(void **state)
{
    (void)state;
    if (!exists("/dev/full")) skip();
    Result result = run_to("/dev/full", &toy_model, "summary");
    assert_int_equal(result.code, RT_NO_ROOM);
    assert_says(result.err, "cannot write the results");
    free_result(&result);
}

static int set_up(void **state)
{
    (void)state;
    make_data("v.npz", 1);
    make_data("d.npz", 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_holds_every_number),
        cmocka_unit_test(test_phases_follow_each_other),
        cmocka_unit_test(test_same_bits_for_any_threads),
        cmocka_unit_test(test_steps_end_a_run),
        cmocka_unit_test(test_results_of_a_run),
        cmocka_unit_test(test_saved_weights_are_those_of_the_history),
        cmocka_unit_test(test_phase_by_phase_is_the_whole),
        cmocka_unit_test(test_nan_loss),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_other_library),
        cmocka_unit_test(test_too_little_memory),
        cmocka_unit_test(test_full_output),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
