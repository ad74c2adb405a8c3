/* dense.c: Dense, y = x W + b, on rows of numbers. W (IN, OUT) stays in Keras's layout, or is
 * stored in 16 bits by dense_pack.
 *
 * A batch has call->n * $pixels rows: Dense acts on the last axis. The time of few rows is that of
 * reading W. So W is read once, in runs that are long enough for the CPU to fetch ahead of them,
 * and rows of W that meet only zeros of x, which ReLU leaves often, are not read. A task has a
 * panel of columns, a chunk of the products and a block of rows; chunks are added up by dense_sum.
 */
#include "tile.c"

#define $name dense_example
#define $in 200
#define $out 70
#define $pixels 1
#define $rows 32
#define $panel 96
#define $chunks 2
#define $stride 70
#define $type real
#define $load load_lanes
#define $bias call->in[2]
#define $epilogue v

//% dense_parts
#define DEPTH 32    /* products of a part of a sum: it stays in the cache, and errors stay small */
#define DW_DEPTH 64 /* rows of the batch for the gradient of W, likewise */
#define TILE_COLUMNS (TILE_BLOCKS * RT_LANES)
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
#define MOST_PLACES 2048 /* products whose places are known at a time */
#define Halves NAME(Halves)
#define Words NAME(Words)
#define Singles NAME(Singles)
#define load_half NAME(load_half)
#define collect NAME(collect)
#define take NAME(take)
#define add_rows NAME(add_rows)
#define copy_places NAME(copy_places)
#define FEW_(name) NAME(name##_few)
#define FEW(name) FEW_(name)
#define FETCH_(name) NAME(name##_fetch)
#define FETCH(name) FETCH_(name)
#define MANY_(name) NAME(name##_many)
#define MANY(name) MANY_(name)
#define STEP(type) (64 / (int)sizeof(type)) /* numbers in a line of the cache */

/* bfloat16 is the upper half of a float. Rows of them are padded: a vector is always there. */
typedef uint16_t Halves __attribute__((vector_size(NAME(VL_) * 2), aligned(2), may_alias));
typedef uint32_t Words __attribute__((vector_size(NAME(VL_) * 4)));
typedef float Singles __attribute__((vector_size(NAME(VL_) * 4)));
INLINE Vec load_half(const uint16_t *p, int count)
{
    const Words words = __builtin_convertvector(*(const Halves *)p, Words) << 16;
    return (void)count, __builtin_convertvector((Singles)words, Vec);
}

/* Which of `count` columns of x hold a number that is not zero; returns how many do. Behind them
 * the last one again, for who fetches ahead. */
INLINE int collect(const real *x, int rows, size_t stride, int count, int *places)
{
    int found = 0;
    for (int k = 0; k < count; k += VL) {
        const int here = count - k < VL ? count - k : VL;
        real is_other[VL]; /* all bits set where a number is not zero */
        Vec any = {0};
        for (int i = 0; i < rows; i++)
            any = (Vec)((Mask)any | (load_lanes(x + i * stride + k, here) != 0));
        store(is_other, any);
        for (int j = 0; j < here; j++) {
            places[found] = k + j;
            found += is_other[j] != 0;
        }
    }
    for (int j = 0; j < 2 * DEPTH; j++) places[found + j] = found > 0 ? places[found - 1] : 0;
    return found;
}

/* The numbers of x at `count` places, DEPTH for each row. */
INLINE void take(real *to, const real *x, int rows, size_t stride, int count, const int *places)
{
    const int first = places[0], in_line = places[count - 1] - first == count - 1;
    for (int i = 0; i < rows; i++, to += DEPTH, x += stride) {
        if (in_line && count == DEPTH)
            memcpy(to, x + first, DEPTH * sizeof(real));
        else
            for (int k = 0; k < count; k++) to[k] = x[places[k]];
    }
}

/* sum[0 … rows) += factors times four rows of W. */
INLINE void add_rows(const int rows, real *sum, const int stride, const real *factors, Vec a, Vec b,
                     Vec c, Vec d)
{
    for (int r = 0; r < rows; r++, sum += stride, factors += 4)
        store(sum, load(sum) + factors[0] * a + factors[1] * b + factors[2] * c + factors[3] * d);
}

/* TILE_COLUMNS of the rows of w at `places`, zeros behind the first `columns`. */
INLINE void copy_places(real *to, const real *w, size_t stride, int count, const int *places,
                        int columns)
{
    for (int k = 0; k < count; k++, to += TILE_COLUMNS)
        copy_part(to, TILE_COLUMNS, w + places[k] * stride, 0, 1, columns);
}

//% dense
/* Sums of one or two rows over the `found` places: four rows of W in one go, while the next four
 * are fetched. */
INLINE void FEW($name)(const int rows, const real *x, const $type *w, int columns, int found,
                       const int *places, real *sum)
{
    enum {
        IN = $in,
        PANEL = $panel,
        STRIDE = $stride,
        TAIL = $out % VL,
        AHEAD = 16 / (int)sizeof($type)
    };
    for (int i = 0; i < found; i += 4, places += 4) {
        const $type *at[4], *next[4];
        real factors[2 * 4];
        for (int j = 0; j < 4; j++) {
            at[j] = w + (size_t)places[j] * STRIDE;
            next[j] = w + (size_t)places[j + AHEAD] * STRIDE;
            for (int r = 0; r < rows; r++)
                factors[r * 4 + j] = i + j < found ? x[(size_t)r * IN + places[j]] : 0;
        }
        int c = 0;
        for (; c + VL <= columns; c += VL) {
            if (c % STEP($type) == 0)
                UNROLL for (int j = 0; j < 4; j++) __builtin_prefetch(next[j] + c, 0, 2);
            add_rows(rows, sum + c, PANEL, factors, $load(at[0] + c, VL), $load(at[1] + c, VL),
                     $load(at[2] + c, VL), $load(at[3] + c, VL));
        }
        if (TAIL > 0 && c < columns)
            add_rows(rows, sum + c, PANEL, factors, $load(at[0] + c, TAIL), $load(at[1] + c, TAIL),
                     $load(at[2] + c, TAIL), $load(at[3] + c, TAIL));
    }
}

/* Fetches a line of the rows of a panel that come next: row by row, as they lie in memory. */
INLINE void FETCH($name)(const $type *panel, const int *places, int line)
{
    enum { PANEL = $panel, STRIDE = $stride, RUN = (PANEL + STEP($type) - 1) / STEP($type) };
    const $type *row = panel + (size_t)places[DEPTH + line / RUN] * STRIDE;
    __builtin_prefetch(row + line % RUN * STEP($type), 0, 2);
}

/* HEIGHT x TILE_COLUMNS sums over `count` products. W is read at `places` and copied to `part` by
 * the first tile of a column, and read there by the others. Each fetches its share, lines [line,
 * end), of the rows of the panel that come next: row by row, as they lie in memory. */
INLINE void TILE($name)(const int height, const int is_first, const int copies, int count,
                        const real *x, const $type *w, const int *places, real *part, real *sum,
                        const $type *panel, int line, int end)
{
    enum { STRIDE = $stride, VECTORS = TILE_BLOCKS * BV };
    Vec tile[TILE_VECTORS];
    UNROLL for (int i = 0; i < height * VECTORS; i++) tile[i] = load(sum + i * VL);
    ROLL for (int k = 0; k < count; k++, x++, part += TILE_COLUMNS)
    {
        const $type *from = w + (size_t)places[k] * STRIDE;
        Vec factors[TILE_VECTORS];
        __asm__("" : "+r"(x)); /* else gcc would hand numbers of x on through the stack */
        if (line < end) FETCH($name)(panel, places, line++);
        if (!copies && line < end) FETCH($name)(panel, places, line++);
        UNROLL for (int j = 0; j < VECTORS; j++)
        {
            factors[j] = is_first ? $load(from + j * VL, VL) : load(part + j * VL);
            if (is_first && copies) store(part + j * VL, factors[j]);
        }
        UNROLL for (int i = 0; i < height; i++)
        {
            const real v = x[i * DEPTH];
            UNROLL for (int j = 0; j < VECTORS; j++) tile[i * VECTORS + j] += v * factors[j];
        }
    }
    UNROLL for (int i = 0; i < height * VECTORS; i++) store(sum + i * VL, tile[i]);
}

/* Sums of height * parts rows over the `found` places, tile by tile: [column][row][TILE_COLUMNS].
 */
INLINE void MANY($name)(const int height, const int parts, const real *x, int rows, const $type *w,
                        int columns, int found, const int *places, real *sum)
{
    enum {
        IN = $in,
        ROWS = $rows,
        PANEL = $panel,
        STRIDE = $stride,
        RUN = (PANEL + STEP($type) - 1) / STEP($type),
        TILES = (PANEL + TILE_COLUMNS - 1) / TILE_COLUMNS,
        EACH = (DEPTH + TILES - 1) / TILES
    };
    const int share = parts > 1 ? DEPTH : 2 * DEPTH, is_padded = STRIDE % TILE_COLUMNS == 0;
    real part[DEPTH * TILE_COLUMNS], taken[(ROWS + TILE_PIXELS) * DEPTH];
    memset(taken, 0, sizeof taken);
    for (int i = 0; i < found; i += DEPTH, places += DEPTH) {
        const int count = found - i < DEPTH ? found - i : DEPTH;
        real *to = sum;
        take(taken, x, rows, IN, count, places);
        for (int t = 0; t < TILES && t * TILE_COLUMNS < columns; t++) {
            const $type *from = w + t * TILE_COLUMNS;
            const int end = (t + 1) * EACH < DEPTH ? (t + 1) * EACH * RUN : DEPTH * RUN;
            const int is_whole = is_padded || (t + 1) * TILE_COLUMNS <= columns;
            int line = t * EACH * RUN;
            if (!is_whole)
                copy_places(part, (const real *)from, STRIDE, count, places,
                            columns - t * TILE_COLUMNS);
            if (is_whole)
                TILE($name)(height, 1, parts > 1, count, taken, from, places, part, to, w, line,
                            end);
            for (int p = is_whole; p < parts; p++)
                TILE($name)(height, 0, parts > 1, count, taken + p * height * DEPTH, from, places,
                            part, to + p * height * TILE_COLUMNS, w, line + p * share, end);
            to += parts * height * TILE_COLUMNS;
        }
    }
}

/* The sums of ROWS rows and PANEL columns at most. */
KERNEL($name)
{
    enum {
        IN = $in,
        OUT = $out,
        PIXELS = $pixels,
        ROWS = $rows,
        PANEL = $panel,
        STRIDE = $stride,
        CHUNKS = $chunks,
        PANELS = (OUT + PANEL - 1) / PANEL,
        LENGTH = (IN + CHUNKS - 1) / CHUNKS,
        PARTS = (ROWS + TILE_PIXELS - 1) / TILE_PIXELS,
        HEIGHT = (ROWS + PARTS - 1) / PARTS
    };
    const int all = call->n * PIXELS, blocks = (all + ROWS - 1) / ROWS;
    const int first = task % blocks * ROWS, rows = all - first < ROWS ? all - first : ROWS;
    const int c0 = task / blocks % PANELS * PANEL, chunk = task / blocks / PANELS;
    const int columns = OUT - c0 < PANEL ? OUT - c0 : PANEL;
    const int end = (chunk + 1) * LENGTH < IN ? (chunk + 1) * LENGTH : IN;
    const real *x = (const real *)call->in[0] + (size_t)first * IN, *bias = $bias;
    const $type *w = (const $type *)call->in[1] + c0;
    real *sum = rt_scratch(call->run), *y = call->out[CHUNKS > 1];
    const int few = rows <= 2, row = few ? PANEL : TILE_COLUMNS;
    const int column = few ? TILE_COLUMNS : HEIGHT * PARTS * TILE_COLUMNS;
    int places[MOST_PLACES + 2 * DEPTH];
    memset(sum, 0,
           (few ? 2 * PANEL : (PANELS > 1 ? PANEL : (OUT + 31) / 32 * 32) * HEIGHT * PARTS) *
               sizeof(real));
    for (int k = chunk * LENGTH; k < end; k += MOST_PLACES) {
        const int count = end - k < MOST_PLACES ? end - k : MOST_PLACES;
        const int found = collect(x + k, rows, IN, count, places);
        const $type *from = w + (size_t)k * STRIDE;
        if (rows == 1)
            FEW($name)(1, x + k, from, columns, found, places, sum);
        else if (few)
            FEW($name)(2, x + k, from, columns, found, places, sum);
        else
            MANY($name)(HEIGHT, PARTS, x + k, rows, from, columns, found, places, sum);
    }
    for (int c = 0; c < columns; c += VL)
        for (int i = 0; i < rows; i++) {
            const int count = columns - c < VL ? columns - c : VL;
            const size_t to = ((size_t)(first + i) * CHUNKS + chunk) * OUT + c0 + c;
            Vec v = load(sum + c / TILE_COLUMNS * column + c % TILE_COLUMNS + i * row);
            if (bias && CHUNKS == 1) v += load_lanes(bias + c0 + c, count);
            store_lanes(y + to, CHUNKS > 1 ? v : $epilogue, count);
        }
}
