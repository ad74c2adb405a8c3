/* forecast.c: how much work is left of a training, measured in steps of the phase under way: other
 * phases and validation count by their multiply-adds. Callbacks may end it sooner. */
#include "training.h"

static double step_macs(const RtPhase *phase)
{
    return phase->step_macs > 0 ? (double)phase->step_macs : 1;
}

/* Multiply-adds of the validation after an epoch. */
static double validation_macs(const RtTraining *training)
{
    if (!training->validation) return 0;
    return (double)training->session->model->infer_macs * (double)training->validation->count;
}

static double epoch_macs(const RtTraining *training, const RtPhase *phase)
{
    double steps = (double)training->pictures / phase->batch;
    return steps * step_macs(phase) + validation_macs(training);
}

void rt_training_forecast(const RtTraining *training)
{
    const RtModel *model = training->session->model;
    const RtPhase *phase = training->phase;
    double after = (training->epochs - training->epoch - 1) * epoch_macs(training, phase);
    for (const RtPhase *later = phase + 1; later < model->phases + model->phase_count; later++)
        if (rt_training_runs(training, (int)(later - model->phases)))
            after += rt_training_epochs(training, (int)(later - model->phases)) *
                     epoch_macs(training, later);
    rt_progress_forecast(training->progress, training->pictures,
                         validation_macs(training) / step_macs(phase), after / step_macs(phase));
}
