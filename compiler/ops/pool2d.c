/* pool2d.c: MaxPooling2D and AveragePooling2D.
 *
 * Gradients: max_pool_dx finds the maxima again from x (the first in row-major order gets dy, as in
 * TensorFlow on a CPU); average_pool_dx needs dy alone. Both add into the plane of one picture, so
 * that a task owns what it writes. */
#include <string.h>

#include "emit.h"

#define POOL_ATTRS                                                                                 \
    {.name = "pool_size",                                                                          \
     .type = ATTR_INT2,                                                                            \
     .initial = "[2, 2]",                                                                          \
     .lo = 1,                                                                                      \
     .hi = 65535,                                                                                  \
     .doc = "height and width of the window"},                                                     \
        {.name = "strides",                                                                        \
         .type = ATTR_INT2,                                                                        \
         .flags = ATTR_NULL,                                                                       \
         .initial = "null",                                                                        \
         .lo = 1,                                                                                  \
         .hi = 65535,                                                                              \
         .doc = "steps of the window; null: pool_size"},                                           \
    {                                                                                              \
        .name = "padding", .type = ATTR_CHOICE, .initial = "\"valid\"", .choices = "valid same",   \
        .doc = "same: as many windows as steps fit, some over the edge; valid: none over the edge" \
    }

static const Attr pool_attrs[] = {POOL_ATTRS, {0}};

/* Of average_pool_dx, which sees no x: its height and width. */
static const Attr pool_dx_attrs[] = {
    POOL_ATTRS,
    {.name = "size", .type = ATTR_INT2, .initial = "[1, 1]", .doc = "height and width of x"},
    {0},
};

extern const Op op_max_pool, op_max_pool_dx, op_average_pool_dx;

/* Windows over one axis (0: height) of x. */
typedef struct {
    int64_t window, stride, before, count;
} Axis;

static Axis axis_of(const Node *n, const Tensor *x, int axis)
{
    const Value *strides = attr(n, "strides");
    Axis a = {.window = attr(n, "pool_size")->i[axis]};
    a.stride = strides->is_null ? a.window : strides->i[axis];
    const bool same = strcmp(attr_text(n, "padding"), "same") == 0;
    a.count = window_count(x->dims[axis + 1], a.window, a.stride, same, &a.before);
    return a;
}

static void infer_pool(Node *n)
{
    need_pictures(n);
    const Tensor *x = n->in[0];
    const Axis h = axis_of(n, x, 0), w = axis_of(n, x, 1);
    if (h.count == 0 || w.count == 0)
        error_node(n, "padding \"same\", or one pool fewer",
                   "window %lldx%lld exceeds its input %lldx%lld", (long long)h.window,
                   (long long)w.window, (long long)x->dims[1], (long long)x->dims[2]);
    set_picture(n, h.count, w.count, x->dims[3]);
}

/* A window of one pixel at every pixel is the identity. */
static bool simplify_pool(Graph *g, Node *n)
{
    const Axis h = axis_of(n, n->in[0], 0), w = axis_of(n, n->in[0], 1);
    if (h.window * h.stride * w.window * w.stride != 1) return false;
    replace_uses(g, n->out[0], n->in[0]);
    return true;
}

bool is_halving_pool(const Node *n)
{
    if (n->op != &op_max_pool) return false;
    const Tensor *x = n->in[0];
    const Axis h = axis_of(n, x, 0), w = axis_of(n, x, 1);
    return h.window == 2 && w.window == 2 && h.stride == 2 && w.stride == 2 &&
           2 * h.count <= x->dims[1] && 2 * w.count <= x->dims[2];
}

/* x: the large side, y: the small one. */
static void set_windows(Emit *e, const Node *n, const Tensor *x, const Tensor *y)
{
    const Axis h = axis_of(n, x, 0), w = axis_of(n, x, 1);
    const bool padded = h.before > 0 || w.before > 0 ||
                        (h.count - 1) * h.stride - h.before + h.window > x->dims[1] ||
                        (w.count - 1) * w.stride - w.before + w.window > x->dims[2];
    need_section(e, "lanes");
    need_section(e, "windows");
    set_shape(e, "$X", x);
    set_shape(e, "$Y", y);
    set(e, "$windows", "%lld, %lld, %lld, %lld, %lld, %lld, %d", (long long)h.window,
        (long long)w.window, (long long)h.stride, (long long)w.stride, (long long)h.before,
        (long long)w.before, padded);
}

static const char *pool_name(const Node *n, const char *stem, const Tensor *x)
{
    const int64_t *window = attr(n, "pool_size")->i;
    return shape_name(format("%s_%lldx%lld", stem, (long long)window[0], (long long)window[1]), x);
}

static void emit_pool(Emit *e, const Node *n, const char *section)
{
    const Tensor *y = n->out[0];
    set_windows(e, n, n->in[0], y);
    emit_kernel(e, n, section, pool_name(n, section, n->in[0]), band_tasks(y));
}

/* The gradient of x's plane is one task. */
static void emit_pool_dx(Emit *e, const Node *n, const char *section)
{
    const Tensor *dx = n->out[0], *dy = n->in[n->in_count - 1];
    set_windows(e, n, n->in_count == 2 ? n->in[0] : dx, dy);
    set_shape(e, "$D", dx);
    emit_kernel(e, n, section, pool_name(n, section, dx), plane_tasks(dx));
}

/* ---- Maximum --------------------------------------------------------------------------------- */

static void grad_max_pool(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    add_grad(g, x,
             add_node(g, &op_max_pool_dx, format("d_%s", x->name), n->layer, n->values,
                      (Tensor *[]){x, n->out[0]->grad, NULL}));
}

static void emit_max_pool(Emit *e, const Node *n) { emit_pool(e, n, "max_pool"); }
static void emit_max_pool_dx(Emit *e, const Node *n) { emit_pool_dx(e, n, "max_pool_dx"); }

const Op op_max_pool = {
    .name = "MaxPooling2D",
    .doc = "The largest number of each window.",
    .attrs = pool_attrs,
    .flags = OP_LAYER,
    .infer = infer_pool,
    .simplify = simplify_pool,
    .grad = grad_max_pool,
    .emit = emit_max_pool,
};

const Op op_max_pool_dx = {
    .name = "max_pool_dx",
    .doc = "dx of MaxPooling2D from x and dy",
    .attrs = pool_attrs,
    .infer = infer_same,
    .select = select_alike,
    .emit = emit_max_pool_dx,
};

/* ---- Average --------------------------------------------------------------------------------- */

static void grad_average_pool(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    Value *values = default_attrs(pool_dx_attrs);
    for (const Attr *a = pool_attrs; a->name; a++)
        *find_value(pool_dx_attrs, values, a->name) = *attr(n, a->name);
    memcpy(find_value(pool_dx_attrs, values, "size")->i, x->dims + 1, 2 * sizeof *x->dims);
    add_grad(g, x,
             add_node(g, &op_average_pool_dx, format("d_%s", x->name), n->layer, values,
                      (Tensor *[]){n->out[0]->grad, NULL}));
}

static void infer_average_pool_dx(Node *n)
{
    const int64_t *size = attr(n, "size")->i;
    set_picture(n, size[0], size[1], n->in[0]->dims[3]);
}

static void emit_average_pool(Emit *e, const Node *n) { emit_pool(e, n, "average_pool"); }
static void emit_average_pool_dx(Emit *e, const Node *n) { emit_pool_dx(e, n, "average_pool_dx"); }

const Op op_average_pool = {
    .name = "AveragePooling2D",
    .doc = "The mean of each window; pixels beyond the edge do not count.",
    .attrs = pool_attrs,
    .flags = OP_LAYER,
    .infer = infer_pool,
    .simplify = simplify_pool,
    .grad = grad_average_pool,
    .emit = emit_average_pool,
};

const Op op_average_pool_dx = {
    .name = "average_pool_dx",
    .doc = "dx of AveragePooling2D from dy",
    .attrs = pool_dx_attrs,
    .infer = infer_average_pool_dx,
    .emit = emit_average_pool_dx,
};
