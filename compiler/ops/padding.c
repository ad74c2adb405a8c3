/* padding.c: ZeroPadding2D, and its gradient, which cuts the frame off. */
#include "emit.h"

static const Attr padding_attrs[] = {
    {.name = "padding", .type = ATTR_PADDING, .initial = "[[1, 1], [1, 1]]", .lo = 0, .hi = 65535,
     .doc = "zeros around: 1 for all sides, [height, width], or [[top, bottom], [left, right]]"},
    {0},
};

/* Sign 1 pads, -1 cuts. */
static void infer_frame(Node *n, int sign)
{
    need_pictures(n);
    const Value *p = attr(n, "padding");
    const Tensor *x = n->in[0];
    set_picture(n, x->dims[1] + sign * (p->i[0] + p->i[1]), x->dims[2] + sign * (p->i[2] + p->i[3]),
                x->dims[3]);
}

static void infer_padding(Node *n) { infer_frame(n, 1); }
static void infer_cropping(Node *n) { infer_frame(n, -1); }

static void emit_frame(Emit *e, const Node *n, const char *stem, int sign)
{
    const Value *p = attr(n, "padding");
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    set(e, "$top", "%lld", (long long)(sign * p->i[0]));
    set(e, "$left", "%lld", (long long)(sign * p->i[2]));
    emit_kernel(e, n, "padding", shape_name(stem, n->out[0]), plane_tasks(n->out[0]));
}

static void emit_padding(Emit *e, const Node *n) { emit_frame(e, n, "padding", 1); }
static void emit_cropping(Emit *e, const Node *n) { emit_frame(e, n, "cropping", -1); }

static bool simplify_padding(Graph *g, Node *n)
{
    const int64_t *p = attr(n, "padding")->i;
    if (p[0] || p[1] || p[2] || p[3]) return false;
    replace_uses(g, n->out[0], n->in[0]);
    return true;
}

extern const Op op_d_padding;

static void grad_padding(Graph *g, Node *n)
{
    Tensor *dx = add_node(g, &op_d_padding, format("d_%s", n->in[0]->name), n->layer, n->values,
                          (Tensor *[]){n->out[0]->grad, NULL});
    add_grad(g, n->in[0], dx);
}

const Op op_padding = {
    .name = "ZeroPadding2D",
    .doc = "A frame of zeros around each picture.",
    .attrs = padding_attrs,
    .flags = OP_LAYER,
    .infer = infer_padding,
    .simplify = simplify_padding,
    .grad = grad_padding,
    .emit = emit_padding,
};

const Op op_d_padding = {
    .name = "d_zero_padding2d",
    .doc = "dx of ZeroPadding2D: dy without the frame",
    .attrs = padding_attrs,
    .infer = infer_cropping,
    .emit = emit_cropping,
};
