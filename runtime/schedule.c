/* schedule.c: learning rates by the step. Numbers are rounded to float where Keras rounds them
 * (keras/src/optimizers/schedules/learning_rate_schedule.py), so that rates agree to their last
 * digits. */
#include <math.h>

#include "ground.h"
#include "measures.h"
#include "training.h"

static float share_done(const RtSchedule *s, float step)
{
    float share = step / (float)s->decay_steps;
    return s->staircase ? floorf(share) : share;
}

static float exponential(const RtSchedule *s, float step)
{
    return (float)s->initial_learning_rate * powf((float)s->decay_rate, share_done(s, step));
}

static float inverse_time(const RtSchedule *s, float step)
{
    return (float)s->initial_learning_rate / (1 + (float)s->decay_rate * share_done(s, step));
}

static float cosine_of(const RtSchedule *s, float step, float from)
{
    const float angle = (float)3.14159265358979323846 * (step / (float)s->decay_steps);
    const float left = 0.5f * (1 + cosf(angle));
    return from * ((float)(1 - s->alpha) * left + (float)s->alpha);
}

static float cosine(const RtSchedule *s, float step)
{
    const float initial = (float)s->initial_learning_rate, target = (float)s->warmup_target;
    const float decay = (float)s->decay_steps, warmup = (float)s->warmup_steps;
    if (isnan(s->warmup_target)) return cosine_of(s, fminf(step, decay), initial);
    step = fminf(step, decay + warmup);
    if (step < warmup) return (target - initial) * (step / warmup) + initial;
    return cosine_of(s, step - warmup, target);
}

static float polynomial(const RtSchedule *s, float step)
{
    const float initial = (float)s->initial_learning_rate, end = (float)s->end_learning_rate;
    float steps = (float)s->decay_steps;
    if (s->cycle)
        steps *= step == 0 ? 1 : ceilf(step / steps);
    else
        step = fminf(step, steps);
    return (initial - end) * powf(1 - step / steps, (float)s->power) + end;
}

static float piecewise(const RtSchedule *s, uint64_t step)
{
    int i = 0;
    while (i < s->boundaries_count && (double)step > s->boundaries[i]) i++;
    return (float)s->values[i];
}

const char *rt_rate_text(const RtPhase *phase, char text[RT_NUMBER])
{
    if (phase->schedule) return phase->schedule->type;
    snprintf(text, RT_NUMBER, "%g", phase->learning_rate);
    return text;
}

double rt_schedule(const RtSchedule *schedule, uint64_t step)
{
    switch (schedule->kind) {
    case RT_EXPONENTIAL_DECAY:
        return (double)exponential(schedule, (float)step);
    case RT_COSINE_DECAY:
        return (double)cosine(schedule, (float)step);
    case RT_PIECEWISE_CONSTANT_DECAY:
        return (double)piecewise(schedule, step);
    case RT_POLYNOMIAL_DECAY:
        return (double)polynomial(schedule, (float)step);
    case RT_INVERSE_TIME_DECAY:
        return (double)inverse_time(schedule, (float)step);
    }
    rt_die(RT_FAILED, NULL, "schedule %s is not known to this library", schedule->type);
}
