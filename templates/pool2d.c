/* pool2d.c: windows that slide over planes. Y is the side with one pixel a window, X the other. */
#include "lanes.c"

#define $name NAME__(kernel, __LINE__)
#define $X 15, 15, 20, 16, 0, 0, 15, 15, 2, 7200
#define $D 15, 15, 20, 16, 1, 1, 17, 17, 2, 9248
#define $Y 8, 8, 20, 16, 1, 1, 10, 10, 2, 3200
#define $windows 3, 3, 2, 2, 1, 1, 1

//% windows
/* The rows (or columns) of a window that begins at `start`, within 0..size. */
INLINE int NAME(window_first)(int padded, int start) { return padded && start < 0 ? -start : 0; }
INLINE int NAME(window_end)(int padded, int start, int window, int size)
{
    return padded && start + window > size ? size - start : window;
}

/* R x S pixels, in steps of DOWN and ACROSS; the first begins TOP, LEFT before the plane; PADDED if
 * any reaches over an edge. WINDOW_AT is the place of window (h, w), r and s the loops over its
 * pixels. */
#define WINDOWS(...) WINDOWS_(__VA_ARGS__)
#define WINDOWS_(r, s, down, across, top, left, padded)                                            \
    enum { R = r, S = s, DOWN = down, ACROSS = across, TOP = top, LEFT = left, PADDED = padded }
#define WINDOW_AT(h, w)                                                                            \
    const int h0 = (h) * DOWN - TOP, w0 = (w) * ACROSS - LEFT;                                     \
    const int r0 = NAME(window_first)(PADDED, h0), r1 = NAME(window_end)(PADDED, h0, R, XH);       \
    const int s0 = NAME(window_first)(PADDED, w0), s1 = NAME(window_end)(PADDED, w0, S, XW)
#define FOR_WINDOW                                                                                 \
    for (int r = r0; r < r1; r++)                                                                  \
        for (int s = s0; s < s1; s++)

//% max_pool
/* A task a band of rows. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    WINDOWS($windows);
    enum { BAND = 16, BANDS = (YH + BAND - 1) / BAND };
    const int plane = task / BANDS, n = plane / YB, block = plane % YB;
    const int first = task % BANDS * BAND, end = first + BAND < YH ? first + BAND : YH;
    const real *x = call->in[0];
    real *y = call->out[0];
    zero_halo(y + (size_t)plane * YPLANE, first, end, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = first; h < end; h++)
        for (int w = 0; w < YW; w++) {
            WINDOW_AT(h, w);
            const real *from = AT(X, x, n, block, h0, w0);
            real *to = AT(Y, y, n, block, h, w);
            for (int v = 0; v < YV; v += VL) {
                Vec top = load_lanes(from + r0 * XROW + s0 * XV + v, YV - v);
                FOR_WINDOW top = vmax(top, load_lanes(from + r * XROW + s * XV + v, YV - v));
                store_lanes(to + v, top, YV - v);
            }
        }
}

//% average_pool
/* A task a band of rows. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    WINDOWS($windows);
    enum { BAND = 16, BANDS = (YH + BAND - 1) / BAND };
    const int plane = task / BANDS, n = plane / YB, block = plane % YB;
    const int first = task % BANDS * BAND, end = first + BAND < YH ? first + BAND : YH;
    const real *x = call->in[0];
    real *y = call->out[0];
    zero_halo(y + (size_t)plane * YPLANE, first, end, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = first; h < end; h++)
        for (int w = 0; w < YW; w++) {
            WINDOW_AT(h, w);
            const real *from = AT(X, x, n, block, h0, w0);
            const real count = (real)((r1 - r0) * (s1 - s0));
            real *to = AT(Y, y, n, block, h, w);
            for (int v = 0; v < YV; v += VL) {
                Vec sum = {0};
                FOR_WINDOW sum += load_lanes(from + r * XROW + s * XV + v, YV - v);
                store_lanes(to + v, sum / count, YV - v);
            }
        }
}

//% max_pool_dx
/* The first largest pixel of each window, in row-major order, gets its dy; a task a plane. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    SHAPE(D, $D);
    WINDOWS($windows);
    const int n = task / DB, block = task % DB;
    const real *x = call->in[0], *dy = call->in[1];
    real *dx = call->out[0];
    memset(dx + (size_t)task * DPLANE, 0, DPLANE * sizeof(real));
    for (int h = 0; h < YH; h++)
        for (int w = 0; w < YW; w++) {
            WINDOW_AT(h, w);
            const real *from = AT(X, x, n, block, h0, w0), *gradient = AT(Y, dy, n, block, h, w);
            real *to = AT(D, dx, n, block, h0, w0);
            for (int v = 0; v < DV; v += VL) {
                Vec top = load_lanes(from + r0 * XROW + s0 * XV + v, DV - v);
                FOR_WINDOW top = vmax(top, load_lanes(from + r * XROW + s * XV + v, DV - v));
                Vec left = load_lanes(gradient + v, DV - v);
                FOR_WINDOW {
                    const Mask here = load_lanes(from + r * XROW + s * XV + v, DV - v) == top;
                    real *at = to + r * DROW + s * DV + v;
                    store_lanes(at, load_lanes(at, DV - v) + keep(here, left), DV - v);
                    left = keep(~here, left);
                }
            }
        }
}

//% average_pool_dx
/* A task a plane. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    SHAPE(D, $D);
    WINDOWS($windows);
    const int n = task / DB, block = task % DB;
    const real *dy = call->in[0];
    real *dx = call->out[0];
    memset(dx + (size_t)task * DPLANE, 0, DPLANE * sizeof(real));
    for (int h = 0; h < YH; h++)
        for (int w = 0; w < YW; w++) {
            WINDOW_AT(h, w);
            const real *gradient = AT(Y, dy, n, block, h, w);
            const real count = (real)((r1 - r0) * (s1 - s0));
            real *to = AT(D, dx, n, block, h0, w0);
            for (int v = 0; v < DV; v += VL) {
                const Vec share = load_lanes(gradient + v, DV - v) / count;
                FOR_WINDOW {
                    real *at = to + r * DROW + s * DV + v;
                    store_lanes(at, load_lanes(at, DV - v) + share, DV - v);
                }
            }
        }
}
