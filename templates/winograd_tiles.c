/* winograd_tiles.c: what the kernels of Winograd's F(4x4, 3x3) share: the values of x at a tile's
 * frequencies, blocks of tiles, and the packed kernel. winograd.c explains the algorithm. */
#include "tile.c"

#define $name NAME__(winograd_tiles, __LINE__)
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

/* Numbers of a packed kernel from one frequency to the next. A line more than needed: at a power of
 * two, all frequencies of a number would share a set of the first cache. */
#define PANEL(planes) ((size_t)(planes)*RT_LANES * GROUP + LINE)

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

//% winograd_blocks
#define Conv NAME(Conv)
#define Block NAME(Block)
#define count_blocks NAME(count_blocks)
#define find_block NAME(find_block)

/* What depends on shapes: sums of height x width in tiles, `pooled` (1 or 2) of them to a pixel of
 * y, blocks of channels, steps between pictures, planes and rows in memory, the halo of y, and how
 * many pictures, rows and columns of tiles make a block, and how many groups of output channels it
 * meets at once. Unless `planes` is 0, the kernel is not packed: it is of this shape, and
 * transformed for so many planes of x at a time. */
typedef struct {
    int height, width, pooled, x_planes, y_planes, y_channels;
    size_t x_picture, x_plane, x_row, y_picture, y_plane, y_row;
    int y_height, y_width, top, left, padded_height, padded_width;
    int pictures, rows, columns, groups;
    int planes, kernel[2], turned;
} Conv;

/* The members that follow from SHAPE(X, …) and SHAPE(Y, …), and from two tables. */
#define CONV(sums, block)                                                                          \
    .height = sums[0], .width = sums[1], .pictures = block[0], .rows = block[1],                   \
    .columns = block[2], .x_planes = XB, .x_picture = XSIZE, .x_plane = XPLANE, .x_row = XROW,     \
    .y_planes = YB, .y_picture = YSIZE, .y_plane = YPLANE, .y_row = YROW, .y_channels = YC,        \
    .y_height = YH, .y_width = YW, .top = YT, .left = YL, .padded_height = YHP,                    \
    .padded_width = YWP

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

//% winograd_kernel
#define kernel_points NAME(kernel_points)
#define transform_kernels NAME(transform_kernels)
#define transform_group NAME(transform_group)

/* Three numbers of a kernel at the six points. */
INLINE void kernel_points(const Vec g[3], Vec u[6])
{
    const real zero = 1 / (AA * BB), a = 1 / (2 * AA * (AA - BB)), b = 1 / (2 * BB * (BB - AA));
    const Vec even_a = a * g[0] + AA * a * g[2], even_b = b * g[0] + BB * b * g[2];
    u[0] = zero * g[0];
    u[1] = even_a + POINT_A * a * g[1];
    u[2] = even_a - POINT_A * a * g[1];
    u[3] = even_b + POINT_B * b * g[1];
    u[4] = even_b - POINT_B * b * g[1];
    u[5] = g[2];
}

/* The frequencies of VL kernels, whose taps lie `tap` numbers apart; to u, `step` apart. */
INLINE void transform_kernels(const real *taps, size_t tap, real *u, size_t step)
{
    Vec rows[3][6], column[3], values[6];
    UNROLL for (int r = 0; r < 3; r++)
    {
        UNROLL for (int s = 0; s < 3; s++) column[s] = load(taps + (3 * r + s) * tap);
        kernel_points(column, rows[r]);
    }
    UNROLL for (int f = 0; f < 6; f++)
    {
        UNROLL for (int r = 0; r < 3; r++) column[r] = rows[r][f];
        kernel_points(column, values);
        UNROLL for (int r = 0; r < 6; r++) store(u + (6 * r + f) * step, values[r]);
    }
}

/* The frequencies of 16 inputs from the i0-th of a kernel (3, 3, C, K), times the group of outputs
 * from the o0-th; to u, `step` apart. Turned: C are the outputs, K the inputs, and the last tap is
 * the first. */
FUNCTION void transform_group(const real *kernel, const int size[2], int turned, int i0, int o0,
                              real *u, size_t step)
{
    const int inputs = size[turned] - i0, outputs = size[1 - turned] - o0;
    const int i_count = inputs < RT_LANES ? inputs : RT_LANES;
    const int o_count = outputs < GROUP ? outputs : GROUP;
    const size_t tap = (size_t)size[0] * size[1];
    if (!turned && i_count == RT_LANES && o_count == GROUP) {
        kernel += (size_t)i0 * size[1] + o0;
        for (int i = 0; i < RT_LANES; i++, kernel += size[1], u += GROUP)
            for (int k = 0; k < GROUP; k += VL) transform_kernels(kernel + k, tap, u + k, step);
        return;
    }
    real taps[9][RT_LANES][GROUP] = {{{0}}};
    for (int t = 0; t < 9; t++, kernel += tap)
        for (int i = 0; i < i_count; i++)
            for (int o = 0; o < o_count; o++)
                taps[turned ? 8 - t : t][i][o] = turned
                                                     ? kernel[(size_t)(o0 + o) * size[1] + i0 + i]
                                                     : kernel[(size_t)(i0 + i) * size[1] + o0 + o];
    for (int k = 0; k < RT_LANES * GROUP; k += VL)
        transform_kernels(&taps[0][0][0] + k, RT_LANES * GROUP, u + k, step);
}

//% winograd_pack
/* The frequencies of the kernel: groups of 32 outputs, of frequencies, of inputs, of outputs. A
 * task is 16 inputs of a group. */
KERNEL($name)
{
    static const int size[] = {$kernel};
    enum { TURNED = $turned };
    const int planes = CEIL_DIV(size[TURNED], RT_LANES), plane = task % planes;
    const size_t step = PANEL(planes);
    real *to = (real *)call->out[0] + task / planes * FREQUENCIES * step;
    transform_group(call->in[0], size, TURNED, plane * RT_LANES, task / planes * GROUP,
                    to + plane * RT_LANES * GROUP, step);
}
