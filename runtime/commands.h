/* commands.h: the commands of a generated program, and what they have in common. */
#ifndef RT_COMMANDS_H
#define RT_COMMANDS_H

#include "measures.h"
#include "session.h"

/* ---- commands: each returns the exit code ---------------------------------------------------- */

int rt_train(RtSession *session); /* train.c */
/* For --resume: takes the options that were not given from the newest checkpoint; exit 5 if there
 * is none. */
void rt_resume_options(const RtModel *model, RtOptions *options); /* checkpoint.c */
int rt_evaluate(RtSession *session);                              /* evaluate.c */
/* Data of other classes than those that the weights say they were trained on: exit 4. Either may
 * be silent. path: of the data. */
void rt_classes_check(const RtData *data, const RtSaved *saved, const char *path);
/* Loss (with regularization) and correct answers of a phase over what the loader serves from its
 * start. Stops early on a signal. tally, if not NULL: (classes) pictures and right ones of each.
 * The caller closes the meter. */
RtMeter rt_measure(RtSession *session, const RtPhase *phase, RtLoader *loader, RtProgress *progress,
                   const RtLogNames *names, size_t (*tally)[2]);
int rt_predict(RtSession *session); /* predict.c */
/* Pictures for the model from a file of --input; exit 4 if their shape is another. */
RtArray rt_input_read(const RtModel *model, const char *path);
/* Rows of outputs as an array of the model's output shape; rows stay the caller's. */
RtArray rt_output_array(const RtModel *model, real *rows, int64_t count);
int rt_features(RtSession *session); /* features.c */
int rt_bench(RtSession *session);    /* bench.c */
int rt_report(RtSession *session);   /* report.c: report.html anew, from a run folder */
/* driver.c: 'Y' for layers whose weights are trained in this phase (NULL: in any), 'N' for others
 * that have weights, '-' for the rest; and how many parameters are trained. */
char *rt_mark_trainable(const RtModel *model, const RtPhase *phase, int64_t *params);
/* These three leave nothing behind: no file, and no weights. */
int rt_dry_run(RtSession *session);       /* dryrun.c: what training would need */
int rt_overfit_batch(RtSession *session); /* overfit.c: exit 1 if the batch is not learned */
int rt_lrfind(RtSession *session);        /* lrfind.c */
int rt_check(const RtModel *model, const RtOptions *options); /* check.c: exit 4 on errors */

#endif
