/* conv2d_dw_amx.c: the gradient of Conv2D's kernel by products of 16-bit numbers in AMX's tiles. */
#include "conv2d_amx.c"
#undef $name
#undef $X
#undef $Y
#undef $bands

#define $name conv2d_dw_amx_example
#define $X 14, 14, 48, 16, 1, 1, 16, 16, 3, 12288
#define $Y 14, 14, 48, 16, 1, 1, 16, 16, 3, 12288
#define $bands 2, 14
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))

//% pixel_pairs
/* AMX_PAIRS names the numbers of a kernel's gradient, beside those of WINDOW and SHAPE: TERMS of
 * a number; bands of ROWS rows of dy, whose windows reach BELOW and RIGHT. Rows lie PITCH pixels
 * apart, an even number, in STEPS * TILE_DEPTH pixels of dy and two COPIES of PAIRS pairs of those
 * of x: in the first, pairs begin with even pixels, in the second with odd ones. */
#define AMX_PAIRS_(terms, rows)                                                                    \
    enum {                                                                                         \
        TERMS = terms,                                                                             \
        ROWS = rows,                                                                               \
        TAPS = R * S,                                                                              \
        BELOW = (R - 1) * DH,                                                                      \
        RIGHT = (S - 1) * DW,                                                                      \
        PITCH = (YW + RIGHT + 1) / 2 * 2,                                                          \
        STEPS = (ROWS * PITCH + TILE_DEPTH - 1) / TILE_DEPTH,                                      \
        PAIRS = (STEPS * TILE_DEPTH + BELOW * PITCH + RIGHT + 2) / 2,                              \
        COPY = PAIRS * TILE_DEPTH,                                                                 \
        X_TERM = 4 * COPY, /* two blocks */                                                        \
        Y_TERM = STEPS * 2 * TILE_SIZE                                                             \
    }
#define AMX_PAIRS(...) AMX_PAIRS_(__VA_ARGS__)
#define GRADIENTS_(name) NAME(name##_gradients) /* a function of one kernel: GRADIENTS($name) */
#define GRADIENTS(name) GRADIENTS_(name)
#define Pairs NAME(Pairs)
#define join_pair NAME(join_pair)
#define store_pair NAME(store_pair)
#define transpose16 NAME(transpose16)

typedef uint32_t Pairs __attribute__((vector_size(sizeof(Vec)), aligned(4), may_alias));

INLINE Pairs join_pair(Bf16 a, Bf16 b)
{
    return __builtin_convertvector(a, Pairs) | __builtin_convertvector(b, Pairs) << 16;
}

/* Pairs of 16-bit numbers of two pixels, one for each channel; their rests `distance` behind. */
INLINE void store_pair(Vec a, Vec b, const int terms, uint16_t *to, size_t distance)
{
    const Bf16 a16 = to_bf16(a), b16 = to_bf16(b);
    *(Pairs *)to = join_pair(a16, b16);
    if (terms > 1)
        *(Pairs *)(to + distance) =
            join_pair(to_bf16(a - from_bf16(a16)), to_bf16(b - from_bf16(b16)));
}

/* Rows become columns, of 16 x 16 pairs or floats: blocks of 1, 2, 4, 8 change places. */
INLINE void transpose16(Pairs rows[16])
{
#if RT_HAS_WIDE_VECTORS
    const Pairs lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    UNROLL for (int size = 1; size < 16; size *= 2)
    {
        const Pairs left = lane + (lane & size) * (16 / size - 1), right = left + size;
        UNROLL for (int i = 0; i < 16; i++)
        {
            if (i & size) continue;
            const Pairs other = rows[i + size];
            Pairs upper = rows[i], lower = upper;
            __asm__("vpermt2d %2, %1, %0" : "+v"(upper) : "v"(left), "v"(other));
            __asm__("vpermt2d %2, %1, %0" : "+v"(lower) : "v"(right), "v"(other));
            rows[i] = upper;
            rows[i + size] = lower;
        }
    }
#else
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            const uint32_t number = rows[i][j];
            rows[i][j] = rows[j][i];
            rows[j][i] = number;
        }
#endif
}

//% conv2d_dw_amx
/* What `blocks` planes of x hold for `lines` rows of dy, in pairs [block][copy][pair][16 channels].
 * What is no pixel is 0. */
INLINE void PIXELS($name)(const int blocks, int lines, const real *x, uint16_t *to)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    AMX_PAIRS($bands);
    for (int b = 0; b < blocks; b++, x += XPLANE, to += 2 * COPY) {
        Vec before = {0};
        for (int row = 0, i = 0; i <= 2 * PAIRS; row++)
            for (int w = 0; w < PITCH && i <= 2 * PAIRS; w++, i++) {
                const int there = row < lines + BELOW && w < YW + RIGHT;
                const Vec v = there ? load_lanes(x + row * XROW + w * XV, XV) : (Vec){0};
                uint16_t *at = to + (i % 2 ? 0 : COPY) + (i - 1) / 2 * TILE_DEPTH;
                if (i > 0) store_pair(before, v, TERMS, at, X_TERM);
                before = v;
            }
    }
}

/* What `blocks` planes of dy hold, in tiles [step][block][16 channels][TILE_DEPTH pixels]. */
INLINE void GRADIENTS($name)(const int blocks, int lines, const real *dy, uint16_t *to)
{
    WINDOW($window);
    SHAPE(Y, $Y);
    AMX_PAIRS($bands);
    for (int i = 0; i < STEPS * blocks; i++) {
        const real *plane = dy + i % blocks * YPLANE;
        uint16_t *tile = to + (i / blocks * 2 + i % blocks) * TILE_SIZE;
        for (int j = 0; j < 16; j++) {
            const int at = i / blocks * TILE_DEPTH + 2 * j, row = at / PITCH, w = at % PITCH;
            const real *from = plane + row * YROW + w * YV;
            const Vec a = row < lines && w < YW ? load(from) : (Vec){0};
            const Vec b = row < lines && w + 1 < YW ? load(from + YV) : (Vec){0};
            store_pair(a, b, TERMS, tile + j * TILE_DEPTH, Y_TERM);
        }
        for (int term = 0; term < TERMS; term++) {
            Pairs rows[16], *stored = (Pairs *)(tile + term * Y_TERM);
            UNROLL for (int j = 0; j < 16; j++) rows[j] = stored[j];
            transpose16(rows);
            UNROLL for (int j = 0; j < 16; j++) stored[j] = rows[j];
        }
    }
}

/* Pixels are what is summed over: dy's channels are the rows of the tiles, x's the columns. Windows
 * of one row of taps lie one pixel apart, hence the two copies of x, of which one has a pair where
 * the tap needs it. A band of x, of 32 channels, is used for all channels of dy in the task's part,
 * 32 at a time; both stay in the second cache, and the sums too. */
KERNEL($name)
{
    WINDOW($window);
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    AMX_PAIRS($bands);
    enum { BANDS = (YH + ROWS - 1) / ROWS, GROUPS = (YB + 1) / 2, SQUARE = GROUP * GROUP };
    const TilePlaces places = {.steps = STEPS,
                               .rows = 1,
                               .columns = 1,
                               .terms = TERMS,
                               .step = 2 * TILE_SIZE,
                               .term = Y_TERM,
                               .next = TILE_SIZE,
                               .block = 2 * COPY,
                               .b_term = X_TERM};
    const int parts = rt_parts(call->run, (XB + 1) / 2, GROUPS), part = task % parts;
    const int plane = task / parts * 2, planes = plane + 1 < XB ? 2 : 1;
    const int first = GROUPS * part / parts, last = GROUPS * (part + 1) / parts;
    uint16_t *pixels = rt_scratch(call->run), *gradients = pixels + TERMS * X_TERM;
    real *sum = (real *)(gradients + TERMS * Y_TERM), *sums = sum + SQUARE;
    memset(sums, 0, (size_t)(last - first) * TAPS * SQUARE * sizeof *sums);
    RT_TILE_OPEN();
    for (int band = 0; band < call->n * BANDS; band++) {
        const int n = band / BANDS, h = band % BANDS * ROWS;
        const int lines = YH - h < ROWS ? YH - h : ROWS;
        PIXELS($name)
        (planes, lines, AT(X, (const real *)call->in[0], n, plane, h - PT, -PL), pixels);
        for (int group = first; group < last; group++) {
            const int blocks = 2 * group + 1 < YB ? 2 : 1;
            const real *dy = AT(Y, (const real *)call->in[1], n, 2 * group, h, 0);
            real *all = sums + (size_t)(group - first) * TAPS * SQUARE;
            GRADIENTS($name)(blocks, lines, dy, gradients);
            for (int tap = 0; tap < TAPS; tap++, all += SQUARE) {
                const int from = tap / S * DH * PITCH + tap % S * DW;
                const uint16_t *b = pixels + from % 2 * COPY + from / 2 * TILE_DEPTH;
                SUM_TILES(YB, XB, blocks, planes, places, gradients, b, sum);
                for (int i = 0; i < SQUARE; i += VL) store(all + i, load(all + i) + load(sum + i));
            }
        }
    }
    RT_TILE_CLOSE();
    for (int i = 0; i < (last - first) * TAPS * planes; i++) {
        const int group = first + i / planes / TAPS, tap = i / planes % TAPS;
        const int c = (plane + i % planes) * XV;
        const size_t count = group + 1 < GROUPS ? GROUP : YC - (GROUPS - 1) * GROUP;
        const real *all = sums + (size_t)(i / planes) * SQUARE + i % planes * RT_LANES;
        for (int j = 0; j < (int)count; j += RT_LANES) {
            Pairs rows[16];
            UNROLL for (int k = 0; k < 16; k++) rows[k] = *(const Pairs *)(all + (j + k) * GROUP);
            transpose16(rows);
            UNROLL for (int k = 0; k < 16; k++) * (Pairs *)(sum + k * GROUP + j) = rows[k];
        }
        for (int k = 0; k < XV && c + k < XC; k++) {
            const real *g = sum + k * GROUP;
            const size_t from = ((size_t)tap * XC + c + k) * YC + group * GROUP;
            $apply;
        }
    }
}
