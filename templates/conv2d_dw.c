/* conv2d_dw.c: the gradient of Conv2D's kernel. */
#include "conv2d.c"
#undef $name
#undef $X
#undef $Y

#define $name conv2d_dw_example
#define $X 14, 14, 32, 16, 1, 1, 16, 16, 2, 8192
#define $Y 14, 14, 48, 16, 1, 1, 16, 16, 3, 12288
#define $taps 3
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))

//% conv2d_dw
/* A tile of the kernel's gradient: `rows` neighbours in x times `blocks` blocks of dy, summed over
 * the pixels [w0, w1) of some rows, added to sum. */
INLINE void TILE($name)(const int rows, const int blocks, int lines, int columns, const real *x,
                        const real *dy, real *sum)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const Places places = {rows, 0, 1, SW * XV, YV, YPLANE, 0};
    const int vectors = blocks * BV;
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < rows * vectors; i++) tile[i] = (Vec){0};
    for (int h = 0; h < lines; h++)
        add_products(tile, rows, vectors, places, columns, x + h * SH * XROW, dy + h * YROW);
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int j = 0; j < vectors; j++)
        {
            real *to = sum + i * GROUP + j * VL;
            store(to, load(to) + tile[i * vectors + j]);
        }
    }
}

/* The same for all taps in `taps` rows of the kernel and all channels of a plane of x. */
INLINE void BAND($name)(const int blocks, int lines, int columns, const real *x, const real *dy,
                        real *sum)
{
    WINDOW($window);
    SHAPE(X, $X);
    enum {
        RUN = DW == 1 ? S * XV : XV,
        RUNS = DW == 1 ? 1 : S, /* neighbours in x */
        PARTS = (RUN + TILE_PIXELS - 1) / TILE_PIXELS,
        SIZE = (RUN + PARTS - 1) / PARTS,
        LAST = RUN - SIZE * (PARTS - 1)
    };
    for (int tap = 0; tap < $taps * RUNS; tap++) {
        const real *from = x + tap / RUNS * DH * XROW + tap % RUNS * DW * XV;
        int i = 0;
        for (; i + SIZE <= RUN; i += SIZE, sum += SIZE * GROUP)
            TILE($name)(SIZE, blocks, lines, columns, from + i, dy, sum);
        if (LAST < SIZE) {
            TILE($name)(LAST, blocks, lines, columns, from + i, dy, sum);
            sum += LAST * GROUP;
        }
    }
}

/* A task is a group of output channels, a plane of x and some rows of taps. The sum goes over bands
 * of pixels that fit, with what they need of x, into the first cache. */
KERNEL($name)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum {
        GROUPS = (YB + 1) / 2,
        TAPS = $taps,
        LINES = YW < 64 ? 64 / YW : 1,
        BANDS = (YH + LINES - 1) / LINES,
        PARTS = (YW + 63) / 64,
        COLUMNS = (YW + PARTS - 1) / PARTS
    };
    const int group = task % GROUPS, plane = task / GROUPS % XB, r = task / GROUPS / XB * TAPS;
    const int blocks = 2 * group + 1 < YB ? 2 : 1;
    real sum[TAPS * S * XV * GROUP] = {0};
    for (int line = 0; line < call->n * BANDS; line++)
        for (int w = 0; w < YW; w += COLUMNS) {
            const int n = line / BANDS, h = line % BANDS * LINES;
            const int lines = YH - h < LINES ? YH - h : LINES;
            const int columns = YW - w < COLUMNS ? YW - w : COLUMNS;
            const real *x =
                AT(X, (const real *)call->in[0], n, plane, h * SH + r * DH - PT, w * SW - PL);
            const real *dy = AT(Y, (const real *)call->in[1], n, 2 * group, h, w);
            int b = 0;
            for (; b + TILE_BLOCKS <= blocks; b += TILE_BLOCKS)
                BAND($name)(TILE_BLOCKS, lines, columns, x, dy + b * YPLANE, sum + b * RT_LANES);
            if (YB % TILE_BLOCKS == 1 && b < blocks) BAND($name)(1, lines, columns, x, dy, sum);
        }
    const size_t count = YC - group * GROUP < GROUP ? YC - group * GROUP : GROUP;
    for (int i = 0; i < TAPS * S * XV; i++) {
        const int c = plane * XV + i % XV;
        const size_t from = ((size_t)(r * S + i / XV) * XC + c) * YC + group * GROUP;
        const real *g = sum + i * GROUP;
        if (c < XC) $apply;
    }
}
