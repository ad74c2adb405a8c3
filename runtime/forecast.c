/* forecast.c: how much work is left of a training, measured in steps of the phase under way: other
 * phases and validation count by their multiply-adds. Callbacks may end it sooner. */
#include <math.h>

#include "measures.h"
#include "training.h"

static double step_macs(const RtPhase *phase)
{
    return phase->step_macs > 0 ? (double)phase->step_macs : 1;
}

/* Of the epochs of a phase, all but the first where features are kept (cache.h). Only the phase
 * under way tells whether they are. */
static double validation_macs(const RtTraining *training, const RtPhase *phase)
{
    if (!training->validation) return 0;
    double macs = (double)training->session->model->infer_macs;
    if (phase == training->phase && training->session->evaluate_cache)
        macs = fmax(macs - (double)phase->evaluate_cut->macs, 1);
    return macs * (double)training->validation->count;
}

static double train_macs(const RtTraining *training, const RtPhase *phase)
{
    double macs = step_macs(phase);
    if (phase == training->phase && training->session->train_cache)
        macs = fmax(macs - (double)phase->train_cut->macs * phase->batch, 1);
    return macs;
}

static double epoch_macs(const RtTraining *training, const RtPhase *phase)
{
    double steps = (double)training->pictures / phase->batch;
    return steps * train_macs(training, phase) + validation_macs(training, phase);
}

void rt_training_forecast(const RtTraining *training)
{
    const RtPhase *phases = training->session->model->phases, *phase = training->phase;
    double step = train_macs(training, phase);
    double after = (training->epochs - training->epoch - 1) * epoch_macs(training, phase);
    for (int i = (int)(phase - phases) + 1; i < training->session->model->phase_count; i++)
        if (rt_training_runs(training, i))
            after += rt_training_epochs(training, i) * epoch_macs(training, &phases[i]);
    rt_progress_forecast(training->progress, training->pictures,
                         validation_macs(training, phase) / step, after / step);
}
