/* conv2d_amx.c: convolution by AMX's tiles of 16-bit products, as another body of whatever kernel
 * serves the lower levels. Stride 1, or few inputs; any window. */
#include "conv2d.h"
#include "emit.h"

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

AmxSum amx_sum(const Model *m, const Node *n, const Axis *h, const Axis *w, const int64_t kernel[4],
               int lanes)
{
    const bool turned = n->variant & TURNED;
    return (AmxSum){.h = *h,
                    .w = *w,
                    .inputs = kernel[turned ? 3 : 2],
                    .outputs = kernel[turned ? 2 : 3],
                    .lanes = lanes,
                    .pool = n->pooled ? 2 : 1,
                    .terms = m->precision == PRECISION_MEDIUM ? 1
                             : m->precision == PRECISION_HIGH ? 2
                                                              : 0,
                    .turned = turned};
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* How a convolution is cut, as AMX_BANDS in the template. */
typedef struct {
    int64_t steps, pitch, below, rows, chunk, count;
    size_t scratch;
} Bands;

static int64_t round_up(int64_t a, int64_t to) { return ceil_div(a, to) * to; }

static bool is_few(const AmxSum *a) { return a->lanes < LANES; }

static int64_t steps_of(const AmxSum *a)
{
    const int64_t taps = is_few(a) ? a->h.taps * a->w.taps : 1;
    return ceil_div(taps * round_up(a->inputs, a->lanes), STEP);
}

static size_t band_bytes(const AmxSum *a, const Bands *b, int64_t rows)
{
    return (size_t)(a->terms * b->steps * ((rows + b->below) * b->pitch + TILE_ROWS) * STEP * 2);
}

static Bands cut_bands(const AmxSum *a)
{
    const int64_t height = a->h.count / a->pool * a->pool, width = a->w.count / a->pool * a->pool;
    Bands b = {.steps = steps_of(a), .pitch = width, .count = height / BAND_LENGTH};
    if (!is_few(a)) {
        b.below = (a->h.taps - 1) * a->h.dilation;
        b.pitch += (a->w.taps - 1) * a->w.dilation;
    }
    if (b.count > MOST_BANDS) b.count = MOST_BANDS;
    if (b.count < 1) b.count = 1;
    b.rows = round_up(ceil_div(height, b.count), a->pool);
    while (b.rows > a->pool && band_bytes(a, &b, b.rows) > BAND_BYTES) b.rows -= a->pool;
    b.count = ceil_div(height, b.rows);
    const int64_t most = b.pitch * a->pool < CHUNK_PIXELS ? CHUNK_PIXELS / b.pitch : a->pool;
    b.chunk = round_up(ceil_div(b.rows, ceil_div(b.rows, most)), a->pool);
    b.scratch =
        band_bytes(a, &b, b.rows) + (size_t)(b.chunk * b.pitch + TILE_ROWS) * GROUP * sizeof(float);
    return b;
}

size_t amx_scratch(const AmxSum *a) { return cut_bands(a).scratch; }

/* A tile makes 16 times as many products as fp32's vectors in the same time: even three of them for
 * one take less than Winograd's sums in fp32. */
bool amx_pays(const AmxSum *a)
{
    const bool dense = a->h.stride == 1 && a->w.stride == 1;
    return a->terms > 0 && (dense || is_few(a)) && amx_scratch(a) <= SCRATCH_BYTES;
}

int64_t amx_packed_count(const AmxSum *a)
{
    const int64_t taps = is_few(a) ? 1 : a->h.taps * a->w.taps;
    return ceil_div(a->outputs, GROUP) * steps_of(a) * taps * a->terms * STEP * GROUP / 2;
}

/* ---- The kernel's gradient ------------------------------------------------------------------- */

/* As AMX_PAIRS in the template: bytes of both copies of x, of dy, and of the sums. */
static size_t pair_bytes(const AmxSum *a, int64_t rows)
{
    const int64_t below = (a->h.taps - 1) * a->h.dilation;
    const int64_t right = (a->w.taps - 1) * a->w.dilation;
    const int64_t pitch = round_up(a->w.count + right, 2);
    const int64_t steps = ceil_div(rows * pitch, STEP);
    const int64_t pairs = (steps * STEP + below * pitch + right + 2) / 2;
    return (size_t)(a->terms * (4 * pairs * STEP + steps * STEP * GROUP) * 2);
}

static int64_t pair_rows(const AmxSum *a)
{
    int64_t rows = a->h.count;
    while (rows > 1 && pair_bytes(a, rows) > BAND_BYTES / 2) rows--;
    return ceil_div(a->h.count, ceil_div(a->h.count, rows));
}

size_t amx_dw_scratch(const AmxSum *a)
{
    const int64_t sums = ceil_div(a->outputs, GROUP) * a->h.taps * a->w.taps + 1;
    return pair_bytes(a, pair_rows(a)) + (size_t)(sums * GROUP * GROUP) * sizeof(float);
}

bool amx_dw_pays(const AmxSum *a)
{
    return a->terms > 0 && a->h.stride == 1 && a->w.stride == 1 &&
           amx_dw_scratch(a) <= SCRATCH_BYTES;
}

/* ---- Bodies of kernels ----------------------------------------------------------------------- */

static void set_window(Emit *e, const AmxSum *a)
{
    set(e, "$window", "%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld", (long long)a->h.taps,
        (long long)a->w.taps, (long long)a->h.stride, (long long)a->w.stride,
        (long long)a->h.dilation, (long long)a->w.dilation, (long long)a->h.before,
        (long long)a->w.before);
}

static void need_tiles(Emit *e)
{
    need_section(e, "lanes");
    need_section(e, "tile");
    need_section(e, "window");
    need_level_section(e, LEVEL_AMX, "bf16");
    need_level_section(e, LEVEL_AMX, "tiles");
}

void use_amx(Node *n, size_t scratch)
{
    Choice *c = alloc(1, sizeof *c);
    *c = *n->choice;
    c->why = format("%s; tiles of 16-bit products at level amx", c->why);
    n->choice = c;
    n->variant |= AMX;
    if (n->scratch < scratch) n->scratch = scratch;
}

void emit_amx_body(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    const int64_t *kernel = n->in[1]->producer->in[0]->dims;
    const AmxSum a = amx_sum(e->m, n, h, w, kernel, n->in[0]->layout.lanes);
    const Bands b = cut_bands(&a);
    need_tiles(e);
    need_section(e, "activations");
    set_window(e, &a);
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    set(e, "$bands", "%d, %d, %lld, %lld", a.pool, a.terms, (long long)b.rows, (long long)b.chunk);
    set(e, "$bias", n->in_count > 2 ? "call->in[2]" : "NULL");
    set(e, "$epilogue", n->fused ? "NAME(act_%s)(v)" : "v", n->fused);
    emit_body(e, LEVEL_AMX, "conv2d_amx",
              format("rt_tasks(r, n * %lld, %lld)", (long long)b.count,
                     (long long)ceil_div(a.outputs, GROUP)));
}

void emit_amx_dw_body(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    const int64_t kernel[] = {h->taps, w->taps, channels_of(n->in[0]), channels_of(n->in[1])};
    const AmxSum a = amx_sum(e->m, n, h, w, kernel, n->in[0]->layout.lanes);
    need_tiles(e);
    need_level_section(e, LEVEL_AMX, "pixel_pairs");
    set_gradient(e, n, 2);
    set_window(e, &a);
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->in[1]);
    set(e, "$bands", "%d, %lld", a.terms, (long long)pair_rows(&a));
    emit_body(e, LEVEL_AMX, "conv2d_dw_amx",
              format("rt_tasks(r, %d, %lld)", (blocks_of(n->in[0]) + 1) / 2,
                     (long long)ceil_div(a.outputs, GROUP)));
}

void emit_amx_pack_body(Emit *e, const Node *n, int lanes)
{
    const int64_t *d = n->in[0]->dims;
    const AmxSum a = amx_sum(e->m, n, &(Axis){.taps = d[0]}, &(Axis){.taps = d[1]}, d, lanes);
    need_tiles(e);
    set(e, "$kernel", "%lld, %lld, %lld, %lld", (long long)d[0], (long long)d[1], (long long)d[2],
        (long long)d[3]);
    set(e, "$lanes", "%d", lanes);
    set(e, "$turned", "%d", a.turned);
    set(e, "$terms", "%d", a.terms);
    emit_body(e, LEVEL_AMX, "conv2d_amx_pack",
              format("%lld", (long long)(ceil_div(a.outputs, GROUP) * steps_of(&a))));
}
