/* conv2d_amx.c: convolution by AMX's tiles of 16-bit products, as another body of whatever kernel
 * serves the lower levels. Stride 1, or few inputs; any window. */
#include "tlc.h"

enum {
    STEP = 32,        /* products that a tile adds up at once */
    TILE_ROWS = 16,   /* pixels of a tile */
    GROUP = 2 * LANES /* outputs that are made together */
};

/* Chosen for caches of 48 KiB and 2 MiB: see templates/conv2d_amx.c. */
enum {
    BAND_BYTES = 1 << 20,   /* of the 16-bit numbers of a band, at most if two rows fit */
    BAND_LENGTH = 14,       /* rows of a band, if that leaves */
    MOST_BANDS = 16,        /* no more than these */
    CHUNK_PIXELS = 512,     /* that are summed before they are finished */
    SCRATCH_BYTES = 4 << 20 /* of a thread: more is left to other kernels */
};

/* How a convolution is cut, as BANDS in the template. */
typedef struct {
    int64_t steps, pitch, below, rows, chunk, count;
    size_t scratch;
} Bands;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t round_up(int64_t a, int64_t to) { return ceil_div(a, to) * to; }

static bool is_few(const AmxWindow *w) { return w->lanes < LANES; }

static int64_t steps_of(const AmxWindow *w)
{
    const int64_t taps = is_few(w) ? w->taps[0] * w->taps[1] : 1;
    return ceil_div(taps * round_up(w->inputs, w->lanes), STEP);
}

static size_t band_bytes(const AmxWindow *w, const Bands *b, int64_t rows)
{
    return (size_t)(w->terms * b->steps * ((rows + b->below) * b->pitch + TILE_ROWS) * STEP * 2);
}

static Bands cut_bands(const AmxWindow *w)
{
    const int64_t height = w->height / w->pool * w->pool, width = w->width / w->pool * w->pool;
    Bands b = {.steps = steps_of(w), .pitch = width, .count = height / BAND_LENGTH};
    if (!is_few(w)) {
        b.below = (w->taps[0] - 1) * w->dilation[0];
        b.pitch += (w->taps[1] - 1) * w->dilation[1];
    }
    if (b.count > MOST_BANDS) b.count = MOST_BANDS;
    if (b.count < 1) b.count = 1;
    b.rows = round_up(ceil_div(height, b.count), w->pool);
    while (b.rows > w->pool && band_bytes(w, &b, b.rows) > BAND_BYTES) b.rows -= w->pool;
    b.count = ceil_div(height, b.rows);
    const int64_t most = b.pitch * w->pool < CHUNK_PIXELS ? CHUNK_PIXELS / b.pitch : w->pool;
    b.chunk = round_up(ceil_div(b.rows, ceil_div(b.rows, most)), w->pool);
    b.scratch =
        band_bytes(w, &b, b.rows) + (size_t)(b.chunk * b.pitch + TILE_ROWS) * GROUP * sizeof(float);
    return b;
}

bool amx_serves(const AmxWindow *w)
{
    const bool dense = w->strides[0] == 1 && w->strides[1] == 1;
    return w->terms > 0 && (dense || is_few(w)) && w->height >= w->pool && w->width >= w->pool &&
           amx_scratch(w) <= SCRATCH_BYTES;
}

size_t amx_scratch(const AmxWindow *w) { return cut_bands(w).scratch; }

int64_t amx_packed_count(const AmxWindow *w)
{
    const int64_t taps = is_few(w) ? 1 : w->taps[0] * w->taps[1];
    return ceil_div(w->outputs, GROUP) * steps_of(w) * taps * w->terms * STEP * GROUP / 2;
}

/* ---- The kernel's gradient ------------------------------------------------------------------- */

/* As PIXEL_PAIRS in the template: bytes of both copies of x, of dy, and of the sums. */
static size_t pair_bytes(const AmxWindow *w, int64_t rows)
{
    const int64_t below = (w->taps[0] - 1) * w->dilation[0];
    const int64_t right = (w->taps[1] - 1) * w->dilation[1];
    const int64_t pitch = round_up(w->width + right, 2);
    const int64_t steps = ceil_div(rows * pitch, STEP);
    const int64_t pairs = (steps * STEP + below * pitch + right + 2) / 2;
    return (size_t)(w->terms * (4 * pairs * STEP + steps * STEP * GROUP) * 2);
}

static int64_t pair_rows(const AmxWindow *w)
{
    int64_t rows = w->height;
    while (rows > 1 && pair_bytes(w, rows) > BAND_BYTES / 2) rows--;
    return ceil_div(w->height, ceil_div(w->height, rows));
}

size_t amx_dw_scratch(const AmxWindow *w)
{
    const int64_t sums = ceil_div(w->outputs, GROUP) * w->taps[0] * w->taps[1] + 1;
    return pair_bytes(w, pair_rows(w)) + (size_t)(sums * GROUP * GROUP) * sizeof(float);
}

bool amx_dw_serves(const AmxWindow *w)
{
    return w->terms > 0 && w->strides[0] == 1 && w->strides[1] == 1 &&
           amx_dw_scratch(w) <= SCRATCH_BYTES;
}

/* ---- Bodies of kernels ----------------------------------------------------------------------- */

static void set_window(Emit *e, const AmxWindow *w)
{
    set(e, "$window", "%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld", (long long)w->taps[0],
        (long long)w->taps[1], (long long)w->strides[0], (long long)w->strides[1],
        (long long)w->dilation[0], (long long)w->dilation[1], (long long)w->before[0],
        (long long)w->before[1]);
}

static void need_tiles(Emit *e)
{
    need_section(e, "lanes");
    need_section(e, "tile");
    need_section(e, "window");
    need_level_section(e, LEVEL_AMX, "bf16");
    need_level_section(e, LEVEL_AMX, "tiles");
}

void emit_amx_body(Emit *e, const AmxWindow *w, const Tensor *x, const Tensor *y, const char *bias,
                   const char *epilogue)
{
    const Bands b = cut_bands(w);
    need_tiles(e);
    set_window(e, w);
    set_shape(e, "$X", x);
    set_shape(e, "$Y", y);
    set(e, "$bands", "%d, %d, %lld, %lld", w->pool, w->terms, (long long)b.rows,
        (long long)b.chunk);
    set(e, "$bias", "%s", bias);
    set(e, "$epilogue", "%s", epilogue);
    const int count = (int)b.count;
    emit_body(e, LEVEL_AMX, "conv2d_amx",
              format("n * %d * rt_parts(r, n * %d, %lld)", count, count,
                     (long long)ceil_div(w->outputs, GROUP)));
}

void emit_amx_pack_body(Emit *e, const AmxWindow *w, const int64_t kernel[4])
{
    need_tiles(e);
    set(e, "$kernel", "%lld, %lld, %lld, %lld", (long long)kernel[0], (long long)kernel[1],
        (long long)kernel[2], (long long)kernel[3]);
    set(e, "$lanes", "%d", w->lanes);
    set(e, "$turned", "%d", w->turned);
    set(e, "$terms", "%d", w->terms);
    emit_body(e, LEVEL_AMX, "conv2d_amx_pack",
              format("%lld", (long long)(ceil_div(w->outputs, GROUP) * steps_of(w))));
}

void emit_amx_dw_body(Emit *e, const Node *n, const AmxWindow *w)
{
    need_tiles(e);
    need_level_section(e, LEVEL_AMX, "pixel_pairs");
    set_gradient(e, n, 2);
    set_window(e, w);
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->in[1]);
    set(e, "$bands", "%d, %lld", w->terms, (long long)pair_rows(w));
    const int pairs = (blocks_of(n->in[0]) + 1) / 2;
    emit_body(
        e, LEVEL_AMX, "conv2d_dw_amx",
        format("%d * rt_parts(r, %d, %lld)", pairs, pairs, (long long)ceil_div(w->outputs, GROUP)));
}
