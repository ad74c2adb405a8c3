/* callbacks.c: the callbacks of a phase: when each is called, what of it the checkpoints keep, and
 * the learning rate, which some of them change. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "callbacks.h"
#include "ground.h"
#include "measures.h"
#include "training.h"
#include "weights.h"

static const RtHooks *hooks_of(const RtState *state)
{
    static const RtHooks *const hooks[] = {
        [RT_MODEL_CHECKPOINT] = &rt_checkpoint_hooks,
        [RT_EARLY_STOPPING] = &rt_stopping_hooks,
        [RT_REDUCE_LR_ON_PLATEAU] = &rt_plateau_hooks,
        [RT_LEARNING_RATE_SCHEDULER] = &rt_scheduler_hooks,
        [RT_CSV_LOGGER] = &rt_csv_hooks,
        [RT_TENSORBOARD] = &rt_tensorboard_hooks,
        [RT_TERMINATE_ON_NAN] = &rt_nan_hooks,
    };
    return hooks[state->about->kind];
}

/* ---- What callbacks share -------------------------------------------------------------------- */

const RtLog *rt_find_log(const RtLog *logs, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(logs[i].name, name) == 0) return &logs[i];
    return NULL;
}

char *rt_result_path(const RtTraining *training, const char *path)
{
    return *path == '/' ? rt_format("%s", path) : rt_format("%s/%s", training->folder, path);
}

double rt_learning_rate(const RtTraining *training)
{
    const RtSchedule *schedule = training->phase->schedule;
    return schedule ? rt_schedule(schedule, training->session->run.step)
                    : training->callbacks->rate;
}

void rt_tell(const RtTraining *training, const RtState *state, const char *format, ...)
{
    char text[2048];
    if (!state->about->verbose || training->session->options->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rt_note("%s", text);
}

size_t rt_trained_count(const RtTraining *training)
{
    const RtModel *model = training->session->model;
    size_t count = 0;
    for (int i = 0; i < model->weight_count; i++)
        if (training->phase->trainable[i]) count += rt_weight_count(&model->weights[i]);
    return count;
}

/* Between the weights and a copy of those that the phase trains, one behind the other. */
static void move_trained(const RtTraining *training, real *copy, bool back)
{
    const RtModel *model = training->session->model;
    for (int i = 0; i < model->weight_count; i++) {
        if (!training->phase->trainable[i]) continue;
        real *weight = training->session->run.weights[i];
        const size_t count = rt_weight_count(&model->weights[i]);
        memcpy(back ? weight : copy, back ? copy : weight, count * sizeof *copy);
        copy += count;
    }
}

void rt_copy_trained(const RtTraining *training, real *copy)
{
    move_trained(training, copy, false);
}

void rt_restore_trained(const RtTraining *training, const real *copy)
{
    move_trained(training, (real *)copy, true);
}

/* ---- Before the training --------------------------------------------------------------------- */

static bool needs_validation(const char *name) { return strncmp(name, "val_", 4) == 0; }

/* The first log of validation that the callback works with, or NULL. */
static const char *find_need(const RtCallback *callback)
{
    const bool watches = callback->kind == RT_EARLY_STOPPING ||
                         callback->kind == RT_REDUCE_LR_ON_PLATEAU ||
                         (callback->kind == RT_MODEL_CHECKPOINT && callback->save_best_only);
    if (watches && needs_validation(callback->monitor)) return callback->monitor;
    for (const RtPathPart *part = callback->filepath; part && part->field; part++)
        if (needs_validation(part->field)) return part->field;
    return NULL;
}

void rt_callbacks_check(const RtTraining *training, const RtPhase *phase)
{
    for (int i = 0; i < phase->callback_count && !training->validation; i++) {
        const RtCallback *callback = &phase->callbacks[i];
        const char *need = find_need(callback);
        if (!need) continue;
        RtLogNames names = rt_log_names_open(phase);
        char *list = rt_format("%s", names.names[0]);
        for (int n = 1; n < names.count; n++) list = rt_format("%s, %s", list, names.names[n]);
        rt_die(RT_USAGE,
               rt_format("--validation DIR or --validation-split 0.2; without, there is %s", list),
               "%s (%s) works with %s, but there is nothing to validate on", callback->place,
               callback->type, need);
    }
}

/* ---- A phase --------------------------------------------------------------------------------- */

static void keep_state(RtTraining *training, RtState *state, int index)
{
    state->names[0] = rt_format("callbacks[%d].counts", index);
    state->names[1] = rt_format("callbacks[%d].best", index);
    rt_training_keep(training, state->names[0], RT_I64, sizeof state->counts / sizeof(int64_t),
                     &state->counts);
    rt_training_keep(training, state->names[1], RT_F64, 1, &state->best);
    if (!state->about->restore_best_weights) return;
    state->names[2] = rt_format("callbacks[%d].weights", index);
    rt_training_keep(training, state->names[2], sizeof(real) == sizeof(double) ? RT_F64 : RT_F32,
                     rt_trained_count(training), state->weights);
}

void rt_callbacks_open(RtTraining *training)
{
    const RtPhase *phase = training->phase;
    RtCallbacks *callbacks = training->callbacks = rt_alloc(1, sizeof *callbacks);
    callbacks->rate = (double)(float)phase->learning_rate;
    callbacks->count = phase->callback_count;
    callbacks->states = rt_alloc((size_t)phase->callback_count, sizeof *callbacks->states);
    rt_training_keep(training, "callbacks.rate", RT_F64, 1, &callbacks->rate);
    for (int i = 0; i < callbacks->count; i++) {
        RtState *state = &callbacks->states[i];
        state->about = &phase->callbacks[i];
        const RtHooks *hooks = hooks_of(state);
        if (hooks->open) hooks->open(training, state);
        keep_state(training, state, i);
    }
}

void rt_callbacks_begin_epoch(RtTraining *training)
{
    for (int i = 0; i < training->callbacks->count; i++) {
        RtState *state = &training->callbacks->states[i];
        const RtHooks *hooks = hooks_of(state);
        if (hooks->begin_epoch) hooks->begin_epoch(training, state);
    }
}

void rt_callbacks_begin_step(RtTraining *training)
{
    training->session->run.learning_rate = (real)rt_learning_rate(training);
    for (int i = 0; i < training->callbacks->count; i++) {
        RtState *state = &training->callbacks->states[i];
        const RtHooks *hooks = hooks_of(state);
        if (hooks->begin_step) hooks->begin_step(training, state);
    }
}

void rt_callbacks_end_step(RtTraining *training, const RtLog *logs, int count)
{
    for (int i = 0; i < training->callbacks->count; i++) {
        RtState *state = &training->callbacks->states[i];
        const RtHooks *hooks = hooks_of(state);
        if (hooks->end_step) hooks->end_step(training, state, logs, count);
    }
}

/* Whether something changes the learning rate in the course of the phase. */
static bool rate_changes(const RtTraining *training)
{
    const RtPhase *phase = training->phase;
    for (int i = 0; i < phase->callback_count; i++) {
        const RtCallbackKind kind = phase->callbacks[i].kind;
        if (kind == RT_REDUCE_LR_ON_PLATEAU || kind == RT_LEARNING_RATE_SCHEDULER) return true;
    }
    return phase->schedule != NULL;
}

int rt_callbacks_end_epoch(RtTraining *training, RtLog *logs, int count)
{
    if (rate_changes(training))
        logs[count++] = (RtLog){"learning_rate", rt_learning_rate(training)};
    for (int i = 0; i < training->callbacks->count; i++) {
        RtState *state = &training->callbacks->states[i];
        const RtHooks *hooks = hooks_of(state);
        if (hooks->end_epoch) hooks->end_epoch(training, state, logs, count);
    }
    return count;
}

static void close_state(RtTraining *training, RtState *state)
{
    const RtHooks *hooks = hooks_of(state);
    if (hooks->close) hooks->close(training, state);
    for (int i = 0; i < 3; i++) {
        if (state->names[i]) rt_training_forget(training, state->names[i]);
        free(state->names[i]);
    }
    free(state->weights);
}

void rt_callbacks_end(RtTraining *training)
{
    for (int i = 0; i < training->callbacks->count; i++) {
        RtState *state = &training->callbacks->states[i];
        const RtHooks *hooks = hooks_of(state);
        if (hooks->end) hooks->end(training, state);
    }
}

void rt_callbacks_close(RtTraining *training)
{
    RtCallbacks *callbacks = training->callbacks;
    for (int i = 0; i < callbacks->count; i++) close_state(training, &callbacks->states[i]);
    rt_training_forget(training, "callbacks.rate");
    free(callbacks->states);
    free(callbacks);
    training->callbacks = NULL;
}
