/* metrics.c: what an epoch comes to, by the rules of Keras: the loss is the mean over pictures, and
 * "accuracy" means what the shape of the output makes it mean. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

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

void rt_meter_add(RtMeter *meter, const RtModel *model, RtLoss loss, const RtBatch *batch,
                  const real *out, double mean_loss)
{
    meter->loss += mean_loss * batch->n;
    meter->correct += (size_t)rt_correct(model, loss, batch->y, out, batch->n);
    meter->count += (size_t)batch->n;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

RtLogNames rt_log_names_open(const RtPhase *phase)
{
    int count = 1;
    for (const char *const *metric = phase->metrics; metric && *metric; metric++) count++;
    if (count > RT_LOGS / 2) rt_die(RT_FAILED, NULL, "phase %s: too many metrics", phase->name);
    RtLogNames names = {.count = count,
                        .names = rt_alloc((size_t)count, sizeof *names.names),
                        .val_names = rt_alloc((size_t)count, sizeof *names.val_names)};
    for (int i = 0; i < count; i++)
        names.names[i] = rt_format("%s", i ? phase->metrics[i - 1] : "loss");
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

int rt_meter_logs(const RtMeter *meter, const RtLogNames *names, bool validation, RtLog *logs)
{
    double count = meter->count ? (double)meter->count : 1;
    for (int i = 0; i < names->count; i++) {
        bool is_loss = strcmp(names->names[i], "loss") == 0;
        logs[i].name = validation ? names->val_names[i] : names->names[i];
        logs[i].value = (is_loss ? meter->loss : (double)meter->correct) / count;
    }
    return names->count;
}
