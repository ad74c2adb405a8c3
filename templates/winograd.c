/* winograd.c: Conv2D with windows of 3x3 and strides of 1, by Winograd's F(4x4, 3x3).
 *
 * A tile of 4x4 results is the product of two polynomials in two variables, and products of
 * polynomials are cheap where both are known by their values: 36 multiplications a channel instead
 * of 144. The 36 values ("frequencies") of the 6x6 numbers of x under a tile are found by additions
 * (transform_tile), those of the kernel once (winograd_pack); at each frequency the sum over
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
#include "tile.c"

#define $name NAME__(winograd, __LINE__)
#define $X 28, 28, 32, 16, 1, 1, 30, 30, 2, 28800
#define $Y 28, 28, 48, 16, 0, 0, 28, 28, 3, 37632
#define $sums 28, 28
#define $padding 1, 1
#define $block 1, 7, 7
#define $groups 1
#define $output winograd_output_example
#define $bias call->in[2]
#define $pooled 0
#define $epilogue v
#define $kernel 32, 48
#define $turned 0

//% winograd_points
#define FUNCTION TARGET static __attribute__((noinline, unused))
#define GROUP (2 * RT_LANES) /* output channels that are packed together */
#define CEIL_DIV(a, b) (((a) + (b)-1) / (b))
#define FREQUENCIES 36 /* 6 in each direction: at 0, A, -A, B, -B, infinity */
#define POINT_A ((real)0.625)
#define POINT_B ((real)1.5)
#define AA (POINT_A * POINT_A)
#define BB (POINT_B * POINT_B)

/* In a direction in which a tile has few (one or two) results, frequencies 3 and 4 are not used. */
#define USED(few, frequency) (!(few) || ((frequency) != 3 && (frequency) != 4))

//% winograd_input
#define at_zero NAME(at_zero)
#define at_infinity NAME(at_infinity)
#define at_pair NAME(at_pair)
#define transform_row NAME(transform_row)
#define transform_tile NAME(transform_tile)

INLINE Vec at_zero(const int few, Vec d0, Vec d2, Vec d4)
{
    return few ? AA * BB * d0 - BB * d2 : AA * BB * d0 + (d4 - (AA + BB) * d2);
}

INLINE Vec at_infinity(const int few, Vec d1, Vec d3, Vec d5)
{
    return few ? d3 - AA * d1 : AA * BB * d1 + (d5 - (AA + BB) * d3);
}

/* At +point and -point; `square` is that of the other point. */
INLINE void at_pair(const int few, const real point, const real square, const Vec d[4], Vec *plus,
                    Vec *minus)
{
    const Vec even = few ? (AA - BB) * d[1] : d[3] - square * d[1];
    const Vec odd = few ? (AA - BB) * d[0] : d[2] - square * d[0];
    *plus = even + point * odd;
    *minus = even - point * odd;
}

/* One row of frequencies from its six (few: four) numbers, stored `step` apart. */
INLINE void transform_row(const int few, const Vec d[6], real *v, size_t step)
{
    Vec plus, minus;
    store(v, at_zero(few, d[0], d[2], d[4]));
    at_pair(few, POINT_A, BB, d + 1, &plus, &minus);
    store(v + step, plus);
    store(v + 2 * step, minus);
    if (!few) {
        at_pair(few, POINT_B, AA, d + 1, &plus, &minus);
        store(v + 3 * step, plus);
        store(v + 4 * step, minus);
    }
    store(v + 5 * step, at_infinity(few, d[1], d[3], d[5]));
}

/* The frequencies of the pixels at x, rows `row` apart: first down the columns, then along. */
INLINE void transform_tile(const int low, const int narrow, const real *x, size_t row, real *v,
                           size_t step)
{
    const int height = low ? 4 : 6, width = narrow ? 4 : 6, pairs = low ? 1 : 2;
    for (int part = 0; part < BV; part++, x += VL, v += VL) {
        Vec first[6] = {{0}}, second[6] = {{0}}, d[6];
        const real points[] = {POINT_A, POINT_B}, squares[] = {BB, AA};
#define LOAD_COLUMN                                                                                \
    UNROLL for (int i = 0; i < 6; i++) d[i] =                                                      \
        i < height ? load(x + i * row + c * RT_LANES) : (Vec){0}
        UNROLL for (int c = 0; c < width; c++)
        {
            LOAD_COLUMN;
            first[c] = at_zero(low, d[0], d[2], d[4]);
        }
        transform_row(narrow, first, v, step);
        UNROLL for (int p = 0; p < pairs; p++)
        {
            UNROLL for (int c = 0; c < width; c++)
            {
                LOAD_COLUMN;
                at_pair(low, points[p], squares[p], d + 1, &first[c], &second[c]);
            }
            transform_row(narrow, first, v + (6 + 12 * p) * step, step);
            transform_row(narrow, second, v + (12 + 12 * p) * step, step);
        }
        UNROLL for (int c = 0; c < width; c++)
        {
            LOAD_COLUMN;
            first[c] = at_infinity(low, d[1], d[3], d[5]);
        }
        transform_row(narrow, first, v + 30 * step, step);
#undef LOAD_COLUMN
    }
}

//% winograd_tiles
#define Tiles NAME(Tiles)
#define count_tiles NAME(count_tiles)
#define place_of_tile NAME(place_of_tile)
#define find_tiles NAME(find_tiles)
#define transform_plane NAME(transform_plane)

/* A block of tiles: `rows` x `columns` of each of some pictures; low (narrow) is 1 if those of the
 * last row (column) have few results. In memory narrow tiles come first, then whole ones, then low
 * ones, then those that are both: so the tiles that use a frequency follow one another. */
typedef struct {
    int pictures, rows, columns, low, narrow;
} Tiles;

INLINE int count_tiles(const Tiles *t) { return t->pictures * t->rows * t->columns; }

INLINE int place_of_tile(const Tiles *t, int n, int row, int column)
{
    const int rows = t->rows - t->low, columns = t->columns - t->narrow;
    const int whole = t->pictures * rows * t->narrow, low = whole + t->pictures * rows * columns;
    if (row < rows)
        return column < columns ? whole + (n * rows + row) * columns + column : n * rows + row;
    return column < columns ? low + n * columns + column : low + t->pictures * columns + n;
}

/* The tiles [*first, *last) that use a frequency. */
INLINE void find_tiles(const Tiles *t, int frequency, int *first, int *last)
{
    const int rows = t->rows - t->low, columns = t->columns - t->narrow;
    const int all_rows = USED(t->low, frequency / 6), all_columns = USED(t->narrow, frequency % 6);
    *first = all_columns ? 0 : t->pictures * rows * t->narrow;
    *last = all_rows && all_columns
                ? count_tiles(t)
                : t->pictures * (rows * t->columns + all_rows * t->low * columns);
}

/* The frequencies of a plane's tiles; the first tile's window begins at x. */
FUNCTION void transform_plane(const Tiles *t, const real *x, size_t picture, size_t row, real *v,
                              size_t step)
{
    const int rows = t->rows - t->low, columns = t->columns - t->narrow;
    for (int n = 0; n < t->pictures; n++, x += picture)
        for (int h = 0; h < t->rows; h++) {
            const real *from = x + 4 * h * row;
            real *to = v + place_of_tile(t, n, h, 0) * RT_LANES;
            real *last = v + place_of_tile(t, n, h, columns) * RT_LANES;
            const real *end = from + (size_t)columns * 4 * RT_LANES;
            if (h < rows) {
                for (; from < end; from += 4 * RT_LANES, to += RT_LANES)
                    transform_tile(0, 0, from, row, to, step);
                if (t->narrow) transform_tile(0, 1, from, row, last, step);
            } else {
                for (; from < end; from += 4 * RT_LANES, to += RT_LANES)
                    transform_tile(1, 0, from, row, to, step);
                if (t->narrow) transform_tile(1, 1, from, row, last, step);
            }
        }
}

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
 * the channels of `planes` planes. */
INLINE void multiply_rows(const int rows, const int blocks, int planes, const real *v, size_t plane,
                          const real *u, real *m, size_t block, Next next)
{
    const int vectors = blocks * BV;
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < rows * vectors; i++) tile[i] = (Vec){0};
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
                             real *m, size_t block, const Next *next)
{
#define CASE(count)                                                                                \
    case count:                                                                                    \
        multiply_rows(count, TILE_BLOCKS, planes, v, plane, u, m, block, *next);                   \
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
                           real *m, size_t block, const real *next_u, const real *next_v, int share)
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
                           m + b * block + first * RT_LANES, block, &next);
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

//% winograd_blocks
#define Conv NAME(Conv)
#define Block NAME(Block)
#define count_blocks NAME(count_blocks)
#define find_block NAME(find_block)

/* What depends on shapes: sums of height x width in tiles, `pooled` (1 or 2) of them to a pixel of
 * y, blocks of channels, steps between pictures, planes and rows in memory, the halo of y, and how
 * many pictures, rows and columns of tiles make a block, and how many groups of output channels it
 * meets at once. */
typedef struct {
    int height, width, pooled, x_planes, y_planes, y_channels;
    size_t x_picture, x_plane, x_row, y_picture, y_plane, y_row;
    int y_height, y_width, top, left, padded_height, padded_width;
    int pictures, rows, columns, groups;
} Conv;

typedef struct {
    Tiles tiles;
    int n, row, column; /* of its first tile */
} Block;

#define TILES(length) (((length) + 3) / 4)

INLINE int count_blocks(const Conv *c, int n)
{
    return CEIL_DIV(n, c->pictures) * CEIL_DIV(TILES(c->height), c->rows) *
           CEIL_DIV(TILES(c->width), c->columns);
}

INLINE Block find_block(const Conv *c, int n, int index)
{
    const int high = TILES(c->height), wide = TILES(c->width);
    const int bands = CEIL_DIV(high, c->rows), sides = CEIL_DIV(wide, c->columns);
    const int pictures = CEIL_DIV(n, CEIL_DIV(n, c->pictures)); /* blocks of about the same size */
    Block b = {.n = index / sides / bands * pictures,
               .row = index / sides % bands * c->rows,
               .column = index % sides * c->columns};
    Tiles *t = &b.tiles;
    t->pictures = n - b.n < pictures ? n - b.n : pictures;
    t->rows = high - b.row < c->rows ? high - b.row : c->rows;
    t->columns = wide - b.column < c->columns ? wide - b.column : c->columns;
    t->low = b.row + t->rows == high && (c->height - 1) % 4 < 2;
    t->narrow = b.column + t->columns == wide && (c->width - 1) % 4 < 2;
    return b;
}

//% winograd
#define Output NAME(Output)
#define finish_plane NAME(finish_plane)
#define Area NAME(Area)
#define fetch NAME(fetch)
#define input_area NAME(input_area)
#define output_area NAME(output_area)
#define multiply_groups NAME(multiply_groups)
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

/* Pixels of some planes, a line of the cache each, that will be read or written soon. */
typedef struct {
    const real *first;
    size_t plane, row;
    int planes, rows, width;
} Area;

/* Fetches part `index` of `parts` of an area. */
INLINE void fetch(const Area *a, const int write, int index, int parts)
{
    const int lines = a->planes * a->rows * a->width, end = (long)lines * (index + 1) / parts;
    for (int i = (long)lines * index / parts; i < end;) {
        const int column = i % a->width, row = i / a->width;
        const int run = a->width - column < end - i ? a->width - column : end - i;
        const real *at = a->first + row / a->rows * a->plane + row % a->rows * a->row;
        for (int j = column; j < column + run; j++)
            __builtin_prefetch(at + (size_t)j * RT_LANES, write, write ? 3 : 2);
        i += run;
    }
}

/* What the windows of a block of one picture go over: none of a block of more. */
INLINE Area input_area(const Conv *c, const Block *b, const real *x)
{
    const Tiles *t = &b->tiles;
    return (Area){x + b->n * c->x_picture + 4 * b->row * c->x_row +
                      (size_t)4 * b->column * RT_LANES,
                  c->x_plane,
                  c->x_row,
                  t->pictures > 1 ? 0 : c->x_planes,
                  4 * t->rows + 2,
                  4 * t->columns + 2};
}

/* The results of such a block in the planes [first, last). */
INLINE Area output_area(const Conv *c, const Block *b, real *y, int first, int last)
{
    const Tiles *t = &b->tiles;
    const int size = 4 / c->pooled, h = b->row * size, w = b->column * size;
    const int rows = c->y_height - h, columns = c->y_width - w;
    return (Area){y + b->n * c->y_picture + first * c->y_plane + (c->top + h) * c->y_row +
                      (size_t)(c->left + w) * RT_LANES,
                  c->y_plane,
                  c->y_row,
                  t->pictures > 1 ? 0 : last - first,
                  rows < t->rows * size ? rows : t->rows * size,
                  columns < t->columns * size ? columns : t->columns * size};
}

/* The products of a block's tiles with the groups [g0, g1) of output channels, which lie two planes
 * a group in m. Fetches `in`, of which it has the parts from `part` of `parts`, and `out`. */
INLINE void multiply_groups(const Conv *c, const Tiles *t, const real *v, size_t v_step,
                            const real *kernel, int g0, int g1, real *m, size_t m_step,
                            const Area *in, int part, int parts, const Area *out)
{
    const int count = count_tiles(t);
    const size_t plane = (size_t)count * RT_LANES;
    const size_t panel = (size_t)c->x_planes * RT_LANES * GROUP, group = FREQUENCIES * panel;
    const size_t share = c->x_planes * plane / (g1 - g0);
    for (int f = 0; f < FREQUENCIES; f++, v += v_step, m += m_step) {
        int first, last;
        find_tiles(t, f, &first, &last);
        for (int g = g0; g < g1 && first < last; g++) {
            const real *u = kernel + g * group + f * panel;
            const int done = f * (g1 - g0) + g - g0;
            fetch(in, 0, part + done, parts);
            fetch(out, 1, done, FREQUENCIES * (g1 - g0));
            const real *next = g + 1 < g1 ? u + group : kernel + g0 * group + (f + 1) * panel;
            multiply_panel(last - first, c->x_planes, v + first * RT_LANES, plane, u,
                           m + (g - g0) * 2 * plane + first * RT_LANES, plane, next,
                           v + v_step + (g - g0) * share, g1 - g0);
        }
    }
}

/* A task is a part of the groups of output channels of a block of tiles. x is where the first
 * picture's first window begins. */
FUNCTION void winograd(const Conv *c, const RtCall *call, int task, const real *all_x,
                       const real *all_bias, Output *output)
{
    const int blocks = count_blocks(c, call->n), groups = CEIL_DIV(c->y_planes, 2);
    const int parts = rt_parts(call->run, blocks, groups), part = task % parts;
    const Block b = find_block(c, call->n, task / parts);
    const size_t plane = (size_t)count_tiles(&b.tiles) * RT_LANES;
    const size_t v_step = c->x_planes * plane + LINE, m_step = 2 * c->groups * plane + LINE;
    real *v = rt_scratch(call->run), *m = v + FREQUENCIES * v_step;
    const real *x =
        all_x + b.n * c->x_picture + 4 * b.row * c->x_row + (size_t)4 * b.column * RT_LANES;
    for (int p = 0; p < c->x_planes; p++)
        transform_plane(&b.tiles, x + p * c->x_plane, c->x_picture, c->x_row, v + p * plane,
                        v_step);
    const int begin = groups * part / parts, end = groups * (part + 1) / parts;
    const int next = task / parts + CEIL_DIV(rt_threads(call->run), parts);
    const Block after = next < blocks ? find_block(c, call->n, next) : (Block){0};
    const Area in = next < blocks ? input_area(c, &after, all_x) : (Area){.rows = 1, .width = 1};
    for (int g0 = begin; g0 < end; g0 += c->groups) {
        const int g1 = g0 + c->groups < end ? g0 + c->groups : end;
        const int planes = 2 * g1 < c->y_planes ? 2 * g1 : c->y_planes;
        const Area out = output_area(c, &b, call->out[0], 2 * g0, planes);
        multiply_groups(c, &b.tiles, v, v_step, call->in[1], g0, g1, m, m_step, &in,
                        FREQUENCIES * (g0 - begin), FREQUENCIES * (end - begin), &out);
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
    const Conv c = {.height = sums[0],
                    .width = sums[1],
                    .pooled = 1 + $pooled,
                    .x_planes = XB,
                    .x_picture = XSIZE,
                    .x_plane = XPLANE,
                    .x_row = XROW,
                    .y_planes = YB,
                    .y_picture = YSIZE,
                    .y_plane = YPLANE,
                    .y_row = YROW,
                    .y_channels = YC,
                    .y_height = YH,
                    .y_width = YW,
                    .top = YT,
                    .left = YL,
                    .padded_height = YHP,
                    .padded_width = YWP,
                    .pictures = block[0],
                    .rows = block[1],
                    .columns = block[2],
                    .groups = $groups};
    winograd(&c, call, task, AT(X, (const real *)call->in[0], 0, 0, -padding[0], -padding[1]),
             $bias, NAME($output));
}

//% winograd_wide
#define Wide NAME(Wide)
#define wide_points NAME(wide_points)
typedef double Wide __attribute__((vector_size(NAME(VL_) * sizeof(double))));

/* Three numbers of a kernel at the six points. */
INLINE void wide_points(const Wide g[3], Wide u[6])
{
    const double a = POINT_A, b = POINT_B, aa = a * a, bb = b * b;
    const Wide even_a = (g[0] + aa * g[2]) / (2 * aa * (aa - bb));
    const Wide even_b = (g[0] + bb * g[2]) / (2 * bb * (bb - aa));
    const Wide odd_a = g[1] / (2 * a * (aa - bb)), odd_b = g[1] / (2 * b * (bb - aa));
    u[0] = g[0] / (aa * bb);
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
}

//% winograd_pack
/* The frequencies of the kernel (3, 3, C, K), found in double: groups of 32 outputs, of
 * frequencies, of inputs, of outputs. Turned: C are the outputs, K the inputs, and the last tap is
 * the first. A task is 16 inputs of a group. */
KERNEL($name)
{
    const int size[] = {$kernel};
    enum { TURNED = $turned };
    const int inputs = size[TURNED], outputs = size[1 - TURNED];
    const int planes = CEIL_DIV(inputs, RT_LANES), plane = task % planes, group = task / planes;
    const size_t step = (size_t)planes * RT_LANES * GROUP;
    const real *from = call->in[0];
    real *to = (real *)call->out[0] + group * FREQUENCIES * step + plane * RT_LANES * GROUP;
    for (int i = plane * RT_LANES; i < (plane + 1) * RT_LANES; i++)
        for (int part = 0; part < GROUP; part += VL, to += VL) {
            Wide taps[3][3] = {{{0}}}, rows[3][6], column[3], u[6];
            for (int t = 0; t < 9; t++)
                for (int j = 0; j < VL; j++) {
                    const int o = group * GROUP + part + j;
                    const size_t c = TURNED ? o : i, k = TURNED ? i : o;
                    if (i < inputs && o < outputs)
                        taps[t / 3][t % 3][j] =
                            from[((TURNED ? 8 - t : t) * (size_t)size[0] + c) * size[1] + k];
                }
            for (int r = 0; r < 3; r++) wide_points(taps[r], rows[r]);
            for (int f = 0; f < 6; f++) {
                for (int r = 0; r < 3; r++) column[r] = rows[r][f];
                wide_points(column, u);
                for (int r = 0; r < 6; r++)
                    store(to + (6 * r + f) * step, __builtin_convertvector(u[r], Vec));
            }
        }
}
