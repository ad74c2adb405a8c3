/* results.c: what a training leaves in its folder, and when: best and last weights, history.csv,
 * checkpoints. A save writes them in this order, so a checkpoint never knows of a best that is not
 * on disk. Everything goes beside its name first (file.c); what a killed process left there is
 * removed by the next. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "files.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "training.h"
#include "weights.h"

/* ---- The folder ------------------------------------------------------------------------------ */

/* The lock goes with the process, however that ends. */
static void lock_folder(RtTraining *training)
{
    char *path = rt_format("%s/.lock", training->folder), owner[32] = "";
    training->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (training->lock < 0)
        rt_die(RT_NO_ROOM, NULL, "%s: cannot create: %s", path, strerror(errno));
    if (flock(training->lock, LOCK_EX | LOCK_NB) == 0) {
        int length = snprintf(owner, sizeof owner, "%d\n", (int)getpid());
        bool written = ftruncate(training->lock, 0) == 0 &&
                       write(training->lock, owner, (size_t)length) == length;
        (void)written; /* it is for people who look */
    } else if (errno == EWOULDBLOCK) {
        ssize_t length = read(training->lock, owner, sizeof owner - 1);
        owner[length > 0 ? length : 0] = 0;
        rt_die(RT_FAILED, "wait for it, or name another folder: --out DIR",
               "%s: another training (process %d) is at work here", training->folder, atoi(owner));
    } else {
        rt_warn("%s: cannot be locked: %s; nothing else may train here", path, strerror(errno));
    }
    free(path);
}

/* Of the first save, before one was measured: best, last and checkpoint at 500 MB/s. */
static double guess_save_seconds(const RtModel *model)
{
    double bytes = 0;
    for (int i = 0; i < model->weight_count; i++)
        bytes += 3.0 * sizeof(real) * (double)rt_weight_count(&model->weights[i]);
    return bytes / 5e8;
}

void rt_results_open(RtTraining *training)
{
    const RtOptions *options = training->session->options;
    training->best = INFINITY;
    training->val_loss = training->best_val_loss = NAN;
    training->best_phase = -1;
    training->lock = -1;
    training->saved_at = rt_seconds();
    training->save_seconds = guess_save_seconds(training->session->model);
    if (options->out)
        training->folder = rt_format("%s", options->out);
    else if (!options->trace && !options->steps)
        training->folder = rt_format("runs/%s", training->session->model->name);
    if (!training->folder) return;
    char *checkpoints = rt_format("%s/checkpoints", training->folder);
    rt_make_folders(training->folder);
    lock_folder(training);
    rt_out_remove_abandoned(training->folder);
    rt_out_remove_abandoned(checkpoints);
    free(checkpoints);
}

/* ---- The best -------------------------------------------------------------------------------- */

static bool is_own(const RtTraining *training, int weight)
{
    return training->best_weights[weight] != training->session->run.weights[weight];
}

static void forget_best_weights(RtTraining *training)
{
    for (int i = 0; training->best_weights && i < training->session->model->weight_count; i++)
        if (is_own(training, i)) free(training->best_weights[i]);
    free(training->best_weights);
    training->best_weights = NULL;
}

/* A best that is to be written later is copied. What the phase leaves alone stays where it is,
 * unless `all`. */
static void hold_best_weights(RtTraining *training, bool all)
{
    const RtModel *model = training->session->model;
    real *const *now = training->session->run.weights;
    if (!training->best_weights) {
        training->best_weights = rt_alloc((size_t)model->weight_count, sizeof *now);
        memcpy(training->best_weights, now, (size_t)model->weight_count * sizeof *now);
    }
    for (int i = 0; i < model->weight_count; i++) {
        size_t count = rt_weight_count(&model->weights[i]);
        real **held = &training->best_weights[i];
        if (all ? is_own(training, i) : !training->phase->trainable[i]) continue;
        if (!is_own(training, i)) *held = rt_alloc(count, sizeof **held);
        memcpy(*held, now[i], count * sizeof **held);
    }
}

static double find_log(const RtLog *logs, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(logs[i].name, name) == 0) return logs[i].value;
    return NAN;
}

/* Losses of two kinds cannot be compared: a phase with another loss starts afresh. */
static bool is_best(const RtTraining *training, double value)
{
    const RtPhase *phases = training->session->model->phases;
    bool same = training->best_phase >= 0 &&
                strcmp(phases[training->best_phase].loss_name, training->phase->loss_name) == 0;
    return value < (same ? training->best : INFINITY);
}

/* ---- Saving ---------------------------------------------------------------------------------- */

static bool save_weights(const RtTraining *training, const char *name, real *const *weights,
                         const RtPhase *phase, int epoch, double val_loss)
{
    const RtModel *model = training->session->model;
    RtSaved about = {.classes = training->data->classes,
                     .class_count = training->data->class_count,
                     .phase = (char *)phase->name,
                     .epoch = epoch,
                     .val_loss = val_loss,
                     .model_hash = (char *)model->hash};
    char *path = rt_format("%s/%s.safetensors", training->folder, name);
    bool good = rt_saved_write(model, weights, path, &about);
    free(path);
    return good;
}

static bool save_best(RtTraining *training)
{
    const RtSession *session = training->session;
    if (!training->best_unsaved) return true;
    real *const *weights = training->best_weights ? training->best_weights : session->run.weights;
    if (!save_weights(training, "best", weights, &session->model->phases[training->best_phase],
                      training->best_epoch, training->best_val_loss))
        return false;
    training->best_unsaved = false;
    forget_best_weights(training);
    return true;
}

static bool save_last(const RtTraining *training)
{
    return save_weights(training, "last", training->session->run.weights, training->phase,
                        training->epoch, training->position == 0 ? training->val_loss : NAN);
}

static bool save_history(const RtTraining *training)
{
    char *path = rt_format("%s/history.csv", training->folder);
    bool good = rt_history_write(training->history, path);
    free(path);
    return good;
}

void rt_results_save(RtTraining *training)
{
    if (!training->folder || !training->unsaved) return;
    double start = rt_seconds();
    training->failed = !(save_best(training) && save_history(training) && save_last(training) &&
                         (training->diverged || rt_checkpoint_write(training)));
    training->unsaved = training->failed;
    training->saved_at = rt_seconds();
    training->save_seconds = training->saved_at - start;
    if (training->failed) rt_warn("training goes on; this is saved with the next checkpoint");
}

void rt_results_step(RtTraining *training)
{
    double minutes = training->session->options->checkpoint_every;
    training->unsaved = true;
    if (training->folder && rt_seconds() - training->saved_at >= 60 * (minutes ? minutes : 10))
        rt_results_save(training);
}

void rt_results_epoch(RtTraining *training, const RtLog *logs, int count)
{
    double value = find_log(logs, count, training->validation ? "val_loss" : "loss");
    bool last = training->stop || training->epoch >= training->epochs; /* the phase's end saves */
    bool due = !last && rt_seconds() - training->saved_at >= 9 * training->save_seconds;
    training->unsaved = true;
    training->val_loss = find_log(logs, count, "val_loss");
    if (!training->folder) return;
    if (is_best(training, value)) {
        training->best = value;
        training->best_val_loss = training->val_loss;
        training->best_phase = training->phase_index;
        training->best_epoch = training->epoch;
        training->best_unsaved = true;
        if (due)
            forget_best_weights(training);
        else
            hold_best_weights(training, false);
    }
    if (due) rt_results_save(training);
    if (training->best_unsaved && !training->best_weights) hold_best_weights(training, false);
}

void rt_results_phase(RtTraining *training)
{
    rt_results_save(training);
    if (training->best_unsaved) hold_best_weights(training, true);
}

void rt_results_close(RtTraining *training)
{
    if (training->folder && training->failed)
        rt_die(RT_NO_ROOM, "the same command goes on from the last checkpoint that was written",
               "%s: the end of this training could not be saved", training->folder);
    forget_best_weights(training);
    if (training->lock >= 0) close(training->lock);
    free(training->folder);
}
