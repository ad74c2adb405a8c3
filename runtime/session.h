/* session.h: a run of a program: its command line, and the model with its memory and threads. */
#ifndef RT_SESSION_H
#define RT_SESSION_H

#include <stdbool.h>

#include "data.h"
#include "weights.h"

/* ---- options.c: the command line of a generated program -------------------------------------- */

typedef struct {
    const char *command;
    const char *data, *validation, *weights, *out, *phase, *until, *input, *output, *trace, *cache;
    const char **images;
    int image_count;
    double validation_split, checkpoint_every, min_lr, max_lr; /* minutes; 0: not given */
    int epochs, steps, threads, top, batch, repeat, keep, cache_memory, cache_disk; /* 0: no */
    uint64_t seed;
    bool shuffle, json, strict, quiet, layers, resume, fresh, dry_run, overfit_batch;
    int argc; /* the command line as it was given */
    char **argv;
} RtOptions;

/* Parses argv into options by a table, from which --help is printed too; exit 2 with the nearest
 * option on a mistake. Returns false when --help or --version was answered. */
bool rt_options_parse(const RtModel *model, int argc, char **argv, RtOptions *options);
/* The options of train that a checkpoint keeps, as "--seed", "5" or "--seed", "not given"; the
 * caller frees the list and the values. */
size_t rt_options_list(const RtOptions *options, RtMeta **list);
/* Whether a training may go on with another value of this one. */
bool rt_option_is_loose(const char *name);
/* For --resume: takes those that were not given from a checkpoint's metadata ("option:--seed"). */
void rt_options_restore(const RtModel *model, RtOptions *options, const RtTensors *file);

/* suggest.c: "did you mean NAME?" for the nearest of names (malloc'ed), or `otherwise`. */
const char *rt_suggest(const char *given, const char *const *names, int count,
                       const char *otherwise);

/* ---- session.c: a model with its arena and threads, shared by the commands ------------------- */

typedef struct {
    const RtModel *model;
    const RtOptions *options;
    RtRun run;
    RtLevel level;
    char *room;          /* the loader's, model->batch_bytes */
    int batch;           /* rows that infer and evaluate take at once: at most infer_batch */
    real *out;           /* outputs of a batch */
    real *losses;        /* (batch) */
    real *class_weights; /* (class_count): of the phase under way, if it has some */
    int class_count;
    real *sample_weights; /* (largest batch): of the batch */
    bool poison, prepared;
    /* Features of training and validation pictures (cache.h), or NULL. With them, batches need no
     * pictures: run.sample tells them. */
    struct RtCache *train_cache, *evaluate_cache;
} RtSession;

/* The run's threads and memory: the arena, and behind it the scratch of each thread; weights in the
 * arena. threads as for rt_pool_open. A run that is read_only takes pages when it first needs them,
 * others take all now. */
void rt_run_open(RtRun *run, const RtModel *model, int threads);
void rt_run_close(RtRun *run, const RtModel *model);
void rt_session_open(RtSession *session, const RtModel *model, const RtOptions *options);
void rt_session_close(RtSession *session);
/* The model's functions on a batch. With TLC_POISON=1 in the environment the planned memory is
 * filled with NaN before, so that a number read before it is written shows in the results. */
/* What infer needs beforehand. A run that is read_only then gives back what infer does not read. */
void rt_prepare_infer(RtSession *session);
/* Before an epoch, and before an evaluation: weights may have changed. */
void rt_prepare_train(RtSession *session, const RtPhase *phase);
void rt_prepare_evaluate(RtSession *session, const RtPhase *phase);
void rt_below_batch(RtSession *session, const RtCut *cut, const real *x, int n);
void rt_infer_batch(RtSession *session, const real *x, int n, real *out);
void rt_evaluate_batch(RtSession *session, const RtPhase *phase, const RtBatch *batch);
double rt_train_batch(RtSession *session, const RtPhase *phase, const real *x, const real *y,
                      int n);
/* Fills the weights for evaluate, predict and features: from --weights; else from best.safetensors
 * or last.safetensors in runs/NAME; else, if the program has no phases, from the bases' own files.
 * Says on stderr which. Returns what a file of this program says of itself, or NULL. */
RtSaved *rt_session_load(RtSession *session);
void rt_clear_slots(const RtSession *session,
                    const RtPhase *phase); /* an optimizer without memory */
/* The slots of `to` from those of `from`, by weight and name; the others without memory. */
void rt_continue_slots(const RtSession *session, const RtPhase *from, const RtPhase *to);
const RtPhase *rt_find_phase(const RtModel *model, const char *name); /* NULL if there is none */

/* ---- classes.c: weights of classes, balanced sampling ---------------------------------------- */

/* The phase's class weights for the classes of `data`, kept in the session. Exit 4 for a class that
 * the data do not have. */
void rt_class_weights_open(RtSession *session, const RtPhase *phase, const RtData *data);
/* run.sample_weight of a batch with these labels; 1 for what has no weight. */
void rt_weigh_batch(RtSession *session, const RtPhase *phase, const real *y, int n);
/* Pictures in an epoch of the phase, and which, in their order: a pure function of seed, epoch and
 * data. Not shuffled: by number or, if sampling is balanced, by class. */
size_t rt_epoch_pictures(const RtModel *model, const RtPhase *phase, const RtData *data);
void rt_epoch_order(const RtRun *run, const RtModel *model, const RtPhase *phase,
                    const RtData *data, bool shuffle, uint64_t *order);

#endif
