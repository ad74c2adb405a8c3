/* callbacks.h: what the callbacks share: the framework is callbacks.c, the callbacks themselves
 * monitors.c, csv_logger.c, tensorboard.c, not_finite.c. */
#ifndef RT_CALLBACKS_H
#define RT_CALLBACKS_H

#include "measures.h"
#include "training.h"

/* Counts of a callback that a checkpoint keeps; each means what Keras's attribute of that name
 * does. */
typedef struct {
    int64_t has_best, best_epoch, wait, stopped_epoch, cooldown_counter, batches_seen;
    int64_t has_weights; /* best_weights are set */
    int64_t bytes;       /* of CSVLogger's file */
} RtCounts;

typedef struct RtEvents RtEvents;

/* A callback of the phase under way. */
typedef struct {
    const RtCallback *about;
    RtCounts counts;
    double best;    /* of the watched number; kept too */
    real *weights;  /* a copy of those that the phase trains, or NULL; EarlyStopping's
                     * are kept too */
    char *names[3]; /* under which the checkpoints keep these */
    RtEvents *events, *validation; /* TensorBoard's files; NULL: none */
    double epoch_start, step_start;
    uint64_t epoch_first; /* run->step at the start of the epoch */
} RtState;

struct RtCallbacks {
    RtState *states;
    int count;
    double rate; /* the learning rate, unless a schedule gives it: a float's value */
};

/* What a callback does, where; NULL: nothing. */
typedef struct {
    void (*open)(RtTraining *training, RtState *state);
    void (*begin_epoch)(RtTraining *training, RtState *state);
    void (*begin_step)(RtTraining *training, RtState *state);
    void (*end_step)(RtTraining *training, RtState *state, const RtLog *logs, int count);
    void (*end_epoch)(RtTraining *training, RtState *state, const RtLog *logs, int count);
    void (*end)(RtTraining *training, RtState *state); /* the phase came to its end */
    void (*close)(RtTraining *training, RtState *state);
} RtHooks;

extern const RtHooks rt_checkpoint_hooks, rt_stopping_hooks, rt_plateau_hooks, rt_scheduler_hooks,
    rt_csv_hooks, rt_tensorboard_hooks, rt_nan_hooks;

/* The log of that name, or NULL. */
const RtLog *rt_find_log(const RtLog *logs, int count, const char *name);
/* A path of a callback: in the folder for results, unless it is absolute; the caller's. */
char *rt_result_path(const RtTraining *training, const char *path);
/* The learning rate as it is now. */
double rt_learning_rate(const RtTraining *training);
/* As rt_note, if the callback is verbose. */
void rt_tell(const RtTraining *training, const RtState *state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The weights that the phase trains: how many numbers, to a copy, and back. */
size_t rt_trained_count(const RtTraining *training);
void rt_copy_trained(const RtTraining *training, real *copy);
void rt_restore_trained(const RtTraining *training, const real *copy);

#endif
