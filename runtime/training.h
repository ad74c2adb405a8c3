/* training.h: the training under way, shared by the files that make it up: train.c (the loop),
 * and those that keep, watch or speed it. */
#ifndef RT_TRAINING_H
#define RT_TRAINING_H

#include "arrays.h"
#include "data.h"
#include "measures.h"
#include "session.h"

/* Numbers of a part of the training that a checkpoint keeps beside weights and slots. */
typedef struct {
    const char *name; /* "early_stopping.wait": unique while it is kept */
    RtType type;
    size_t count;
    void *values; /* the part's own */
} RtKept;

typedef struct RtCallbacks RtCallbacks;

/* What a training took, over all runs that it was made in; args.c. */
typedef struct {
    char started[32]; /* the first of them: "2026-11-22T21:40:01Z" */
    double seconds;   /* in the runs before; in all of them at the end */
    double begin;     /* of this one, by rt_seconds */
    size_t pictures;  /* trained on, each time counted */
    size_t earlier;   /* those of the runs before */
} RtTook;

typedef struct RtTraining {
    RtSession *session;
    RtData *data, *validation; /* validation: NULL if there is none */
    RtHistory *history;
    size_t steps;   /* taken in all phases */
    double *losses; /* (steps), for --trace */
    real *last_out; /* outputs of the last step, for --trace */
    int last_n;
    RtTook took;
    RtKept *kept;
    size_t kept_count;

    /* What is on disk (results.c). */
    char *folder;                  /* for results; NULL: none are kept */
    int lock;                      /* the open file that keeps others out of the folder */
    bool unsaved, failed;          /* something happened since the last save; that save failed */
    double saved_at, save_seconds; /* when the last save ended, how long it took */
    double val_loss;               /* of the last whole epoch; NaN if there was none */
    double best, best_val_loss;    /* least val_loss (loss, without validation) so far; or NaN */
    int best_phase, best_epoch;    /* where; -1: nowhere yet */
    bool best_unsaved;
    real **best_weights; /* of a best that is not on disk: those that the phase trains; or NULL */

    /* What the training depends on, and the checkpoint it goes on from (checkpoint.c). */
    RtMeta *settings;
    size_t setting_count;
    RtTensors *checkpoint; /* NULL: there is none, or it was taken over */
    char *checkpoint_path;
    bool was_complete; /* nothing was left to do */

    /* Of the phase under way. */
    const RtPhase *phase, *previous; /* previous: whose slots are in the arena when it begins */
    int phase_index;
    RtLoader *loader, *validation_loader;
    RtLogNames names;
    uint64_t *order;   /* (pictures of the data) */
    size_t pictures;   /* in an epoch */
    int epochs, epoch; /* to do, done */
    bool stop;         /* set by a part at the end of an epoch: the phase ends there */
    bool over;         /* all that happens at the end of the phase has happened */
    bool diverged;     /* set by a part: all ends after this step, without a checkpoint, exit 1 */
    RtCallbacks *callbacks;

    /* Of the epoch under way. */
    size_t position, epoch_steps; /* in the order, of the next batch; steps taken */
    RtMeter meter;
    RtProgress *progress; /* NULL: none is shown */
    char title[64];
} RtTraining;

/* Has the checkpoints keep `count` numbers at `values`, which stay the caller's and in place until
 * rt_training_forget or the end of the training. They are read back after the phase was begun. */
void rt_training_keep(RtTraining *training, const char *name, RtType type, size_t count,
                      void *values);
void rt_training_forget(RtTraining *training, const char *name);
bool rt_training_runs(const RtTraining *training, int phase); /* by --phase and --until */
int rt_training_epochs(const RtTraining *training, int phase);

/* ---- results.c: the run folder --------------------------------------------------------------- */

/* Makes the folder (--out; runs/NAME; none for a trace or a few steps), keeps others out of it
 * (exit 1), and removes what killed processes left half-written. */
void rt_results_open(RtTraining *training);
/* After every step, and after every whole epoch: saves what is due. An epoch's end is due if saving
 * takes at most a tenth of the time; within epochs --checkpoint-every says. */
void rt_results_step(RtTraining *training);
void rt_results_epoch(RtTraining *training, const RtLog *logs, int count);
/* At the end of a phase: saves; a best that could not be is out of the next phase's reach. */
void rt_results_phase(RtTraining *training);
/* Saves what is not on disk yet: best, history, last, then a checkpoint. What cannot be written is
 * named, and comes again with the next save. */
void rt_results_save(RtTraining *training);
/* Exit 6 if the last save failed. */
void rt_results_close(RtTraining *training);

/* ---- checkpoint.c: all that a training is, in one file --------------------------------------- */

/* The newest checkpoint of a folder that is whole; NULL: there is none. Those that are not are
 * named and counted, unless damaged is NULL. */
char *rt_checkpoint_find(const char *folder, int *damaged);
/* Finds what the training goes on from, if anything, and compares the settings; exit 2 or 5. With
 * --fresh removes all. */
void rt_checkpoint_open(RtTraining *training);
/* The number that it holds under a name that was kept. */
int64_t rt_checkpoint_number(const RtTraining *training, const char *name);
/* Whether it was made at the end of its phase. */
bool rt_checkpoint_ends_phase(const RtTraining *training);
/* Takes all of it over: weights, slots of the phase, kept numbers, history. */
void rt_checkpoint_restore(RtTraining *training);
/* Writes one, and removes those that are older than the newest --keep. */
bool rt_checkpoint_write(RtTraining *training);

/* ---- settings.c: what the course of a training depends on ------------------------------------ */

/* Names and values, in words: "option:--seed" and "5", "phase head" and its JSON, "data" and a
 * checksum. */
void rt_settings_make(RtTraining *training);
void rt_settings_free(RtTraining *training);
/* Compares with those of the checkpoint; exit 2 (options) or 5 (the rest) with all differences. */
void rt_settings_check(const RtTraining *training);

/* ---- callbacks.c: those of the phase under way ----------------------------------------------- */

/* Exit 2 if a callback of the phase wants what this training does not have: validation. */
void rt_callbacks_check(const RtTraining *training, const RtPhase *phase);
void rt_callbacks_open(RtTraining *training);        /* the phase begins */
void rt_callbacks_begin_epoch(RtTraining *training); /* or goes on, broken off before */
void rt_callbacks_begin_step(RtTraining *training);  /* sets run->learning_rate */
void rt_callbacks_end_step(RtTraining *training, const RtLog *logs, int count);
/* After validation; may add learning_rate to logs, and set training->stop. Returns how many logs
 * there are then. */
int rt_callbacks_end_epoch(RtTraining *training, RtLog *logs, int count);
void rt_callbacks_end(RtTraining *training); /* the phase is over: before the last save */
void rt_callbacks_close(RtTraining *training);
/* The loss of the step that was just done is not finite: a callback that is there for that says
 * why and ends the training; false if there is none. */
bool rt_callbacks_not_finite(RtTraining *training, const RtBatch *batch, double loss);

/* ---- schedule.c ------------------------------------------------------------------------------ */

/* The learning rate of a step counted from 0, with Keras's arithmetic in float. */
double rt_schedule(const RtSchedule *schedule, uint64_t step);

/* report.c: args.json, in the run folder, at the start; at the end again, and report.html. The
 * weights in the arena are the best ones afterwards. */
void rt_report_begin(RtTraining *training);
void rt_report_end(RtTraining *training);
/* forecast.c: has the progress bar of the epoch that begins tell when all phases will be done. */
void rt_training_forecast(const RtTraining *training);

#endif
