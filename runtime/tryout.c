/* tryout.c: a training that keeps nothing; see tryout.h. */
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "ground.h"
#include "session.h"
#include "tryout.h"
#include "weights.h"

bool rt_tryout_chosen(const RtTryout *tryout, const RtPhase *phase)
{
    const RtOptions *options = tryout->session->options;
    if (options->phase) return strcmp(options->phase, phase->name) == 0;
    return !options->until || phase <= rt_find_phase(tryout->session->model, options->until);
}

const RtPhase *rt_tryout_first(const RtTryout *tryout)
{
    const RtPhase *phase = tryout->session->model->phases;
    while (!rt_tryout_chosen(tryout, phase)) phase++; /* options.c has seen to it that one is */
    return phase;
}

void rt_tryout_open(RtTryout *tryout, RtSession *session)
{
    const RtOptions *options = session->options;
    const RtModel *model = session->model;
    *tryout = (RtTryout){.session = session};
    rt_data_open_pair(options->data, options->validation, options->validation_split, options->seed,
                      model, &tryout->data, &tryout->validation);
    for (int i = 0; i < model->phase_count; i++) {
        if (!rt_tryout_chosen(tryout, &model->phases[i])) continue;
        rt_data_check(tryout->data, model, model->phases[i].loss);
        if (tryout->validation) rt_data_check(tryout->validation, model, model->phases[i].loss);
    }
    rt_weights_load(model, &session->run, options->weights);
    tryout->order = rt_alloc(tryout->data->count, sizeof *tryout->order);
}

void rt_tryout_close(RtTryout *tryout)
{
    rt_data_close(tryout->data);
    rt_data_close(tryout->validation);
    free(tryout->order);
}

void rt_tryout_enter(RtTryout *tryout, const RtPhase *phase)
{
    RtSession *session = tryout->session;
    tryout->phase = phase;
    tryout->round = 0;
    rt_class_weights_open(session, phase, tryout->data);
    session->run.step = 0;
    session->run.learning_rate = (real)phase->learning_rate;
    rt_clear_slots(session, phase);
}

void rt_tryout_begin(RtTryout *tryout, const RtPhase *phase)
{
    RtSession *session = tryout->session;
    rt_tryout_enter(tryout, phase);
    tryout->loader =
        rt_loader_open(session->model, tryout->data, phase->batch, phase->loss, session->room,
                       session->model->batch_bytes, session->options->strict);
    rt_loader_take(tryout->loader, rt_epoch_pictures(session->model, phase, tryout->data));
}

void rt_tryout_end(RtTryout *tryout) { rt_loader_close(tryout->loader); }

void rt_tryout_order(RtTryout *tryout)
{
    RtSession *session = tryout->session;
    session->run.epoch = tryout->round;
    rt_epoch_order(&session->run, session->model, tryout->phase, tryout->data,
                   session->options->shuffle, tryout->order);
}

void rt_tryout_start(RtTryout *tryout)
{
    RtSession *session = tryout->session;
    rt_tryout_order(tryout);
    tryout->round++;
    rt_prepare_train(session, tryout->phase);
    rt_loader_start(tryout->loader, tryout->order, 0);
}

double rt_tryout_step(RtTryout *tryout, const RtBatch *batch)
{
    RtSession *session = tryout->session;
    session->run.sample = batch->sample;
    double loss = rt_train_batch(session, tryout->phase, batch->x, batch->y, batch->n);
    session->run.step++;
    return loss;
}
