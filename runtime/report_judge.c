/* report_judge.c: what the weights make of each picture of a side. */
#include <stdlib.h>

#include "data.h"
#include "ground.h"
#include "measures.h"
#include "report.h"
#include "session.h"

/* As many as the data can have; 0 where a label is no class. */
static int count_classes(const RtModel *model, RtLoss loss)
{
    int units = model->output_size;
    if (loss == RT_LOSS_NONE || loss == RT_MEAN_SQUARED_ERROR || model->output_rank != 2) return 0;
    if (loss == RT_BINARY_CROSSENTROPY) return units == 1 ? 2 : 0;
    return units;
}

static RtJudged judge(const RtModel *model, int classes, const real *y, int labels, const real *out)
{
    int units = model->output_size;
    RtJudged judged = {.said = out[0], .is = labels ? y[0] : 0, .truth = -1, .guess = -1};
    if (classes == 0) return judged;
    judged.truth = units == 1 ? y[0] > (real)0.5 : labels == 1 ? (int)y[0] : rt_argmax(y, labels);
    judged.guess = units == 1 ? out[0] > (real)0.5 : rt_argmax(out, units);
    judged.probability = units == 1 ? (judged.guess ? out[0] : 1 - out[0]) : out[judged.guess];
    return judged;
}

static void keep_batch(RtVerdict *verdict, const RtSession *session, const RtPhase *phase,
                       const RtBatch *batch)
{
    const RtModel *model = session->model;
    size_t labels = (size_t)rt_label_size(model, phase->loss), units = (size_t)model->output_size;
    for (size_t i = 0; i < (size_t)batch->n; i++) {
        RtJudged *judged = &verdict->items[verdict->count++];
        *judged = judge(model, verdict->classes, batch->y + i * labels, (int)labels,
                        session->out + i * units);
        judged->sample = batch->sample[i];
        judged->loss = session->losses[i];
        verdict->right += judged->guess >= 0 && judged->truth == judged->guess;
    }
}

static void judge_all(RtVerdict *verdict, RtSession *session, const RtPhase *phase,
                      RtLoader *loader, RtProgress *progress)
{
    RtMeter meter = rt_meter_open(phase);
    rt_prepare_evaluate(session, phase);
    rt_loader_start(loader, NULL, 0);
    for (size_t step = 1; !rt_signal(); step++) {
        RtBatch batch = rt_loader_next(loader);
        if (batch.n == 0) break;
        session->run.sample = batch.sample;
        rt_evaluate_batch(session, phase, &batch);
        keep_batch(verdict, session, phase, &batch);
        rt_meter_add(&meter, session->model, &batch, session->out,
                     rt_mean(session->losses, batch.n));
        rt_progress_step(progress, step, verdict->logs,
                         rt_meter_logs(&meter, &verdict->names, false, verdict->logs));
    }
    if (phase->regularization)
        meter.loss += phase->regularization(&session->run) * (double)meter.count;
    verdict->log_count = rt_meter_logs(&meter, &verdict->names, false, verdict->logs);
    rt_meter_close(&meter);
}

RtVerdict rt_judge(RtSession *session, const RtPhase *phase, RtData *data)
{
    const RtModel *model = session->model;
    RtVerdict verdict = {.data = data, .classes = count_classes(model, phase->loss)};
    verdict.items = rt_alloc(data->count, sizeof *verdict.items);
    verdict.names = rt_log_names_open(phase);
    RtLoader *loader = rt_loader_open(model, data, session->batch, phase->loss, session->room,
                                      model->batch_bytes, session->options->strict);
    rt_loader_skip_pictures(loader, session->evaluate_cache != NULL);
    size_t batch = (size_t)session->batch, steps = (data->count + batch - 1) / batch;
    RtProgress *progress = session->options->quiet ? NULL : rt_progress_open("Report", steps);
    judge_all(&verdict, session, phase, loader, progress);
    rt_progress_close(progress, verdict.logs, verdict.log_count);
    rt_loader_close(loader);
    return verdict;
}

void rt_verdict_free(RtVerdict *verdict)
{
    if (verdict->items) rt_log_names_close(&verdict->names);
    free(verdict->items);
}

const char *rt_class_name(const RtVerdict *verdict, int class, char text[32])
{
    if (class < verdict->data->class_count) return verdict->data->classes[class];
    snprintf(text, 32, "class %d", class);
    return text;
}
