/* conv2d.c: Conv2D by direct summation; also its gradient with respect to x, which is the same sum
 * over dy with a turned kernel. The other parts of its gradient are in conv2d_pack.c and
 * conv2d_dw.c. */
#include "tile.c"

#define $name conv2d_example
#define $X 14, 14, 32, 16, 1, 1, 16, 16, 2, 8192
#define $Y 14, 14, 48, 16, 1, 1, 16, 16, 3, 12288
#define $window 3, 3, 1, 1, 1, 1, 1, 1
#define $band 14
#define $planes 2
#define $bias call->in[2]
#define $epilogue v

//% window
/* WINDOW names the numbers of a convolution: R x S taps, strides SH and SW, dilations DH and DW, PT
 * and PL zeros of padding above and to the left. */
#define WINDOW_(r, s, sh, sw, dh, dw, pt, pl)                                                      \
    enum { R = r, S = s, SH = sh, SW = sw, DH = dh, DW = dw, PT = pt, PL = pl }
#define WINDOW(...) WINDOW_(__VA_ARGS__)
#define GROUP (2 * RT_LANES) /* output channels that are packed together */

//% conv2d
/* A tile of rows x columns pixels in `blocks` blocks of channels: the sum over some planes of x,
 * from plane c; the first of them start y, the others add to it. */
INLINE void TILE($name)(const int rows, const int columns, const int blocks, int c, const real *x,
                        const real *kernel, const real *bias, real *y)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { PLANES = $planes };
    enum { RUN = DW == 1 ? S * XV : XV, RUNS = DW == 1 ? 1 : S }; /* neighbours in x and kernel */
    const Places places = {columns, SH * XROW, SW * XV, 1, GROUP, RT_LANES, 0};
    const int vectors = blocks * BV, end = c + PLANES < XB ? c + PLANES : XB;
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < rows * columns * vectors; i++) tile[i] = (Vec){0};
    for (int plane = c; plane < end; plane++, x += XPLANE)
        for (int r = 0; r < R; r++)
            for (int s = 0; s < RUNS; s++, kernel += RUN * GROUP)
                add_products(tile, rows * columns, vectors, places, RUN,
                             x + r * DH * XROW + s * DW * XV, kernel);
    UNROLL for (int i = 0; i < rows * columns; i++)
    {
        UNROLL for (int j = 0; j < vectors; j++)
        {
            real *to = y + j / BV * YPLANE + i / columns * YROW + i % columns * YV + j % BV * VL;
            Vec v = tile[i * vectors + j] + (c == 0 ? load(bias + j * VL) : load(to));
            store(to, end == XB ? $epilogue : v);
        }
    }
}

/* Rows [h0, h1) of `blocks` blocks of channels. Tiles of another size stand behind the loops, not
 * in branches: clang would join the two calls of a branch into one with variable sizes. */
INLINE void BAND($name)(const int blocks, int h0, int h1, int c, const real *x, const real *kernel,
                        const real *bias, real *y)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum {
        /* A row in PARTS tiles of equal width, or, if they are so narrow, PARTS tiles of rows. */
        ROWS = 2 * YW <= TILE_PIXELS ? TILE_PIXELS / YW : 1,
        PARTS = ROWS > 1 ? (YH + ROWS - 1) / ROWS : (YW + TILE_PIXELS - 1) / TILE_PIXELS,
        TILE_H = ROWS > 1 ? (YH + PARTS - 1) / PARTS : 1,
        TILE_W = ROWS > 1 ? YW : (YW + PARTS - 1) / PARTS,
        LAST_H = ROWS > 1 ? YH - TILE_H * (PARTS - 1) : 1,
        LAST_W = ROWS > 1 ? YW : YW - TILE_W * (PARTS - 1)
    };
    int h = h0;
    for (; h + TILE_H <= h1; h += TILE_H) {
        const real *from = x + h * SH * XROW;
        real *to = y + h * YROW;
        int w = 0;
        for (; w + TILE_W <= YW; w += TILE_W, from += TILE_W * SW * XV, to += TILE_W * YV)
            TILE($name)(TILE_H, TILE_W, blocks, c, from, kernel, bias, to);
        if (LAST_W < TILE_W) TILE($name)(TILE_H, LAST_W, blocks, c, from, kernel, bias, to);
    }
    if (LAST_H < TILE_H && h < h1)
        TILE($name)(LAST_H, TILE_W, blocks, c, x + h * SH * XROW, kernel, bias, y + h * YROW);
}

/* A task is a group of channels in a band of rows of one picture. */
KERNEL($name)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { ROWS = $band, BANDS = (YH + ROWS - 1) / ROWS, GROUPS = (YB + 1) / 2, PLANES = $planes };
    const int n = task / GROUPS / BANDS, group = task % GROUPS, b0 = 2 * group;
    const int h0 = task / GROUPS % BANDS * ROWS, h1 = h0 + ROWS < YH ? h0 + ROWS : YH;
    const int blocks = b0 + 1 < YB ? 2 : 1;
    const real *kernel = (const real *)call->in[1] + (size_t)group * GROUP * XB * R * S * XV;
    const real *all_bias = $bias;
    real *y = call->out[0], bias[GROUP] = {0};
    for (int k = 0; all_bias && k < GROUP && b0 * RT_LANES + k < YC; k++)
        bias[k] = all_bias[b0 * RT_LANES + k];
    for (int b = b0; b < b0 + blocks; b++)
        zero_halo(AT(Y, y, n, b, -YT, -YL), h0, h1, YH, YW, YV, YT, YL, YHP, YWP);
    for (int c = 0; c < XB; c += PLANES, kernel += PLANES * R * S * XV * GROUP) {
        const real *x = AT(X, (const real *)call->in[0], n, c, -PT, -PL);
        int b = 0;
        for (; b + TILE_BLOCKS <= blocks; b += TILE_BLOCKS)
            BAND($name)(TILE_BLOCKS, h0, h1, c, x, kernel + b * RT_LANES, bias + b * RT_LANES,
                        AT(Y, y, n, b0 + b, 0, 0));
        if (YB % TILE_BLOCKS == 1 && b < blocks)
            BAND($name)(1, h0, h1, c, x, kernel, bias, AT(Y, y, n, b0, 0, 0));
    }
}
