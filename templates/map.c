/* map.c: loops over all numbers of tensors that lie alike but for the halo; copies. */
#include "lanes.c"

#define $name NAME__(kernel, __LINE__)
#define $expression -v
#define $X 7, 7, 20, 16, 0, 0, 7, 7, 2, 1568
#define $Z 7, 7, 20, 16, 1, 1, 9, 9, 2, 2592
#define $Y 7, 7, 20, 16, 1, 1, 9, 9, 2, 2592
#define $top 0
#define $left 0

//% map
/* A task a plane. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int n = task / YB, block = task % YB;
    real *y = call->out[0];
    zero_halo(y + (size_t)task * YPLANE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = 0; h < YH; h++) {
        const real *from = AT(X, (const real *)call->in[0], n, block, h, 0);
        real *to = AT(Y, y, n, block, h, 0);
        for (int i = 0; i < YW * YV; i += VL) {
            const Vec v = load_lanes(from + i, YW * YV - i);
            store_lanes(to + i, $expression, YW * YV - i);
        }
    }
}
//% end
#undef $expression
#define $expression a + b

//% map2
/* A task a plane. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Z, $Z);
    SHAPE(Y, $Y);
    const int n = task / YB, block = task % YB;
    real *y = call->out[0];
    zero_halo(y + (size_t)task * YPLANE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = 0; h < YH; h++) {
        const real *first = AT(X, (const real *)call->in[0], n, block, h, 0);
        const real *second = AT(Z, (const real *)call->in[1], n, block, h, 0);
        real *to = AT(Y, y, n, block, h, 0);
        for (int i = 0; i < YW * YV; i += VL) {
            const Vec a = load_lanes(first + i, YW * YV - i);
            const Vec b = load_lanes(second + i, YW * YV - i);
            store_lanes(to + i, $expression, YW * YV - i);
        }
    }
}

//% convert
/* From any layout to any other, in runs of channels that lie together in both; a task a row. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int n = task / YH, h = task % YH;
    const real *x = call->in[0];
    real *y = call->out[0];
    for (int block = 0; block < YB; block++)
        zero_halo(y + ((size_t)n * YB + block) * YPLANE, h, h + 1, YH, YW, YV, YT, YL, YHP, YWP);
    for (int w = 0; w < YW; w++) {
        for (int c = 0, run; c < YC; c += run) {
            const int in_x = XV - c % XV, in_y = YV - c % YV;
            run = in_x < in_y ? in_x : in_y;
            if (run > YC - c) run = YC - c;
            memcpy(AT(Y, y, n, c / YV, h, w) + c % YV, AT(X, x, n, c / XV, h, w) + c % XV,
                   (size_t)run * sizeof(real));
        }
        memset(AT(Y, y, n, YB - 1, h, w) + YV - (YB * YV - YC), 0, (YB * YV - YC) * sizeof(real));
    }
}

//% padding
/* y[h][w] is x[h - TOP][w - LEFT], or 0 where x has no such pixel; a task a plane. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { TOP = $top, LEFT = $left, FIRST = LEFT > 0 ? LEFT : 0 };
    enum { END = LEFT + XW < YW ? LEFT + XW : YW, WIDTH = END - FIRST };
    const int n = task / YB, block = task % YB;
    real *y = call->out[0];
    memset(y + (size_t)task * YPLANE, 0, YPLANE * sizeof(real));
    for (int h = 0; h < YH; h++) {
        if (h < TOP || h - TOP >= XH) continue;
        memcpy(AT(Y, y, n, block, h, FIRST),
               AT(X, (const real *)call->in[0], n, block, h - TOP, FIRST - LEFT),
               (size_t)WIDTH * YV * sizeof(real));
    }
}
