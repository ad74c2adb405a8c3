/* activation.c: functions of vectors, for loops over them and for epilogues; softmax.
 *
 * Gradients take dy and the function's result y; that of the general ReLU takes its argument x. */
#include "lanes.c"

#define $name NAME__(kernel, __LINE__)
#define $X 7, 7, 20, 20, 0, 0, 7, 7, 1, 980
#define $Y 7, 7, 20, 20, 1, 1, 9, 9, 1, 1620
#define $D 7, 7, 20, 20, 0, 0, 7, 7, 1, 980

//% activations
/* vmax gives its second operand where one is not a number: NaN stays NaN. */
INLINE Vec NAME(act_relu)(Vec x) { return vmax((Vec){0}, x); }

/* exp never overflows: it gets -|x|. */
INLINE Vec NAME(act_sigmoid)(Vec x)
{
    for (int i = 0; i < VL; i++) {
        const real e = RM(exp)(-RM(fabs)(x[i]));
        x[i] = (x[i] >= 0 ? 1 : e) / (1 + e);
    }
    return x;
}

INLINE Vec NAME(act_tanh)(Vec x)
{
    for (int i = 0; i < VL; i++) x[i] = RM(tanh)(x[i]);
    return x;
}

INLINE Vec NAME(act_general_relu)(Vec x, real limit, real slope, real threshold)
{
    for (int i = 0; i < VL; i++)
        x[i] = x[i] <= threshold ? slope * (x[i] - threshold) : x[i] > limit ? limit : x[i];
    return x;
}

INLINE Vec NAME(d_relu)(Vec dy, Vec y) { return keep(y > (Vec){0}, dy); }
INLINE Vec NAME(d_sigmoid)(Vec dy, Vec y) { return dy * y * (1 - y); }
INLINE Vec NAME(d_tanh)(Vec dy, Vec y) { return dy * (1 - y * y); }

INLINE Vec NAME(d_general_relu)(Vec dy, Vec x, real limit, real slope, real threshold)
{
    for (int i = 0; i < VL; i++) dy[i] *= x[i] <= threshold ? slope : x[i] < limit ? 1 : 0;
    return dy;
}

//% softmax
/* Over the last axis; a task a picture. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    real *y = call->out[0];
    zero_halo(y + (size_t)task * YSIZE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    for (int pixel = 0; pixel < YH * YW; pixel++) {
        const real *from = AT(X, (const real *)call->in[0], task, 0, pixel / YW, pixel % YW);
        real *to = AT(Y, y, task, 0, pixel / YW, pixel % YW);
        real top = from[0], sum = 0;
        for (int c = 1; c < YC; c++) top = from[c] > top ? from[c] : top;
        for (int c = 0; c < YC; c++) {
            to[c] = RM(exp)(from[c] - top);
            sum += to[c];
        }
        for (int c = 0; c < YC; c++) to[c] /= sum;
    }
}

//% d_softmax
/* dx = y * (dy - sum(dy * y)); a task a picture. */
KERNEL($name)
{
    SHAPE(D, $D);
    SHAPE(Y, $Y);
    SHAPE(X, $X);
    real *dx = call->out[0];
    zero_halo(dx + (size_t)task * XSIZE, 0, XH, XH, XW, XV, XT, XL, XHP, XWP);
    for (int pixel = 0; pixel < XH * XW; pixel++) {
        const real *dy = AT(D, (const real *)call->in[0], task, 0, pixel / XW, pixel % XW);
        const real *y = AT(Y, (const real *)call->in[1], task, 0, pixel / XW, pixel % XW);
        real *to = AT(X, dx, task, 0, pixel / XW, pixel % XW), dot = 0;
        for (int c = 0; c < XC; c++) dot += dy[c] * y[c];
        for (int c = 0; c < XC; c++) to[c] = y[c] * (dy[c] - dot);
    }
}
