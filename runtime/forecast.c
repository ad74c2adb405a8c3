/* forecast.c: how much is left of a training, for the progress bar: measured in steps of the epoch
 * under way; other work counts by its multiply-adds and by the weights that it moves. Callbacks may
 * end it sooner. */
#include <math.h>
#include <string.h>

#include "forecast.h"
#include "measures.h"

/* Multiply-adds that today's cores do while they move a byte from or to memory: a step of dense
 * layers on kept features takes as long as its weights do, not its products. */
static const double MACS_A_BYTE = 40;
/* Times that a step moves a weight that it trains: forward, backward, update (read and written);
 * a slot: read and written. */
enum { WEIGHT_MOVES = 4, SLOT_MOVES = 2 };

RtCourse rt_course(const RtTraining *training, int index, size_t held)
{
    const RtSession *session = training->session;
    const RtPhase *phase = &session->model->phases[index];
    const size_t batch = (size_t)phase->batch;
    RtTraining there = *training;
    there.phase = phase;
    there.epochs = rt_training_epochs(training, index);
    RtCourse course = {.phase = phase, .epochs = there.epochs};
    course.pictures = rt_epoch_pictures(session->model, phase, training->data);
    course.steps = (course.pictures + batch - 1) / batch;
    course.validation = training->validation ? training->validation->count : 0;
    rt_caches_plan(&there, held, course.sides);
    if (course.sides[RT_TRAIN_SIDE].keeps) {
        int variants = rt_cache_variants(phase, phase->train_cut);
        course.passes = variants < there.epochs ? variants : there.epochs;
    }
    return course;
}

bool rt_course_serves(const RtModel *model, const RtCut *from_cut, int from, const RtCut *to_cut,
                      int to)
{
    if (strcmp(from_cut->hash, to_cut->hash) != 0) return false;
    if (model->phases[from].half_features != model->phases[to].half_features) return false;
    for (int phase = from; phase < to; phase++)
        for (int i = 0; i < model->weight_count; i++)
            if (to_cut->reads[i] && model->phases[phase].trainable[i]) return false;
    return true;
}

/* ---- Work, in multiply-adds ------------------------------------------------------------------ */

static double moving_work(const RtModel *model, const RtPhase *phase)
{
    double numbers = 0;
    for (int i = 0; i < model->weight_count; i++)
        if (phase->trainable[i])
            numbers += WEIGHT_MOVES * (double)rt_weight_count(&model->weights[i]);
    for (int i = 0; i < phase->slot_count; i++)
        numbers += SLOT_MOVES * (double)rt_weight_count(&model->weights[phase->slots[i].weight]);
    return numbers * sizeof(real) * MACS_A_BYTE;
}

/* Of computing a picture's features; 0 where they are not kept. */
static double below_work(const RtCourse *course, int side)
{
    const RtCachePlan *plan = &course->sides[side];
    return plan->keeps ? (double)plan->use.cut->macs : 0;
}

static double step_work(const RtModel *model, const RtCourse *course)
{
    const RtPhase *phase = course->phase;
    double saved = below_work(course, RT_TRAIN_SIDE) * phase->batch;
    return fmax((double)phase->step_macs - saved, 1) + moving_work(model, phase);
}

static double validation_work(const RtModel *model, const RtCourse *course)
{
    double saved = below_work(course, RT_EVALUATE_SIDE);
    return fmax((double)model->infer_macs - saved, 1) * (double)course->validation;
}

static double epoch_work(const RtModel *model, const RtCourse *course)
{
    double steps = (double)course->pictures / course->phase->batch;
    return steps * step_work(model, course) + validation_work(model, course);
}

static double pass_work(const RtCourse *course, int side)
{
    const RtData *data = course->sides[side].use.data;
    return data ? (double)data->count * below_work(course, side) : 0;
}

/* Of the phase under way it is known what it keeps. */
static RtCourse course_now(const RtTraining *training)
{
    const RtSession *session = training->session;
    RtCourse course = rt_course(training, training->phase_index, 0);
    course.sides[RT_TRAIN_SIDE].keeps = session->train_cache != NULL;
    course.sides[RT_EVALUATE_SIDE].keeps = session->evaluate_cache != NULL;
    course.passes = 0;
    if (session->train_cache) {
        course.passes = rt_cache_variants(course.phase, course.phase->train_cut);
        if (course.passes > training->epochs) course.passes = training->epochs;
    }
    return course;
}

/* Of features that the phase before has not left in place. */
static double feature_work(const RtModel *model, const RtCourse *course, const RtCourse *before)
{
    double work = 0;
    for (int i = 0; i < RT_SIDES; i++) {
        const RtCachePlan *now = &course->sides[i], *then = &before->sides[i];
        if (now->keeps && then->keeps &&
            rt_course_serves(model, then->use.cut, (int)(before->phase - model->phases),
                             now->use.cut, (int)(course->phase - model->phases)))
            continue;
        work += (i == RT_TRAIN_SIDE ? course->passes : 1) * pass_work(course, i);
    }
    return work;
}

static double later_work(const RtTraining *training, RtCourse before)
{
    const RtModel *model = training->session->model;
    double work = 0;
    for (int i = training->phase_index + 1; i < model->phase_count; i++) {
        if (!rt_training_runs(training, i)) continue;
        RtCourse course = rt_course(training, i, 0);
        work += feature_work(model, &course, &before) + course.epochs * epoch_work(model, &course);
        before = course;
    }
    return work;
}

RtLeft rt_training_left(const RtTraining *training)
{
    const RtModel *model = training->session->model;
    const RtCourse course = course_now(training);
    const double step = step_work(model, &course);
    const int passes = course.passes - training->epoch - 1; /* that of this epoch is done */
    double after = (training->epochs - training->epoch - 1) * epoch_work(model, &course);
    after += (passes > 0 ? passes : 0) * pass_work(&course, RT_TRAIN_SIDE);
    after += later_work(training, course);
    return (RtLeft){validation_work(model, &course) / step, after / step};
}

void rt_training_forecast(const RtTraining *training)
{
    if (!training->progress) return;
    const RtLeft left = rt_training_left(training);
    rt_progress_forecast(training->progress, training->pictures, left.validation, left.after);
}
