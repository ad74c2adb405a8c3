/* winograd.c: Conv2D with windows of 3x3 and strides of 1, by Winograd's F(4x4, 3x3).
 *
 * A tile of 4x4 results is the product of two polynomials in two variables, and products of
 * polynomials are cheap where both are known by their values: 36 multiplications a channel instead
 * of 144. The 36 values ("frequencies") of the 6x6 numbers of x under a tile are found by additions
 * (winograd_tiles.c), those of the kernel once (winograd_pack); at each frequency the sum over
 * channels is a product of matrices, (tiles x C) by (C x K); additions bring its result back
 * (sum_tile). Lavin, Gray, "Fast algorithms for convolutional neural networks", 2015.
 *
 * The polynomials are evaluated at 0, +-5/8, +-3/2 and infinity. These points halve the rounding
 * errors of the textbook's 0, +-1, +-2: the relative error is that of a direct sum in fp32
 * (Barabasz et al., "Error analysis and improving the accuracy of Winograd convolution", 2020). A
 * tile at the lower or right edge with one or two rows (columns) left uses only the points 0, +-5/8
 * and infinity, with the same values of the kernel: the factors by which those differ are in its
 * own transform.
 *
 * Blocking: a task takes a block of tiles, few enough that their values at all frequencies stay in
 * the second cache, and goes through the output channels by groups of 32. For each frequency of a
 * group, C x 32 values of the kernel stream by once and meet all tiles of the block, TILE_PIXELS at
 * a time in registers; the 36 products of a group then become results while they are still in the
 * cache. */
#include "winograd_tiles.c"
#undef $name

#define $name NAME__(winograd, __LINE__)
#define $X 28, 28, 32, 16, 1, 1, 30, 30, 2, 28800
#define $Y 28, 28, 48, 16, 0, 0, 28, 28, 3, 37632
#define $sums 28, 28
#define $padding 1, 1
#define $block 1, 7, 7
#define $groups 1
#define $planes 2
#define $output winograd_output_example
#define $bias call->in[2]
#define $pooled 0
#define $epilogue v

//% winograd_products
#define multiply_rows NAME(multiply_rows)
#define multiply_tiles NAME(multiply_tiles)
#define multiply_panel NAME(multiply_panel)
#define Next NAME(Next)

/* What will be read next is fetched into the second cache meanwhile: in each step two lines of the
 * kernel, `pace` numbers from one step to the next, and with each plane `lines` lines of x. */
typedef struct {
    const real *u, *v;
    size_t pace;
    int lines;
} Next;

/* The products of `rows` tiles at v with `blocks` blocks of a panel of the kernel at u, summed over
 * the channels of `planes` planes; added to m, if there are `more` sums than these. */
INLINE void multiply_rows(const int rows, const int blocks, int planes, const real *v, size_t plane,
                          const real *u, real *m, size_t block, int more, Next next)
{
    const int vectors = blocks * BV;
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < rows * vectors; i++) tile[i] = (Vec){0};
    if (more)
        UNROLL for (int i = 0; i < rows * vectors; i++) tile[i] =
            load(m + i % vectors / BV * block + i / vectors * RT_LANES + i % BV * VL);
    for (int p = 0; p < planes; p++, v += plane) {
        for (int i = 0; i < next.lines; i++, next.v += LINE) __builtin_prefetch(next.v, 0, 2);
        ROLL for (int k = 0; k < RT_LANES; k++, u += GROUP, next.u += next.pace)
        {
            Vec factors[TILE_BLOCKS * BV];
            __builtin_prefetch(next.u, 0, 2);
            __builtin_prefetch(next.u + LINE, 0, 2);
            UNROLL for (int j = 0; j < vectors; j++) factors[j] = load(u + j * VL);
            UNROLL for (int i = 0; i < rows; i++)
            {
                const real x = v[i * RT_LANES + k];
                UNROLL for (int j = 0; j < vectors; j++) tile[i * vectors + j] += x * factors[j];
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int j = 0; j < vectors; j++)
            store(m + j / BV * block + i * RT_LANES + j % BV * VL, tile[i * vectors + j]);
    }
}

/* The same for any number of tiles up to TILE_PIXELS. */
FUNCTION void multiply_tiles(int rows, int planes, const real *v, size_t plane, const real *u,
                             real *m, size_t block, int more, const Next *next)
{
#define CASE(count)                                                                                \
    case count:                                                                                    \
        multiply_rows(count, TILE_BLOCKS, planes, v, plane, u, m, block, more, *next);             \
        break
    switch (rows) {
        CASE(1);
        CASE(2);
        CASE(3);
#if LEVEL >= 1
        CASE(4);
        CASE(5);
        CASE(6);
#endif
#if LEVEL >= 2
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
        CASE(13);
        CASE(14);
#endif
    }
#undef CASE
}

/* A panel's products with `count` tiles, in bands of about the same size. next_v is the panel's
 * part of what will be read of x; `share` panels fetch the whole. */
INLINE void multiply_panel(int count, int planes, const real *v, size_t plane, const real *u,
                           real *m, size_t block, int more, const real *next_u, const real *next_v,
                           int share)
{
    const int bands = CEIL_DIV(count, TILE_PIXELS), lines = CEIL_DIV(count, bands * share);
    const size_t panel = (size_t)planes * RT_LANES * GROUP;
    for (int b = 0; b < 2; b += TILE_BLOCKS)
        for (int i = 0; i < bands; i++) {
            const int first = count * i / bands, end = count * (i + 1) / bands;
            const Next next = {next_u + panel / bands * i,
                               next_v + (size_t)i * planes * lines * LINE, 2 * LINE / bands,
                               b == 0 ? lines : 0};
            multiply_tiles(end - first, planes, v + first * RT_LANES, plane, u + b * RT_LANES,
                           m + b * block + first * RT_LANES, block, more, &next);
        }
}

//% winograd_output_parts
#define from_points NAME(from_points)
#define sum_tile NAME(sum_tile)

/* Four (few: two) results from six (four) products. */
INLINE void from_points(const int few, const Vec m[6], Vec y[4])
{
    const Vec s = m[1] + m[2], d = m[1] - m[2];
    if (few) {
        y[0] = m[0] + s;
        y[1] = POINT_A * d + m[5];
    } else {
        const Vec t = m[3] + m[4], e = m[3] - m[4];
        y[0] = m[0] + s + t;
        y[1] = POINT_A * d + POINT_B * e;
        y[2] = AA * s + BB * t;
        y[3] = POINT_A * AA * d + (POINT_B * BB * e + m[5]);
    }
}

/* The results of a tile, y[row][column], from its products at all frequencies, `step` apart. */
INLINE void sum_tile(const int low, const int narrow, const real *m, size_t step, Vec y[4][4])
{
    Vec half[4][6] = {{{0}}}, column[6] = {{0}}, sums[4] = {{0}};
    UNROLL for (int c = 0; c < 6; c++)
    {
        if (!USED(narrow, c)) continue;
        UNROLL for (int i = 0; i < 6; i++) if (USED(low, i)) column[i] =
            load(m + (6 * i + c) * step);
        from_points(low, column, sums);
        UNROLL for (int i = 0; i < 4; i++) half[i][c] = sums[i];
    }
    const int rows = low ? 2 : 4;
    UNROLL for (int i = 0; i < rows; i++) from_points(narrow, half[i], y[i]);
}

//% winograd_output
/* Writes a tile of a block of channels, of which rows x columns pixels are there (after pooling, if
 * it pools), at y. */
INLINE void TILE($output)(const int low, const int narrow, const real *m, size_t step,
                          const real *bias, real *y, size_t row, int rows, int columns)
{
    enum { POOLED = $pooled, SIZE = POOLED ? 2 : 4 };
    const int height = low ? SIZE / 2 : SIZE, width = narrow ? SIZE / 2 : SIZE;
    for (int part = 0; part < BV; part++, m += VL, bias += VL, y += VL) {
        Vec sums[4][4] = {{{0}}};
        const Vec b = load(bias);
        sum_tile(low, narrow, m, step, sums);
        UNROLL for (int i = 0; i < height; i++)
        {
            if (i >= rows) continue;
            UNROLL for (int j = 0; j < width; j++)
            {
                Vec v = POOLED
                            ? vmax(vmax(sums[2 * i % 4][2 * j % 4], sums[2 * i % 4][2 * j % 4 + 1]),
                                   vmax(sums[2 * i % 4 + 1][2 * j % 4],
                                        sums[2 * i % 4 + 1][2 * j % 4 + 1]))
                            : sums[i][j];
                v += b;
                if (j < columns) store(y + i * row + j * RT_LANES, $epilogue);
            }
        }
    }
}

FUNCTION void NAME($output)(int low, int narrow, const real *m, size_t step, const real *bias,
                            real *y, size_t row, int rows, int columns)
{
    if (low)
        if (narrow)
            TILE($output)(1, 1, m, step, bias, y, row, rows, columns);
        else
            TILE($output)(1, 0, m, step, bias, y, row, rows, columns);
    else if (narrow)
        TILE($output)(0, 1, m, step, bias, y, row, rows, columns);
    else
        TILE($output)(0, 0, m, step, bias, y, row, rows, columns);
}

//% winograd
#define Output NAME(Output)
#define finish_plane NAME(finish_plane)
#define multiply_groups NAME(multiply_groups)
#define multiply_kernel NAME(multiply_kernel)
#define winograd NAME(winograd)

typedef void Output(int low, int narrow, const real *m, size_t step, const real *bias, real *y,
                    size_t row, int rows, int columns);

/* The results of a block of output channels, whose first picture's plane of y begins at y. */
INLINE void finish_plane(const Conv *c, const Block *b, const real *m, size_t step,
                         const real *bias, real *y, Output *output)
{
    const Tiles *t = &b->tiles;
    const int size = 4 / c->pooled, first = b->row * size;
    const int last = b->row + t->rows == TILES(c->height) ? c->y_height : first + t->rows * size;
    for (int n = 0; n < t->pictures; n++, y += c->y_picture) {
        if (b->column == 0)
            zero_halo(y, first, last, c->y_height, c->y_width, RT_LANES, c->top, c->left,
                      c->padded_height, c->padded_width);
        for (int i = 0; i < t->rows; i++)
            for (int j = 0; j < t->columns; j++) {
                const int h = first + i * size, w = (b->column + j) * size;
                const int low = t->low && i == t->rows - 1;
                const int narrow = t->narrow && j == t->columns - 1;
                output(low, narrow, m + place_of_tile(t, n, i, j) * RT_LANES, step, bias,
                       y + (c->top + h) * c->y_row + (size_t)(c->left + w) * RT_LANES, c->y_row,
                       c->y_height - h, c->y_width - w);
            }
    }
}

/* The products of a block's tiles with some groups of output channels, which lie two planes a group
 * in m, summed over some planes of x. */
INLINE void multiply_groups(const Tiles *t, int planes, const real *v, size_t v_step,
                            const real *kernel, int groups, real *m, size_t m_step, int more)
{
    const size_t plane = (size_t)count_tiles(t) * RT_LANES;
    const size_t panel = PANEL(planes), group = FREQUENCIES * panel;
    const size_t share = planes * plane / groups;
    for (int f = 0; f < FREQUENCIES; f++, v += v_step, m += m_step) {
        int first, last;
        find_tiles(t, f, &first, &last);
        for (int g = 0; g < groups && first < last; g++) {
            const real *u = kernel + g * group + f * panel;
            const real *next = g + 1 < groups ? u + group : kernel + (f + 1) * panel;
            multiply_panel(last - first, planes, v + first * RT_LANES, plane, u,
                           m + g * 2 * plane + first * RT_LANES, plane, more, next,
                           v + v_step + g * share, groups);
        }
    }
}

/* The same for the groups from the g0-th with all planes of x, from the kernel itself: parts of it
 * are transformed where they stay in the second cache. */
INLINE void multiply_kernel(const Conv *c, const Tiles *t, const real *v, size_t v_step,
                            const real *kernel, int g0, int groups, real *m, size_t m_step, real *u)
{
    for (int p = 0; p < c->x_planes; p += c->planes) {
        const int planes = c->x_planes - p < c->planes ? c->x_planes - p : c->planes;
        const size_t step = PANEL(planes);
        for (int i = 0; i < groups * planes; i++)
            transform_group(kernel, c->kernel, c->turned, (p + i % planes) * RT_LANES,
                            (g0 + i / planes) * GROUP,
                            u + i / planes * FREQUENCIES * step + i % planes * RT_LANES * GROUP,
                            step);
        multiply_groups(t, planes, v + p * (size_t)count_tiles(t) * RT_LANES, v_step, u, groups, m,
                        m_step, p > 0);
    }
}

/* A task is a part of the groups of output channels of a block of tiles. x is where the first
 * picture's first window begins. */
FUNCTION void winograd(const Conv *c, const RtCall *call, int task, const real *x,
                       const real *all_bias, Output *output)
{
    const int blocks = count_blocks(c, call->n), groups = CEIL_DIV(c->y_planes, 2);
    const int parts = rt_parts(call->run, blocks, groups), part = task % parts;
    const Block b = find_block(c, call->n, task / parts);
    const size_t plane = (size_t)count_tiles(&b.tiles) * RT_LANES;
    const size_t v_step = c->x_planes * plane + LINE, m_step = 2 * c->groups * plane + LINE;
    const size_t group = FREQUENCIES * PANEL(c->x_planes);
    real *v = rt_scratch(call->run), *m = v + FREQUENCIES * v_step, *u = m + FREQUENCIES * m_step;
    x += b.n * c->x_picture + 4 * b.row * c->x_row + (size_t)4 * b.column * RT_LANES;
    for (int p = 0; p < c->x_planes; p++)
        transform_plane(&b.tiles, x + p * c->x_plane, c->x_picture, c->x_row, v + p * plane,
                        v_step);
    const int end = groups * (part + 1) / parts;
    for (int g0 = groups * part / parts; g0 < end; g0 += c->groups) {
        const int g1 = g0 + c->groups < end ? g0 + c->groups : end;
        if (c->planes)
            multiply_kernel(c, &b.tiles, v, v_step, call->in[1], g0, g1 - g0, m, m_step, u);
        else
            multiply_groups(&b.tiles, c->x_planes, v, v_step,
                            (const real *)call->in[1] + g0 * group, g1 - g0, m, m_step, 0);
        for (int j = 2 * g0; j < 2 * g1 && j < c->y_planes; j++) {
            const int lanes = c->y_channels - j * RT_LANES;
            real bias[RT_LANES] = {0};
            if (all_bias)
                memcpy(bias, all_bias + j * RT_LANES,
                       (lanes < RT_LANES ? lanes : RT_LANES) * sizeof(real));
            finish_plane(c, &b, m + (j - 2 * g0) * plane, m_step, bias,
                         (real *)call->out[0] + b.n * c->y_picture + j * c->y_plane, output);
        }
    }
}

//% winograd_conv2d
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    static const int sums[] = {$sums}, padding[] = {$padding}, block[] = {$block};
    const Conv c = {CONV(sums, block), .pooled = $pooled, .groups = $groups, .planes = $planes,
                    .kernel = {$kernel}, .turned = $turned};
    winograd(&c, call, task, AT(X, (const real *)call->in[0], 0, 0, -padding[0], -padding[1]),
             $bias, NAME($output));
}
