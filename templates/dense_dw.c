/* dense_dw.c: the gradient of Dense's W, with the update of W in the same pass if it is fused. */
#include "dense.c"
#undef $name
#undef $rows
#undef $panel

#define $name dense_dw_example
#define $rows 28
#define $panel 128
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))

//% dense_dw
/* HEIGHT x TILE_COLUMNS sums over `depth` rows of x and dy, added to sum. */
INLINE void TILE($name)(const int height, const Places places, int depth, const real *x,
                        const real *dy, real *sum)
{
    enum { PANEL = $panel, VECTORS = TILE_BLOCKS * BV };
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < height * VECTORS; i++) tile[i] = (Vec){0};
    add_products(tile, height, VECTORS, places, depth, x, dy);
    UNROLL for (int i = 0; i < height * VECTORS; i++)
    {
        real *to = sum + i / VECTORS * PANEL + i % VECTORS * VL;
        store(to, load(to) + tile[i]);
    }
}

/* Columns [c0, c1) over `depth` rows of x, copied, and dy. */
INLINE void BAND($name)(const int height, const int heights, int depth, const real *x,
                        const real *dy, real *sum, int c0, int c1)
{
    enum { OUT = $out, PANEL = $panel };
    const int all = height * heights;
    const Places plain = {height, 0, 1, all, OUT, RT_LANES, 0};
    const Places copied = {height, 0, 1, all, TILE_COLUMNS, RT_LANES, 0};
    int c = c0;
    for (; c + TILE_COLUMNS <= c1; c += TILE_COLUMNS)
        for (int i = 0; i < all; i += height)
            TILE($name)(height, plain, depth, x + i, dy + c, sum + i * PANEL + c - c0);
    if (OUT % TILE_COLUMNS > 0 && c < c1) {
        real part[DW_DEPTH * TILE_COLUMNS];
        copy_part(part, TILE_COLUMNS, dy + c, OUT, depth, c1 - c);
        for (int i = 0; i < all; i += height)
            TILE($name)(height, copied, depth, x + i, part, sum + i * PANEL + c - c0);
    }
}

/* A task is ROWS rows of W. */
KERNEL($name)
{
    enum {
        IN = $in,
        OUT = $out,
        PIXELS = $pixels,
        ROWS = $rows,
        PANEL = $panel,
        PARTS = (ROWS + TILE_PIXELS - 1) / TILE_PIXELS,
        HEIGHT = (ROWS + PARTS - 1) / PARTS
    };
    const int rows = call->n * PIXELS, i0 = task * ROWS;
    const int height = IN - i0 < ROWS ? IN - i0 : ROWS;
    const real *x = (const real *)call->in[0] + i0, *dy = call->in[1];
    real part[DW_DEPTH * PARTS * HEIGHT];
    for (int c0 = 0; c0 < OUT; c0 += PANEL) {
        const int c1 = c0 + PANEL < OUT ? c0 + PANEL : OUT;
        real sum[PARTS * HEIGHT * PANEL] = {0};
        for (int n = 0; n < rows; n += DW_DEPTH) {
            const int depth = rows - n < DW_DEPTH ? rows - n : DW_DEPTH;
            if (c0 == 0 || rows > DW_DEPTH)
                copy_part(part, PARTS * HEIGHT, x + (size_t)n * IN, IN, depth, height);
            BAND($name)(HEIGHT, PARTS, depth, part, dy + (size_t)n * OUT, sum, c0, c1);
        }
        for (int i = 0; i < height; i++) {
            const size_t from = (size_t)(i0 + i) * OUT + c0, count = c1 - c0;
            const real *g = sum + i * PANEL;
            $apply;
        }
    }
}
