/* monitors.c: the callbacks that watch a number: ModelCheckpoint, EarlyStopping,
 * ReduceLROnPlateau; and LearningRateScheduler. They decide as those of Keras 3 do
 * (keras/src/callbacks), to the rounding of what they compare. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "callbacks.h"
#include "ground.h"
#include "measures.h"
#include "training.h"
#include "weights.h"

/* Keras compares tensors of float: what differs by less is alike. */
static bool is_better(const RtCallback *about, double value, double reference)
{
    const double delta = fabs(about->min_delta);
    return about->maximize ? (float)(value - delta) > (float)reference
                           : (float)(value + delta) < (float)reference;
}

/* The first number is better than none. */
static bool improves(const RtState *state, double value)
{
    return !state->counts.has_best || is_better(state->about, value, state->best);
}

static void set_best(const RtTraining *training, RtState *state, double value)
{
    state->counts.has_best = 1;
    state->counts.best_epoch = training->epoch;
    state->best = value;
}

/* ---- ModelCheckpoint ------------------------------------------------------------------------- */

static void print_field(FILE *out, const RtTraining *training, const RtPathPart *part,
                        const RtLog *logs, int count)
{
    const bool is_epoch = strcmp(part->field, "epoch") == 0;
    const RtLog *log = rt_find_log(logs, count, part->field);
    long long whole = is_epoch ? training->epoch + 1 : (long long)training->epoch_steps;
    const char *format = part->format;
    char text[RT_NUMBER];
    if (!log && !format) format = "%lld";
    if (!format) {
        rt_number_text(log->value, text);
        fputs(text, out);
    } else if (format[strlen(format) - 1] == 'd') {
        fprintf(out, format, whole);
    } else {
        fprintf(out, format, log ? log->value : (double)whole);
    }
}

static char *checkpoint_path(const RtTraining *training, const RtState *state, const RtLog *logs,
                             int count)
{
    char *name = NULL, *path;
    size_t bytes;
    FILE *out = open_memstream(&name, &bytes);
    if (!out) rt_die(RT_NO_ROOM, NULL, "out of memory for a path");
    for (const RtPathPart *part = state->about->filepath;; part++) {
        fputs(part->text, out);
        if (!part->field) break;
        print_field(out, training, part, logs, count);
    }
    if (fclose(out) != 0) rt_die(RT_NO_ROOM, NULL, "out of memory for a path");
    path = rt_result_path(training, name);
    free(name);
    return path;
}

static bool should_save(const RtTraining *training, RtState *state, const RtLog *logs, int count,
                        const char *path)
{
    const RtCallback *about = state->about;
    const RtLog *log = rt_find_log(logs, count, about->monitor);
    const int epoch = training->epoch + 1;
    char best[RT_NUMBER] = "None";
    if (!about->save_best_only || !log) {
        rt_tell(training, state, "Epoch %d: saving model to %s", epoch, path);
        return true;
    }
    if (state->counts.has_best) snprintf(best, sizeof best, "%.5f", state->best);
    if (!improves(state, log->value)) {
        rt_tell(training, state, "Epoch %d: %s did not improve from %s", epoch, about->monitor,
                best);
        return false;
    }
    rt_tell(training, state, "Epoch %d: %s improved from %s to %.5f, saving model to %s", epoch,
            about->monitor, best, log->value, path);
    set_best(training, state, log->value);
    return true;
}

static void write_checkpoint(const RtTraining *training, const char *path, const RtLog *logs,
                             int count)
{
    const RtModel *model = training->session->model;
    const RtLog *val_loss = rt_find_log(logs, count, "val_loss");
    RtSaved about = {.classes = training->data->classes,
                     .class_count = training->data->class_count,
                     .phase = (char *)training->phase->name,
                     .epoch = training->epoch + 1,
                     .val_loss = val_loss ? val_loss->value : NAN,
                     .model_hash = (char *)model->hash};
    rt_saved_write(model, training->session->run.weights, path, &about);
}

static void save_checkpoint(RtTraining *training, RtState *state, const RtLog *logs, int count)
{
    if (!training->folder) return;
    char *path = checkpoint_path(training, state, logs, count);
    if (should_save(training, state, logs, count, path)) {
        write_checkpoint(training, path, logs, count);
        rt_tell(training, state, "Epoch %d: finished saving model to %s", training->epoch + 1,
                path);
    }
    free(path);
}

static void open_checkpoint(RtTraining *training, RtState *state)
{
    (void)training;
    state->best = state->about->initial_value_threshold;
    state->counts.has_best = !isnan(state->best);
}

static void checkpoint_end_step(RtTraining *training, RtState *state, const RtLog *logs, int count)
{
    const int each = state->about->save_freq;
    if (!each || ++state->counts.batches_seen < each) return;
    state->counts.batches_seen = 0;
    save_checkpoint(training, state, logs, count);
}

static void checkpoint_end_epoch(RtTraining *training, RtState *state, const RtLog *logs, int count)
{
    if (!state->about->save_freq) save_checkpoint(training, state, logs, count);
}

const RtHooks rt_checkpoint_hooks = {
    .open = open_checkpoint, .end_step = checkpoint_end_step, .end_epoch = checkpoint_end_epoch};

/* ---- EarlyStopping --------------------------------------------------------------------------- */

static void open_stopping(RtTraining *training, RtState *state)
{
    if (state->about->restore_best_weights)
        state->weights = rt_alloc(rt_trained_count(training), sizeof *state->weights);
}

static void keep_weights(RtTraining *training, RtState *state)
{
    if (!state->weights) return;
    rt_copy_trained(training, state->weights);
    state->counts.has_weights = 1;
    state->counts.best_epoch = training->epoch;
}

static void stopping_end_epoch(RtTraining *training, RtState *state, const RtLog *logs, int count)
{
    const RtCallback *about = state->about;
    const RtLog *log = rt_find_log(logs, count, about->monitor);
    if (!log || training->epoch < about->start_from_epoch) return;
    const bool better = improves(state, log->value);
    if (better || !state->counts.has_weights) keep_weights(training, state);
    state->counts.wait++;
    if (better) {
        set_best(training, state, log->value);
        if (isnan(about->baseline) || is_better(about, log->value, about->baseline))
            state->counts.wait = 0;
    } else if (state->counts.wait >= about->patience && training->epoch > 0) {
        state->counts.stopped_epoch = training->epoch;
        training->stop = true;
    }
}

static void end_stopping(RtTraining *training, RtState *state)
{
    const RtCounts *counts = &state->counts;
    if (counts->stopped_epoch > 0)
        rt_tell(training, state, "Epoch %d: early stopping", (int)counts->stopped_epoch + 1);
    if (!counts->has_weights) return;
    rt_tell(training, state, "Restoring model weights from the end of the best epoch: %d.",
            (int)counts->best_epoch + 1);
    rt_restore_trained(training, state->weights);
    training->unsaved = true;
    training->val_loss = strcmp(state->about->monitor, "val_loss") == 0 ? state->best : NAN;
}

const RtHooks rt_stopping_hooks = {
    .open = open_stopping, .end_epoch = stopping_end_epoch, .end = end_stopping};

/* ---- ReduceLROnPlateau ----------------------------------------------------------------------- */

/* False if the rate is as low as it may be. */
static bool reduce_rate(RtTraining *training, RtState *state)
{
    const RtCallback *about = state->about;
    double *rate = &training->callbacks->rate;
    if (!(*rate > (double)(float)about->min_lr)) return false;
    const double lower = fmax(*rate * about->factor, about->min_lr);
    *rate = (double)(float)lower;
    rt_tell(training, state, "Epoch %d: ReduceLROnPlateau reducing learning rate to %.17g.",
            training->epoch + 1, lower);
    return true;
}

static void plateau_end_epoch(RtTraining *training, RtState *state, const RtLog *logs, int count)
{
    const RtCallback *about = state->about;
    RtCounts *counts = &state->counts;
    const RtLog *log = rt_find_log(logs, count, about->monitor);
    if (!log) return;
    if (counts->cooldown_counter > 0) {
        counts->cooldown_counter--;
        counts->wait = 0;
    }
    if (improves(state, log->value)) {
        set_best(training, state, log->value);
        counts->wait = 0;
    } else if (counts->cooldown_counter <= 0 && ++counts->wait >= about->patience &&
               reduce_rate(training, state)) {
        counts->cooldown_counter = about->cooldown;
        counts->wait = 0;
    }
}

const RtHooks rt_plateau_hooks = {.end_epoch = plateau_end_epoch};

/* ---- LearningRateScheduler ------------------------------------------------------------------- */

static void scheduler_begin_epoch(RtTraining *training, RtState *state)
{
    const double rate = rt_schedule(state->about->schedule, (uint64_t)training->epoch);
    training->callbacks->rate = rate;
    rt_tell(training, state, "Epoch %d: LearningRateScheduler setting learning rate to %.17g.",
            training->epoch + 1, rate);
}

const RtHooks rt_scheduler_hooks = {.begin_epoch = scheduler_begin_epoch};
