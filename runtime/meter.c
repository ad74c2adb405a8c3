/* meter.c: what an epoch comes to: the loss is the mean over pictures; metrics beside it. */
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "ground.h"
#include "measures.h"

RtMeter rt_meter_open(const RtPhase *phase)
{
    RtMeter meter = {.phase = phase};
    for (int i = 0; i < phase->metric_count; i++)
        meter.sum_count += rt_metric_size(&phase->metrics[i]);
    meter.sums = rt_alloc(meter.sum_count, sizeof *meter.sums);
    return meter;
}

void rt_meter_close(RtMeter *meter)
{
    free(meter->sums);
    meter->sums = NULL;
}

void rt_meter_clear(RtMeter *meter)
{
    meter->loss = 0;
    meter->count = 0;
    memset(meter->sums, 0, meter->sum_count * sizeof *meter->sums);
}

void rt_meter_add(RtMeter *meter, const RtModel *model, const RtBatch *batch, const real *out,
                  double mean_loss)
{
    double *sums = meter->sums;
    meter->loss += mean_loss * batch->n;
    meter->count += (size_t)batch->n;
    for (int i = 0; i < meter->phase->metric_count; i++) {
        rt_metric_add(&meter->phase->metrics[i], model, batch, out, sums);
        sums += rt_metric_size(&meter->phase->metrics[i]);
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

RtLogNames rt_log_names_open(const RtPhase *phase)
{
    int count = phase->metric_count + 1;
    if (count > RT_LOGS / 2) rt_die(RT_FAILED, NULL, "phase %s: too many metrics", phase->name);
    RtLogNames names = {.count = count,
                        .names = rt_alloc((size_t)count, sizeof *names.names),
                        .val_names = rt_alloc((size_t)count, sizeof *names.val_names)};
    for (int i = 0; i < count; i++)
        names.names[i] = rt_format("%s", i ? phase->metrics[i - 1].name : "loss");
    qsort(names.names, (size_t)count, sizeof *names.names, compare_names);
    for (int i = 0; i < count; i++) names.val_names[i] = rt_format("val_%s", names.names[i]);
    return names;
}

void rt_log_names_close(RtLogNames *names)
{
    for (int i = 0; i < names->count; i++) {
        free(names->names[i]);
        free(names->val_names[i]);
    }
    free(names->names);
    free(names->val_names);
}

static double find_value(const RtMeter *meter, const char *name)
{
    const double *sums = meter->sums;
    for (int i = 0; i < meter->phase->metric_count; i++) {
        const RtMetric *metric = &meter->phase->metrics[i];
        if (strcmp(metric->name, name) == 0) return rt_metric_value(metric, sums);
        sums += rt_metric_size(metric);
    }
    return meter->count ? meter->loss / (double)meter->count : 0;
}

int rt_meter_logs(const RtMeter *meter, const RtLogNames *names, bool validation, RtLog *logs)
{
    for (int i = 0; i < names->count; i++)
        logs[i] = (RtLog){validation ? names->val_names[i] : names->names[i],
                          find_value(meter, names->names[i])};
    return names->count;
}
