/* train.c: the training loop, with the meaning of Keras's fit: the loss and metrics shown are means
 * over the pictures so far, from the training-mode forward before each update; validation follows
 * each epoch. Phases run one after the other on the same weights; each starts with an optimizer
 * that has no memory, unless its phase says otherwise. What is saved, and when, is in results.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "cache.h"
#include "commands.h"
#include "data.h"
#include "ground.h"
#include "measures.h"
#include "pictures.h"
#include "session.h"
#include "training.h"
#include "weights.h"

static bool has_enough(const RtTraining *training)
{
    int limit = training->session->options->steps;
    return rt_signal() || training->diverged || (limit && training->steps >= (size_t)limit);
}

void rt_training_forget(RtTraining *training, const char *name)
{
    size_t left = 0;
    for (size_t i = 0; i < training->kept_count; i++)
        if (strcmp(training->kept[i].name, name) != 0) training->kept[left++] = training->kept[i];
    training->kept_count = left;
}

void rt_training_keep(RtTraining *training, const char *name, RtType type, size_t count,
                      void *values)
{
    rt_training_forget(training, name);
    training->kept = rt_grow(training->kept, training->kept_count + 1, sizeof *training->kept);
    training->kept[training->kept_count++] = (RtKept){name, type, count, values};
}

/* ---- A step ---------------------------------------------------------------------------------- */

static _Noreturn void die_not_finite(const RtTraining *training, double loss)
{
    const RtRun *run = &training->session->run;
    rt_die(RT_FAILED,
           "a smaller learning_rate, and input in the range the model expects; the callback "
           "TerminateOnNaN tells where it began",
           "phase %s, epoch %d, step %llu: the loss is %g", training->phase->name,
           training->epoch + 1, (unsigned long long)run->step + 1, loss);
}

static void keep_trace(RtTraining *training, double loss, const real *out, int n)
{
    if (!training->session->options->trace) return;
    training->losses[training->steps] = loss;
    training->last_n = n;
    memcpy(training->last_out, out,
           (size_t)n * (size_t)training->session->model->output_size * sizeof *out);
}

static RtBatch next_batch(RtTraining *training) { return rt_loader_next(training->loader); }

/* Nothing is allocated from here to end_step. */
static void begin_step(RtTraining *training, const RtBatch *batch)
{
    training->session->run.sample = batch->sample;
    rt_callbacks_begin_step(training);
}

static void end_step(RtTraining *training, const RtBatch *batch, double loss)
{
    RtSession *session = training->session;
    RtLog logs[RT_LOGS];
    keep_trace(training, loss, session->out, batch->n);
    rt_meter_add(&training->meter, session->model, batch, session->out, loss);
    session->run.step++;
    training->steps++;
    training->took.pictures += (size_t)batch->n;
    training->epoch_steps++;
    training->position = batch->to;
    int count = rt_meter_logs(&training->meter, &training->names, false, logs);
    rt_progress_step(training->progress, training->epoch_steps, logs, count);
    rt_callbacks_end_step(training, logs, count);
    rt_results_step(training);
}

static void run_step(RtTraining *training, const RtBatch *batch)
{
    begin_step(training, batch);
    double loss = rt_train_batch(training->session, training->phase, batch->x, batch->y, batch->n);
    if (!isfinite(loss) && rt_callbacks_not_finite(training, batch, loss)) return;
    if (!isfinite(loss)) die_not_finite(training, loss);
    end_step(training, batch, loss);
}

/* ---- An epoch -------------------------------------------------------------------------------- */

/* Adds val_loss and the other validation numbers to logs, unless a signal broke it off. */
static int validate(RtTraining *training, RtLog *logs, int count)
{
    if (!training->validation) return count;
    RtMeter meter = rt_measure(training->session, training->phase, training->validation_loader,
                               NULL, &training->names, NULL);
    if (!rt_signal()) count += rt_meter_logs(&meter, &training->names, true, logs + count);
    rt_meter_close(&meter);
    return count;
}

static void open_progress(RtTraining *training)
{
    size_t batch = (size_t)training->phase->batch;
    snprintf(training->title, sizeof training->title, "Epoch %d/%d", training->epoch + 1,
             training->epochs);
    if (!training->session->options->quiet)
        training->progress =
            rt_progress_open(training->title, (training->pictures + batch - 1) / batch);
    rt_training_forecast(training);
}

/* Also where an epoch that was broken off goes on: position, epoch_steps and meter tell. */
static void begin_epoch(RtTraining *training)
{
    const RtSession *session = training->session;
    open_progress(training);
    rt_epoch_order(&session->run, session->model, training->phase, training->data,
                   session->options->shuffle, training->order);
    rt_prepare_train(training->session, training->phase);
    rt_loader_start(training->loader, training->order, training->position);
    rt_callbacks_begin_epoch(training);
}

/* False if the epoch was broken off. */
static bool run_steps(RtTraining *training)
{
    for (;;) {
        RtBatch batch = next_batch(training);
        if (batch.n == 0) return true;
        if (has_enough(training)) return false;
        run_step(training, &batch);
        if (training->diverged) return false;
    }
}

/* The epoch is whole: logs are its numbers, validation's among them. */
static void end_epoch(RtTraining *training, const RtLog *logs, int count)
{
    RtRun *run = &training->session->run;
    training->epoch++;
    rt_history_add(training->history, training->phase->name, (int)run->epoch, logs, count);
    run->epoch++;
    training->position = training->epoch_steps = 0;
    rt_meter_clear(&training->meter);
    /* Parts that act here come before this line, for it saves what they did. */
    rt_results_epoch(training, logs, count);
}

static void run_epoch(RtTraining *training)
{
    RtLog logs[RT_LOGS];
    if (!rt_caches_fill(training)) return;
    begin_epoch(training);
    bool whole = run_steps(training);
    int count = rt_meter_logs(&training->meter, &training->names, false, logs);
    if (whole) count = validate(training, logs, count);
    if (whole && !rt_signal()) count = rt_callbacks_end_epoch(training, logs, count);
    rt_progress_close(training->progress, logs, count);
    training->progress = NULL;
    if (whole && !rt_signal()) end_epoch(training, logs, count);
}

static RtLoader *open_loader(const RtTraining *training, RtData *data, int batch)
{
    RtSession *session = training->session;
    return rt_loader_open(session->model, data, batch, training->phase->loss, session->room,
                          session->model->batch_bytes, session->options->strict);
}

static bool is_done(const RtTraining *training)
{
    return training->stop || training->epoch >= training->epochs;
}

/* ---- Going on from a checkpoint -------------------------------------------------------------- */

/* The numbers that tell where a training is. */
static void keep_own(RtTraining *training)
{
    RtRun *run = &training->session->run;
    const RtKept own[] = {
        {"training.phase", RT_I32, 1, &training->phase_index},
        {"training.epoch", RT_I32, 1, &training->epoch},
        {"training.epochs_in_all", RT_I32, 1, &run->epoch},
        {"training.step", RT_I64, 1, &run->step},
        {"training.steps_in_all", RT_I64, 1, &training->steps},
        {"training.position", RT_I64, 1, &training->position},
        {"training.epoch_steps", RT_I64, 1, &training->epoch_steps},
        {"training.stop", RT_BOOL, 1, &training->stop},
        {"training.over", RT_BOOL, 1, &training->over},
        {"training.learning_rate", sizeof(real) == 8 ? RT_F64 : RT_F32, 1, &run->learning_rate},
        {"training.val_loss", RT_F64, 1, &training->val_loss},
        {"best.loss", RT_F64, 1, &training->best},
        {"best.val_loss", RT_F64, 1, &training->best_val_loss},
        {"best.phase", RT_I32, 1, &training->best_phase},
        {"best.epoch", RT_I32, 1, &training->best_epoch},
        {"meter.loss", RT_F64, 1, &training->meter.loss},
        {"meter.count", RT_I64, 1, &training->meter.count},
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        rt_training_keep(training, own[i].name, own[i].type, own[i].count, own[i].values);
}

static void go_on(RtTraining *training)
{
    rt_checkpoint_restore(training);
    if (training->session->options->quiet) return;
    rt_note("Going on from %s: phase %s, %d of %d epochs, %zu steps of the next",
            training->checkpoint_path, training->phase->name, training->epoch, training->epochs,
            training->epoch_steps);
}

static void set_phase(RtTraining *training, int index)
{
    training->phase_index = index;
    training->phase = &training->session->model->phases[index];
    training->epoch = 0;
    training->epochs = rt_training_epochs(training, index);
    training->stop = training->over = false;
}

/* A phase that the checkpoint ends is over: nothing of it is opened again. */
static void pass_phase(RtTraining *training, int index)
{
    set_phase(training, index);
    rt_checkpoint_restore(training);
    training->was_complete = true;
    training->previous = training->phase;
}

/* ---- A phase --------------------------------------------------------------------------------- */

/* The optimizer starts without memory, unless the phase says that it goes on with that of the one
 * before. */
static void begin_optimizer(RtTraining *training)
{
    RtSession *session = training->session;
    const RtPhase *phase = training->phase, *previous = training->previous;
    session->run.learning_rate = (real)phase->learning_rate;
    if (phase->continues && previous) {
        rt_continue_slots(session, previous, phase);
    } else {
        rt_clear_slots(session, phase);
        session->run.step = 0;
    }
}

static void open_meter(RtTraining *training)
{
    RtMeter *meter = &training->meter;
    *meter = rt_meter_open(training->phase);
    if (meter->sum_count)
        rt_training_keep(training, "meter.sums", RT_F64, meter->sum_count, meter->sums);
}

/* What parts of the training keep must be known to rt_training_keep before the end of this. */
static void begin_phase(RtTraining *training, int index)
{
    RtSession *session = training->session;
    char text[RT_NUMBER];
    set_phase(training, index);
    const RtPhase *phase = training->phase;
    training->names = rt_log_names_open(phase);
    training->loader = open_loader(training, training->data, phase->batch);
    if (training->validation)
        training->validation_loader = open_loader(training, training->validation, session->batch);
    training->pictures = rt_epoch_pictures(session->model, phase, training->data);
    rt_loader_take(training->loader, training->pictures);
    rt_class_weights_open(session, phase, training->data);
    open_meter(training);
    begin_optimizer(training);
    if (!session->options->quiet)
        rt_note("Phase %s: %s, learning rate %s, batches of %d", phase->name, phase->optimizer,
                rt_rate_text(phase, text), phase->batch);
    rt_callbacks_open(training);
    if (training->checkpoint) go_on(training);
    training->over = false;
    rt_caches_open(training); /* for which the frozen weights must be in place */
}

/* A phase that was broken off ends here too, and is not over. */
static void end_phase(RtTraining *training)
{
    training->over = is_done(training);
    training->unsaved |= training->over;
    if (training->over || training->diverged) rt_callbacks_end(training);
    /* Parts that act here come before this line, for it saves what they did. */
    rt_results_phase(training);
    rt_callbacks_close(training);
    rt_training_forget(training, "meter.sums");
    rt_meter_close(&training->meter);
    training->previous = training->phase;
    rt_loader_close(training->loader);
    if (training->validation) rt_loader_close(training->validation_loader);
    rt_log_names_close(&training->names);
}

static void run_phase(RtTraining *training, int index)
{
    begin_phase(training, index);
    training->was_complete = false;
    while (!is_done(training) && !has_enough(training)) run_epoch(training);
    end_phase(training);
}

/* ---- The whole ------------------------------------------------------------------------------- */

bool rt_training_runs(const RtTraining *training, int phase)
{
    const RtOptions *options = training->session->options;
    const RtModel *model = training->session->model;
    if (options->phase) return strcmp(options->phase, model->phases[phase].name) == 0;
    return !options->until || &model->phases[phase] <= rt_find_phase(model, options->until);
}

int rt_training_epochs(const RtTraining *training, int phase)
{
    int asked = training->session->options->epochs;
    return asked ? asked : training->session->model->phases[phase].epochs;
}

/* Room for the trace of all steps that there can be. */
static void open_trace(RtTraining *training)
{
    const RtModel *model = training->session->model;
    size_t steps = 0, rows = 1, limit = (size_t)training->session->options->steps;
    for (int i = 0; i < model->phase_count; i++) {
        size_t batch = (size_t)model->phases[i].batch;
        if (!rt_training_runs(training, i)) continue;
        steps +=
            (training->data->count + batch - 1) / batch * (size_t)rt_training_epochs(training, i);
        if (batch > rows) rows = batch;
    }
    if (limit && limit < steps) steps = limit;
    training->losses = rt_alloc(steps, sizeof *training->losses);
    training->last_out = rt_alloc(rows, (size_t)model->output_size * sizeof *training->last_out);
}

static void describe_data(const RtTraining *training)
{
    const RtData *data = training->data;
    if (training->session->options->quiet) return;
    char classes[40] = "";
    if (data->classes) snprintf(classes, sizeof classes, " of %d classes", data->class_count);
    rt_note("%zu pictures%s for training, %zu for validation", data->count, classes,
            training->validation ? training->validation->count : 0);
}

static void open_training(RtTraining *training, RtSession *session)
{
    const RtOptions *options = session->options;
    const RtModel *model = session->model;
    *training = (RtTraining){.session = session};
    rt_data_open_pair(options->data, options->validation, options->validation_split, options->seed,
                      model, &training->data, &training->validation);
    for (int i = 0; i < model->phase_count; i++) {
        if (!rt_training_runs(training, i)) continue;
        rt_data_check(training->data, model, model->phases[i].loss);
        if (training->validation) rt_data_check(training->validation, model, model->phases[i].loss);
        rt_callbacks_check(training, &model->phases[i]);
    }
    describe_data(training);
    training->history = rt_history_open();
    training->order = rt_alloc(training->data->count, sizeof *training->order);
    if (options->trace) open_trace(training);
    keep_own(training);
    rt_results_open(training);
    rt_settings_make(training);
    rt_checkpoint_open(training);
    if (!training->checkpoint) rt_weights_load(model, &session->run, options->weights);
}

static void close_training(RtTraining *training)
{
    rt_results_close(training);
    rt_caches_close(training);
    rt_training_pictures_close(training);
    if (training->checkpoint) rt_tensors_close(training->checkpoint);
    free(training->checkpoint_path);
    rt_settings_free(training);
    rt_data_close(training->data);
    if (training->validation) rt_data_close(training->validation);
    rt_history_close(training->history);
    free(training->order);
    free(training->losses);
    free(training->last_out);
    free(training->kept);
}

static void report_files(const RtTraining *training)
{
    const RtPhase *phases = training->session->model->phases;
    const char *folder = training->folder;
    if (!folder || !training->phase) return;
    if (training->was_complete && !training->session->options->quiet)
        rt_note("This training is complete. --epochs N or --until PHASE goes further, "
                "--fresh starts anew, --out DIR trains elsewhere.");
    if (training->best_phase >= 0)
        printf("best: %s/best.safetensors (phase %s, epoch %d, %s %.4f)\n", folder,
               phases[training->best_phase].name, training->best_epoch,
               training->validation ? "val_loss" : "loss", training->best);
    printf("last: %s/last.safetensors (phase %s, %d epochs)\n", folder, training->phase->name,
           training->epoch);
}

static void report(const RtTraining *training)
{
    const RtSession *session = training->session;
    const RtOptions *options = session->options;
    if (options->trace && training->phase)
        rt_trace_write(options->trace, session->model, training->phase, session->run.arena,
                       training->losses, training->steps, training->last_out, training->last_n);
    if (options->steps && !rt_signal() && training->steps < (size_t)options->steps)
        rt_warn("the data gave %zu steps, not %d; --epochs N gives more", training->steps,
                options->steps);
    size_t skipped = training->data->skipped;
    if (training->validation) skipped += training->validation->skipped;
    if (skipped) rt_warn("%zu pictures could not be read and were left out", skipped);
    report_files(training);
}

int rt_train(RtSession *session)
{
    const RtModel *model = session->model;
    RtTraining training;
    open_training(&training, session);
    const int at = training.checkpoint ? (int)rt_checkpoint_number(&training, "training.phase") : 0;
    rt_report_begin(&training);
    for (int i = 0; i < model->phase_count && !has_enough(&training); i++) {
        if (!rt_training_runs(&training, i)) /* its epochs count: random numbers are the whole's */
            session->run.epoch += (uint32_t)rt_training_epochs(&training, i);
        else if (i == at && training.checkpoint && rt_checkpoint_ends_phase(&training))
            pass_phase(&training, i);
        else if (i >= at)
            run_phase(&training, i);
    }
    report(&training);
    rt_report_end(&training);
    close_training(&training);
    return rt_signal() ? 128 + rt_signal() : training.diverged ? RT_FAILED : RT_OK;
}
