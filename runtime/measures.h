/* measures.h: the numbers that a training or an evaluation comes to, from the metrics to where they
 * are shown and kept. */
#ifndef RT_MEASURES_H
#define RT_MEASURES_H

#include <stdbool.h>

#include "data.h"

/* ---- metrics.c: Keras's metrics (keras.md 5.4) ----------------------------------------------- */

/* Number of rows that Keras's "accuracy" counts as right: one unit: y == (p > 0.5); sparse labels
 * or one-hot by argmax, the first on ties. */
int rt_correct(const RtModel *model, RtLoss loss, const real *y, const real *out, int n);
int rt_argmax(const real *values, int count); /* the first on ties */
/* What a metric knows of the pictures so far: so many numbers, 0 at first. */
size_t rt_metric_size(const RtMetric *metric);
void rt_metric_add(const RtMetric *metric, const RtModel *model, const RtBatch *batch,
                   const real *out, double *sums);
double rt_metric_value(const RtMetric *metric, const double *sums);
/* auc.c: the same of the metric AUC; rows one by one. */
size_t rt_auc_size(const RtMetric *metric);
void rt_auc_add(const RtMetric *metric, const real *y, const real *row, int units, double *sums);
double rt_auc_value(const RtMetric *metric, const double *sums);

/* ---- meter.c: what an epoch comes to --------------------------------------------------------- */

/* A number to show, by its name. */
typedef struct {
    const char *name;
    double value;
} RtLog;

enum { RT_LOGS = 33 }; /* most of them in an epoch: half with val_, and learning_rate */

/* Sums over the pictures of an epoch so far: all that is to be kept of it. */
typedef struct {
    const RtPhase *phase;
    double loss;
    size_t count;
    double *sums; /* (sum_count): of the phase's metrics, one behind the other */
    size_t sum_count;
} RtMeter;

RtMeter rt_meter_open(const RtPhase *phase);
void rt_meter_close(RtMeter *meter);
void rt_meter_clear(RtMeter *meter); /* as it was opened */
void rt_meter_add(RtMeter *meter, const RtModel *model, const RtBatch *batch, const real *out,
                  double mean_loss);

/* The names under which a phase shows what its meters hold: "loss" and the metrics, sorted as Keras
 * sorts them, and the same with "val_" before. */
typedef struct {
    int count;
    char **names, **val_names;
} RtLogNames;

RtLogNames rt_log_names_open(const RtPhase *phase);
void rt_log_names_close(RtLogNames *names);
/* Fills logs (names->count) with the means; returns how many. */
int rt_meter_logs(const RtMeter *meter, const RtLogNames *names, bool validation, RtLog *logs);

/* ---- progress.c: Keras's bar on a terminal, one line an epoch elsewhere; on stderr ----------- */

/* A NULL progress shows nothing. rt_progress_step allocates nothing. */

typedef struct RtProgress RtProgress;
RtProgress *rt_progress_open(const char *title, size_t steps); /* title: "Epoch 1/20" or NULL */
void rt_progress_step(RtProgress *progress, size_t done, const RtLog *logs, int count);
void rt_progress_close(RtProgress *progress, const RtLog *logs, int count); /* the closing line */
/* From here on images/s and the time left of the whole training are shown too. images: of all the
 * steps; validation: the work of this epoch behind them, after: that of all later epochs, both in
 * steps like these. */
void rt_progress_forecast(RtProgress *progress, size_t images, double validation, double after);
void rt_progress_clear(void);    /* erase an open bar before another line is printed */
int rt_terminal_width(int file); /* of COLUMNS in the environment or of the terminal; else 80 */

/* ---- history.c: history.csv, in the form of Keras's CSVLogger -------------------------------- */

enum { RT_NUMBER = 64 };
/* As Python prints a float: the fewest digits that give the same number again. */
void rt_number_text(double value, char text[RT_NUMBER]);
/* schedule.c: the learning rate of a phase: a number, in `text`, or the schedule's type. */
const char *rt_rate_text(const RtPhase *phase, char text[RT_NUMBER]);

typedef struct RtHistory RtHistory;
RtHistory *rt_history_open(void);
/* Adds an epoch (counted from 0 over all phases); copies logs. */
void rt_history_add(RtHistory *history, const char *phase, int epoch, const RtLog *logs, int count);
/* All epochs so far, atomically; false and a warning if it cannot be. */
bool rt_history_write(const RtHistory *history, const char *path);
char *rt_history_text(const RtHistory *history); /* as JSON, with every bit of the numbers */
/* Adds the epochs of such a text; false if it is none. */
bool rt_history_read(RtHistory *history, const char *text);
size_t rt_history_count(const RtHistory *history); /* epochs */
void rt_history_close(RtHistory *history);

/* ---- trace.c: what --trace writes ------------------------------------------------------------ */

/* losses (steps), out (n, output), every weight, every slot of the phase, to an .npz file. */
void rt_trace_write(const char *path, const RtModel *model, const RtPhase *phase, char *arena,
                    const double *losses, size_t steps, real *out, int n);

#endif
