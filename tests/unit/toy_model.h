/* toy_model.h: for unit tests: what a generated file looks like to the library. A 4x4x3 picture,
 * x / 255, Flatten, Dense 2, softmax; phase "head" trains all by SGD with momentum 0.9, phase
 * "tune" the bias alone, with an L2 penalty of 0.01 on the (frozen) kernel. */
#ifndef TOY_MODEL_H
#define TOY_MODEL_H

#include <math.h>
#include <string.h>

#include "rt.h"

enum { TOY_IN = 48, TOY_UNITS = 2, TOY_BATCH = 4 };

/* tensor     arena offset    shape */
enum {
    TOY_KERNEL = 0,                              /* (48, 2) */
    TOY_BIAS = TOY_KERNEL + 128 * sizeof(real),  /* (2) */
    TOY_V_KERNEL = TOY_BIAS + 16 * sizeof(real), /* (48, 2) momentum */
    TOY_V_BIAS = TOY_V_KERNEL + 128 * sizeof(real),
    TOY_D_LOGITS = TOY_V_BIAS + 16 * sizeof(real), /* (4, 2) */
    TOY_ROOM = TOY_D_LOGITS + 16 * sizeof(real),
    TOY_ROOM_BYTES = 2 * (TOY_BATCH * TOY_IN * sizeof(real) + 64 + 64),
    TOY_ARENA = TOY_ROOM + TOY_ROOM_BYTES
};

static inline real *toy_at(const RtRun *run, size_t offset)
{
    return (real *)(run->arena + offset);
}

/* A task a picture: in x (n, 48), out probabilities (n, 2). */
static void toy_dense_softmax(const RtCall *call, int row)
{
    const real *x = (const real *)call->in[0] + row * TOY_IN;
    const real *kernel = toy_at(call->run, TOY_KERNEL), *bias = toy_at(call->run, TOY_BIAS);
    real *out = (real *)call->out[0] + row * TOY_UNITS, total = 0;
    for (int j = 0; j < TOY_UNITS; j++) {
        out[j] = bias[j];
        for (int i = 0; i < TOY_IN; i++) out[j] += x[i] / 255 * kernel[i * TOY_UNITS + j];
    }
    for (int j = TOY_UNITS - 1; j >= 0; j--) out[j] = RM(exp)(out[j] - out[0]);
    for (int j = 0; j < TOY_UNITS; j++) total += out[j];
    for (int j = 0; j < TOY_UNITS; j++) out[j] /= total;
}

/* A task an input, the last the bias: in x, d_logits (n, 2); updates kernel and momentum. */
static void toy_dense_grad_sgd(const RtCall *call, int i)
{
    const real *x = call->in[0], *d = call->in[1];
    size_t place = (size_t)(i < TOY_IN ? i * TOY_UNITS : 0);
    real *w = toy_at(call->run, i < TOY_IN ? TOY_KERNEL : TOY_BIAS) + place;
    real *v = toy_at(call->run, i < TOY_IN ? TOY_V_KERNEL : TOY_V_BIAS) + place;
    for (int j = 0; j < TOY_UNITS; j++) {
        real gradient = 0;
        for (int row = 0; row < call->n; row++)
            gradient += (i < TOY_IN ? x[row * TOY_IN + i] / 255 : 1) * d[row * TOY_UNITS + j];
        v[j] = (real)0.9 * v[j] - call->run->learning_rate * gradient;
        w[j] += v[j];
    }
}

typedef struct {
    RtKernel *dense_softmax, *dense_grad_sgd;
} ToyKernels;

static const ToyKernels toy_kernels = {toy_dense_softmax, toy_dense_grad_sgd};
static const void *const toy_levels[RT_LEVELS] = {&toy_kernels, &toy_kernels, &toy_kernels};

static void toy_infer(const RtRun *run, const real *x, int n, real *out)
{
    const ToyKernels *k = run->kernels;
    RtCall call = {.run = run, .n = n, .in = {x}, .out = {out}};
    rt_parallel(k->dense_softmax, n, &call);
}

static void toy_evaluate(const RtRun *run, const real *x, const real *y, int n, real *out,
                         real *loss)
{
    toy_infer(run, x, n, out);
    for (int row = 0; row < n; row++) {
        loss[row] = 0;
        for (int j = 0; j < TOY_UNITS; j++)
            loss[row] -= y[row * TOY_UNITS + j] * RM(log)(out[row * TOY_UNITS + j]);
    }
}

static double toy_forward_loss(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    real losses[TOY_BATCH], *d = toy_at(run, TOY_D_LOGITS);
    double total = 0;
    toy_evaluate(run, x, y, n, out, losses);
    for (int row = 0; row < n; row++) total += losses[row];
    for (int i = 0; i < n * TOY_UNITS; i++) d[i] = (out[i] - y[i]) / (real)n;
    return total / n;
}

static double toy_train_head(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    const ToyKernels *k = run->kernels;
    double loss = toy_forward_loss(run, x, y, n, out);
    RtCall call = {.run = run, .n = n, .in = {x, toy_at(run, TOY_D_LOGITS)}};
    rt_parallel(k->dense_grad_sgd, TOY_IN + 1, &call);
    return loss;
}

static double toy_penalty(const RtRun *run)
{
    const real *kernel = toy_at(run, TOY_KERNEL);
    double total = 0;
    for (int i = 0; i < TOY_IN * TOY_UNITS; i++) total += (double)kernel[i] * kernel[i];
    return 0.01 * total;
}

static double toy_train_tune(const RtRun *run, const real *x, const real *y, int n, real *out)
{
    double loss = toy_forward_loss(run, x, y, n, out) + toy_penalty(run);
    RtCall call = {.run = run, .n = n, .in = {x, toy_at(run, TOY_D_LOGITS)}};
    toy_dense_grad_sgd(&call, TOY_IN);
    return loss;
}

static const RtLayer toy_layers[] = {
    {"rescaling", "Rescaling", -1, 4, {0, 4, 4, 3}, 0, 0, 0},
    {"flatten", "Flatten", -1, 2, {0, 48}, 0, 0, 0},
    {"out", "Dense", -1, 2, {0, 2}, 98, 0, 2},
};
static const RtWeight toy_weights[] = {
    {"out/kernel", 2, 2, {48, 2}, TOY_KERNEL, RT_INIT_GLOROT_UNIFORM, 48, 2, 0},
    {"out/bias", 2, 1, {2}, TOY_BIAS, RT_INIT_ZEROS, 0, 0, 0},
};
static const RtSlot toy_slots[] = {{"momentum", 0, TOY_V_KERNEL}, {"momentum", 1, TOY_V_BIAS}};
static const RtMetric toy_metrics[] = {{.name = "accuracy", .kind = RT_CATEGORICAL_ACCURACY}};
static const unsigned char toy_all[] = {1, 1}, toy_bias_only[] = {0, 1};

static const RtPhase toy_phases[] = {
    {.name = "head",
     .batch = TOY_BATCH,
     .epochs = 2,
     .optimizer = "SGD",
     .learning_rate = 0.1,
     .loss = RT_CATEGORICAL_CROSSENTROPY,
     .loss_name = "categorical_crossentropy",
     .metrics = toy_metrics,
     .metric_count = 1,
     .trainable = toy_all,
     .slots = toy_slots,
     .slot_count = 2,
     .train = toy_train_head,
     .evaluate = toy_evaluate,
     .step_macs = TOY_BATCH * 192},
    {.name = "tune",
     .batch = TOY_BATCH,
     .epochs = 1,
     .optimizer = "SGD",
     .learning_rate = 0.01,
     .loss = RT_CATEGORICAL_CROSSENTROPY,
     .loss_name = "categorical_crossentropy",
     .metrics = toy_metrics,
     .metric_count = 1,
     .trainable = toy_bias_only,
     .slots = toy_slots + 1,
     .slot_count = 1,
     .train = toy_train_tune,
     .evaluate = toy_evaluate,
     .regularization = toy_penalty,
     .step_macs = TOY_BATCH * 96},
};

static const RtModel toy_model = {
    .abi = RT_ABI,
    .name = "toy",
    .hash = "70790000000000000000000000000000000000000000000000000000000070aa",
    .tlc = "0.1",
    .preprocessing = "x / 255",
    .height = 4,
    .width = 4,
    .channels = 3,
    .interpolation = RT_BILINEAR,
    .output_rank = 2,
    .output_dims = {0, 2},
    .output_size = 2,
    .head = RT_CATEGORICAL_CROSSENTROPY,
    .infer_batch = TOY_BATCH,
    .infer = toy_infer,
    .infer_macs = 96,
    .layers = toy_layers,
    .layer_count = 3,
    .weights = toy_weights,
    .weight_count = 2,
    .phases = toy_phases,
    .phase_count = 2,
    .arena_bytes = TOY_ARENA,
    .batch_offset = TOY_ROOM,
    .batch_bytes = TOY_ROOM_BYTES,
    .kernels = toy_levels,
};

#endif
