/* The work that is left of a training, with and without features that are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "forecast.h"

enum { BATCH = 32, PICTURES = 64, VALIDATION = 10 };
static const int64_t BELOW = 1000000000, ABOVE = 10000000; /* multiply-adds of a picture */

static const unsigned char none[1] = {0}, all[1] = {1};
static const RtWeight weights[] = {{.name = "w", .rank = 1, .dims = {1}}};
static RtCut cuts[2];
static RtPhase phases[2];
static RtModel model;
static RtOptions options;
static RtSession session;
static RtData data, validation;
static RtTraining training;

static RtPhase phase_named(const char *name, RtCut *cut, int epochs)
{
    return (RtPhase){.name = name,
                     .batch = BATCH,
                     .epochs = epochs,
                     .step_macs = BATCH * (BELOW + ABOVE),
                     .train_cut = cut,
                     .evaluate_cut = cut,
                     .trainable = none};
}

/* The first of 5 epochs of phase one, 3 epochs of phase two behind it; both could keep features. */
static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        cuts[i] = (RtCut){
            .hash = i ? "two" : "one", .macs = BELOW, .numbers = 4, .reads = none, .pays = 1};
    phases[0] = phase_named("one", &cuts[0], 5);
    phases[1] = phase_named("two", &cuts[1], 3);
    model = (RtModel){.name = "m",
                      .phases = phases,
                      .phase_count = 2,
                      .weights = weights,
                      .weight_count = 1,
                      .infer_macs = BELOW + ABOVE};
    options = (RtOptions){.cache_memory = 1, .quiet = true};
    session = (RtSession){.model = &model, .options = &options, .batch = 8};
    data = (RtData){.count = PICTURES};
    validation = (RtData){.count = VALIDATION};
    training = (RtTraining){.session = &session, .data = &data, .phase = phases, .epochs = 5};
    return 0;
}

/* Phase one keeps its features. */
static void keep_now(void) { session.train_cache = (struct RtCache *)(void *)&training; }

static void expect(double validation_steps, double after)
{
    const RtLeft left = rt_training_left(&training);
    assert_float_equal(left.validation, validation_steps, 1e-6);
    assert_float_equal(left.after, after, 1e-4);
}

static void nothing_is_kept(void **state)
{
    (void)state;
    options.cache = "off";
    expect(0, 4 * 2 + 3 * 2);
    training.validation = &validation;
    expect(10. / 32, (4 + 3) * (2 + 10. / 32));
    training.epoch = 4;
    training.validation = NULL;
    expect(0, 3 * 2);
}

/* In steps of ABOVE alone: a pass over BELOW for phase two, and its steps, which are as short. */
static void both_keep(void **state)
{
    (void)state;
    keep_now();
    const double pass = PICTURES * (double)BELOW / (BATCH * (double)ABOVE);
    expect(0, 4 * 2 + 3 * 2 + pass);
    training.epoch = 4;
    expect(0, 3 * 2 + pass);
}

static void the_same_features_serve(void **state)
{
    (void)state;
    keep_now();
    cuts[1].hash = "one";
    expect(0, 4 * 2 + 3 * 2);
}

static void what_is_trained_does_not_serve(void **state)
{
    (void)state;
    keep_now();
    cuts[1].hash = "one";
    cuts[1].reads = all;
    phases[0].trainable = all;
    assert_false(rt_course_serves(&model, &cuts[0], 0, &cuts[1], 1));
    const RtLeft left = rt_training_left(&training);
    assert_true(left.after > 4 * 2 + 3 * 2 + 190);
}

static void the_second_cannot_keep(void **state)
{
    (void)state;
    keep_now();
    phases[1].train_cut = NULL;
    expect(0, 4 * 2 + 3 * 2 * (double)(BELOW + ABOVE) / (double)ABOVE);
}

/* Two variants: the first epoch's are there, the second's are not. */
static void variants_are_computed_epoch_by_epoch(void **state)
{
    (void)state;
    keep_now();
    model.phase_count = 1;
    cuts[0].random = 1;
    phases[0].variants = 2;
    const double pass = PICTURES * (double)BELOW / (BATCH * (double)ABOVE);
    expect(0, 4 * 2 + pass);
    training.epoch = 1;
    expect(0, 3 * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_kept, set_up),
        cmocka_unit_test_setup(both_keep, set_up),
        cmocka_unit_test_setup(the_same_features_serve, set_up),
        cmocka_unit_test_setup(what_is_trained_does_not_serve, set_up),
        cmocka_unit_test_setup(the_second_cannot_keep, set_up),
        cmocka_unit_test_setup(variants_are_computed_epoch_by_epoch, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
