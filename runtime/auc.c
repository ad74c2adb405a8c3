/* auc.c: the area under a curve of two rates over all thresholds, by the rules of Keras's AUC.
 *
 * The sums of a metric: for each label that has a curve of its own (or one for all outputs) how
 * many true ones, then how many others, pass just so many of the thresholds, from none to all. */
#include <math.h>

#include "measures.h"

static const real EDGE = (real)1e-7; /* the lowest threshold lies below 0, the highest above 1 */

static int curve_count(const RtMetric *metric) { return metric->labels ? metric->labels : 1; }

size_t rt_auc_size(const RtMetric *metric)
{
    return 2 * ((size_t)metric->thresholds + 1) * (size_t)curve_count(metric);
}

static real sigmoid(real x)
{
    const real e = RM(exp)(-RM(fabs)(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}

/* How many thresholds p lies above. */
static int passed(const RtMetric *metric, real p)
{
    if (metric->points) {
        int count = (p > -EDGE) + (p > 1 + EDGE);
        for (int i = 0; i < metric->thresholds - 2; i++) count += p > (real)metric->points[i];
        return count;
    }
    if (!(p > 0)) p = 0;
    if (p > 1) p = 1;
    const int range = (int)RM(ceil)(p * (real)(metric->thresholds - 1));
    return range < 1 ? 1 : range;
}

void rt_auc_add(const RtMetric *metric, const real *y, const real *row, int units, double *sums)
{
    const size_t counts = (size_t)metric->thresholds + 1;
    for (int i = 0; i < units; i++) {
        double *curve = sums + (metric->labels ? 2 * counts * (size_t)i : 0);
        const real p = metric->from_logits ? sigmoid(row[i]) : row[i];
        curve[(y[i] != 0 ? 0 : counts) + (size_t)passed(metric, p)]++;
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

typedef struct {
    double x, y;
} Point;

/* Flach and Kull, "Precision-recall-gain curves", NIPS 2015. */
static Point gain_point(Above above, Above total)
{
    const double scale = ratio(total.trues, total.falses);
    const double recall = 1 - scale * ratio(total.trues - above.trues, above.trues);
    if (above.trues == 0) return (Point){0, 1};
    return (Point){fmax(recall, 0), 1 - scale * ratio(above.falses, above.trues)};
}

static Point find_point(const RtMetric *metric, Above above, Above total)
{
    const double recall = ratio(above.trues, total.trues);
    if (metric->curve == RT_CURVE_PRGAIN) return gain_point(above, total);
    if (metric->curve == RT_CURVE_ROC) return (Point){ratio(above.falses, total.falses), recall};
    return (Point){recall, ratio(above.trues, above.trues + above.falses)};
}

static double area_of_part(const RtMetric *metric, Above low, Above high, Above total)
{
    if (metric->curve == RT_CURVE_PR && metric->sum == RT_SUM_BETWEEN)
        return area_between_counts(low, high, total.trues);
    const Point a = find_point(metric, low, total), b = find_point(metric, high, total);
    const double height = metric->sum == RT_SUM_LOWER    ? fmin(a.y, b.y)
                          : metric->sum == RT_SUM_HIGHER ? fmax(a.y, b.y)
                                                         : (a.y + b.y) / 2;
    return (a.x - b.x) * height;
}

static double find_area(const RtMetric *metric, const double *trues)
{
    const double *falses = trues + metric->thresholds + 1;
    Above total = {0, 0}, high = {trues[metric->thresholds], falses[metric->thresholds]};
    double area = 0;
    for (int i = 0; i <= metric->thresholds; i++) {
        total.trues += trues[i];
        total.falses += falses[i];
    }
    for (int i = metric->thresholds - 1; i > 0; i--) {
        const Above low = {high.trues + trues[i], high.falses + falses[i]};
        area += area_of_part(metric, low, high, total);
        high = low;
    }
    return area;
}

double rt_auc_value(const RtMetric *metric, const double *sums)
{
    const size_t size = 2 * ((size_t)metric->thresholds + 1);
    double area = 0;
    for (int i = 0; i < curve_count(metric); i++)
        area += find_area(metric, sums + size * (size_t)i);
    return area / curve_count(metric);
}
