/* loss.c: losses and their gradients, row by row: a row is the last axis of one pixel. */
#include "level.c"

#define $name NAME__(kernel, __LINE__)
#define $P 1, 1, 10, 10, 0, 0, 1, 1, 1, 10
#define $D 1, 1, 10, 10, 0, 0, 1, 1, 1, 10
#define $labels 10
#define $weight call->run->sample_weight[call->first + task]
#define $expression NAME(mean_squared_error)(p, y, 10)

//% losses
/* NAME(p, y, count, …) is the loss of one row, d_NAME(p, y, d, scale, count, …) writes its gradient
 * times scale to d. p holds logits where `logits` is set, else probabilities, which are clipped to
 * [1e-7, 1 - 1e-7] as Keras does; where the clip holds them, no gradient passes. */
INLINE real NAME(clip)(real p)
{
    const real low = (real)1e-7, high = (real)(1 - 1e-7);
    return p < low ? low : p > high ? high : p;
}

INLINE real NAME(log_sum_exp)(const real *p, int count)
{
    real top = p[0], sum = 0;
    for (int c = 1; c < count; c++) top = p[c] > top ? p[c] : top;
    for (int c = 0; c < count; c++) sum += RM(exp)(p[c] - top);
    return top + RM(log)(sum);
}

INLINE real NAME(binary_crossentropy)(const real *p, const real *y, int count, int logits,
                                      real smoothing)
{
    real sum = 0;
    for (int c = 0; c < count; c++) {
        const real label = y[c] * (1 - smoothing) + smoothing / 2, q = NAME(clip)(p[c]);
        if (logits)
            sum += (p[c] > 0 ? p[c] : 0) - p[c] * label + RM(log1p)(RM(exp)(-RM(fabs)(p[c])));
        else
            sum -= label * RM(log)(q) + (1 - label) * RM(log)(1 - q);
    }
    return sum / count;
}

INLINE void NAME(d_binary_crossentropy)(const real *p, const real *y, real *d, real scale,
                                        int count, int logits, real smoothing)
{
    for (int c = 0; c < count; c++) {
        const real label = y[c] * (1 - smoothing) + smoothing / 2, q = NAME(clip)(p[c]);
        const real e = RM(exp)(-RM(fabs)(p[c])), sigmoid = (p[c] >= 0 ? 1 : e) / (1 + e);
        const real clipped = q == p[c] ? (q - label) / (q * (1 - q)) : 0;
        d[c] = (logits ? sigmoid - label : clipped) * scale / count;
    }
}

INLINE real NAME(categorical_crossentropy)(const real *p, const real *y, int count, int logits,
                                           real smoothing)
{
    real loss = 0, total = 0;
    const real log_sum = logits ? NAME(log_sum_exp)(p, count) : 0;
    for (int c = 0; c < count; c++) total += p[c];
    for (int c = 0; c < count; c++) {
        const real label = y[c] * (1 - smoothing) + smoothing / count;
        loss += label * (logits ? log_sum - p[c] : -RM(log)(NAME(clip)(p[c] / total)));
    }
    return loss;
}

/* Of probabilities q = p / sum(p): dp = (dq - sum(dq * q)) / sum(p). */
INLINE void NAME(d_categorical_crossentropy)(const real *p, const real *y, real *d, real scale,
                                             int count, int logits, real smoothing)
{
    real total = 0, dot = 0;
    const real log_sum = logits ? NAME(log_sum_exp)(p, count) : 0;
    for (int c = 0; c < count; c++) total += p[c];
    for (int c = 0; c < count; c++) {
        const real label = y[c] * (1 - smoothing) + smoothing / count, q = p[c] / total;
        if (logits)
            d[c] = (RM(exp)(p[c] - log_sum) - label) * scale;
        else
            d[c] = NAME(clip)(q) == q ? -label / q * scale : 0;
        dot += d[c] * q;
    }
    for (int c = 0; c < count && !logits; c++) d[c] = (d[c] - dot) / total;
}

/* A label that is no class gives NaN. */
INLINE real NAME(sparse_categorical_crossentropy)(const real *p, const real *y, int count,
                                                  int logits)
{
    const real label = y[0];
    if (!(label >= 0 && label < count)) return (real)NAN;
    if (logits) return NAME(log_sum_exp)(p, count) - p[(int)label];
    real total = 0;
    for (int c = 0; c < count; c++) total += NAME(clip)(p[c]);
    return RM(log)(total / NAME(clip)(p[(int)label]));
}

INLINE void NAME(d_sparse_categorical_crossentropy)(const real *p, const real *y, real *d,
                                                    real scale, int count, int logits)
{
    real total = 0;
    const real log_sum = logits ? NAME(log_sum_exp)(p, count) : 0;
    for (int c = 0; c < count; c++) total += NAME(clip)(p[c]);
    for (int c = 0; c < count; c++) {
        const real q = NAME(clip)(p[c]), hit = c == (int)y[0];
        if (logits)
            d[c] = (RM(exp)(p[c] - log_sum) - hit) * scale;
        else
            d[c] = q == p[c] ? (1 / total - hit / q) * scale : 0;
    }
}

INLINE real NAME(mean_squared_error)(const real *p, const real *y, int count)
{
    real sum = 0;
    for (int c = 0; c < count; c++) sum += (p[c] - y[c]) * (p[c] - y[c]);
    return sum / count;
}

INLINE void NAME(d_mean_squared_error)(const real *p, const real *y, real *d, real scale, int count)
{
    for (int c = 0; c < count; c++) d[c] = 2 * (p[c] - y[c]) * scale / count;
}

//% loss
/* The mean over the pixels of a picture; a task a picture. */
KERNEL($name)
{
    SHAPE(P, $P);
    enum { LABELS = $labels };
    const real *labels = (const real *)call->in[1] + (size_t)task * PH * PW * LABELS;
    const real weight = $weight;
    real *loss = call->out[0], sum = 0;
    for (int pixel = 0; pixel < PH * PW; pixel++) {
        const real *p = AT(P, (const real *)call->in[0], task, 0, pixel / PW, pixel % PW);
        const real *y = labels + pixel * LABELS;
        sum += $expression;
    }
    loss[task] = sum * weight / (PH * PW);
}
//% end
#undef $expression
#define $expression NAME(d_mean_squared_error)(p, y, d, scale, 10)

//% d_loss
/* The gradient of the mean over the pictures; a task a picture. */
KERNEL($name)
{
    SHAPE(P, $P);
    SHAPE(D, $D);
    enum { LABELS = $labels };
    const real *labels = (const real *)call->in[1] + (size_t)task * PH * PW * LABELS;
    const real weight = $weight, scale = weight / ((real)call->n * (PH * PW));
    real *gradient = call->out[0];
    zero_halo(gradient + (size_t)task * DSIZE, 0, DH, DH, DW, DV, DT, DL, DHP, DWP);
    for (int pixel = 0; pixel < PH * PW; pixel++) {
        const real *p = AT(P, (const real *)call->in[0], task, 0, pixel / PW, pixel % PW);
        const real *y = labels + pixel * LABELS;
        real *d = AT(D, gradient, task, 0, pixel / PW, pixel % PW);
        $expression;
    }
}
