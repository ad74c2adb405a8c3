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

/* ---- Counts of yes and no: the sums are true ones and others, in two or more ranges ---------- */

/* Precision and recall: true positives, false positives, false negatives. */
static void add_counts(const RtMetric *metric, const real *y, const real *row, int units,
                       double *sums)
{
    int first = metric->class_id < 0 ? 0 : metric->class_id;
    int end = metric->class_id < 0 ? units : first + 1;
    for (int i = first; i < end; i++) {
        const bool yes = row[i] > (real)metric->threshold, is = y[i] != 0;
        sums[0] += yes && is;
        sums[1] += yes && !is;
        sums[2] += !yes && is;
    }
}

static real sigmoid(real x)
{
    const real e = RM(exp)(-RM(fabs)(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}

/* AUC: how many true ones, then how many others, lie between each two thresholds. */
static void add_ranges(const RtMetric *metric, const real *y, const real *row, int units,
                       double *sums)
{
    for (int i = 0; i < units; i++) {
        real p = metric->from_logits ? sigmoid(row[i]) : row[i];
        if (!(p > 0)) p = 0;
        if (p > 1) p = 1;
        int range = (int)RM(ceil)(p * (real)(metric->thresholds - 1)) - 1;
        sums[(y[i] != 0 ? 0 : metric->thresholds) + (range < 0 ? 0 : range)]++;
    }
}

static double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

/* A point of the curve: above a threshold lie these of `trues` true ones and `falses` others. */
typedef struct {
    double trues, falses;
} Above;

/* Davis and Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006:
 * between two points the counts change evenly, not the precision. */
static double area_between_counts(Above low, Above high, double trues)
{
    const double all = high.trues + high.falses, before = low.trues + low.falses;
    const double gained = low.trues - high.trues, slope = ratio(gained, fmax(before - all, 0));
    const double rest = high.trues - slope * all;
    const double growth = before > 0 && all > 0 ? before / all : 1;
    return ratio(slope * (gained + rest * log(growth)), trues);
}

static double area_of_part(const RtMetric *metric, Above low, Above high, Above total)
{
    double x[2], y[2];
    const Above ends[] = {low, high};
    if (metric->curve == RT_CURVE_PR && metric->sum == RT_SUM_BETWEEN)
        return area_between_counts(low, high, total.trues);
    for (int i = 0; i < 2; i++) {
        const double recall = ratio(ends[i].trues, total.trues);
        x[i] = metric->curve == RT_CURVE_ROC ? ratio(ends[i].falses, total.falses) : recall;
        y[i] = metric->curve == RT_CURVE_ROC ? recall
                                             : ratio(ends[i].trues, ends[i].trues + ends[i].falses);
    }
    const double height = metric->sum == RT_SUM_LOWER    ? fmin(y[0], y[1])
                          : metric->sum == RT_SUM_HIGHER ? fmax(y[0], y[1])
                                                         : (y[0] + y[1]) / 2;
    return (x[0] - x[1]) * height;
}

static double find_area(const RtMetric *metric, const double *sums)
{
    const double *trues = sums, *falses = sums + metric->thresholds;
    Above total = {0, 0}, high = {0, 0};
    double area = 0;
    for (int i = 0; i < metric->thresholds; i++) {
        total.trues += trues[i];
        total.falses += falses[i];
    }
    for (int i = metric->thresholds - 2; i >= 0; i--) { /* none lies above the highest */
        const Above low = {high.trues + trues[i], high.falses + falses[i]};
        area += area_of_part(metric, low, high, total);
        high = low;
    }
    return area;
}

/* ---- The whole ------------------------------------------------------------------------------- */

size_t rt_metric_size(const RtMetric *metric)
{
    if (metric->kind == RT_AUC) return 2 * (size_t)metric->thresholds;
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
            add_ranges(metric, y, out, units, sums);
        else if (metric->kind == RT_PRECISION || metric->kind == RT_RECALL)
            add_counts(metric, y, out, units, sums);
        else
            add_row(metric, y, out, units, sums);
    }
}

double rt_metric_value(const RtMetric *metric, const double *sums)
{
    if (metric->kind == RT_AUC) return find_area(metric, sums);
    if (metric->kind == RT_PRECISION) return ratio(sums[0], sums[0] + sums[1]);
    if (metric->kind == RT_RECALL) return ratio(sums[0], sums[0] + sums[2]);
    return ratio(sums[0], sums[1]);
}
