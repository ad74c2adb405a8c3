/* evaluate.c: loss and metrics of weights as they are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "weights.h"

static double sum(const real *values, int count)
{
    double total = 0;
    for (int i = 0; i < count; i++) total += values[i];
    return total;
}

/* Counts the pictures of each class and the right answers among them. */
static void tally_classes(const RtSession *session, RtLoss loss, const RtBatch *batch,
                          size_t (*tally)[2])
{
    int labels = rt_label_size(session->model, loss), units = session->model->output_size;
    for (int i = 0; i < batch->n; i++) {
        const real *y = batch->y + (size_t)i * (size_t)labels;
        int class = labels == 1 ? (int)y[0] : rt_argmax(y, labels);
        tally[class][0]++;
        tally[class][1] += (size_t)rt_correct(session->model, loss, y,
                                              session->out + (size_t)i * (size_t)units, 1);
    }
}

RtMeter rt_measure(RtSession *session, const RtPhase *phase, RtLoader *loader, RtProgress *progress,
                   const RtLogNames *names, size_t (*tally)[2])
{
    RtMeter meter = rt_meter_open(phase);
    RtLog logs[RT_LOGS];
    RtRun *run = &session->run;
    rt_prepare_evaluate(session, phase);
    rt_loader_start(loader, NULL, 0);
    for (size_t step = 1; !rt_signal(); step++) {
        RtBatch batch = rt_loader_next(loader);
        if (batch.n == 0) break;
        run->sample = batch.sample;
        rt_evaluate_batch(session, phase, &batch);
        rt_meter_add(&meter, session->model, &batch, session->out,
                     sum(session->losses, batch.n) / batch.n);
        if (tally) tally_classes(session, phase->loss, &batch, tally);
        rt_progress_step(progress, step, logs, rt_meter_logs(&meter, names, false, logs));
    }
    if (phase->regularization) meter.loss += phase->regularization(run) * (double)meter.count;
    return meter;
}

/* --phase; else the phase in which the weights were saved; else the last. */
static const RtPhase *choose_phase(const RtSession *session, const RtSaved *saved)
{
    const RtModel *model = session->model;
    const char *name = session->options->phase;
    const RtPhase *phase = NULL;
    if (!name && saved) name = saved->phase;
    if (name) phase = rt_find_phase(model, name);
    return phase ? phase : &model->phases[model->phase_count - 1];
}

/* Labels are positions in the sorted list of classes: another list would give wrong numbers. A name
 * that is not UTF-8 is not kept byte for byte. */
void rt_classes_check(const RtData *data, const RtSaved *saved, const char *path)
{
    if (!saved || !saved->classes || !data->classes) return;
    if (saved->class_count != data->class_count)
        rt_die(RT_BAD_DATA, NULL, "%s: %d classes, but the weights were trained on %d", path,
               data->class_count, saved->class_count);
    for (int i = 0; i < data->class_count; i++)
        if (!rt_json_keeps(data->classes[i], saved->classes[i]))
            rt_die(RT_BAD_DATA, "the class folders must have the names they had in training",
                   "%s: class %d is \"%s\", but the weights were trained with \"%s\" there", path,
                   i, data->classes[i], saved->classes[i]);
}

static void print_json_number(const char *name, double value)
{
    printf("%s\"%s\": ", strcmp(name, "pictures") == 0 ? "{" : ", ", name);
    if (isfinite(value))
        printf("%.9g", value);
    else
        printf("null"); /* JSON has no NaN */
}

static void print_json(const RtMeter *meter, const RtData *data, const RtLog *logs, int count,
                       size_t (*tally)[2])
{
    print_json_number("pictures", (double)meter->count);
    print_json_number("skipped", (double)data->skipped);
    for (int i = 0; i < count; i++) print_json_number(logs[i].name, logs[i].value);
    if (tally) printf(", \"classes\": [");
    for (int i = 0; tally && i < data->class_count; i++) {
        printf("%s{\"class\": ", i ? ", " : "");
        rt_json_write_string(stdout, data->classes[i]);
        printf(", \"pictures\": %zu, \"right\": %zu}", tally[i][0], tally[i][1]);
    }
    printf(tally ? "]}\n" : "}\n");
}

static void print_text(const RtMeter *meter, const RtData *data, const RtLog *logs, int count,
                       size_t (*tally)[2])
{
    for (int i = 0; i < count; i++) printf("%s: %.4f\n", logs[i].name, logs[i].value);
    printf("pictures: %zu", meter->count);
    if (data->skipped) printf(" (%zu more could not be read)", data->skipped);
    printf("\n");
    if (!tally) return;
    printf("\n%-24s %8s %8s %8s\n", "class", "pictures", "right", "recall");
    for (int i = 0; i < data->class_count; i++)
        printf("%-24s %8zu %8zu %8.4f\n", data->classes[i], tally[i][0], tally[i][1],
               tally[i][0] ? (double)tally[i][1] / (double)tally[i][0] : 0.0);
}

int rt_evaluate(RtSession *session)
{
    const RtOptions *options = session->options;
    RtData *data = rt_data_open(options->data, session->model, true);
    RtSaved *saved = rt_session_load(session);
    const RtPhase *phase = choose_phase(session, saved);
    rt_data_check(data, session->model, phase->loss);
    rt_classes_check(data, saved, options->data);
    size_t(*tally)[2] = data->classes && phase->loss != RT_MEAN_SQUARED_ERROR
                            ? rt_alloc((size_t)data->class_count, sizeof *tally)
                            : NULL;
    RtLoader *loader = rt_loader_open(session->model, data, session->batch, phase->loss,
                                      session->room, session->model->batch_bytes, options->strict);
    RtLogNames names = rt_log_names_open(phase);
    size_t batch = (size_t)session->batch, steps = (data->count + batch - 1) / batch;
    RtProgress *progress = options->quiet ? NULL : rt_progress_open(NULL, steps);
    RtMeter meter = rt_measure(session, phase, loader, progress, &names, tally);
    RtLog logs[RT_LOGS];
    int count = rt_meter_logs(&meter, &names, false, logs);
    rt_progress_close(progress, logs, count);
    (options->json ? print_json : print_text)(&meter, data, logs, count, tally);
    rt_loader_close(loader);
    rt_meter_close(&meter);
    rt_log_names_close(&names);
    rt_data_close(data);
    if (saved) rt_saved_free(saved);
    free(tally);
    return RT_OK;
}
