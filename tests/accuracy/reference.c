/* reference.c: layers in double, by plain loops. A layer type more is a pair of functions more. */
#include "reference.h"

#include <stdbool.h>
#include <string.h>

/* ---- Dense ----------------------------------------------------------------------------------- */

static void dense(const Step *s, const double *x, double *y)
{
    const size_t in = (size_t)s->kernel_dims[0], out = (size_t)s->kernel_dims[1];
    const size_t rows = (size_t)s->n * s->out_size / out;
    for (size_t r = 0; r < rows; r++, x += in, y += out) {
        for (size_t o = 0; o < out; o++) y[o] = s->bias ? s->bias[o] : 0;
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++) y[o] += x[i] * s->kernel[i * out + o];
    }
}

static void dense_back(const Step *s, const double *x, const double *dy, double *dx, double *dw)
{
    const size_t in = (size_t)s->kernel_dims[0], out = (size_t)s->kernel_dims[1];
    const size_t rows = (size_t)s->n * s->out_size / out;
    for (size_t r = 0; r < rows; r++, x += in, dy += out)
        for (size_t i = 0; i < in; i++) {
            double sum = 0;
            for (size_t o = 0; o < out; o++) {
                sum += dy[o] * s->kernel[i * out + o];
                dw[i * out + o] += x[i] * dy[o];
            }
            if (dx) dx[r * in + i] = sum;
        }
}

/* ---- Convolution ----------------------------------------------------------------------------- */

typedef struct {
    int stride, before[2]; /* rows above, columns to the left */
} Windows;

static bool fits(int in, int out, int taps, int stride, bool same)
{
    return same ? (in + stride - 1) / stride == out : in >= taps && (in - taps) / stride + 1 == out;
}

/* The shapes tell strides and padding: of several that they allow, the smallest stride. */
static Windows windows_of(const Step *s)
{
    const int *in = s->in + 1, *out = s->out + 1, *taps = s->kernel_dims;
    for (int stride = 1;; stride++)
        for (int same = 0; same < 2; same++) {
            Windows w = {.stride = stride};
            if (!fits(in[0], out[0], taps[0], stride, same) ||
                !fits(in[1], out[1], taps[1], stride, same))
                continue;
            for (int i = 0; i < 2 && same; i++) {
                const int padding = (out[i] - 1) * stride + taps[i] - in[i];
                w.before[i] = padding > 0 ? padding / 2 : 0;
            }
            return w;
        }
}

typedef struct {
    const double *x, *dy;
    double *y, *dx, *dw;
} Numbers;

/* What a tap adds for a pixel of x and the pixel of y that it belongs to: offsets of numbers. */
typedef void Tap(const Step *s, const Numbers *m, size_t x, size_t y, size_t kernel);

static void tap_row(const Step *s, const Numbers *m, Tap *tap, const Windows *w, int picture,
                    int oy, int iy, int ky)
{
    const int *in = s->in + 1, *out = s->out + 1, *taps = s->kernel_dims;
    for (int ox = 0; ox < out[1]; ox++)
        for (int kx = 0; kx < taps[1]; kx++) {
            const int ix = ox * w->stride + kx - w->before[1];
            if (ix < 0 || ix >= in[1]) continue;
            tap(s, m, (size_t)((picture * in[0] + iy) * in[1] + ix) * (size_t)in[2],
                (size_t)((picture * out[0] + oy) * out[1] + ox) * (size_t)out[2],
                (size_t)(ky * taps[1] + kx) * (size_t)in[2] * (size_t)out[2]);
        }
}

static void for_each_tap(const Step *s, const Numbers *m, Tap *tap)
{
    const Windows w = windows_of(s);
    for (int picture = 0; picture < s->n; picture++)
        for (int oy = 0; oy < s->out[1]; oy++)
            for (int ky = 0; ky < s->kernel_dims[0]; ky++) {
                const int iy = oy * w.stride + ky - w.before[0];
                if (iy >= 0 && iy < s->in[1]) tap_row(s, m, tap, &w, picture, oy, iy, ky);
            }
}

static void tap_y(const Step *s, const Numbers *m, size_t x, size_t y, size_t kernel)
{
    const int in = s->in[3], out = s->out[3];
    const float *k = s->kernel + kernel;
    double *restrict sums = m->y + y;
    for (int i = 0; i < in; i++, k += out)
        for (int o = 0; o < out; o++) sums[o] += m->x[x + (size_t)i] * k[o];
}

static void tap_dx(const Step *s, const Numbers *m, size_t x, size_t y, size_t kernel)
{
    const int in = s->in[3], out = s->out[3];
    const float *k = s->kernel + kernel;
    for (int i = 0; i < in; i++, k += out)
        for (int o = 0; o < out; o++) m->dx[x + (size_t)i] += m->dy[y + (size_t)o] * k[o];
}

static void tap_dw(const Step *s, const Numbers *m, size_t x, size_t y, size_t kernel)
{
    const int in = s->in[3], out = s->out[3];
    double *restrict k = m->dw + kernel;
    for (int i = 0; i < in; i++, k += out)
        for (int o = 0; o < out; o++) k[o] += m->x[x + (size_t)i] * m->dy[y + (size_t)o];
}

static void conv2d(const Step *s, const double *x, double *y)
{
    const size_t out = (size_t)s->out[3];
    for (size_t i = 0; i < (size_t)s->n * s->out_size; i++) y[i] = s->bias ? s->bias[i % out] : 0;
    for_each_tap(s, &(Numbers){.x = x, .y = y}, tap_y);
}

static void conv2d_back(const Step *s, const double *x, const double *dy, double *dx, double *dw)
{
    const Numbers m = {.x = x, .dy = dy, .dx = dx, .dw = dw};
    for_each_tap(s, &m, tap_dw);
    if (!dx) return;
    memset(dx, 0, (size_t)s->n * s->in_size * sizeof *dx);
    for_each_tap(s, &m, tap_dx);
}

/* ---- ReLU, pooling of 2x2 -------------------------------------------------------------------- */

static void relu(const Step *s, const double *x, double *y)
{
    for (size_t i = 0; i < (size_t)s->n * s->out_size; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

static void relu_back(const Step *s, const double *x, const double *dy, double *dx, double *dw)
{
    (void)dw;
    for (size_t i = 0; dx && i < (size_t)s->n * s->out_size; i++) dx[i] = x[i] > 0 ? dy[i] : 0;
}

/* Where the maximum of the window of y's number i stands in x; the first of equal ones. */
static size_t place_of_maximum(const Step *s, const double *x, size_t i)
{
    const size_t c = (size_t)s->out[3], ow = (size_t)s->out[2], oh = (size_t)s->out[1];
    const size_t width = (size_t)s->in[2], channel = i % c, column = i / c % ow;
    const size_t row = i / c / ow % oh, picture = i / s->out_size;
    const size_t first = picture * s->in_size + (2 * row * width + 2 * column) * c + channel;
    const size_t places[] = {first, first + c, first + width * c, first + width * c + c};
    size_t best = first;
    for (int k = 1; k < 4; k++)
        if (x[places[k]] > x[best]) best = places[k];
    return best;
}

static void max_pool(const Step *s, const double *x, double *y)
{
    for (size_t i = 0; i < (size_t)s->n * s->out_size; i++) y[i] = x[place_of_maximum(s, x, i)];
}

static void max_pool_back(const Step *s, const double *x, const double *dy, double *dx, double *dw)
{
    (void)dw;
    if (!dx) return;
    memset(dx, 0, (size_t)s->n * s->in_size * sizeof *dx);
    for (size_t i = 0; i < (size_t)s->n * s->out_size; i++) dx[place_of_maximum(s, x, i)] += dy[i];
}

/* ---- The list -------------------------------------------------------------------------------- */

const Reference *reference_of(const RtLayer *layer)
{
    static const Reference references[] = {
        {"Dense", dense, dense_back},
        {"Conv2D", conv2d, conv2d_back},
        {"ReLU", relu, relu_back},
        {"MaxPooling2D", max_pool, max_pool_back},
    };
    for (size_t i = 0; i < sizeof references / sizeof *references; i++)
        if (strcmp(references[i].type, layer->type) == 0) return &references[i];
    return NULL;
}
