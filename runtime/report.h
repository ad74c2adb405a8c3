/* report.h: what the files of the report (report.html, args.json) offer one another. The page is
 * one file: styles, charts (SVG) and thumbnails stand in it, it loads nothing and runs no script.
 * What it tells is read from the run folder, so that the end of a training and the command
 * `report` write the same page. */
#ifndef RT_REPORT_H
#define RT_REPORT_H

#include "data.h"
#include "files.h"
#include "measures.h"
#include "session.h"
#include "training.h"
#include "weights.h"

/* ---- args.c: args.json: what was asked for, by what, on what machine ------------------------- */

/* Written at the start of a training (over false), and again at its end with what it took and the
 * signal that ended it (0: none). */
void rt_args_write(const RtSession *session, const char *folder, const RtTook *took, bool over);
/* Begins to count. resumed: goes on from what the file of the folder says. */
void rt_took_begin(RtTook *took, const char *folder, bool resumed);
/* The file of a run folder; NULL if there is none or it cannot be understood (a warning). */
RtJson *rt_args_read(const char *folder);
/* Takes over what says where the pictures are, from the training, into options that name no data,
 * or the same data and no split. Strings stay the JSON's. */
void rt_args_fill(const RtJson *args, RtOptions *options);

/* ---- report_history.c: history.csv, read back ------------------------------------------------ */

typedef struct {
    char *text; /* what the others point into */
    int columns;
    size_t rows;
    char **names;   /* (columns) */
    double *values; /* (rows, columns): NaN for NA, and for what is no number */
    char **phases;  /* (rows): "" if the file has no such column */
} RtEpochs;

/* Empty if there is no such file. */
RtEpochs rt_epochs_read(const char *path);
void rt_epochs_free(RtEpochs *epochs);
int rt_epochs_column(const RtEpochs *epochs, const char *name); /* -1 if there is none */
/* Row of the n-th epoch (from 1) of a phase; -1 if there is none. */
int rt_epochs_find(const RtEpochs *epochs, const char *phase, int n);

/* ---- report_judge.c: what the weights make of each picture ----------------------------------- */

typedef struct {
    uint64_t sample; /* index in the data */
    real loss;       /* without regularization */
    real probability;
    real said, is;    /* of one output that is no class: its value, and the right one */
    int truth, guess; /* classes; -1 if labels are no classes */
} RtJudged;

typedef struct {
    RtData *data;
    int classes; /* 0: labels are no classes */
    RtJudged *items;
    size_t count, right;
    RtLog logs[RT_LOGS]; /* as `evaluate` prints them */
    RtLogNames names;
    int log_count;
} RtVerdict;

/* Evaluates the weights in the arena, in the order of the data. */
RtVerdict rt_judge(RtSession *session, const RtPhase *phase, RtData *data);
void rt_verdict_free(RtVerdict *verdict);
const char *rt_class_name(const RtVerdict *verdict, int class, char text[32]);

/* ---- The page -------------------------------------------------------------------------------- */

typedef struct {
    RtSession *session;
    const RtModel *model;
    const char *folder;
    RtData *train, *validation; /* NULL: not there */
    bool train_read;            /* its pictures were read in this process */
    RtJson *args;               /* may be NULL */
    RtEpochs epochs;
    char *weights; /* path of the weights judged; NULL: there are none */
    char weights_md5[33];
    size_t weights_bytes;
    RtSaved *saved; /* what they say of themselves; may be NULL */
    const RtPhase *phase;
    int best;          /* row of epochs in which the weights were saved; -1: unknown */
    RtVerdict verdict; /* items NULL: nothing was judged */
    FILE *out;
} RtReport;

/* Each writes its section, or nothing where it has nothing to show. */
void rt_report_charts(const RtReport *report);   /* report_chart.c */
void rt_report_classes(const RtReport *report);  /* report_class.c: confusion, table of classes */
void rt_report_pictures(const RtReport *report); /* report_picture.c: worst and random ones */
void rt_report_model(const RtReport *report);    /* report_model.c: layers, phases */
void rt_report_memory(const RtReport *report);   /* report_plan.c */
void rt_report_data(const RtReport *report);     /* report_facts.c: pictures by class and side */
void rt_report_audit(const RtReport *report);    /* report_audit.c: what `check` finds in them */
void rt_report_facts(const RtReport *report);    /* arguments, machine, versions, hashes */
extern const char *const rt_report_style[];      /* report_style.c: CSS; NULL ends */

/* ---- report_html.c --------------------------------------------------------------------------- */

/* printf to a page: what %s takes is escaped, and bytes that are no character of HTML become
 * U+FFFD. Conversions: %s %c %d %u %zu %lld %f %g %%, with flags, width and precision. */
void rt_html(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An argument as a shell would have to be given it. */
void rt_html_argument(FILE *out, const char *text);
/* "14,714,688"; "61.8 MiB"; "1.15 M"; "1 h 02 min": each in a buffer of its own kind, good until
 * the fourth call after it. */
const char *rt_count_text(int64_t count);
const char *rt_bytes_text(double bytes);
const char *rt_amount_text(double amount);
const char *rt_duration_text(double seconds);
/* The file's end of a path. */
const char *rt_base_name(const char *path);
void rt_base64(FILE *out, const unsigned char *data, size_t bytes);

/* ---- report_ticks.c -------------------------------------------------------------------------- */

enum { RT_TICKS = 16 };

typedef struct {
    double at[RT_TICKS]; /* rising */
    int count;
    int decimals; /* that labels need; -1: %g */
} RtTicks;

/* At most `most` (3 to RT_TICKS) round numbers, 1, 2 or 5 times a power of ten apart, from at most
 * `low` to at least `high`. */
RtTicks rt_ticks(double low, double high, int most);
/* For a logarithmic scale, 0 < low <= high: 1, 2, 5 times powers of ten, or powers alone. */
RtTicks rt_log_ticks(double low, double high, int most);
void rt_tick_label(const RtTicks *ticks, int index, char text[32]);

#endif
