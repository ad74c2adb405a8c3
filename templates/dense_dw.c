/* dense_dw.c: the gradient of Dense's W, with the update of W in the same pass if it is fused. */
#include "dense.c"
#undef $name

#define $name dense_dw_example
#define $rows 28
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))

//% dense_dw
/* HEIGHT x TILE_COLUMNS sums over `depth` rows of x and dy, added to sum. */
INLINE void TILE($name)(const int height, const Places places, int depth, const real *x,
                        const real *dy, real *sum)
{
    enum { VECTORS = TILE_BLOCKS * BV };
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < height * VECTORS; i++) tile[i] = (Vec){0};
    add_products(tile, height, VECTORS, places, depth, x, dy);
    UNROLL for (int i = 0; i < height * VECTORS; i++)
    {
        real *to = sum + i / VECTORS * $panel + i % VECTORS * VL;
        store(to, load(to) + tile[i]);
    }
}

/* A task is $rows rows of W. Of x and dy it copies what it reads, where that lies ill. */
KERNEL($name)
{
    enum {
        IN = $in, OUT = $out, PARTS = ($rows + TILE_PIXELS - 1) / TILE_PIXELS,
        HEIGHT = ($rows + PARTS - 1) / PARTS, ALL = PARTS * HEIGHT
    };
    const int rows = call->n * $pixels, i0 = task * $rows, height = IN - i0 < $rows ? IN - i0 : $rows;
    const real *x = (const real *)call->in[0] + i0, *dy = call->in[1];
    real x_part[DEPTH * ALL], dy_part[DEPTH * TILE_COLUMNS];
    for (int c0 = 0; c0 < OUT; c0 += $panel) {
        const int c1 = c0 + $panel < OUT ? c0 + $panel : OUT;
        real sum[ALL * $panel] = {0};
        for (int n = 0; n < rows; n += DEPTH) {
            const int depth = rows - n < DEPTH ? rows - n : DEPTH;
            if (c0 == 0 || rows > DEPTH) copy_part(x_part, ALL, x + (size_t)n * IN, IN, depth, height);
            for (int c = c0; c < c1; c += TILE_COLUMNS) {
                const real *from = dy + (size_t)n * OUT + c;
                const int part = OUT % TILE_COLUMNS != 0 && c1 - c < TILE_COLUMNS;
                if (part) copy_part(dy_part, TILE_COLUMNS, from, OUT, depth, c1 - c);
                for (int i = 0; i < ALL; i += HEIGHT) {
                    real *to = sum + i * $panel + c - c0;
                    if (OUT % TILE_COLUMNS != 0 && part)
                        TILE($name)(HEIGHT, (Places){HEIGHT, 0, 1, ALL, TILE_COLUMNS, RT_LANES, 0}, depth,
                                    x_part + i, dy_part, to);
                    else
                        TILE($name)(HEIGHT, (Places){HEIGHT, 0, 1, ALL, OUT, RT_LANES, 0}, depth,
                                    x_part + i, from, to);
                }
            }
        }
        for (int i = 0; i < height; i++) {
            const size_t from = (size_t)(i0 + i) * OUT + c0, count = c1 - c0;
            const real *g = sum + i * $panel;
            $apply;
        }
    }
}
