/* conv2d.c: Conv2D.
 *
 * Kernels are those of templates/conv2d.c, conv2d_pack.c and conv2d_dw.c: x in blocks of channels
 * (or as it is, if it has few) with its padding stored as halo, the kernel packed in the order in
 * which it is read. The gradient of x is a convolution of dy, stretched by the strides, with the
 * turned kernel. */
#include <string.h>

#include "conv2d.h"
#include "emit.h"

#define CONV_ATTRS                                                                                 \
    {.name = "filters",                                                                            \
     .type = ATTR_INT,                                                                             \
     .flags = ATTR_REQUIRED,                                                                       \
     .lo = 1,                                                                                      \
     .hi = 1 << 24,                                                                                \
     .doc = "channels of the output"},                                                             \
        {.name = "kernel_size",                                                                    \
         .type = ATTR_INT2,                                                                        \
         .flags = ATTR_REQUIRED,                                                                   \
         .lo = 1,                                                                                  \
         .hi = 255,                                                                                \
         .doc = "height and width of the window"},                                                 \
        {.name = "strides",                                                                        \
         .type = ATTR_INT2,                                                                        \
         .initial = "[1, 1]",                                                                      \
         .lo = 1,                                                                                  \
         .hi = 65535,                                                                              \
         .doc = "steps of the window"},                                                            \
        {.name = "padding",                                                                        \
         .type = ATTR_CHOICE,                                                                      \
         .initial = "\"valid\"",                                                                   \
         .choices = "valid same",                                                                  \
         .doc = "same: zeros around x, so that as many windows as steps fit; valid: none"},        \
        {.name = "dilation_rate",                                                                  \
         .type = ATTR_INT2,                                                                        \
         .initial = "[1, 1]",                                                                      \
         .lo = 1,                                                                                  \
         .hi = 65535,                                                                              \
         .doc = "steps inside the window; above 1 only with strides of 1"},                        \
        {.name = "activation",                                                                     \
         .type = ATTR_CHOICE,                                                                      \
         .flags = ATTR_NULL,                                                                       \
         .initial = "\"linear\"",                                                                  \
         .choices = activation_choices,                                                            \
         .doc = "function of the result"},                                                         \
        {.name = "use_bias",                                                                       \
         .type = ATTR_BOOL,                                                                        \
         .initial = "true",                                                                        \
         .doc = "adds a number a channel"},                                                        \
        {.name = "kernel_regularizer",                                                             \
         .type = ATTR_REGULARIZER,                                                                 \
         .flags = ATTR_NULL,                                                                       \
         .initial = "null",                                                                        \
         .doc = "penalty on the kernel"},                                                          \
    {                                                                                              \
        .name = "bias_regularizer", .type = ATTR_REGULARIZER, .flags = ATTR_NULL,                  \
        .initial = "null", .doc = "penalty on the bias"                                            \
    }

static const Attr conv_attrs[] = {CONV_ATTRS, {0}};

/* Of conv2d_dx, which sees no x: its height and width. */
static const Attr conv_dx_attrs[] = {
    CONV_ATTRS,
    {.name = "size", .type = ATTR_INT2, .initial = "[1, 1]", .doc = "height and width of x"},
    {0},
};

extern const Op op_conv2d, op_conv2d_dx, op_conv2d_dw, op_conv2d_stretch, op_conv2d_pack;

static Axis axis_of(const Node *n, int64_t length, int axis)
{
    Axis a = {.length = length, .taps = attr(n, "kernel_size")->i[axis]};
    a.stride = attr(n, "strides")->i[axis];
    a.dilation = attr(n, "dilation_rate")->i[axis];
    const bool same = strcmp(attr_text(n, "padding"), "same") == 0;
    a.count = window_count(length, a.dilation * (a.taps - 1) + 1, a.stride, same, &a.before);
    return a;
}

/* Numbers that the windows cover beyond the last of x. */
static int64_t after(const Axis *a)
{
    const int64_t end = (a->count - 1) * a->stride + (a->taps - 1) * a->dilation + 1 - a->before;
    return end > a->length ? end - a->length : 0;
}

/* The axis of conv2d_dx over dy, in which the gradients of a.stride stand apart. */
static Axis turn(const Axis *a)
{
    Axis t = {.length = (a->count - 1) * a->stride + 1, .taps = a->taps, .stride = 1};
    t.dilation = a->dilation;
    t.before = (a->taps - 1) * a->dilation - a->before;
    t.count = a->length;
    return t;
}

/* Lanes of x: blocks, or few channels side by side. */
static int input_lanes(int64_t channels)
{
    return channels > LANES || channels % LANES == 0 ? LANES : (int)channels;
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- Forward --------------------------------------------------------------------------------- */

static void check_conv2d(const Layer *layer)
{
    const int64_t *strides = layer_attr(layer, "strides")->i;
    const int64_t *dilation = layer_attr(layer, "dilation_rate")->i;
    if ((strides[0] > 1 || strides[1] > 1) && (dilation[0] > 1 || dilation[1] > 1))
        error_layer(layer, "one of them must be 1",
                    "strides %lldx%lld with dilation_rate %lldx%lld", (long long)strides[0],
                    (long long)strides[1], (long long)dilation[0], (long long)dilation[1]);
}

static Tensor *build_conv2d(Graph *g, Layer *layer, Tensor *x)
{
    const int64_t *size = layer_attr(layer, "kernel_size")->i;
    const int64_t filters = layer_attr(layer, "filters")->i[0];
    const char *activation = layer_attr(layer, "activation")->s;
    if (x->rank != 4)
        error_layer(layer, "it must stand before Flatten",
                    "needs pictures (N, H, W, C), its input is %s",
                    shape_text(x->rank, x->dims, x->has_batch));
    const int64_t c = x->dims[3], dims[] = {size[0], size[1], c, filters};
    int64_t fan_in, fan_out;
    if (!multiply(size[0] * size[1], c, &fan_in) ||
        !multiply(size[0] * size[1], filters, &fan_out) || fan_in > INT32_MAX ||
        fan_out > INT32_MAX)
        error_layer(layer, "fewer filters or a smaller kernel", "its kernel is too large");
    Tensor *in[] = {x, NULL, NULL, NULL};
    in[1] = weight_tensor(g, add_weight(g, layer, "kernel", 4, dims, INIT_GLOROT_UNIFORM, fan_in,
                                        fan_out, penalty(layer, "kernel_regularizer")));
    if (layer_attr(layer, "use_bias")->i[0])
        in[2] = weight_tensor(g, add_weight(g, layer, "bias", 1, &filters, INIT_ZEROS, 0, 0,
                                            penalty(layer, "bias_regularizer")));
    const bool linear = !activation || strcmp(activation, "linear") == 0;
    const char *name = linear ? layer->name : format("%s_conv2d", layer->name);
    return add_activation(g, layer, activation,
                          add_node(g, &op_conv2d, name, layer, layer->values, in));
}

static void infer_conv2d(Node *n)
{
    need_pictures(n);
    const Tensor *x = n->in[0];
    const Axis h = axis_of(n, x->dims[1], 0), w = axis_of(n, x->dims[2], 1);
    if (h.count == 0 || w.count == 0)
        error_node(n, "padding \"same\", or a smaller kernel",
                   "window %lldx%lld exceeds its input %lldx%lld",
                   (long long)((h.taps - 1) * h.dilation + 1),
                   (long long)((w.taps - 1) * w.dilation + 1), (long long)h.length,
                   (long long)w.length);
    set_picture(n, h.count, w.count, attr_int(n, "filters"));
}

/* x in `lanes` with the halo that the windows reach into, the kernel packed, which has room for
 * `least` numbers. */
static void select_direct(Graph *g, Node *n, const Axis *h, const Axis *w, int lanes, int variant,
                          int64_t least)
{
    const int64_t *kernel = n->in[1]->dims;
    const int64_t outputs = kernel[variant & TURNED ? 2 : 3],
                  inputs = kernel[variant & TURNED ? 3 : 2];
    const int64_t count = ceil_div(outputs, 2 * LANES) * 2 * LANES * ceil_div(inputs, lanes) *
                          lanes * kernel[0] * kernel[1];
    const Layout layout = {lanes, (int)h->before, (int)after(h), (int)w->before, (int)after(w)};
    want_layout(g, n, 0, layout, false);
    n->out[0]->layout = (Layout){.lanes = LANES};
    n->variant = variant;
    pack_weight(g, n, 1, &op_conv2d_pack, count < least ? least : count);
}

static void select_windows(Graph *g, Node *n, const Axis *h, const Axis *w, int lanes, int variant)
{
    n->variant = variant;
    const AmxSum amx = amx_sum(g->model, n, h, w, n->in[1]->dims, lanes);
    n->choice = choose_sum(g->model, "conv2d", h, w, amx.inputs, amx.outputs);
    const bool by_amx = amx_pays(&amx);
    if (by_amx) variant |= AMX;
    if (n->choice->winograd)
        select_winograd(g, n, h, w, variant | WINOGRAD);
    else
        select_direct(g, n, h, w, lanes, variant, by_amx ? amx_packed_count(&amx) : 0);
    if (by_amx) use_amx(n, amx_scratch(&amx));
}

static void select_conv2d(Graph *g, Node *n)
{
    const Tensor *x = n->in[0];
    const Axis h = axis_of(n, x->dims[1], 0), w = axis_of(n, x->dims[2], 1);
    select_windows(g, n, &h, &w, input_lanes(x->dims[3]), FORWARD);
}

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

enum {
    TASKS = 16,       /* at least, if the picture allows */
    BAND_MINIMUM = 4, /* rows of a task */
    WIDE = 8,         /* narrower rows share tiles, and their pictures are not cut */
    SUM_LENGTH = 2304 /* products summed in one go: bounds the error */
};

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

static void emit_windows(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    if (n->variant & AMX) emit_amx_body(e, n, h, w);
    if (n->variant & WINOGRAD) {
        emit_winograd(e, n, h, w);
        return;
    }
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

/* Whether `user` is max pooling of 2x2, which Winograd's tiles can do in their last store, before
 * the fused function: those of fuse never fall. */
static bool absorb_pool(const Graph *g, const Node *n, const Node *user)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    const Axis h = axis_of(n, x->dims[1], 0), w = axis_of(n, x->dims[2], 1);
    return is_halving_pool(user) &&
           choose_sum(g->model, "conv2d", &h, &w, x->dims[3], y->dims[3])->winograd;
}

static void emit_conv2d(Emit *e, const Node *n)
{
    const Axis h = axis_of(n, height_of(n->in[0]), 0), w = axis_of(n, width_of(n->in[0]), 1);
    emit_windows(e, n, &h, &w);
}

/* y: the sums, whose pooling may be fused. */
static int64_t count_products(const Node *n, const Tensor *x, const Tensor *y)
{
    const int64_t *size = attr(n, "kernel_size")->i;
    return size[0] * size[1] * channels_of(x) * picture_count(y);
}

static int64_t count_conv2d(const Node *n)
{
    return count_products(n, n->in[0], n->out[0]) * (n->pooled ? 4 : 1);
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* dy with room between the gradients of windows that are `strides` apart. */
static Tensor *stretch(Graph *g, Node *n, Tensor *dy)
{
    const int64_t *strides = attr(n, "strides")->i;
    if (strides[0] == 1 && strides[1] == 1) return dy;
    return add_node(g, &op_conv2d_stretch, format("%s_stretched", dy->name), n->layer, n->values,
                    (Tensor *[]){dy, NULL});
}

static void grad_x(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    Value *values = default_attrs(conv_dx_attrs);
    memcpy(values, n->values, (sizeof conv_attrs / sizeof *conv_attrs - 1) * sizeof *values);
    memcpy(find_value(conv_dx_attrs, values, "size")->i, x->dims + 1, 2 * sizeof *x->dims);
    add_grad(g, x,
             add_node(g, &op_conv2d_dx, format("d_%s", x->name), n->layer, values,
                      (Tensor *[]){stretch(g, n, n->out[0]->grad), n->in[1], NULL}));
}

static void grad_conv2d(Graph *g, Node *n)
{
    Tensor *x = n->in[0], *kernel = n->in[1], *dy = n->out[0]->grad;
    if (x->needs_grad) grad_x(g, n);
    if (kernel->needs_grad)
        add_grad(g, kernel,
                 add_node(g, &op_conv2d_dw, format("d_%s", kernel->name), n->layer, n->values,
                          (Tensor *[]){x, dy, NULL}));
    if (n->in_count > 2) add_bias_grad(g, n, n->in[2]);
}

static void infer_dx(Node *n)
{
    const int64_t *size = attr(n, "size")->i;
    set_picture(n, size[0], size[1], n->in[1]->dims[2]);
}

static void turned_axes(const Node *n, Axis *h, Axis *w)
{
    const Axis y = axis_of(n, height_of(n->out[0]), 0), x = axis_of(n, width_of(n->out[0]), 1);
    *h = turn(&y);
    *w = turn(&x);
}

static void select_dx(Graph *g, Node *n)
{
    Axis h, w;
    turned_axes(n, &h, &w);
    select_windows(g, n, &h, &w, LANES, TURNED);
}

static void emit_dx(Emit *e, const Node *n)
{
    Axis h, w;
    turned_axes(n, &h, &w);
    emit_windows(e, n, &h, &w);
}

static void infer_dw(Node *n)
{
    const int64_t *size = attr(n, "kernel_size")->i;
    Tensor *dw = n->out[0];
    dw->rank = 4;
    dw->has_batch = false;
    memcpy(dw->dims, (int64_t[]){size[0], size[1], n->in[0]->dims[3], n->in[1]->dims[3]},
           sizeof dw->dims);
}

static void select_dw(Graph *g, Node *n)
{
    const Tensor *x = n->in[0];
    const Axis h = axis_of(n, x->dims[1], 0), w = axis_of(n, x->dims[2], 1);
    n->choice = choose_sum(g->model, "conv2d_dw", &h, &w, x->dims[3], n->in[1]->dims[3]);
    const int lanes = input_lanes(x->dims[3]);
    if (n->choice->winograd) {
        select_winograd_dw(g, n, &h, &w);
    } else {
        want_layout(g, n, 0,
                    (Layout){lanes, (int)h.before, (int)after(&h), (int)w.before, (int)after(&w)},
                    false);
        want_layout(g, n, 1, (Layout){.lanes = LANES}, false);
    }
    const AmxSum amx = amx_sum(g->model, n, &h, &w, n->out[0]->dims, lanes);
    if (amx_dw_pays(&amx)) use_amx(n, amx_dw_scratch(&amx));
}

enum { MOST_TAPS = 25 }; /* of one task: their sums fit into the first cache */

static void emit_dw(Emit *e, const Node *n)
{
    const Tensor *x = n->in[0], *dy = n->in[1];
    const Axis h = axis_of(n, height_of(x), 0), w = axis_of(n, width_of(x), 1);
    if (n->variant & AMX) emit_amx_dw_body(e, n, &h, &w);
    if (n->variant & WINOGRAD) {
        emit_winograd_dw(e, n, &h, &w);
        return;
    }
    const int64_t tasks = ceil_div(blocks_of(dy), 2) * blocks_of(x);
    const bool whole = h.taps * w.taps <= MOST_TAPS && tasks >= TASKS;
    need_windows(e);
    set_gradient(e, n, 2);
    set_window(e, &h, &w);
    set_shape(e, "$X", x);
    set_shape(e, "$Y", dy);
    set(e, "$taps", "%lld", whole ? (long long)h.taps : 1);
    emit_kernel(e, n, "conv2d_dw", window_name("conv2d_dw", &h, &w, x, dy),
                format("%lld", (long long)(whole ? tasks : tasks * h.taps)));
}

static int64_t count_dw(const Node *n) { return count_products(n, n->in[0], n->in[1]); }

static void infer_stretch(Node *n)
{
    const int64_t *dims = n->in[0]->dims, *strides = attr(n, "strides")->i;
    set_picture(n, (dims[1] - 1) * strides[0] + 1, (dims[2] - 1) * strides[1] + 1, dims[3]);
}

static void emit_stretch(Emit *e, const Node *n)
{
    const int64_t *strides = attr(n, "strides")->i;
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    set(e, "$strides", "%lld, %lld", (long long)strides[0], (long long)strides[1]);
    emit_kernel(e, n, "conv2d_stretch", shape_name("stretch", n->out[0]), plane_tasks(n->out[0]));
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

/* ---- The ops --------------------------------------------------------------------------------- */

const Op op_conv2d = {
    .name = "Conv2D",
    .doc = "Convolution: each output is a weighted sum of a window of all channels.",
    .attrs = conv_attrs,
    .flags = OP_LAYER | OP_FUSES,
    .check = check_conv2d,
    .build = build_conv2d,
    .infer = infer_conv2d,
    .grad = grad_conv2d,
    .absorb = absorb_pool,
    .select = select_conv2d,
    .emit = emit_conv2d,
    .macs = count_conv2d,
};

const Op op_conv2d_dx = {
    .name = "conv2d_dx",
    .doc = "dx of Conv2D from dy, stretched by the strides, and the kernel",
    .attrs = conv_dx_attrs,
    .infer = infer_dx,
    .select = select_dx,
    .emit = emit_dx,
    .macs = count_conv2d,
};

const Op op_conv2d_dw = {
    .name = "conv2d_dw",
    .doc = "gradient of Conv2D's kernel from x and dy",
    .attrs = conv_attrs,
    .flags = OP_FUSES_UPDATE,
    .infer = infer_dw,
    .select = select_dw,
    .emit = emit_dw,
    .macs = count_dw,
};

const Op op_conv2d_stretch = {
    .name = "conv2d_stretch",
    .doc = "x with zeros between its rows and columns",
    .attrs = conv_attrs,
    .infer = infer_stretch,
    .emit = emit_stretch,
};

const Op op_conv2d_pack = {
    .name = "conv2d_pack",
    .doc = "Conv2D's kernel in the order in which it is read; variant 1: turned",
    .attrs = conv_attrs,
    .flags = OP_PACK,
    .infer = infer_same,
    .emit = emit_pack,
};
