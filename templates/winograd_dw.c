/* winograd_dw.c: the gradient of Conv2D's kernel by Winograd's F(4x4, 3x3).
 *
 * Results are sums over frequencies of values of x times values of the kernel (winograd.c), so the
 * gradient of the kernel's values at a frequency is the product of x's values with what the
 * transposed output transform makes of dy, summed over all tiles: 36 products of matrices (C x
 * tiles) by (tiles x K), a quarter of the direct sum's multiplications. The transposed kernel
 * transform then gives the nine gradients.
 *
 * Blocking: a task owns some channels of x and of dy, up to 64 each, so that the gradients of their
 * values (36 x 64 x 64 numbers) stay in the second cache while blocks of tiles pass by. */
#include "winograd.c"
#undef $name
#undef $X
#undef $Y

#define $name NAME__(winograd_dw, __LINE__)
#define $X 14, 14, 32, 16, 1, 1, 18, 18, 2, 10368
#define $Y 14, 14, 48, 16, 0, 0, 16, 16, 3, 12288
#define $x_planes 2
#define $y_planes 2
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))

//% winograd_dw
#define to_points NAME(to_points)
#define transform_gradient NAME(transform_gradient)
#define transform_gradients NAME(transform_gradients)
#define add_rows_of_tiles NAME(add_rows_of_tiles)
#define add_plane NAME(add_plane)
#define add_tiles NAME(add_tiles)
#define add_block NAME(add_block)
#define from_frequencies NAME(from_frequencies)
#define kernel_gradients NAME(kernel_gradients)

/* Gradients of six (few: four) products from those of the four (two) results: the transpose of
 * from_points. */
INLINE void to_points(const int few, const Vec y[4], Vec m[6])
{
    Vec even = y[0], odd = POINT_A * y[1];
    if (!few) {
        even += AA * y[2];
        odd += POINT_A * AA * y[3];
    }
    m[0] = y[0];
    m[1] = even + odd;
    m[2] = even - odd;
    if (!few) {
        const Vec even_b = y[0] + BB * y[2], odd_b = POINT_B * y[1] + POINT_B * BB * y[3];
        m[3] = even_b + odd_b;
        m[4] = even_b - odd_b;
    }
    m[5] = few ? y[1] : y[3];
}

/* The same for the tile at y, rows `row` apart, in both directions. */
INLINE void transform_gradient(const int low, const int narrow, const real *y, size_t row, real *v,
                               size_t step)
{
    const int height = low ? 2 : 4, width = narrow ? 2 : 4;
    for (int part = 0; part < BV; part++, y += VL, v += VL) {
        Vec half[6][4] = {{{0}}}, column[4] = {{0}}, m[6] = {{0}};
        UNROLL for (int c = 0; c < width; c++)
        {
            UNROLL for (int i = 0; i < height; i++) column[i] = load(y + i * row + c * RT_LANES);
            to_points(low, column, m);
            UNROLL for (int i = 0; i < 6; i++) half[i][c] = m[i];
        }
        UNROLL for (int i = 0; i < 6; i++)
        {
            if (!USED(low, i)) continue;
            to_points(narrow, half[i], m);
            UNROLL for (int c = 0; c < 6; c++) if (USED(narrow, c))
                store(v + (6 * i + c) * step, m[c]);
        }
    }
}

/* As transform_plane, of dy. */
FUNCTION void transform_gradients(const Tiles *t, const real *y, size_t picture, size_t row,
                                  real *v, size_t step)
{
    for (int n = 0; n < t->pictures; n++, y += picture)
        for (int h = 0; h < t->rows; h++)
            for (int w = 0; w < t->columns; w++) {
                const real *from = y + 4 * h * row + (size_t)4 * w * RT_LANES;
                real *to = v + place_of_tile(t, n, h, w) * RT_LANES;
                const int low = t->low && h == t->rows - 1;
                if (t->narrow && w == t->columns - 1)
                    if (low)
                        transform_gradient(1, 1, from, row, to, step);
                    else
                        transform_gradient(0, 1, from, row, to, step);
                else if (low)
                    transform_gradient(1, 0, from, row, to, step);
                else
                    transform_gradient(0, 0, from, row, to, step);
            }
}

/* u[i][j] += sum over `count` tiles of v[i] * d[j], for `rows` channels of x and `blocks` blocks of
 * channels of dy, whose planes lie `plane` apart. */
INLINE void add_rows_of_tiles(const int rows, const int blocks, int count, const real *v,
                              const real *d, size_t plane, real *u, size_t width)
{
    const Places places = {rows, 0, 1, RT_LANES, RT_LANES, plane, 0};
    const int vectors = blocks * BV;
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < rows * vectors; i++) tile[i] = (Vec){0};
    add_products(tile, rows, vectors, places, count, v, d);
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int j = 0; j < vectors; j++)
        {
            real *to = u + i * width + j * VL;
            store(to, load(to) + tile[i * vectors + j]);
        }
    }
}

/* The same for all channels of a plane of x. */
INLINE void add_plane(const int blocks, int count, const real *v, const real *d, size_t plane,
                      real *u, size_t width)
{
    enum {
        PARTS = (RT_LANES + TILE_PIXELS - 1) / TILE_PIXELS,
        SIZE = (RT_LANES + PARTS - 1) / PARTS,
        LAST = RT_LANES - SIZE * (PARTS - 1)
    };
    for (int i = 0; i + LAST < RT_LANES; i += SIZE)
        add_rows_of_tiles(SIZE, blocks, count, v + i, d, plane, u + i * width, width);
    add_rows_of_tiles(LAST, blocks, count, v + RT_LANES - LAST, d, plane,
                      u + (RT_LANES - LAST) * width, width);
}

/* The same for `blocks` planes of dy. */
FUNCTION void add_tiles(int blocks, int count, const real *v, const real *d, size_t plane, real *u,
                        size_t width)
{
    int b = 0;
    for (; b + TILE_BLOCKS <= blocks; b += TILE_BLOCKS)
        add_plane(TILE_BLOCKS, count, v, d + b * plane, plane, u + b * RT_LANES, width);
    if (b < blocks) add_plane(1, count, v, d + b * plane, plane, u + b * RT_LANES, width);
}

/* Adds a block of tiles: x and dy are where the first window and the first result of the block
 * begin, in the task's first planes. */
FUNCTION void add_block(const Conv *c, const Tiles *t, const real *x, const real *dy, real *v,
                        real *d, real *u)
{
    const int count = count_tiles(t);
    const size_t plane = (size_t)count * RT_LANES, width = (size_t)c->y_planes * RT_LANES;
    const size_t v_step = c->x_planes * plane + LINE, d_step = c->y_planes * plane + LINE;
    for (int p = 0; p < c->x_planes; p++)
        transform_plane(t, x + p * c->x_plane, c->x_picture, c->x_row, v + p * plane, v_step);
    for (int p = 0; p < c->y_planes; p++)
        transform_gradients(t, dy + p * c->y_plane, c->y_picture, c->y_row, d + p * plane, d_step);
    for (int f = 0; f < FREQUENCIES; f++) {
        int first, last;
        find_tiles(t, f, &first, &last);
        for (int p = 0; p < c->x_planes; p++, u += RT_LANES * width)
            add_tiles(c->y_planes, last - first, v + f * v_step + p * plane + first * RT_LANES,
                      d + f * d_step + first * RT_LANES, plane, u, width);
    }
}

/* Gradients of three taps from those of a kernel's six values: the transpose of kernel_points. */
INLINE void from_frequencies(const Vec u[6], Vec g[3])
{
    const real zero = 1 / (AA * BB), a = 1 / (2 * AA * (AA - BB)), b = 1 / (2 * BB * (BB - AA));
    const Vec even_a = a * (u[1] + u[2]), even_b = b * (u[3] + u[4]);
    g[0] = zero * u[0] + even_a + even_b;
    g[1] = POINT_A * a * (u[1] - u[2]) + POINT_B * b * (u[3] - u[4]);
    g[2] = AA * even_a + BB * even_b + u[5];
}

/* The nine gradients of `width` outputs of one input, whose values begin at u, `step` apart. */
FUNCTION void kernel_gradients(const real *u, size_t step, size_t width, real *g)
{
    for (size_t k = 0; k < width; k += VL) {
        Vec rows[6][3], column[6], taps[3];
        for (int i = 0; i < 6; i++) {
            for (int j = 0; j < 6; j++) column[j] = load(u + (6 * i + j) * step + k);
            from_frequencies(column, rows[i]);
        }
        for (int s = 0; s < 3; s++) {
            for (int i = 0; i < 6; i++) column[i] = rows[i][s];
            from_frequencies(column, taps);
            for (int r = 0; r < 3; r++) store(g + (3 * r + s) * width + k, taps[r]);
        }
    }
}

//% winograd_conv2d_dw
/* A task is some channels of x times some of dy. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    static const int sums[] = {$sums}, padding[] = {$padding}, block[] = {$block};
    enum { X_PLANES = $x_planes, Y_PLANES = $y_planes, SIDES = CEIL_DIV(YB, Y_PLANES) };
    const int c0 = task / SIDES * X_PLANES, k0 = task % SIDES * Y_PLANES;
    Conv c = {CONV(sums, block)};
    c.x_planes = XB - c0 < X_PLANES ? XB - c0 : X_PLANES;
    c.y_planes = YB - k0 < Y_PLANES ? YB - k0 : Y_PLANES;
    const size_t tiles = (size_t)block[0] * block[1] * block[2] * RT_LANES;
    const size_t width = (size_t)c.y_planes * RT_LANES, step = c.x_planes * RT_LANES * width;
    real *v = rt_scratch(call->run), *d = v + FREQUENCIES * (c.x_planes * tiles + LINE);
    real *u = d + FREQUENCIES * (c.y_planes * tiles + LINE);
    memset(u, 0, FREQUENCIES * step * sizeof(real));
    for (int i = 0; i < count_blocks(&c, call->n); i++) {
        const Block b = find_block(&c, call->n, i);
        const int h = 4 * b.row, w = 4 * b.column;
        add_block(&c, &b.tiles,
                  AT(X, (const real *)call->in[0], b.n, c0, h - padding[0], w - padding[1]),
                  AT(Y, (const real *)call->in[1], b.n, k0, h, w), v, d, u);
    }
    const size_t left = YC - k0 * RT_LANES, count = left < width ? left : width;
    for (int i = 0; i < c.x_planes * RT_LANES && c0 * RT_LANES + i < XC; i++) {
        real taps[9 * Y_PLANES * RT_LANES];
        kernel_gradients(u + i * width, step, width, taps);
        for (int t = 0; t < 9; t++) {
            const size_t from = ((size_t)t * XC + c0 * RT_LANES + i) * YC + k0 * RT_LANES;
            const real *g = taps + t * width;
            $apply;
        }
    }
}
