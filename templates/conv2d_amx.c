/* conv2d_amx.c: Conv2D, and its gradient with respect to x, by products of 16-bit numbers in AMX's
 * tiles. One such number stands for each of x and kernel, or two, the second for what the first
 * leaves over: then three products out of four, all but that of both rests, are as good as 16 bits
 * (a relative error of 4e-6). */
#define LEVEL 4
#define LEVEL_SUFFIX amx
#define TARGET RT_TARGET_AMX
#include "bf16.c"
#include "conv2d.c"
#undef $name
#undef $X
#undef $Y
#undef $window

#define $name conv2d_amx_example
#define $X 14, 14, 48, 16, 1, 1, 16, 16, 3, 12288
#define $Y 7, 7, 48, 16, 1, 1, 9, 9, 3, 3888
#define $window 3, 3, 1, 1, 1, 1, 1, 1
#define $bands 2, 2, 14, 8

//% tiles
/* AMX_BANDS names the numbers of a convolution by bands of rows, beside those of WINDOW and SHAPE:
 * H x W sums, of which POOL x POOL make a result; TERMS of a number; ROWS of a band, CHUNK of them
 * summed before they are finished. Pixels of FEW inputs become rows of all that the window covers:
 * one tap of STEPS * TILE_DEPTH inputs. Otherwise the taps of a pixel reach BELOW and RIGHT, and
 * rows lie PITCH pixels apart. */
#define AMX_BANDS_(pool, terms, rows, chunk)                                                       \
    enum {                                                                                         \
        POOL = pool,                                                                               \
        TERMS = terms,                                                                             \
        ROWS = rows,                                                                               \
        CHUNK = chunk,                                                                             \
        H = YH * POOL,                                                                             \
        W = YW * POOL,                                                                             \
        FEW = (int)XV < RT_LANES,                                                                  \
        STEPS = ((FEW ? R * S : 1) * XV * XB + TILE_DEPTH - 1) / TILE_DEPTH,                       \
        BELOW = FEW ? 0 : (R - 1) * DH,                                                            \
        RIGHT = FEW ? 0 : (S - 1) * DW,                                                            \
        PITCH = W + RIGHT,                                                                         \
        PLANE = ((ROWS + BELOW) * PITCH + TILE_ROWS) * TILE_DEPTH,                                 \
        TERM = STEPS * PLANE                                                                       \
    }
#define AMX_BANDS(...) AMX_BANDS_(__VA_ARGS__)
#define TILE_DEPTH 32 /* products that a tile adds up at once: 16-bit numbers of a row of A */
#define TILE_ROWS 16  /* pixels in a tile of A */
#define TILE_SIZE 512 /* 16-bit numbers in a tile */
#define PIXELS_(name) NAME(name##_pixels) /* a function of one kernel: PIXELS($name) */
#define PIXELS(name) PIXELS_(name)
#define store_terms NAME(store_terms)
#define TilePlaces NAME(TilePlaces)
#define sum_tiles NAME(sum_tiles)

/* v as `terms` 16-bit numbers, `distance` apart, the second for what the first leaves over. */
INLINE void store_terms(Vec v, const int terms, uint16_t *to, size_t distance)
{
    const Bf16 first = to_bf16(v);
    *(Bf16 *)to = first;
    if (terms > 1) *(Bf16 *)(to + distance) = to_bf16(v - from_bf16(first));
}

/* Where factors lie, in 16-bit numbers. A tile of a has rows of TILE_DEPTH; `row` leads from one
 * row of taps to the next, `column` from tap to tap, `step` to the next TILE_DEPTH products, `term`
 * to the other term. Tiles of b are read in the order in which they are needed, `next` apart;
 * `block` leads to the other block, `b_term` to the other term. */
typedef struct {
    int steps, rows, columns, terms;
    size_t row, column, step, term, next, block, b_term;
} TilePlaces;

/* Products of one or two tiles of a (`runs`) with one or two of b (`blocks`), summed over all steps
 * and taps: to[16 * runs][GROUP]. All but a, b and to are constants, and `if` chooses at compile
 * time. */
INLINE void sum_tiles(const int runs, const int blocks, const TilePlaces p, const uint16_t *a,
                      const uint16_t *b, float *to)
{
    RT_TILE_ZERO(0);
    RT_TILE_ZERO(1);
    RT_TILE_ZERO(2);
    RT_TILE_ZERO(3);
    for (int k = 0; k < p.steps; k++)
        for (int r = 0; r < p.rows; r++) {
            const uint16_t *at = a + k * p.step + r * p.row;
            for (int s = 0; s < p.columns; s++, at += p.column, b += p.next) {
                RT_TILE_LOAD(6, b, TILE_DEPTH * 2);
                if (blocks > 1) RT_TILE_LOAD(7, b + p.block, TILE_DEPTH * 2);
                for (int term = p.terms - 1; term >= 0; term--) { /* a's rest first, then a */
                    RT_TILE_LOAD(4, at + term * p.term, TILE_DEPTH * 2);
                    RT_TILE_DP(0, 4, 6);
                    if (blocks > 1) RT_TILE_DP(1, 4, 7);
                    if (runs > 1) RT_TILE_LOAD(5, at + term * p.term + TILE_SIZE, TILE_DEPTH * 2);
                    if (runs > 1) RT_TILE_DP(2, 5, 6);
                    if (runs > 1 && blocks > 1) RT_TILE_DP(3, 5, 7);
                }
                if (p.terms == 1) continue;
                RT_TILE_LOAD(6, b + p.b_term,
                             TILE_DEPTH * 2); /* b's rest with a, which is still there */
                RT_TILE_DP(0, 4, 6);
                if (blocks > 1) RT_TILE_LOAD(7, b + p.b_term + p.block, TILE_DEPTH * 2);
                if (blocks > 1) RT_TILE_DP(1, 4, 7);
                if (runs > 1) RT_TILE_DP(2, 5, 6);
                if (runs > 1 && blocks > 1) RT_TILE_DP(3, 5, 7);
            }
        }
    RT_TILE_STORE(0, to, GROUP * sizeof *to);
    if (blocks > 1) RT_TILE_STORE(1, to + RT_LANES, GROUP * sizeof *to);
    if (runs > 1) RT_TILE_STORE(2, to + TILE_ROWS * GROUP, GROUP * sizeof *to);
    if (runs > 1 && blocks > 1)
        RT_TILE_STORE(3, to + TILE_ROWS * GROUP + RT_LANES, GROUP * sizeof *to);
}

/* The same where runs and blocks are no constants, but 1 or 2, where they can be: what cannot come
 * of all_runs and all_blocks is no code. */
#define SUM_TILES(all_runs, all_blocks, runs, blocks, ...)                                         \
    do {                                                                                           \
        if ((all_runs) > 1 && (runs) > 1 && (all_blocks) > 1 && (blocks) > 1)                      \
            sum_tiles(2, 2, __VA_ARGS__);                                                          \
        else if ((all_blocks) > 1 && (blocks) > 1)                                                 \
            sum_tiles(1, 2, __VA_ARGS__);                                                          \
        else if ((all_runs) > 1 && (runs) > 1 && (all_blocks) % 2 == 1)                            \
            sum_tiles(2, 1, __VA_ARGS__);                                                          \
        else if ((all_blocks) % 2 == 1)                                                            \
            sum_tiles(1, 1, __VA_ARGS__);                                                          \
    } while (0)

//% conv2d_amx
/* The pixels of x that rows [h0, h1) need, as 16-bit numbers [STEPS][row][pixel][TILE_DEPTH]. */
INLINE void PIXELS($name)(int h0, int h1, const real *x, uint16_t *to)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    AMX_BANDS($bands);
    enum { ENTRY = FEW ? STEPS * TILE_DEPTH : 0, SPAN = DW == 1 ? S : 1 };
    for (int step = 0; !FEW && step < STEPS; step++)
        for (int row = 0; row < h1 - h0 + BELOW; row++) {
            const real *from = AT(X, x, 0, 2 * step, h0 + row - PT, -PL);
            const int both = XB % 2 == 0 || 2 * step + 1 < XB;
            uint16_t *pixel = to + step * PLANE + row * PITCH * TILE_DEPTH;
            for (int w = 0; w < PITCH; w++, from += XV, pixel += TILE_DEPTH) {
                store_terms(load(from), TERMS, pixel, TERM);
                store_terms(both ? load(from + XPLANE) : (Vec){0}, TERMS, pixel + RT_LANES, TERM);
            }
        }
    for (int i = 0; FEW && i < (h1 - h0) * PITCH; i++, to += TILE_DEPTH) {
        real entry[ENTRY + 1] = {0};
        const real *from = AT(X, x, 0, 0, (h0 + i / PITCH) * SH - PT, i % PITCH * SW - PL);
        for (int tap = 0; tap < R * S; tap += SPAN)
            memcpy(entry + tap * XV, from + tap / S * DH * XROW + tap % S * DW * XV,
                   SPAN * XV * sizeof *entry);
        for (int j = 0; j < ENTRY; j += RT_LANES)
            store_terms(load(entry + j), TERMS, to + j / TILE_DEPTH * PLANE + j % TILE_DEPTH, TERM);
    }
}

/* Rows [h0, h1) of y from their sums: pool, bias, activation. */
INLINE void BAND($name)(const int blocks, int h0, int h1, const real *sums, const real *bias,
                        real *y)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    AMX_BANDS($bands);
    for (int b = 0; b < blocks; b++)
        for (int h = h0; h < h1; h++)
            for (int w = 0; w < YW; w++) {
                const real *from = sums + (((h - h0) * PITCH + w) * POOL) * GROUP + b * RT_LANES;
                Vec v = load(from);
                for (int i = 1; i < POOL * POOL; i++)
                    v = vmax(v, load(from + (i / POOL * PITCH + i % POOL) * GROUP));
                v += load(bias + b * RT_LANES);
                store(AT(Y, y, 0, b, h, w), $epilogue);
            }
}

/* A band of rows of x becomes 16-bit numbers in scratch, which stay in the second cache (at most
 * 1 MiB) while all outputs of the task are made from them, 32 at a time. Rows lie there without a
 * gap, so a run of 16 pixels goes on in the next row, and what it makes of the pixels between two
 * rows is dropped. Two runs and two tiles of the kernel give four tiles of sums. The runs' pixels
 * serve all taps of 32 inputs from the first cache (3 rows of 34 pixels of 64 bytes for 3x3), while
 * the packed kernel is read in its order from the second. A chunk of rows is summed into scratch,
 * about 64 KiB, and finished from there. A task is a part of the groups of outputs of a band. */
KERNEL($name)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    AMX_BANDS($bands);
    enum { COUNT = (H + ROWS - 1) / ROWS, GROUPS = (YB + 1) / 2, TAPS = FEW ? 1 : R * S };
    const TilePlaces places = {.steps = STEPS,
                               .rows = FEW ? 1 : R,
                               .columns = FEW ? 1 : S,
                               .terms = TERMS,
                               .row = (size_t)DH * PITCH * TILE_DEPTH,
                               .column = (size_t)DW * TILE_DEPTH,
                               .step = PLANE,
                               .term = TERM,
                               .next = TERMS * 2 * TILE_SIZE,
                               .block = TILE_SIZE,
                               .b_term = 2 * TILE_SIZE};
    const int parts = rt_parts(call->run, call->n * COUNT, GROUPS), part = task % parts;
    const int n = task / parts / COUNT, h0 = task / parts % COUNT * ROWS;
    const int h1 = h0 + ROWS < H ? h0 + ROWS : H;
    const real *x = call->in[0], *all_bias = $bias;
    const uint16_t *kernel = call->in[1];
    uint16_t *pixels = rt_scratch(call->run);
    real *sums = (real *)(pixels + TERMS * TERM);
    RT_TILE_OPEN();
    PIXELS($name)(h0, h1, x + (size_t)n * XSIZE, pixels);
    for (int group = GROUPS * part / parts; group < GROUPS * (part + 1) / parts; group++) {
        const int b0 = 2 * group, blocks = b0 + 1 < YB ? 2 : 1;
        const uint16_t *from = kernel + (size_t)group * STEPS * TAPS * TERMS * 2 * TILE_SIZE;
        real *y = AT(Y, (real *)call->out[0], n, b0, -YT, -YL), bias[GROUP] = {0};
        for (int k = 0; all_bias && k < GROUP && b0 * RT_LANES + k < YC; k++)
            bias[k] = all_bias[b0 * RT_LANES + k];
        for (int b = 0; b < blocks; b++)
            zero_halo(y + b * YPLANE, h0 / POOL, h1 / POOL, YH, YW, YV, YT, YL, YHP, YWP);
        for (int h = h0; h < h1; h += CHUNK) {
            const int end = h + CHUNK < h1 ? h + CHUNK : h1;
            const int runs = ((end - h) * PITCH - RIGHT + TILE_ROWS - 1) / TILE_ROWS;
            const uint16_t *at = pixels + (h - h0) * PITCH * TILE_DEPTH;
            for (int i = 0; i < runs; i += 2)
                SUM_TILES(2, YB, runs - i, blocks, places, at + i * TILE_ROWS * TILE_DEPTH, from,
                          sums + i * TILE_ROWS * GROUP);
            BAND($name)(blocks, h / POOL, end / POOL, sums, bias, y);
        }
    }
    RT_TILE_CLOSE();
}
