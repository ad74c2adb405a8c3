/* train.c: the training loop, with the meaning of Keras's fit: the loss and metrics shown are means
 * over the pictures so far, from the training-mode forward before each update; validation follows
 * each epoch. Phases run one after the other on the same weights; each starts with an optimizer
 * that has no memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "training.h"

static bool has_enough(const RtTraining *training)
{
    int limit = training->session->options->steps;
    return rt_signal() || (limit && training->steps >= (size_t)limit);
}

void rt_training_keep(RtTraining *training, const char *name, RtType type, size_t count,
                      void *values)
{
    training->kept = rt_grow(training->kept, training->kept_count + 1, sizeof *training->kept);
    training->kept[training->kept_count++] = (RtKept){name, type, count, values};
}

void rt_training_forget(RtTraining *training, const char *name)
{
    size_t left = 0;
    for (size_t i = 0; i < training->kept_count; i++)
        if (strcmp(training->kept[i].name, name) != 0) training->kept[left++] = training->kept[i];
    training->kept_count = left;
}

/* ---- A step ---------------------------------------------------------------------------------- */

static _Noreturn void die_not_finite(const RtTraining *training, double loss)
{
    const RtRun *run = &training->session->run;
    rt_die(RT_FAILED, "a smaller learning_rate, and input in the range the model expects",
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
}

static void end_step(RtTraining *training, const RtBatch *batch, double loss)
{
    RtSession *session = training->session;
    RtLog logs[RT_LOGS];
    keep_trace(training, loss, session->out, batch->n);
    rt_meter_add(&training->meter, session->model, training->phase->loss, batch, session->out,
                 loss);
    session->run.step++;
    training->steps++;
    training->epoch_steps++;
    training->position = batch->to;
    int count = rt_meter_logs(&training->meter, &training->names, false, logs);
    rt_progress_step(training->progress, training->epoch_steps, logs, count);
}

static void run_step(RtTraining *training, const RtBatch *batch)
{
    begin_step(training, batch);
    double loss = rt_train_batch(training->session, training->phase, batch->x, batch->y, batch->n);
    if (!isfinite(loss)) die_not_finite(training, loss);
    end_step(training, batch, loss);
}

/* ---- Between epochs -------------------------------------------------------------------------- */

static double find_log(const RtLog *logs, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(logs[i].name, name) == 0) return logs[i].value;
    return NAN;
}

static void save(RtTraining *training, const char *name, double val_loss)
{
    const RtModel *model = training->session->model;
    RtSaved about = {.classes = training->data->classes,
                     .class_count = training->data->class_count,
                     .phase = (char *)training->phase->name,
                     .epoch = training->epoch,
                     .val_loss = val_loss,
                     .model_hash = (char *)model->hash};
    char *path = rt_format("%s/%s.safetensors", training->folder, name);
    rt_saved_write(model, training->session->run.arena, path, &about);
    training->saved_steps = training->steps;
    free(path);
}

/* Losses of two kinds cannot be compared: a phase with another loss starts afresh. */
static bool is_best(RtTraining *training, double value)
{
    const char *loss = training->phase->loss_name;
    if (!training->best_loss || strcmp(loss, training->best_loss) != 0) training->best = INFINITY;
    training->best_loss = loss;
    if (!(value < training->best)) return false;
    training->best = value;
    return true;
}

static void keep_results(RtTraining *training, const RtLog *logs, int count)
{
    if (!training->folder) return;
    const char *watched = training->validation ? "val_loss" : "loss";
    double val_loss = find_log(logs, count, "val_loss"), value = find_log(logs, count, watched);
    char *path = rt_format("%s/history.csv", training->folder);
    rt_history_write(training->history, path);
    free(path);
    if (is_best(training, value)) {
        save(training, "best", val_loss);
        free(training->best_line);
        training->best_line =
            rt_format("best: %s/best.safetensors (phase %s, epoch %d, %s %.4f)", training->folder,
                      training->phase->name, training->epoch, watched, value);
    }
    save(training, "last", val_loss);
}

/* Adds val_loss and the other validation numbers to logs, unless a signal broke it off. */
static int validate(RtTraining *training, RtLog *logs, int count)
{
    if (!training->validation) return count;
    RtMeter meter = rt_measure(training->session, training->phase, training->validation_loader,
                               NULL, &training->names, NULL);
    if (rt_signal()) return count;
    return count + rt_meter_logs(&meter, &training->names, true, logs + count);
}

/* ---- An epoch -------------------------------------------------------------------------------- */

static void open_progress(RtTraining *training)
{
    size_t batch = (size_t)training->phase->batch;
    snprintf(training->title, sizeof training->title, "Epoch %d/%d", training->epoch + 1,
             training->epochs);
    if (!training->session->options->quiet)
        training->progress =
            rt_progress_open(training->title, (training->data->count + batch - 1) / batch);
}

/* Also where an epoch that was broken off goes on: position, epoch_steps and meter tell. */
static void begin_epoch(RtTraining *training)
{
    RtRun *run = &training->session->run;
    bool shuffle = training->session->options->shuffle;
    open_progress(training);
    if (shuffle) rt_shuffle(run->seed, run->epoch, training->order, training->data->count);
    if (training->phase->prepare_train) training->phase->prepare_train(run);
    rt_loader_start(training->loader, shuffle ? training->order : NULL, training->position);
}

/* False if the epoch was broken off. */
static bool run_steps(RtTraining *training)
{
    for (;;) {
        RtBatch batch = next_batch(training);
        if (batch.n == 0) return true;
        if (has_enough(training)) return false;
        run_step(training, &batch);
    }
}

/* The epoch is whole: logs are its numbers, validation's among them. */
static void end_epoch(RtTraining *training, const RtLog *logs, int count)
{
    RtRun *run = &training->session->run;
    training->epoch++;
    rt_history_add(training->history, training->phase->name, (int)run->epoch, logs, count);
    keep_results(training, logs, count);
    run->epoch++;
    training->position = training->epoch_steps = 0;
    training->meter = (RtMeter){0};
}

static void run_epoch(RtTraining *training)
{
    RtLog logs[RT_LOGS];
    begin_epoch(training);
    bool whole = run_steps(training);
    int count = rt_meter_logs(&training->meter, &training->names, false, logs);
    if (whole) count = validate(training, logs, count);
    rt_progress_close(training->progress, logs, count);
    training->progress = NULL;
    if (whole && !rt_signal()) end_epoch(training, logs, count);
}

/* ---- A phase --------------------------------------------------------------------------------- */

static RtLoader *open_loader(const RtTraining *training, RtData *data, int batch)
{
    RtSession *session = training->session;
    return rt_loader_open(session->model, data, batch, training->phase->loss, session->room,
                          session->model->batch_bytes, session->options->strict);
}

static int count_epochs(const RtTraining *training, const RtPhase *phase)
{
    int asked = training->session->options->epochs;
    return asked ? asked : phase->epochs;
}

static void begin_phase(RtTraining *training, const RtPhase *phase)
{
    RtSession *session = training->session;
    training->phase = phase;
    training->epoch = 0;
    training->epochs = count_epochs(training, phase);
    training->stop = false;
    training->names = rt_log_names_open(phase);
    training->loader = open_loader(training, training->data, phase->batch);
    if (training->validation)
        training->validation_loader = open_loader(training, training->validation, session->batch);
    session->run.step = 0;
    session->run.learning_rate = (real)phase->learning_rate;
    rt_clear_slots(session, phase);
    if (!session->options->quiet)
        rt_note("Phase %s: %s, learning rate %g, batches of %d", phase->name, phase->optimizer,
                phase->learning_rate, phase->batch);
}

static void end_phase(RtTraining *training)
{
    if (training->folder && training->saved_steps < training->steps) save(training, "last", NAN);
    rt_loader_close(training->loader);
    if (training->validation) rt_loader_close(training->validation_loader);
    rt_log_names_close(&training->names);
}

static void run_phase(RtTraining *training, const RtPhase *phase)
{
    begin_phase(training, phase);
    while (training->epoch < training->epochs && !training->stop && !has_enough(training))
        run_epoch(training);
    end_phase(training);
}

/* ---- The whole ------------------------------------------------------------------------------- */

static bool is_chosen(const RtTraining *training, const RtPhase *phase)
{
    const char *name = training->session->options->phase;
    return !name || strcmp(name, phase->name) == 0;
}

/* Room for the trace of all steps that there can be. */
static void open_trace(RtTraining *training)
{
    const RtModel *model = training->session->model;
    size_t steps = 0, rows = 1, limit = (size_t)training->session->options->steps;
    for (int i = 0; i < model->phase_count; i++) {
        const RtPhase *phase = &model->phases[i];
        size_t batch = (size_t)phase->batch;
        if (!is_chosen(training, phase)) continue;
        steps +=
            (training->data->count + batch - 1) / batch * (size_t)count_epochs(training, phase);
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
    *training = (RtTraining){.session = session, .best = INFINITY};
    rt_data_open_pair(options->data, options->validation, options->validation_split, options->seed,
                      model, &training->data, &training->validation);
    for (int i = 0; i < model->phase_count; i++) {
        if (!is_chosen(training, &model->phases[i])) continue;
        rt_data_check(training->data, model, model->phases[i].loss);
        if (training->validation) rt_data_check(training->validation, model, model->phases[i].loss);
    }
    describe_data(training);
    rt_weights_load(model, &session->run, options->weights);
    if (options->out)
        training->folder = rt_format("%s", options->out);
    else if (!options->trace && !options->steps)
        training->folder = rt_format("runs/%s", model->name);
    if (training->folder) rt_make_folders(training->folder);
    training->history = rt_history_open();
    training->order = rt_alloc(training->data->count, sizeof *training->order);
    if (options->trace) open_trace(training);
}

static void close_training(RtTraining *training)
{
    rt_data_close(training->data);
    if (training->validation) rt_data_close(training->validation);
    rt_history_close(training->history);
    free(training->folder);
    free(training->best_line);
    free(training->order);
    free(training->losses);
    free(training->last_out);
    free(training->kept);
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
    if (training->best_line) printf("%s\n", training->best_line);
    if (training->folder && training->phase)
        printf("last: %s/last.safetensors (phase %s, %d epochs)\n", training->folder,
               training->phase->name, training->epoch);
}

int rt_train(RtSession *session)
{
    const RtModel *model = session->model;
    RtTraining training;
    open_training(&training, session);
    for (int i = 0; i < model->phase_count && !has_enough(&training); i++) {
        if (is_chosen(&training, &model->phases[i])) run_phase(&training, &model->phases[i]);
        /* epochs of a phase left out count too: random numbers are those of the whole run */
        else
            session->run.epoch += (uint32_t)count_epochs(&training, &model->phases[i]);
    }
    report(&training);
    close_training(&training);
    return rt_signal() ? 128 + rt_signal() : RT_OK;
}
