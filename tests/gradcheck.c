/* gradcheck.c: holds the gradients of a generated training step against central differences.
 *
 *   cc -DRT_DOUBLE -DNO_MAIN -DMODEL=name_model … gradcheck.c model.c libtlcrt.a (of doubles)
 *
 * The model's phases train by SGD with learning rate 1, without momentum: one step subtracts the
 * gradient from each weight. Before each call all of the arena that the program must write itself
 * is filled with NaN. Prints a line for each weight whose gradient is wrong; exits 1 if there was
 * one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ground.h"
#include "random.h"
#include "session.h"

extern const RtModel MODEL;

enum { SAMPLES = 60, SEED = 7 };
static const double STEP = 1e-6, RELATIVE = 1e-6, ABSOLUTE = 1e-8;

typedef struct {
    const RtPhase *phase;
    RtRun run;
    real *weights, *x, *y, *out; /* weights: those to start from, one behind the other */
    int n;
} Check;

static int weight_count(const RtWeight *w)
{
    int count = 1;
    for (int i = 0; i < w->rank; i++) count *= w->dims[i];
    return count;
}

static real *in_arena(const Check *c, const RtWeight *w)
{
    return (real *)(c->run.arena + w->offset);
}

/* The place of weight i in c->weights. */
static real *start_of(const Check *c, int index)
{
    real *at = c->weights;
    for (int i = 0; i < index; i++) at += weight_count(&MODEL.weights[i]);
    return at;
}

/* Biases start at 0, where many gradients are special: every weight is moved off its start. */
static void choose_weights(Check *c)
{
    for (int i = 0; i < MODEL.weight_count; i++) {
        const int count = weight_count(&MODEL.weights[i]);
        real *values = start_of(c, i), *noise = rt_alloc((size_t)count, sizeof *noise);
        rt_initialize(&MODEL.weights[i], SEED, values);
        fill_random(noise, (size_t)count, SEED, (uint32_t)(100 + i));
        for (int k = 0; k < count; k++) values[k] += noise[k] / 10;
        free(noise);
    }
}

/* Labels that the loss can take: positive, adding up to 1 over the classes, or class numbers. */
static void choose_labels(Check *c, int batch)
{
    const int classes = MODEL.output_dims[MODEL.output_rank - 1];
    const int count = batch * MODEL.output_size;
    fill_random(c->y, (size_t)count, SEED, 2);
    if (c->phase->loss == RT_MEAN_SQUARED_ERROR) return;
    for (int i = 0; i < count; i++) c->y[i] = (c->y[i] + (real)1.1) / (real)2.2;
    if (c->phase->loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY)
        for (int i = 0; i < batch; i++) c->y[i] = floor(c->y[i] * classes);
    if (c->phase->loss != RT_CATEGORICAL_CROSSENTROPY) return;
    for (int row = 0; row < count; row += classes) {
        real sum = 0;
        for (int k = 0; k < classes; k++) sum += c->y[row + k];
        for (int k = 0; k < classes; k++) c->y[row + k] /= sum;
    }
}

/* One step from c->weights, number k of weight `index` moved by `delta`; the loss before the
 * update. */
static double run_step(const Check *c, int index, int k, double delta)
{
    memset(c->run.arena, 0xFF, MODEL.arena_bytes + 2 * MODEL.scratch_bytes);
    for (int i = 0; i < MODEL.weight_count; i++)
        memcpy(in_arena(c, &MODEL.weights[i]), start_of(c, i),
               (size_t)weight_count(&MODEL.weights[i]) * sizeof(real));
    in_arena(c, &MODEL.weights[index])[k] += (real)delta;
    c->phase->prepare_train(&c->run);
    return c->phase->train(&c->run, c->x, c->y, c->n, c->out);
}

/* Prints the worst of up to SAMPLES numbers of a weight if it is wrong. */
static bool check_weight(const Check *c, int index, const real *gradient)
{
    const RtWeight *w = &MODEL.weights[index];
    const int count = weight_count(w), stride = count > SAMPLES ? count / SAMPLES : 1;
    double worst = 0, expected = 0;
    int place = -1;
    for (int k = 0; k < count; k += stride) {
        const double above = run_step(c, index, k, STEP), below = run_step(c, index, k, -STEP);
        const double slope = (above - below) / (2 * STEP);
        const double allowed = RELATIVE * fabs(slope) + ABSOLUTE * (1 + fabs(above));
        const double error = fabs(slope - gradient[k]) / allowed;
        if (error <= worst) continue;
        worst = error;
        expected = slope;
        place = k;
        if (isnan(error)) break;
    }
    if (worst <= 1) return true;
    printf("phase %s, %d pictures: d %s[%d] is %.12g, by differences %.12g\n", c->phase->name, c->n,
           w->name, place, (double)gradient[place], expected);
    return false;
}

/* What one step subtracts from each weight, as c->weights lies. */
static real *find_gradients(const Check *c, size_t total)
{
    real *gradients = rt_alloc(total, sizeof *gradients);
    run_step(c, 0, 0, 0);
    for (int i = 0; i < MODEL.weight_count; i++) {
        const real *before = start_of(c, i), *after = in_arena(c, &MODEL.weights[i]);
        real *gradient = gradients + (before - c->weights);
        for (int k = 0; k < weight_count(&MODEL.weights[i]); k++)
            gradient[k] = before[k] - after[k];
    }
    return gradients;
}

static bool check_step(const Check *c, size_t total)
{
    bool ok = true;
    real *gradients = find_gradients(c, total);
    for (int i = 0; i < MODEL.weight_count; i++) {
        const real *gradient = gradients + (start_of(c, i) - c->weights);
        if (c->phase->trainable[i]) {
            if (!MODEL.weights[i].is_statistic) ok = check_weight(c, i, gradient) && ok;
            continue;
        }
        for (int k = 0; k < weight_count(&MODEL.weights[i]); k++)
            if (gradient[k] != 0) {
                printf("phase %s: frozen %s changed\n", c->phase->name, MODEL.weights[i].name);
                ok = false;
                break;
            }
    }
    free(gradients);
    return ok;
}

/* A full batch, and one that lacks a picture. */
static bool check_phase(Check *c, const RtPhase *phase, size_t total)
{
    bool ok = true;
    const size_t batch = (size_t)phase->batch;
    const size_t pixels = (size_t)MODEL.height * (size_t)MODEL.width * (size_t)MODEL.channels;
    uint64_t *sample = rt_alloc(batch, sizeof *sample);
    for (size_t i = 0; i < batch; i++) sample[i] = i;
    c->phase = phase;
    c->run.sample = sample;
    c->x = rt_alloc(batch * pixels, sizeof *c->x);
    c->y = rt_alloc(batch * (size_t)MODEL.output_size, sizeof *c->y);
    c->out = rt_alloc(batch * (size_t)MODEL.output_size, sizeof *c->out);
    fill_random(c->x, (size_t)(batch * pixels), SEED, 1);
    choose_labels(c, phase->batch);
    for (c->n = phase->batch; c->n > 0 && c->n >= phase->batch - 1; c->n--)
        ok = check_step(c, total) && ok;
    free(sample);
    free(c->x);
    free(c->y);
    free(c->out);
    return ok;
}

int main(void)
{
    size_t total = 0;
    bool ok = true;
    for (int i = 0; i < MODEL.weight_count; i++) total += (size_t)weight_count(&MODEL.weights[i]);
    Check c = {.run = {.seed = SEED, .learning_rate = 1, .kernels = MODEL.kernels[RT_GENERIC]}};
    rt_run_open(&c.run, &MODEL, 2);
    c.weights = rt_alloc(total, sizeof *c.weights);
    choose_weights(&c);
    for (int i = 0; i < MODEL.phase_count; i++) ok = check_phase(&c, &MODEL.phases[i], total) && ok;
    free(c.weights);
    rt_run_close(&c.run, &MODEL);
    return ok ? 0 : 1;
}
