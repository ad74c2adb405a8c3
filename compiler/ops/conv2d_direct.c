/* conv2d_direct.c: how Conv2D is summed window by window: x in blocks of channels (or as it is, if
 * it has few) with its padding stored as halo, the kernel packed in the order in which it is read.
 * Kernels: templates/conv2d.c, conv2d_pack.c, conv2d_dw.c. */
#include "conv2d.h"
#include "emit.h"

extern const Op op_conv2d_pack;

enum {
    TASKS = 16,        /* at least, if the picture allows */
    BAND_MINIMUM = 4,  /* rows of a task */
    WIDE = 8,          /* narrower rows share tiles, and their pictures are not cut */
    SUM_LENGTH = 2304, /* products summed in one go: bounds the error */
    MOST_TAPS = 25     /* of a task of the kernel's gradient: their sums fit into the first cache */
};

/* ---- Layouts --------------------------------------------------------------------------------- */

int input_lanes(int64_t channels)
{
    return channels > LANES || channels % LANES == 0 ? LANES : (int)channels;
}

/* Numbers that the windows cover beyond the last of x. */
static int64_t after(const Axis *a)
{
    const int64_t end = (a->count - 1) * a->stride + (a->taps - 1) * a->dilation + 1 - a->before;
    return end > a->length ? end - a->length : 0;
}

/* Of x, with the halo that the windows reach into. */
static Layout halo_layout(const Axis *h, const Axis *w, int lanes)
{
    return (Layout){lanes, (int)h->before, (int)after(h), (int)w->before, (int)after(w)};
}

void select_direct(Graph *g, Node *n, const Axis *h, const Axis *w, int lanes, int variant,
                   int64_t least)
{
    const int64_t *kernel = n->in[1]->dims;
    const int64_t outputs = kernel[variant & TURNED ? 2 : 3],
                  inputs = kernel[variant & TURNED ? 3 : 2];
    const int64_t count = ceil_div(outputs, 2 * LANES) * 2 * LANES * ceil_div(inputs, lanes) *
                          lanes * kernel[0] * kernel[1];
    want_layout(g, n, 0, halo_layout(h, w, lanes), false);
    n->out[0]->layout = (Layout){.lanes = LANES};
    n->variant = variant;
    pack_weight(g, n, 1, &op_conv2d_pack, count < least ? least : count);
}

void select_direct_dw(Graph *g, Node *n, const Axis *h, const Axis *w, int lanes)
{
    want_layout(g, n, 0, halo_layout(h, w, lanes), false);
    want_layout(g, n, 1, (Layout){.lanes = LANES}, false);
}

/* ---- Sums ------------------------------------------------------------------------------------ */

static void need_windows(Emit *e)
{
    need_section(e, "lanes");
    need_section(e, "tile");
    need_section(e, "window");
}

static void set_window(Emit *e, const Axis *h, const Axis *w)
{
    set(e, "$window", "%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld", (long long)h->taps,
        (long long)w->taps, (long long)h->stride, (long long)w->stride, (long long)h->dilation,
        (long long)w->dilation, (long long)h->before, (long long)w->before);
}

/* Rows of y for one task. */
static int64_t band_rows(const Tensor *y, int64_t groups)
{
    const int64_t height = height_of(y), most = height / BAND_MINIMUM;
    int64_t bands = ceil_div(TASKS, groups);
    if (bands > most) bands = most;
    return width_of(y) < WIDE || bands <= 1 ? height : ceil_div(height, bands);
}

/* Planes of x that are summed in one go. */
static int64_t plane_count(const Tensor *x, const Axis *h, const Axis *w)
{
    const int64_t planes = blocks_of(x), products = h->taps * w->taps * x->layout.lanes;
    const int64_t parts = ceil_div(planes * products, SUM_LENGTH);
    return parts >= planes ? 1 : ceil_div(planes, parts);
}

const char *window_name(const char *stem, const Axis *h, const Axis *w, const Tensor *x,
                        const Tensor *y)
{
    return format("%s_%lldx%lld_%dx%d_%d_%d", stem, (long long)h->taps, (long long)w->taps,
                  height_of(y), width_of(y), channels_of(x), channels_of(y));
}

void emit_direct(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    const int64_t groups = ceil_div(blocks_of(y), 2), rows = band_rows(y, groups);
    const char *name = format("%s%s%s", window_name("conv2d", h, w, x, y), n->fused ? "_" : "",
                              n->fused ? n->fused : "");
    need_windows(e);
    need_section(e, "activations");
    set_window(e, h, w);
    set_shape(e, "$X", x);
    set_shape(e, "$Y", y);
    set(e, "$band", "%lld", (long long)rows);
    set(e, "$planes", "%lld", (long long)plane_count(x, h, w));
    set(e, "$bias", n->in_count > 2 ? "call->in[2]" : "NULL");
    set(e, "$epilogue", n->fused ? "NAME(act_%s)(v)" : "v", n->fused);
    emit_kernel(e, n, "conv2d", name,
                format("n * %lld", (long long)(groups * ceil_div(height_of(y), rows))));
}

/* ---- The kernel's gradient ------------------------------------------------------------------- */

void emit_direct_dw(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    const Tensor *x = n->in[0], *dy = n->in[1];
    const int64_t tasks = ceil_div(blocks_of(dy), 2) * blocks_of(x);
    const bool whole = h->taps * w->taps <= MOST_TAPS && tasks >= TASKS;
    need_windows(e);
    set_gradient(e, n, 2);
    set_window(e, h, w);
    set_shape(e, "$X", x);
    set_shape(e, "$Y", dy);
    set(e, "$taps", "%lld", whole ? (long long)h->taps : 1);
    emit_kernel(e, n, "conv2d_dw", window_name("conv2d_dw", h, w, x, dy),
                format("%lld", (long long)(whole ? tasks : tasks * h->taps)));
}

/* ---- Packed kernels -------------------------------------------------------------------------- */

static void emit_pack(Emit *e, const Node *n)
{
    const int64_t *d = n->in[0]->dims;
    const bool turned = n->variant & TURNED;
    const int64_t outputs = d[turned ? 2 : 3], inputs = d[turned ? 3 : 2];
    const int64_t lanes = turned ? LANES : input_lanes(inputs);
    if (n->variant & AMX) emit_amx_pack_body(e, n, (int)lanes);
    need_windows(e);
    set(e, "$kernel", "%lld, %lld, %lld, %lld", (long long)d[0], (long long)d[1], (long long)d[2],
        (long long)d[3]);
    set(e, "$lanes", "%lld", (long long)lanes);
    set(e, "$turned", "%d", turned);
    emit_kernel(
        e, n, "conv2d_pack", shape_name(turned ? "conv2d_pack_turned" : "conv2d_pack", n->in[0]),
        format("%lld", (long long)(ceil_div(outputs, 2 * LANES) * ceil_div(inputs, lanes))));
}

const Op op_conv2d_pack = {
    .name = "conv2d_pack",
    .doc = "Conv2D's kernel in the order in which it is read; variant 1: turned",
    .flags = OP_PACK,
    .infer = infer_same,
    .emit = emit_pack,
};
