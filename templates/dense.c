/* dense.c: Dense, y = x W + b, on rows of numbers; its gradients. W (IN, OUT) stays in Keras's
 * layout.
 *
 * A batch has call->n * $pixels rows: Dense acts on the last axis. Sums are cut into parts of DEPTH
 * products, so that what they read stays in the cache and errors stay small. */
#include "tile.c"

#define $name dense_example
#define $in 200
#define $out 70
#define $pixels 1
#define $batch 32
#define $panel 64
#define $bias call->in[2]
#define $epilogue v

//% dense_parts
#define DEPTH 64
#define TILE_COLUMNS (TILE_BLOCKS * RT_LANES)
#define FEW_(name) NAME(name##_few)
#define FEW(name) FEW_(name)
#define copy_part NAME(copy_part)

/* `rows` x `columns` numbers at `from`, `stride` from row to row, to rows of `width`, zeros behind.
 */
INLINE void copy_part(real *to, int width, const real *from, size_t stride, int rows, int columns)
{
    for (int i = 0; i < rows; i++, to += width, from += stride) {
        memcpy(to, from, columns * sizeof(real));
        memset(to + columns, 0, (width - columns) * sizeof(real));
    }
}

//% dense_few
#define collect NAME(collect)
#define add_rows NAME(add_rows)

/* Places and values of the numbers at x that are not zero. */
INLINE int collect(const real *x, int count, int *places, real *values)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        places[found] = i;
        values[found] = x[i];
        found += x[i] != 0;
    }
    return found;
}

/* sum += values[0..3] * the rows of w at places[0..3]. */
INLINE void add_rows(real *sum, int columns, const real *w, size_t stride, const int *places,
                     const real *values)
{
    const real *a = w + places[0] * stride, *b = w + places[1] * stride;
    const real *c = w + places[2] * stride, *d = w + places[3] * stride;
    int k = 0;
    for (; k + VL <= columns; k += VL)
        store(sum + k, load(sum + k) + values[0] * load(a + k) + values[1] * load(b + k) +
                           values[2] * load(c + k) + values[3] * load(d + k));
    for (; k < columns; k++)
        sum[k] += values[0] * a[k] + values[1] * b[k] + values[2] * c[k] + values[3] * d[k];
}

//% dense
/* Columns [c0, c1) of one row. The time is that of reading W, so the rows of W that meet a zero of
 * x, which ReLU leaves often, are not read. */
INLINE void FEW($name)(const real *x, const real *w, const real *bias, real *y, int c0, int c1)
{
    enum { IN = $in, OUT = $out, PART = 8 * DEPTH, AHEAD = 8 };
    const int columns = c1 - c0;
    real total[$panel] = {0};
    for (int k = 0; k < IN; k += PART) {
        int places[PART + AHEAD + 4];
        real values[PART + AHEAD + 4], sum[$panel] = {0};
        const real *from = w + (size_t)k * OUT + c0;
        const int found = collect(x + k, IN - k < PART ? IN - k : PART, places, values);
        memset(places + found, 0, (AHEAD + 4) * sizeof *places);
        memset(values + found, 0, (AHEAD + 4) * sizeof *values);
        for (int i = 0; i < found; i += 4) {
            for (int j = i + AHEAD; j < i + AHEAD + 4; j++)
                for (int c = 0; c < columns; c += LINE)
                    __builtin_prefetch(from + (size_t)places[j] * OUT + c, 0, 2);
            add_rows(sum, columns, from, OUT, places + i, values + i);
        }
        for (int c = 0; c < columns; c++) total[c] += sum[c];
    }
    for (int c = 0; c < columns; c += VL) {
        Vec v = load(total + c);
        if (bias) v += load_lanes(bias + c0 + c, columns - c);
        store_lanes(y + c0 + c, $epilogue, columns - c);
    }
}

/* A tile of HEIGHT rows and TILE_COLUMNS columns from the c-th, of which `rows` and `columns` are
 * real, summed over `depth` numbers of x from the k-th: starts y, or adds to it. */
INLINE void TILE($name)(const int height, const Places places, int k, int depth, const real *x,
                        const real *w, const real *bias, real *y, int rows, int c, int columns)
{
    enum { IN = $in, OUT = $out, VECTORS = TILE_BLOCKS * BV };
    Vec tile[TILE_VECTORS];
    real sum[TILE_PIXELS * TILE_COLUMNS];
    UNROLL for (int i = 0; i < height * VECTORS; i++) tile[i] = (Vec){0};
    add_products(tile, height, VECTORS, places, depth, x, w);
    UNROLL for (int i = 0; i < height * VECTORS; i++) store(sum + i * VL, tile[i]);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j += VL) {
            real *to = y + (size_t)i * OUT + c + j;
            const int count = columns - j;
            Vec v = load(sum + i * TILE_COLUMNS + j);
            if (k > 0)
                v += load_lanes(to, count);
            else if (bias)
                v += load_lanes(bias + c + j, count);
            store_lanes(to, k + depth == IN ? $epilogue : v, count);
        }
}

/* A row of tiles: columns [c0, c1). */
INLINE void BAND($name)(const int height, const Places places, int k, int depth, const real *x,
                        const real *w, const real *bias, real *y, int rows, int c0, int c1)
{
    enum { OUT = $out };
    int c = c0;
    for (; c + TILE_COLUMNS <= c1; c += TILE_COLUMNS)
        TILE($name)(height, places, k, depth, x, w + (size_t)k * OUT + c, bias, y, rows, c,
                    TILE_COLUMNS);
    if (OUT % TILE_COLUMNS > 0 && c < c1) {
        const Places narrow = {places.columns, places.row_step, places.column_step,
                               places.a_step,  TILE_COLUMNS,    places.block_step, 0};
        real part[DEPTH * TILE_COLUMNS];
        copy_part(part, TILE_COLUMNS, w + (size_t)k * OUT + c, OUT, depth, c1 - c);
        TILE($name)(height, narrow, k, depth, x, part, bias, y, rows, c, c1 - c);
    }
}

/* A task is a panel of columns. Rows that fill no tile are copied to where zeros follow them. */
KERNEL($name)
{
    enum {
        IN = $in, OUT = $out, ROWS = $batch * $pixels,
        PARTS = (ROWS + TILE_PIXELS - 1) / TILE_PIXELS, HEIGHT = (ROWS + PARTS - 1) / PARTS
    };
    const Places plain = {HEIGHT, 0, IN, 1, OUT, RT_LANES, (size_t)DEPTH * OUT};
    const Places copied = {HEIGHT, 0, DEPTH, 1, OUT, RT_LANES, (size_t)DEPTH * OUT};
    const int rows = call->n * $pixels, c0 = task * $panel, end = c0 + $panel;
    const int c1 = end < OUT ? end : OUT;
    const real *x = call->in[0], *w = call->in[1], *bias = $bias;
    real *y = call->out[0], part[HEIGHT * DEPTH];
    for (int i = 0; i < rows && rows <= 2; i++)
        FEW($name)(x + (size_t)i * IN, w, bias, y + (size_t)i * OUT, c0, c1);
    for (int k = 0; k < IN && rows > 2; k += DEPTH) {
        const int depth = IN - k < DEPTH ? IN - k : DEPTH;
        int i = 0;
        for (; i + HEIGHT <= rows; i += HEIGHT)
            BAND($name)(HEIGHT, plain, k, depth, x + (size_t)i * IN + k, w, bias,
                        y + (size_t)i * OUT, HEIGHT, c0, c1);
        if (i == rows) continue;
        memset(part, 0, sizeof part);
        copy_part(part, DEPTH, x + (size_t)i * IN + k, IN, rows - i, depth);
        BAND($name)(HEIGHT, copied, k, depth, part, w, bias, y + (size_t)i * OUT, rows - i, c0, c1);
    }
}
