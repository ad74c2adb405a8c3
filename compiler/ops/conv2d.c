/* conv2d.c: Conv2D and its gradients: what they mean, and which algorithm sums them
 * (conv2d_direct.c, winograd.c; conv2d_amx.c). The gradient of x is a convolution of dy, stretched
 * by the strides, with the turned kernel. */
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

extern const Op op_conv2d, op_conv2d_dx, op_conv2d_dw, op_conv2d_stretch;

static Axis axis_of(const Node *n, int64_t length, int axis)
{
    Axis a = {.length = length, .taps = attr(n, "kernel_size")->i[axis]};
    a.stride = attr(n, "strides")->i[axis];
    a.dilation = attr(n, "dilation_rate")->i[axis];
    const bool same = strcmp(attr_text(n, "padding"), "same") == 0;
    a.count = window_count(length, a.dilation * (a.taps - 1) + 1, a.stride, same, &a.before);
    return a;
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

/* Whether `user` is max pooling of 2x2, which Winograd's tiles can do in their last store, before
 * the fused function: those of fuse never fall. */
static bool absorb_pool(const Graph *g, const Node *n, const Node *user)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    const Axis h = axis_of(n, x->dims[1], 0), w = axis_of(n, x->dims[2], 1);
    return is_halving_pool(user) &&
           choose_sum(g->model, "conv2d", &h, &w, x->dims[3], y->dims[3])->winograd;
}

static void emit_windows(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    if (n->variant & AMX) emit_amx_body(e, n, h, w);
    if (n->variant & WINOGRAD)
        emit_winograd(e, n, h, w);
    else
        emit_direct(e, n, h, w);
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
    if (n->choice->winograd)
        select_winograd_dw(g, n, &h, &w);
    else
        select_direct_dw(g, n, &h, &w, lanes);
    const AmxSum amx = amx_sum(g->model, n, &h, &w, n->out[0]->dims, lanes);
    if (amx_dw_pays(&amx)) use_amx(n, amx_dw_scratch(&amx));
}

static void emit_dw(Emit *e, const Node *n)
{
    const Axis h = axis_of(n, height_of(n->in[0]), 0), w = axis_of(n, width_of(n->in[0]), 1);
    if (n->variant & AMX) emit_amx_dw_body(e, n, &h, &w);
    if (n->variant & WINOGRAD)
        emit_winograd_dw(e, n, &h, &w);
    else
        emit_direct_dw(e, n, &h, &w);
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
