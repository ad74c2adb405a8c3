/* dryrun.h: what `train --dry-run` finds out of a training: pace.c times it, needs.c adds up its
 * bytes, dryrun.c prints both. */
#ifndef RT_DRYRUN_H
#define RT_DRYRUN_H

#include "forecast.h"
#include "tryout.h"

typedef struct {
    RtCourse course;
    size_t missing[RT_SIDES];      /* pictures whose features each pass must compute */
    RtPlace pictures[RT_SIDES];    /* decoded ones: where they are kept, from here to the end */
    bool pictures_begin[RT_SIDES]; /* and since this phase */
    /* Seconds: */
    double features[RT_SIDES]; /* of such a pass */
    double decoding;           /* of pictures that are kept, beside what an epoch takes */
    double steps, validation;  /* of an epoch behind it */
} RtForeseen;                  /* of a phase */

typedef struct {
    RtTryout tryout;
    RtForeseen *phases; /* those that are chosen */
    int phase_count;
    size_t trial_bytes;     /* memory that the timing took beyond what training takes */
    double save, last_save; /* seconds of a save; of the last one, as the training reckons it */
    double disk_a_second;   /* bytes that are safe on the disk of --out */
} RtDryRun;

/* ---- pace.c ---------------------------------------------------------------------------------- */

/* Does some of the phase's passes, on the tryout's data and weights. */
void rt_pace_take(RtDryRun *dry, RtForeseen *phase);

/* ---- needs.c --------------------------------------------------------------------------------- */

/* Which features are kept, and which of them are there already. */
void rt_needs_open(RtDryRun *dry);
/* Print; exit 6 if it cannot fit. The second and the third before anything was computed, the first
 * after. */
void rt_needs_print_memory(const RtDryRun *dry);
void rt_needs_check_memory(const RtDryRun *dry);
void rt_needs_print_disk(RtDryRun *dry);
void rt_needs_print_features(const RtDryRun *dry);

#endif
