/* dense_grad.c: the gradients of Dense: of x, and of W, with the update of W if it is fused. */
#include "dense.c"
#undef $name
#undef $rows

#define $name NAME__(kernel, __LINE__)
#define $rows 28
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))

//% dense_sums
/* A tile of dot products: DOT_ROWS rows of dy times DOT_COLUMNS rows of W. */
#if LEVEL >= 2
enum { NAME(DOT_ROWS_) = 6, NAME(DOT_COLUMNS_) = 4 };
#elif LEVEL == 1
enum { NAME(DOT_ROWS_) = 4, NAME(DOT_COLUMNS_) = 2 };
#else
enum { NAME(DOT_ROWS_) = 2, NAME(DOT_COLUMNS_) = 2 };
#endif
#define DOT_ROWS NAME(DOT_ROWS_)
#define DOT_COLUMNS NAME(DOT_COLUMNS_)
#define add_dots NAME(add_dots)
#define add_lanes NAME(add_lanes)

INLINE void add_dots(Vec *tile, const real *const *a, const real *const *b, int at, int count)
{
    Vec factors[DOT_COLUMNS];
    UNROLL for (int j = 0; j < DOT_COLUMNS; j++) factors[j] = load_lanes(b[j] + at, count);
    UNROLL for (int i = 0; i < DOT_ROWS; i++)
    {
        const Vec v = load_lanes(a[i] + at, count);
        UNROLL for (int j = 0; j < DOT_COLUMNS; j++) tile[i * DOT_COLUMNS + j] += v * factors[j];
    }
}

INLINE real add_lanes(Vec v)
{
    real lanes[VL];
    store(lanes, v);
    for (int half = VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

//% dense_dx
/* dx = dy W'. A task is COLUMNS columns of dx; tiles over the edge repeat its last row. */
KERNEL($name)
{
    enum { IN = $in, OUT = $out, PIXELS = $pixels, COLUMNS = $rows };
    const int rows = call->n * PIXELS, i0 = task * COLUMNS;
    const int i1 = i0 + COLUMNS < IN ? i0 + COLUMNS : IN;
    const real *dy = call->in[0], *w = call->in[1];
    real *dx = call->out[0];
    for (int i = i0; i < i1; i += DOT_COLUMNS)
        for (int n = 0; n < rows; n += DOT_ROWS) {
            const real *a[DOT_ROWS], *b[DOT_COLUMNS];
            Vec tile[DOT_ROWS * DOT_COLUMNS];
            UNROLL for (int j = 0; j < DOT_ROWS; j++) a[j] =
                dy + (size_t)(n + j < rows ? n + j : rows - 1) * OUT;
            UNROLL for (int j = 0; j < DOT_COLUMNS; j++) b[j] =
                w + (size_t)(i + j < i1 ? i + j : i1 - 1) * OUT;
            UNROLL for (int j = 0; j < DOT_ROWS * DOT_COLUMNS; j++) tile[j] = (Vec){0};
            ROLL for (int k = 0; k < OUT / VL * VL; k += VL) add_dots(tile, a, b, k, VL);
            if (OUT % VL > 0) add_dots(tile, a, b, OUT / VL * VL, OUT % VL);
            UNROLL for (int j = 0; j < DOT_ROWS * DOT_COLUMNS; j++)
            {
                const int row = n + j / DOT_COLUMNS, column = i + j % DOT_COLUMNS;
                if (row < rows && column < i1) dx[(size_t)row * IN + column] = add_lanes(tile[j]);
            }
        }
}
