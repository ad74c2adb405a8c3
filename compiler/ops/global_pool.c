/* global_pool.c: GlobalMaxPooling2D and GlobalAveragePooling2D: one number a channel. */
#include <string.h>

#include "emit.h"

static const Attr global_attrs[] = {
    {.name = "keepdims", .type = ATTR_BOOL, .initial = "false",
     .doc = "true: the result is (N, 1, 1, C); false: (N, C)"},
    {0},
};

static void infer_global(Node *n)
{
    need_pictures(n);
    const Tensor *x = n->in[0];
    if (attr_int(n, "keepdims")) {
        set_picture(n, 1, 1, x->dims[3]);
        return;
    }
    n->out[0]->rank = 2;
    n->out[0]->dims[0] = x->dims[0];
    n->out[0]->dims[1] = x->dims[3];
}

static void select_global(Graph *g, Node *n)
{
    (void)g;
    n->out[0]->layout = channels_last(n->out[0]);
}

static void emit_global(Emit *e, const Node *n, const char *section)
{
    need_section(e, "lanes");
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    emit_kernel(e, n, section, shape_name(section, n->in[0]), plane_tasks(n->in[0]));
}

static void emit_global_dx(Emit *e, const Node *n, const char *section)
{
    need_section(e, "lanes");
    if (n->in_count == 2) set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->in[n->in_count - 1]);
    set_shape(e, "$D", n->out[0]);
    emit_kernel(e, n, section, shape_name(section, n->out[0]), plane_tasks(n->out[0]));
}

/* ---- Maximum --------------------------------------------------------------------------------- */

extern const Op op_global_max_dx, op_global_average_dx;

static void grad_global_max(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    add_grad(g, x, add_node(g, &op_global_max_dx, format("d_%s", x->name), n->layer, NULL,
                            (Tensor *[]){x, n->out[0]->grad, NULL}));
}

static void select_global_max_dx(Graph *g, Node *n)
{
    want_layout(g, n, 1, (Layout){.lanes = -1}, false);
    n->out[0]->layout = layout_like(n->in[0]);
}

static void emit_global_max(Emit *e, const Node *n) { emit_global(e, n, "global_max"); }
static void emit_global_max_dx(Emit *e, const Node *n) { emit_global_dx(e, n, "global_max_dx"); }

const Op op_global_max = {
    .name = "GlobalMaxPooling2D",
    .doc = "The largest number of each channel.",
    .attrs = global_attrs,
    .flags = OP_LAYER,
    .infer = infer_global,
    .grad = grad_global_max,
    .select = select_global,
    .emit = emit_global_max,
};

const Op op_global_max_dx = {
    .name = "global_max_dx",
    .doc = "dx of GlobalMaxPooling2D from x and dy",
    .infer = infer_same,
    .select = select_global_max_dx,
    .emit = emit_global_max_dx,
};

/* ---- Average --------------------------------------------------------------------------------- */

static const Attr average_dx_attrs[] = {
    {.name = "size", .type = ATTR_INT2, .initial = "[1, 1]", .doc = "height and width of x"},
    {0},
};

static void grad_global_average(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    Value *values = default_attrs(average_dx_attrs);
    memcpy(values[0].i, x->dims + 1, 2 * sizeof *x->dims);
    add_grad(g, x, add_node(g, &op_global_average_dx, format("d_%s", x->name), n->layer, values,
                            (Tensor *[]){n->out[0]->grad, NULL}));
}

static void infer_global_average_dx(Node *n)
{
    const Tensor *dy = n->in[0];
    const int64_t *size = attr(n, "size")->i;
    set_picture(n, size[0], size[1], dy->dims[dy->rank - 1]);
}

/* dx goes to a convolution's gradient, most likely: in blocks, if it fills one. */
static void select_global_average_dx(Graph *g, Node *n)
{
    Tensor *dx = n->out[0];
    want_layout(g, n, 0, (Layout){.lanes = -1}, false);
    dx->layout = channels_last(dx);
    if (channels_of(dx) >= LANES) dx->layout.lanes = LANES;
}

static void emit_global_average(Emit *e, const Node *n) { emit_global(e, n, "global_average"); }
static void emit_global_average_dx(Emit *e, const Node *n)
{
    emit_global_dx(e, n, "global_average_dx");
}

const Op op_global_average = {
    .name = "GlobalAveragePooling2D",
    .doc = "The mean of each channel.",
    .attrs = global_attrs,
    .flags = OP_LAYER,
    .infer = infer_global,
    .grad = grad_global_average,
    .select = select_global,
    .emit = emit_global_average,
};

const Op op_global_average_dx = {
    .name = "global_average_dx",
    .doc = "dx of GlobalAveragePooling2D from dy",
    .attrs = average_dx_attrs,
    .infer = infer_global_average_dx,
    .select = select_global_average_dx,
    .emit = emit_global_average_dx,
};
