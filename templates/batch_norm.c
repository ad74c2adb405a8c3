/* batch_norm.c: numbers normalised channel by channel, and the sums over a batch that this takes
 * while training. */
#include "activation.c"
#include "tile.c"
#undef $name
#undef $X
#undef $Y

#define $name NAME__(kernel, __LINE__)
#define $X 7, 7, 20, 16, 0, 0, 7, 7, 2, 1568
#define $Y 7, 7, 20, 16, 1, 1, 9, 9, 2, 2592
#undef $D
#define $D 7, 7, 20, 16, 0, 0, 7, 7, 2, 1568
#define $epsilon (real)0.001
#define $mean (const real *)call->in[1]
#define $variance (const real *)call->in[2]
#define $gamma (const real *)call->in[3]
#define $beta NULL
#define $epilogue v
#define $term centred
#define $parts (real *)call->out[1]
#define $factor 1
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))
#define $momentum (real)0.99
#define $rest (real)0.01
#define $count 20

//% norm_factors
/* Of a vector of channels, the first `count` of which there are, 0 in the others: what divides by
 * the deviation; numbers p, or `missing` where p is NULL. */
INLINE Vec NAME(inverse_deviation)(const real *variance, real epsilon, int count)
{
    Vec v = {0};
    for (int i = 0; i < VL && i < count; i++) v[i] = 1 / RM(sqrt)(variance[i] + epsilon);
    return v;
}

INLINE Vec NAME(of_channels)(const real *p, real missing, int count)
{
    Vec v = {0};
    for (int i = 0; i < VL && i < count; i++) v[i] = p ? p[i] : missing;
    return v;
}

//% batch_norm
/* y = (x - mean) * factor + beta. The factor is 0 in lanes past the last channel. A task a plane.
 */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int n = task / YB, block = task % YB;
    const real *means = $mean, *variances = $variance, *gammas = $gamma, *betas = $beta;
    real *y = call->out[0];
    zero_halo(y + (size_t)task * YPLANE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    for (int lane = 0; lane < YV; lane += VL) {
        const int c = block * YV + lane, count = YC - c, lanes = YV - lane;
        const Vec mean = NAME(of_channels)(means ? means + c : NULL, 0, count);
        const Vec beta = NAME(of_channels)(betas ? betas + c : NULL, 0, count);
        const Vec factor = NAME(of_channels)(gammas ? gammas + c : NULL, 1, count) *
                           NAME(inverse_deviation)(variances + c, $epsilon, count);
        for (int h = 0; h < YH; h++) {
            const real *from = AT(X, (const real *)call->in[0], n, block, h, 0) + lane;
            real *to = AT(Y, y, n, block, h, 0) + lane;
            for (int w = 0; w < YW; w++, from += XV, to += YV) {
                const Vec v = (load_lanes(from, lanes) - mean) * factor + beta;
                store_lanes(to, $epilogue, lanes);
            }
        }
    }
}

//% channel_sums
/* Sums over the pixels of one picture, for 16 channels a task: of x less the mean, of its square,
 * or of its product with dy (Y). Rows are added up in double, so that errors stay small. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { TASKS = (XC + RT_LANES - 1) / RT_LANES };
    const int n = task / TASKS, from = task % TASKS * RT_LANES;
    const int count = XC - from < RT_LANES ? XC - from : RT_LANES;
    const int filled = XV - from % XV < RT_LANES ? XV - from % XV : RT_LANES;
    const real *means = $mean;
    real *parts = $parts;
    double sum[RT_LANES] = {0};
    Vec mean[BV];
    for (int i = 0; i < BV; i++)
        mean[i] = NAME(of_channels)(means ? means + from + i * VL : NULL, 0, count - i * VL);
    for (int h = 0; h < XH; h++) {
        Vec row[BV] = {0};
        for (int w = 0; w < XW; w++) {
            const real *x = AT(X, (const real *)call->in[0], n, from / XV, h, w) + from % XV;
            UNROLL for (int i = 0; i < BV; i++)
            {
                const int lanes = filled - i * VL;
                if (lanes <= 0) continue;
                const Vec centred = load_lanes(x + i * VL, lanes) - mean[i];
                row[i] += $term;
            }
        }
        for (int i = 0; i < RT_LANES; i++) sum[i] += row[i / VL][i % VL];
    }
    for (int i = 0; i < count; i++) parts[(size_t)n * XC + from + i] = (real)sum[i];
}

//% add_pictures
/* The sums of all pictures, times a factor of 16 channels a task. */
KERNEL($name)
{
    SHAPE(X, $X);
    const size_t from = (size_t)task * RT_LANES;
    const size_t count = XC - from < RT_LANES ? XC - from : RT_LANES;
    const real *parts = $parts;
    real g[RT_LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        const size_t c = from + i;
        double sum = 0;
        for (int n = 0; n < call->n; n++) sum += parts[(size_t)n * XC + c];
        g[i] = (real)(sum * ($factor));
    }
    $apply;
}

//% batch_norm_dx
/* dx = factor * (dy - mean of dy - x^ * mean of dy * x^), x^ being x normalised; in = [dy, x, mean,
 * variance, d_gamma, d_beta, gamma]. A task a plane. */
KERNEL($name)
{
    SHAPE(D, $D);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int n = task / YB, block = task % YB;
    const real share = 1 / ((real)call->n * YH * YW), *gammas = $gamma;
    real *dx = call->out[0];
    zero_halo(dx + (size_t)task * YPLANE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    for (int lane = 0; lane < YV; lane += VL) {
        const int c = block * YV + lane, count = YC - c, lanes = YV - lane;
        const Vec mean = NAME(of_channels)((const real *)call->in[2] + c, 0, count);
        const Vec inverse = NAME(inverse_deviation)((const real *)call->in[3] + c, $epsilon, count);
        const Vec slope =
            NAME(of_channels)((const real *)call->in[4] + c, 0, count) * inverse * share;
        const Vec shift = NAME(of_channels)((const real *)call->in[5] + c, 0, count) * share;
        const Vec factor = NAME(of_channels)(gammas ? gammas + c : NULL, 1, count) * inverse;
        for (int h = 0; h < YH; h++) {
            const real *dy = AT(D, (const real *)call->in[0], n, block, h, 0) + lane;
            const real *x = AT(X, (const real *)call->in[1], n, block, h, 0) + lane;
            real *to = AT(Y, dx, n, block, h, 0) + lane;
            for (int w = 0; w < YW; w++, dy += DV, x += XV, to += YV) {
                const Vec centred = load_lanes(x, lanes) - mean;
                store_lanes(to, factor * (load_lanes(dy, lanes) - shift - centred * slope), lanes);
            }
        }
    }
}

//% moving_average
/* A moving average in in[0] goes towards that of the batch in in[1]; one task. */
KERNEL($name)
{
    real *moving = (real *)call->in[0];
    const real *batch = call->in[1];
    for (int i = 0; i < $count && task == 0; i++)
        moving[i] = moving[i] * $momentum + batch[i] * $rest;
}
