/* training.h: the training under way, shared by the files that make it up: train.c (the loop),
 * and those that keep, watch or speed it. */
#ifndef RT_TRAINING_H
#define RT_TRAINING_H

#include "internal.h"

/* Numbers of a part of the training that a checkpoint keeps beside weights and slots. */
typedef struct {
    const char *name; /* "early_stopping.wait": unique while it is kept */
    RtType type;      /* RT_F64, RT_I64 or RT_F32 */
    size_t count;
    void *values; /* the part's own */
} RtKept;

typedef struct RtTraining {
    RtSession *session;
    RtData *data, *validation; /* validation: NULL if there is none */
    RtHistory *history;
    char *folder;              /* for results; NULL: none are kept */
    size_t steps, saved_steps; /* taken in all phases; those in last.safetensors */
    double best;               /* least val_loss (loss, without validation) so far */
    char *best_line;           /* what to say of it in the end */
    const char *best_loss;     /* the loss it is measured in */
    double *losses;            /* (steps), for --trace */
    real *last_out;            /* outputs of the last step, for --trace */
    int last_n;
    RtKept *kept;
    size_t kept_count;

    /* Of the phase under way. */
    const RtPhase *phase;
    RtLoader *loader, *validation_loader;
    RtLogNames names;
    uint64_t *order;   /* (pictures) */
    int epochs, epoch; /* to do, done */
    bool stop;         /* set by a part at the end of an epoch: the phase ends there */

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

#endif
