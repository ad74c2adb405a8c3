/* forecast.h: the course of a training that is not run yet: how often what is computed, which
 * --dry-run times and the progress bar reckons by multiply-adds. */
#ifndef RT_FORECAST_H
#define RT_FORECAST_H

#include "cache.h"

typedef struct {
    const RtPhase *phase;
    int epochs;
    size_t pictures, steps; /* of an epoch */
    size_t validation;      /* pictures; 0: there is none */
    RtCachePlan sides[RT_SIDES];
    int passes; /* over all training pictures for their features: one before each of the first
                 * epochs, one a variant; 0: none are kept */
} RtCourse;

/* Of phase number `phase`; held: bytes of memory that will be taken by then, and are not now. */
RtCourse rt_course(const RtTraining *training, int phase, size_t held);
/* Whether features below the cut of phase number `from` serve phase number `to` as well: they are
 * the same, and no phase between trains a weight that they depend on. */
bool rt_course_serves(const RtModel *model, const RtCut *from_cut, int from, const RtCut *to_cut,
                      int to);

/* What is left of a training behind the steps of the epoch under way, in such steps. */
typedef struct {
    double validation, after; /* of this epoch; of all later ones and of later phases */
} RtLeft;
RtLeft rt_training_left(const RtTraining *training);

#endif
