/* metrics.c: metrics by the rules of Keras. A row of outputs is the last axis of one pixel; the
 * labels of a row are a number for each output or, of the sparse metrics, one class number. */
#include <math.h>

#include "data.h"
#include "measures.h"

int rt_argmax(const real *values, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

int rt_correct(const RtModel *model, RtLoss loss, const real *y, const real *out, int n)
{
    int units = model->output_size, labels = rt_label_size(model, loss), correct = 0;
    for (int i = 0; i < n; i++, y += labels, out += units) {
        if (units == 1)
            correct += y[0] == (out[0] > (real)0.5);
        else if (labels == 1)
            correct += y[0] == rt_argmax(out, units);
        else
            correct += rt_argmax(y, units) == rt_argmax(out, units);
    }
    return correct;
}

/* ---- Means over rows: the sums are right answers and answers --------------------------------- */

/* Ties with the class count for it; what is not finite counts against it, as in TensorFlow. */
static bool is_in_top(const real *row, int units, int class, int k)
{
    int higher = 0;
    if (class < 0 || class >= units || !isfinite(row[class])) return false;
    for (int i = 0; i < units; i++) {
        if (!isfinite(row[i])) return false;
        higher += row[i] > row[class];
    }
    return higher < k;
}

static void add_row(const RtMetric *metric, const real *y, const real *row, int units, double *sums)
{
    switch (metric->kind) {
    case RT_BINARY_ACCURACY:
        for (int i = 0; i < units; i++) sums[0] += y[i] == (row[i] > (real)metric->threshold);
        sums[1] += units;
        return;
    case RT_CATEGORICAL_ACCURACY:
        sums[0] += rt_argmax(y, units) == rt_argmax(row, units);
        break;
    case RT_SPARSE_CATEGORICAL_ACCURACY:
        sums[0] += y[0] == (real)rt_argmax(row, units);
        break;
    case RT_TOP_K_CATEGORICAL_ACCURACY:
        sums[0] += is_in_top(row, units, rt_argmax(y, units), metric->k);
        break;
    default:
        sums[0] += is_in_top(row, units, (int)y[0], metric->k);
        break;
    }
    sums[1]++;
}

/* ---- Counts of yes and no -------------------------------------------------------------------- */

/* The place of the highest number that comes after number `before` in the order of the numbers, of
 * equal ones the first; before -1: of all. -1 if there is none. */
static int next_highest(const real *row, int units, int before)
{
    int best = -1;
    for (int i = 0; i < units; i++) {
        if (before >= 0 && (row[i] > row[before] || (row[i] == row[before] && i <= before)))
            continue;
        if (best < 0 || row[i] > row[best]) best = i;
    }
    return best;
}

/* An output of precision and recall: the sums are true positives, false positives, false negatives.
 */
static void add_count(bool yes, bool is, double *sums)
{
    sums[0] += yes && is;
    sums[1] += yes && !is;
    sums[2] += !yes && is;
}

/* Of precision and recall that take only the k highest outputs for a yes. */
static void add_top_counts(const RtMetric *metric, const real *y, const real *row, int units,
                           int first, int end, double *sums)
{
    int place = -1;
    for (int i = first; i < end; i++) add_count(false, y[i] != 0, sums);
    for (int n = 0; n < metric->k && (place = next_highest(row, units, place)) >= 0; n++) {
        if (place < first || place >= end || !(row[place] > (real)metric->threshold)) continue;
        add_count(true, y[place] != 0, sums);
        sums[2] -= y[place] != 0;
    }
}

static void add_counts(const RtMetric *metric, const real *y, const real *row, int units,
                       double *sums)
{
    const int first = metric->class_id < 0 ? 0 : metric->class_id;
    const int end = metric->class_id < 0 ? units : first + 1;
    if (metric->k > 0) {
        add_top_counts(metric, y, row, units, first, end, sums);
        return;
    }
    for (int i = first; i < end; i++) add_count(row[i] > (real)metric->threshold, y[i] != 0, sums);
}

static double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

/* ---- The whole ------------------------------------------------------------------------------- */

size_t rt_metric_size(const RtMetric *metric)
{
    if (metric->kind == RT_AUC) return rt_auc_size(metric);
    return metric->kind == RT_PRECISION || metric->kind == RT_RECALL ? 3 : 2;
}

void rt_metric_add(const RtMetric *metric, const RtModel *model, const RtBatch *batch,
                   const real *out, double *sums)
{
    const int units = model->output_dims[model->output_rank - 1];
    const int rows = batch->n * (model->output_size / units);
    const bool sparse = metric->kind == RT_SPARSE_CATEGORICAL_ACCURACY ||
                        metric->kind == RT_SPARSE_TOP_K_CATEGORICAL_ACCURACY;
    const real *y = batch->y;
    for (int i = 0; i < rows; i++, out += units, y += sparse ? 1 : units) {
        if (metric->kind == RT_AUC)
            rt_auc_add(metric, y, out, units, sums);
        else if (metric->kind == RT_PRECISION || metric->kind == RT_RECALL)
            add_counts(metric, y, out, units, sums);
        else
            add_row(metric, y, out, units, sums);
    }
}

double rt_metric_value(const RtMetric *metric, const double *sums)
{
    if (metric->kind == RT_AUC) return rt_auc_value(metric, sums);
    if (metric->kind == RT_PRECISION) return ratio(sums[0], sums[0] + sums[1]);
    if (metric->kind == RT_RECALL) return ratio(sums[0], sums[0] + sums[2]);
    return ratio(sums[0], sums[1]);
}
