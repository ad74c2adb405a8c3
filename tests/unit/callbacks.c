/* Tests of callbacks.c, monitors.c, csv_logger.c and schedule.c: decisions and learning rates equal
 * to those of Keras on recorded histories (tests/callbacks/record.py), also when a training is
 * broken off and goes on. */
#include <math.h>

#include "arrays.h"
#include "callbacks.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "outcome.h"
#include "session.h"
#include "training.h"

static RtJson *recorded;

/* ---- Reading the recording ------------------------------------------------------------------- */

static const RtJson *list_of(const char *name) { return rt_json_get(recorded, name); }

/* NaN is null there, infinities are strings. */
static double number(const RtJson *json)
{
    double value;
    if (json && rt_json_number(json, &value)) return value;
    const char *text = json ? rt_json_text(json) : NULL;
    return !text ? NAN : *text == '-' ? -INFINITY : INFINITY;
}

static double option(const RtJson *options, const char *name, double otherwise)
{
    const RtJson *json = rt_json_get(options, name);
    double value;
    if (!json) return otherwise;
    return rt_json_number(json, &value) ? value : NAN;
}

/* true and false are 1 and 0 there. */
static bool flag(const RtJson *object, const char *name) { return option(object, name, 0) != 0; }

/* ---- A training without a network: one weight, which is set by hand -------------------------- */

typedef struct {
    RtModel model;
    RtPhase phase;
    RtCallback about;
    RtOptions options;
    RtSession session;
    RtData data;
    RtTraining training;
    real weight[16], *weights[1];
} Fit;

static const RtLayer layer = {"w", "Dense", -1, 2, {0, 1}, 1, 0, 1};
static const RtWeight weight = {"w/kernel", 0, 1, {1}, 0, RT_INIT_ZEROS, 1, 1, 0};
static const unsigned char trainable[] = {1};
static const RtMetric metrics[] = {{.name = "accuracy", .kind = RT_BINARY_ACCURACY}};

static void open_fit(Fit *fit, const RtCallback *about, double rate, int epochs)
{
    *fit = (Fit){.about = *about};
    fit->model = (RtModel){.name = "m",
                           .hash = "00",
                           .tlc = "0",
                           .preprocessing = "none",
                           .layers = &layer,
                           .layer_count = 1,
                           .weights = &weight,
                           .weight_count = 1};
    fit->phase = (RtPhase){.name = "p",
                           .learning_rate = rate,
                           .metrics = metrics,
                           .metric_count = 1,
                           .trainable = trainable,
                           .callbacks = &fit->about,
                           .callback_count = 1};
    fit->session = (RtSession){.model = &fit->model, .options = &fit->options};
    fit->weights[0] = fit->weight;
    fit->session.run.weights = fit->weights;
    fit->training = (RtTraining){.session = &fit->session,
                                 .data = &fit->data,
                                 .validation = &fit->data,
                                 .folder = scratch_folder,
                                 .phase = &fit->phase,
                                 .epochs = epochs};
    rt_callbacks_open(&fit->training);
}

static void close_fit(Fit *fit)
{
    if (fit->training.stop || fit->training.epoch >= fit->training.epochs)
        rt_callbacks_end(&fit->training);
    rt_callbacks_close(&fit->training);
    assert_int_equal(fit->training.kept_count, 0);
    free(fit->training.kept);
}

/* Another training takes over, with what a checkpoint would have kept. */
static void resume_fit(Fit *fit, double rate)
{
    Fit *next = malloc(sizeof *next);
    RtTraining *from = &fit->training, *to = &next->training;
    open_fit(next, &fit->about, rate, from->epochs);
    to->epoch = from->epoch;
    memcpy(next->weight, fit->weight, sizeof fit->weight);
    assert_int_equal(to->kept_count, from->kept_count);
    for (size_t i = 0; i < to->kept_count; i++) {
        assert_string_equal(to->kept[i].name, from->kept[i].name);
        memcpy(to->kept[i].values, from->kept[i].values,
               from->kept[i].count * rt_type_size(from->kept[i].type));
    }
    from->epochs = from->epoch + 1; /* it was broken off: nothing is done at its end */
    close_fit(fit);
    /* the new one's callbacks point into it: move it in place by keeping it there */
    *fit = *next;
    fit->session.model = &fit->model;
    fit->session.options = &fit->options;
    fit->weights[0] = fit->weight;
    fit->session.run.weights = fit->weights;
    fit->phase.callbacks = &fit->about;
    to = &fit->training;
    to->session = &fit->session;
    to->phase = &fit->phase;
    to->data = to->validation = &fit->data;
    to->callbacks->states[0].about = &fit->about;
    free(next);
}

static int read_logs(const RtJson *row, RtLog *logs)
{
    static const char *const names[] = {"accuracy", "loss", "val_accuracy", "val_loss"};
    int count = (int)rt_json_count(row);
    for (int i = 0; i < count; i++) logs[i] = (RtLog){names[i], number(rt_json_at(row, (size_t)i))};
    return count;
}

/* ---- Callbacks ------------------------------------------------------------------------------- */

static RtCallback read_callback(const RtJson *one)
{
    static const struct {
        const char *type;
        RtCallbackKind kind;
    } kinds[] = {{"EarlyStopping", RT_EARLY_STOPPING},
                 {"ReduceLROnPlateau", RT_REDUCE_LR_ON_PLATEAU},
                 {"ModelCheckpoint", RT_MODEL_CHECKPOINT}};
    const RtJson *options = rt_json_get(one, "options");
    RtCallback about = {.type = rt_json_text(rt_json_get(one, "type")), .place = "callbacks[0]"};
    for (int i = 0; i < 3; i++)
        if (strcmp(kinds[i].type, about.type) == 0) about.kind = kinds[i].kind;
    about.monitor = rt_json_text(rt_json_get(options, "monitor"));
    about.maximize = flag(one, "maximize");
    about.min_delta = option(options, "min_delta", 0);
    about.patience = (int)option(options, "patience", 0);
    about.baseline = option(options, "baseline", NAN);
    about.initial_value_threshold = option(options, "initial_value_threshold", NAN);
    about.restore_best_weights = flag(options, "restore_best_weights");
    about.start_from_epoch = (int)option(options, "start_from_epoch", 0);
    about.factor = option(options, "factor", 0);
    about.min_lr = option(options, "min_lr", 0);
    about.cooldown = (int)option(options, "cooldown", 0);
    about.save_best_only = flag(options, "save_best_only");
    return about;
}

/* Those of record.py. */
static const RtPathPart *find_parts(const char *file)
{
    static const RtPathPart numbered[] = {
        {"w-", "epoch", "%02lld"}, {"-", "val_loss", "%.4f"}, {".safetensors", NULL, NULL}};
    static const RtPathPart plain[] = {
        {"", "epoch", NULL}, {"_", "accuracy", NULL}, {".safetensors", NULL, NULL}};
    static const RtPathPart best[] = {{"best.safetensors", NULL, NULL}};
    return !file ? NULL : *file == 'w' ? numbered : *file == '{' ? plain : best;
}

static void check_saved(const RtJson *saved, int id)
{
    char *list = rt_format("ls %s/*.safetensors 2>/dev/null | wc -l", scratch_folder);
    FILE *pipe = popen(list, "r");
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    free(list);
    if (count != (int)rt_json_count(saved))
        fail_msg("case %d: %d files, Keras saved %zu", id, count, rt_json_count(saved));
    for (size_t i = 0; i < rt_json_count(saved); i++) {
        char *path =
            rt_format("%s/%s.safetensors", scratch_folder, rt_json_text(rt_json_at(saved, i)));
        if (unlink(path) != 0) fail_msg("case %d: %s was not written", id, path);
        free(path);
    }
}

static void replay_epoch(Fit *fit, const RtJson *row, const RtJson *wanted, int id)
{
    RtTraining *training = &fit->training;
    RtLog logs[RT_LOGS];
    const RtJson *saved = rt_json_get(wanted, "saved");
    double logged;
    rt_callbacks_begin_epoch(training);
    fit->weight[0] = (real)(training->epoch + 1);
    int count = rt_callbacks_end_epoch(training, logs, read_logs(row, logs));
    const RtLog *rate = rt_find_log(logs, count, "learning_rate");
    if (rt_learning_rate(training) != number(rt_json_get(wanted, "rate")))
        fail_msg("case %d, epoch %d: rate %.17g, Keras %.17g", id, training->epoch,
                 rt_learning_rate(training), number(rt_json_get(wanted, "rate")));
    bool has_logged = rt_json_number(rt_json_get(wanted, "logged"), &logged);
    assert_true(has_logged == (rate != NULL));
    if (has_logged) assert_true(rate->value == logged);
    if (fit->about.kind == RT_MODEL_CHECKPOINT) check_saved(saved, id);
    training->epoch++;
}

/* broken: whether the training is broken off after some epoch, and goes on. */
static void replay(const RtJson *one, int id, bool broken)
{
    const RtJson *history = rt_json_get(one, "history"), *wanted = rt_json_get(one, "epochs");
    const int epochs = (int)rt_json_count(history), run = (int)rt_json_count(wanted);
    const double rate = number(rt_json_get(one, "rate"));
    RtCallback about = read_callback(one);
    about.filepath = find_parts(rt_json_text(rt_json_get(one, "file")));
    Fit *fit = malloc(sizeof *fit);
    open_fit(fit, &about, rate, epochs);
    for (int i = 0; i < epochs && !fit->training.stop; i++) {
        if (i >= run) fail_msg("case %d: goes on after epoch %d, Keras does not", id, run);
        replay_epoch(fit, rt_json_at(history, (size_t)i), rt_json_at(wanted, (size_t)i), id);
        if (broken && i == id % epochs && i + 1 < run) resume_fit(fit, rate);
    }
    if (fit->training.epoch != run)
        fail_msg("case %d: %d epochs, Keras %d", id, fit->training.epoch, run);
    close_fit(fit);
    if ((double)fit->weight[0] != number(rt_json_get(one, "weight")))
        fail_msg("case %d: weights of epoch %g, Keras %g", id, (double)fit->weight[0],
                 number(rt_json_get(one, "weight")));
    free(fit);
}

static void replay_all(const char *name)
{
    const RtJson *cases = list_of(name);
    assert_true(rt_json_count(cases) > 0);
    for (size_t i = 0; i < rt_json_count(cases); i++)
        for (int broken = 0; broken < 2; broken++) replay(rt_json_at(cases, i), (int)i, broken);
}

static void test_stopping(void **state) { (void)state, replay_all("stopping"); }
static void test_plateau(void **state) { (void)state, replay_all("plateau"); }
static void test_checkpoint(void **state) { (void)state, replay_all("checkpoint"); }

/* ---- CSVLogger ------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
    size_t bytes;
    const unsigned char *data = rt_map(path, 1 << 20, RT_FAILED, &bytes);
    char *text = rt_format("%.*s", (int)bytes, (const char *)data);
    rt_unmap(data, bytes);
    return text;
}

/* A log of the learning rate comes from a callback that changes it. */
static void write_csv(const RtJson *one, bool append)
{
    const RtJson *history = rt_json_get(one, "history");
    const double rate = number(rt_json_get(one, "rate"));
    RtCallback about = {.kind = RT_CSV_LOGGER,
                        .filename = "log.csv",
                        .separator = rt_json_text(rt_json_get(one, "separator")),
                        .append = append};
    const RtSchedule schedule = {.kind = RT_PIECEWISE_CONSTANT_DECAY, .values = &rate};
    Fit *fit = malloc(sizeof *fit);
    open_fit(fit, &about, 0.1, (int)rt_json_count(history));
    if (!isnan(rate)) fit->phase.schedule = &schedule;
    for (size_t i = 0; i < rt_json_count(history); i++) {
        RtLog logs[RT_LOGS];
        int count = read_logs(rt_json_at(history, i), logs);
        rt_callbacks_end_epoch(&fit->training, logs, count);
        fit->training.epoch++;
        if (i == 1) { /* a row too many is cut away by who goes on */
            FILE *file = fopen(scratch("log.csv"), "ab");
            fputs("2,0.5,0.", file);
            fclose(file);
            resume_fit(fit, 0.1);
            if (!isnan(rate)) fit->phase.schedule = &schedule;
        }
    }
    close_fit(fit);
    free(fit);
}

static void test_csv(void **state)
{
    (void)state;
    for (size_t i = 0; i < rt_json_count(list_of("csv")); i++) {
        const RtJson *one = rt_json_at(list_of("csv"), i);
        const char *wanted = rt_json_text(rt_json_get(one, "file"));
        write_file(scratch("log.csv"), "old\r\n", 5);
        write_csv(one, false);
        char *got = read_file(scratch("log.csv"));
        assert_string_equal(got, wanted);
        free(got);
        write_csv(one, true);
        got = read_file(scratch("log.csv"));
        char *twice = rt_format("%s%s", wanted, strchr(wanted, '\n') + 1);
        assert_string_equal(got, twice);
        free(got);
        free(twice);
    }
}

/* ---- Schedules ------------------------------------------------------------------------------- */

static double *read_numbers(const RtJson *list, int *count)
{
    *count = (int)rt_json_count(list);
    double *numbers = calloc((size_t)*count + 1, sizeof *numbers);
    for (int i = 0; i < *count; i++) numbers[i] = number(rt_json_at(list, (size_t)i));
    return numbers;
}

static RtSchedule read_schedule(const RtJson *one)
{
    static const char *const types[] = {"ExponentialDecay", "CosineDecay", "PiecewiseConstantDecay",
                                        "PolynomialDecay", "InverseTimeDecay"};
    const RtJson *options = rt_json_get(one, "options");
    RtSchedule s = {.type = rt_json_text(rt_json_get(one, "type"))};
    for (int i = 0; i < 5; i++)
        if (strcmp(types[i], s.type) == 0) s.kind = (RtScheduleKind)i;
    s.initial_learning_rate = option(options, "initial_learning_rate", NAN);
    s.decay_steps = option(options, "decay_steps", NAN);
    s.decay_rate = option(options, "decay_rate", NAN);
    s.alpha = option(options, "alpha", 0);
    s.warmup_target = option(options, "warmup_target", NAN);
    s.warmup_steps = option(options, "warmup_steps", 0);
    s.end_learning_rate = option(options, "end_learning_rate", 0.0001);
    s.power = option(options, "power", 1);
    s.staircase = flag(options, "staircase");
    s.cycle = flag(options, "cycle");
    s.boundaries = read_numbers(rt_json_get(options, "boundaries"), &s.boundaries_count);
    s.values = read_numbers(rt_json_get(options, "values"), &s.values_count);
    return s;
}

/* Powers and cosines may differ in the last bit of a float. */
static void check_rate(const RtSchedule *s, uint64_t step, double wanted)
{
    const double got = rt_schedule(s, step), largest = fmax(s->initial_learning_rate, 0.1);
    if (!(fabs(got - wanted) <= 1e-6 * fabs(wanted) + 1e-8 * largest))
        fail_msg("%s, step %llu: %.9g, Keras %.9g", s->type, (unsigned long long)step, got, wanted);
}

static void test_schedules(void **state)
{
    (void)state;
    assert_true(rt_json_count(list_of("schedules")) > 0);
    for (size_t i = 0; i < rt_json_count(list_of("schedules")); i++) {
        const RtJson *one = rt_json_at(list_of("schedules"), i);
        const RtJson *steps = rt_json_get(one, "steps"), *rates = rt_json_get(one, "rates");
        RtSchedule s = read_schedule(one);
        for (size_t j = 0; j < rt_json_count(steps); j++)
            check_rate(&s, (uint64_t)number(rt_json_at(steps, j)), number(rt_json_at(rates, j)));
        free((void *)s.boundaries);
        free((void *)s.values);
    }
}

static void test_scheduler(void **state)
{
    (void)state;
    for (size_t i = 0; i < rt_json_count(list_of("scheduler")); i++) {
        const RtJson *one = rt_json_at(list_of("scheduler"), i), *rates = rt_json_get(one, "rates");
        RtSchedule s = read_schedule(one);
        RtCallback about = {.kind = RT_LEARNING_RATE_SCHEDULER, .schedule = &s};
        Fit *fit = malloc(sizeof *fit);
        open_fit(fit, &about, 0.1, (int)rt_json_count(rates));
        for (size_t j = 0; j < rt_json_count(rates); j++) {
            rt_callbacks_begin_epoch(&fit->training);
            check_rate(&s, j, rt_learning_rate(&fit->training));
            check_rate(&s, j, number(rt_json_at(rates, j)));
            fit->training.epoch++;
        }
        close_fit(fit);
        free(fit);
        free((void *)s.boundaries);
        free((void *)s.values);
    }
}

static int read_recording(void **state)
{
    (void)state;
    char problem[256];
    size_t bytes;
    const unsigned char *text =
        rt_map("tests/callbacks/recorded.json", 16 << 20, RT_FAILED, &bytes);
    recorded = rt_json_parse((const char *)text, bytes, problem, sizeof problem);
    if (!recorded) fail_msg("recorded.json: %s", problem);
    rt_unmap(text, bytes);
    scratch("");
    return 0;
}

static int forget_recording(void **state)
{
    (void)state;
    rt_json_free(recorded);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopping),   cmocka_unit_test(test_plateau),
        cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_csv),
        cmocka_unit_test(test_schedules),  cmocka_unit_test(test_scheduler),
    };
    return cmocka_run_group_tests(tests, read_recording, forget_recording);
}
