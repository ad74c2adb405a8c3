/* Tests of checkpoint.c, settings.c and results.c: trainings that stop and go on, checkpoints that
 * were damaged, and runs that are no longer what they were. */
#include <signal.h>
#include <sys/file.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "program.h"
#include "toy_model.h"

enum { PICTURES = 10, STEPS = 3 }; /* steps of an epoch */

static void make_data(const char *name, int shift)
{
    static float pixels[PICTURES * TOY_IN], labels[PICTURES * TOY_UNITS];
    for (int i = 0; i < PICTURES * TOY_IN; i++) pixels[i] = (float)((i * 7919 + shift) % 256);
    for (int i = 0; i < PICTURES; i++) {
        labels[2 * i] = i % 3 == 0;
        labels[2 * i + 1] = i % 3 != 0;
    }
    RtArray arrays[] = {
        {.name = "x", .rank = 4, .dims = {PICTURES, 4, 4, 3}, .data = pixels},
        {.name = "y", .rank = 2, .dims = {PICTURES, TOY_UNITS}, .data = labels},
    };
    rt_npz_write(scratch(name), arrays, 2);
}

static void train(const char *arguments)
{
    char line[400];
    snprintf(line, sizeof line, "train --data d.npz --validation v.npz --quiet %s", arguments);
    Result result = run_model(&toy_model, RT_OK, line);
    free_result(&result);
}

static void refuse(int code, const char *said, const char *arguments)
{
    char line[400];
    snprintf(line, sizeof line, "train --data d.npz --quiet %s", arguments);
    expect_failure(&toy_model, code, said, line);
}

static void assert_same_file(const char *a, const char *b)
{
    size_t a_bytes, b_bytes;
    const unsigned char *x = rt_map(scratch(a), 1 << 20, RT_FAILED, &a_bytes);
    const unsigned char *y = rt_map(scratch(b), 1 << 20, RT_FAILED, &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(x, y, a_bytes);
    rt_unmap(x, a_bytes);
    rt_unmap(y, b_bytes);
}

/* The whole run is in folder "whole". */
static void assert_whole(const char *folder)
{
    static const char *const names[] = {"last.safetensors", "best.safetensors", "history.csv"};
    for (int i = 0; i < 3; i++) {
        char *a = rt_format("whole/%s", names[i]), *b = rt_format("%s/%s", folder, names[i]);
        assert_same_file(a, b);
        free(a);
        free(b);
    }
}

/* ---- Going on -------------------------------------------------------------------------------- */

/* 2 epochs of 3 steps, then 1: stopped after each step, and also twice. */
static void test_stopped_anywhere(void **state)
{
    (void)state;
    for (int steps = 1; steps <= 3 * STEPS; steps++) {
        char line[100];
        snprintf(line, sizeof line, "--steps %d --out s%d", steps, steps);
        train(line);
        snprintf(line, sizeof line, "--steps %d --threads 2 --out s%d", steps + 1, steps);
        train(line);
        snprintf(line, sizeof line, "--threads 3 --out s%d", steps);
        train(line);
        assert_whole(strrchr(line, ' ') + 1);
    }
}

static void test_until(void **state)
{
    (void)state;
    train("--until head --out until");
    train("--until tune --out until");
    assert_whole("until");
    refuse(RT_USAGE, "--until head: the training in until is in phase tune already",
           "--validation v.npz --until head --out until");
}

static void test_complete(void **state)
{
    (void)state;
    Result result =
        run_model(&toy_model, RT_OK, "train --data d.npz --validation v.npz --out whole");
    assert_says(result.err, "This training is complete.");
    assert_says(result.out, "last: whole/last.safetensors (phase tune, 1 epochs)");
    assert_says(result.out, "best: whole/best.safetensors (phase ");
    free_result(&result);
}

/* Options that were given stand in the checkpoint. */
static void test_resume_restores_options(void **state)
{
    (void)state;
    refuse(RT_BAD_WEIGHTS, "nothing/checkpoints: no checkpoint", "--resume --out nothing");
    train("--seed 7 --no-shuffle --out seven");
    train("--seed 7 --no-shuffle --steps 4 --out r7");
    Result result = run_model(&toy_model, RT_OK, "train --resume --out r7");
    assert_says(result.err, "Going on from r7/checkpoints/step-000004.safetensors: phase head, 1 "
                            "of 2 epochs, 1 steps of the next");
    free_result(&result);
    assert_same_file("seven/last.safetensors", "r7/last.safetensors");
    assert_same_file("seven/history.csv", "r7/history.csv");
}

static void test_more_epochs(void **state)
{
    (void)state;
    train("--phase head --epochs 5 --out five");
    train("--phase head --epochs 1 --out more");
    train("--phase head --epochs 5 --out more");
    assert_same_file("five/last.safetensors", "more/last.safetensors");
    assert_same_file("five/history.csv", "more/history.csv");
    refuse(RT_USAGE, "epochs of phase head: 5 -> 4",
           "--validation v.npz --phase head --epochs 4 --out more");
    refuse(RT_USAGE, "epochs of phase head: 2 -> 3", "--validation v.npz --epochs 3 --out whole");
}

static void test_fresh(void **state)
{
    (void)state;
    train("--seed 3 --steps 4 --out fresh");
    train("--fresh --out fresh");
    assert_whole("fresh");
}

/* ---- Signals --------------------------------------------------------------------------------- */

static int signalled;

static double train_interrupted(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    if (!signalled && run->step == 4) signalled = raise(SIGTERM) == 0;
    return toy_train_head(run, x, y, n, out);
}

/* Two letters: between training and validation. */
static void evaluate_interrupted(const RtRun *run, const real *x, const real *y, int n, real *out,
                                 real *loss)
{
    if (!signalled && run->step == STEPS) signalled = raise(SIGINT) == 0;
    toy_evaluate(run, x, y, n, out, loss);
}

static void test_signals(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "train --data d.npz --validation v.npz --quiet --out term",
        "train --data d.npz --validation v.npz --quiet --out int",
    };
    RtPhase phases[2][2];
    for (int i = 0; i < 2; i++) {
        RtModel model = toy_model;
        memcpy(phases[i], toy_phases, sizeof phases[i]);
        if (i == 0) phases[i][0].train = train_interrupted;
        if (i == 1) phases[i][0].evaluate = evaluate_interrupted;
        model.phases = phases[i];
        signalled = 0;
        Result result = run_model(&model, i ? 130 : 143, lines[i]);
        free_result(&result);
        signalled = 0;
        result = run_model(&toy_model, RT_OK, lines[i]);
        free_result(&result);
    }
    assert_whole("term");
    assert_whole("int");
}

/* ---- What changed ---------------------------------------------------------------------------- */

static void test_changes(void **state)
{
    (void)state;
    refuse(RT_USAGE, "--seed: not given -> 5", "--validation v.npz --seed 5 --out whole");
    refuse(RT_USAGE, "--no-shuffle: not given -> given",
           "--validation v.npz --no-shuffle --out whole");
    refuse(RT_USAGE, "--phase: not given -> tune", "--validation v.npz --phase tune --out whole");
    refuse(RT_USAGE, "hint: --fresh starts anew", "--validation v.npz --seed 5 --out whole");
    refuse(RT_BAD_WEIGHTS, "validation data: 10 pictures, ", "--out whole");
    refuse(RT_BAD_WEIGHTS, "-> none", "--out whole");
    refuse(RT_USAGE, "--trace is of a whole one", "--validation v.npz --trace t.npz --out whole");
    expect_failure(&toy_model, RT_BAD_WEIGHTS, "data: 10 pictures, ",
                   "train --data v.npz --validation v.npz --out whole");
}

static void test_same_data_elsewhere(void **state)
{
    (void)state;
    make_data("moved.npz", 0);
    Result result =
        run_model(&toy_model, RT_OK, "train --data moved.npz --validation v.npz --out whole");
    free_result(&result);
}

static void test_other_model(void **state)
{
    (void)state;
    RtModel model = toy_model;
    RtPhase phases[2];
    model.hash = "80000000000000000000000000000000000000000000000000000000000000bb";
    expect_failure(&model, RT_BAD_WEIGHTS, model.hash,
                   "train --data d.npz --validation v.npz --out whole");
    model = toy_model;
    memcpy(phases, toy_phases, sizeof phases);
    phases[1].recipe = "optimizer \"adam\"";
    model.phases = phases;
    expect_failure(&model, RT_BAD_WEIGHTS, "phase tune:  -> optimizer \"adam\"",
                   "train --data d.npz --validation v.npz --out whole");
}

static void test_level(void **state)
{
    (void)state;
    if (rt_level() == RT_GENERIC || getenv("TLC_LEVEL")) skip();
    setenv("TLC_LEVEL", "generic", 1);
    train("--steps 4 --out level");
    unsetenv("TLC_LEVEL");
    refuse(RT_USAGE, "TLC_LEVEL=generic goes on with the same bits",
           "--validation v.npz --out level");
    setenv("TLC_LEVEL", "avx2", 1);
    Result result =
        run_model(&toy_model, RT_OK, "train --data d.npz --validation v.npz --out level");
    assert_says(result.err, "warning: level: began with kernels of level generic");
    free_result(&result);
    unsetenv("TLC_LEVEL");
}

static void test_lock(void **state)
{
    (void)state;
    train("--steps 2 --out locked");
    int fd = open(scratch("locked/.lock"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    refuse(RT_FAILED, "is at work here", "--validation v.npz --out locked");
    close(fd);
    train("--out locked");
    assert_whole("locked");
}

/* ---- Damage ---------------------------------------------------------------------------------- */

/* A checkpoint in memory, and a file to damage. */
typedef struct {
    unsigned char *data;
    size_t bytes;
    int fd;
    const char *path;
} Victim;

static Victim open_victim(void)
{
    Victim victim = {.path = scratch("victim")};
    const unsigned char *data = rt_map(scratch("damage/checkpoints/step-000005.safetensors"),
                                       1 << 20, RT_FAILED, &victim.bytes);
    victim.data = rt_alloc(victim.bytes, 1);
    memcpy(victim.data, data, victim.bytes);
    rt_unmap(data, victim.bytes);
    victim.fd = open(victim.path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(pwrite(victim.fd, victim.data, victim.bytes, 0), victim.bytes);
    return victim;
}

static bool is_believed(const Victim *victim)
{
    const char *problem;
    return rt_tensors_sealed(victim->path, &problem);
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    Victim victim = open_victim();
    assert_true(is_believed(&victim));
    for (size_t at = 0; at < victim.bytes; at++) {
        for (int bit = 0; bit < 8; bit++) {
            unsigned char flipped = victim.data[at] ^ (unsigned char)(1 << bit);
            assert_int_equal(pwrite(victim.fd, &flipped, 1, (off_t)at), 1);
            if (is_believed(&victim)) fail_msg("bit %d of byte %zu flipped: believed", bit, at);
        }
        assert_int_equal(pwrite(victim.fd, victim.data + at, 1, (off_t)at), 1);
    }
    assert_true(is_believed(&victim));
    close(victim.fd);
    free(victim.data);
}

static void test_every_length_counts(void **state)
{
    (void)state;
    Victim victim = open_victim();
    assert_int_equal(pwrite(victim.fd, "", 1, (off_t)victim.bytes), 1);
    assert_false(is_believed(&victim)); /* one byte more */
    for (size_t bytes = victim.bytes; bytes-- > 0;) {
        assert_int_equal(ftruncate(victim.fd, (off_t)bytes), 0);
        if (is_believed(&victim)) fail_msg("cut to %zu bytes: believed", bytes);
    }
    close(victim.fd);
    free(victim.data);
}

static void cut(const char *name)
{
    struct stat status;
    assert_int_equal(stat(scratch(name), &status), 0);
    assert_int_equal(truncate(scratch(name), status.st_size - 1), 0);
}

static void test_falls_back(void **state)
{
    (void)state;
    cut("damage/checkpoints/step-000005.safetensors");
    Result result =
        run_model(&toy_model, RT_OK, "train --data d.npz --validation v.npz --out damage");
    assert_says(result.err, "warning: damage/checkpoints/step-000005.safetensors: a damaged "
                            "checkpoint: its checksum is wrong; left out");
    assert_says(result.err, "Going on from damage/checkpoints/step-000004.safetensors");
    free_result(&result);
    assert_whole("damage");
    assert_false(exists(scratch("damage/checkpoints/step-000005.safetensors")));
}

static void test_all_damaged(void **state)
{
    (void)state;
    train("--steps 4 --keep 1 --out lost");
    cut("lost/checkpoints/step-000004.safetensors");
    refuse(RT_BAD_WEIGHTS, "lost/checkpoints: none of 1 can be read",
           "--validation v.npz --out lost");
    train("--fresh --out lost");
    assert_whole("lost");
}

/* Sealed, but not what this program keeps. */
static void test_foreign_checkpoint(void **state)
{
    (void)state;
    rt_make_folders(scratch("foreign/checkpoints"));
    rt_tensors_try(scratch("foreign/checkpoints/step-000009.safetensors"), NULL, 0, NULL, 0, true);
    refuse(RT_BAD_WEIGHTS, "step-000009.safetensors: no checkpoint of this version of tlc",
           "--validation v.npz --out foreign");
    RtMeta meta[] = {{"format", "tlc checkpoint 1"}, {"tlc_model_hash", (char *)toy_model.hash}};
    rt_tensors_try(scratch("foreign/checkpoints/step-000009.safetensors"), NULL, 0, meta, 2, true);
    refuse(RT_BAD_WEIGHTS, "has not the 1 numbers \"kept/training.phase\"",
           "--validation v.npz --out foreign");
}

static int set_up(void **state)
{
    (void)state;
    make_data("v.npz", 1);
    make_data("d.npz", 0);
    train("--out whole");
    train("--steps 5 --checkpoint-every 1e-9 --out damage");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_anywhere),
        cmocka_unit_test(test_until),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_resume_restores_options),
        cmocka_unit_test(test_more_epochs),
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_same_data_elsewhere),
        cmocka_unit_test(test_other_model),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_every_length_counts),
        cmocka_unit_test(test_falls_back),
        cmocka_unit_test(test_all_damaged),
        cmocka_unit_test(test_foreign_checkpoint),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
