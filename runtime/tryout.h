/* tryout.h: a training that keeps nothing, which `train --dry-run`, `train --overfit-batch` and
 * `lrfind` have in common: the data, the weights and the steps are those of train; no file is
 * written, and the weights go with the program. */
#ifndef RT_TRYOUT_H
#define RT_TRYOUT_H

#include "data.h"
#include "session.h"

typedef struct {
    RtSession *session;
    RtData *data, *validation; /* validation: NULL if there is none */
    uint64_t *order;           /* (pictures) */

    /* Of the phase under way. */
    const RtPhase *phase;
    RtLoader *loader;
    uint32_t round; /* times that the data were begun */
} RtTryout;

/* Opens data and weights as train does, and with the same refusals. */
void rt_tryout_open(RtTryout *tryout, RtSession *session);
void rt_tryout_close(RtTryout *tryout);
/* By --phase and --until. */
bool rt_tryout_chosen(const RtTryout *tryout, const RtPhase *phase);
const RtPhase *rt_tryout_first(const RtTryout *tryout); /* of the chosen phases */
/* A phase as at its start: an optimizer without memory, its learning rate. The first opens no
 * loader. */
void rt_tryout_enter(RtTryout *tryout, const RtPhase *phase);
void rt_tryout_begin(RtTryout *tryout, const RtPhase *phase);
void rt_tryout_end(RtTryout *tryout);
/* Fills tryout->order for the epoch under way. */
void rt_tryout_order(RtTryout *tryout);
/* Begins the data anew, in the order of the next epoch. */
void rt_tryout_start(RtTryout *tryout);
/* A training step; its loss, with regularization, from before the update. */
double rt_tryout_step(RtTryout *tryout, const RtBatch *batch);

#endif
