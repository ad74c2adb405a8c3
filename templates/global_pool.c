/* global_pool.c: the mean or maximum of whole planes. X lies in any layout; Y, one pixel,
 * channels-last. A task takes the channels of one plane: XV of them from channel block * XV on. */
#include "lanes.c"

#define $name NAME__(kernel, __LINE__)
#define $X 7, 7, 20, 16, 0, 0, 7, 7, 2, 1568
#define $D 7, 7, 20, 16, 1, 1, 9, 9, 2, 2592
#define $Y 1, 1, 20, 20, 0, 0, 1, 1, 1, 20

//% global_max
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int n = task / XB, block = task % XB;
    const real *x = call->in[0];
    real *y = call->out[0];
    if (block == 0) zero_halo(y + (size_t)n * YSIZE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    const int channels = XC - block * XV < XV ? XC - block * XV : XV;
    for (int v = 0; v < channels; v += VL) {
        Vec top = load_lanes(AT(X, x, n, block, 0, 0) + v, XV - v);
        for (int h = 0; h < XH; h++)
            for (int w = 0; w < XW; w++)
                top = vmax(top, load_lanes(AT(X, x, n, block, h, w) + v, XV - v));
        store_lanes(AT(Y, y, n, 0, 0, 0) + block * XV + v, top, channels - v);
    }
}

//% global_average
/* Rows are summed by themselves first: fewer roundings lie between a number and the total. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int n = task / XB, block = task % XB;
    const real *x = call->in[0];
    real *y = call->out[0];
    if (block == 0) zero_halo(y + (size_t)n * YSIZE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    const int channels = XC - block * XV < XV ? XC - block * XV : XV;
    for (int v = 0; v < channels; v += VL) {
        Vec total = {0};
        for (int h = 0; h < XH; h++) {
            Vec sum = {0};
            for (int w = 0; w < XW; w++) sum += load_lanes(AT(X, x, n, block, h, w) + v, XV - v);
            total += sum;
        }
        store_lanes(AT(Y, y, n, 0, 0, 0) + block * XV + v, total / (real)(XH * XW), channels - v);
    }
}

//% global_max_dx
/* Equal largest pixels share dy, as in TensorFlow. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    SHAPE(D, $D);
    const int n = task / DB, block = task % DB;
    const real *x = call->in[0], *dy = call->in[1];
    real *dx = call->out[0];
    zero_halo(dx + (size_t)task * DPLANE, 0, DH, DH, DW, DV, DT, DL, DHP, DWP);
    const int channels = DC - block * DV < DV ? DC - block * DV : DV;
    for (int v = 0; v < DV; v += VL) {
        Vec top = load_lanes(AT(X, x, n, block, 0, 0) + v, XV - v), count = {0}, share = {0};
        for (int h = 0; h < XH; h++)
            for (int w = 0; w < XW; w++)
                top = vmax(top, load_lanes(AT(X, x, n, block, h, w) + v, XV - v));
        for (int h = 0; h < XH; h++)
            for (int w = 0; w < XW; w++)
                count +=
                    keep(load_lanes(AT(X, x, n, block, h, w) + v, XV - v) == top, 1 + (Vec){0});
        if (v < channels)
            share = load_lanes(AT(Y, dy, n, 0, 0, 0) + block * DV + v, channels - v) /
                    vmax(count, 1 + (Vec){0});
        for (int h = 0; h < DH; h++)
            for (int w = 0; w < DW; w++)
                store_lanes(AT(D, dx, n, block, h, w) + v,
                            keep(load_lanes(AT(X, x, n, block, h, w) + v, XV - v) == top, share),
                            DV - v);
    }
}

//% global_average_dx
KERNEL($name)
{
    SHAPE(Y, $Y);
    SHAPE(D, $D);
    const int n = task / DB, block = task % DB;
    const real *dy = call->in[0];
    real *dx = call->out[0];
    zero_halo(dx + (size_t)task * DPLANE, 0, DH, DH, DW, DV, DT, DL, DHP, DWP);
    const int channels = DC - block * DV < DV ? DC - block * DV : DV;
    for (int v = 0; v < DV; v += VL) {
        Vec share = {0};
        if (v < channels)
            share =
                load_lanes(AT(Y, dy, n, 0, 0, 0) + block * DV + v, channels - v) / (real)(DH * DW);
        for (int h = 0; h < DH; h++)
            for (int w = 0; w < DW; w++) store_lanes(AT(D, dx, n, block, h, w) + v, share, DV - v);
    }
}
