/* reshape.c: Flatten and Reshape: other shapes of the same numbers, in row-major order. */
#include <string.h>

#include "tlc.h"

/* A view needs its numbers without gaps, as N,H,W,C. */
static void select_view(Graph *g, Node *n)
{
    want_layout(g, n, 0, (Layout){.lanes = -1}, true);
    n->out[0]->layout = channels_last(n->out[0]);
    n->out[0]->layout_fixed = true;
}

/* Drops a view of the same shape; looks through a view of a view. */
static bool simplify_view(Graph *g, Node *n)
{
    Tensor *x = n->in[0], *y = n->out[0];
    if (x->rank == y->rank && memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) == 0) {
        replace_uses(g, y, x);
        return true;
    }
    if (!x->producer || !(x->producer->op->flags & OP_VIEW)) return false;
    replace_input(n, 0, x->producer->in[0]);
    return true;
}

static const Attr reshape_attrs[] = {
    {.name = "target_shape", .type = ATTR_INTS, .flags = ATTR_REQUIRED, .lo = -1, .hi = INT32_MAX,
     .doc = "the new shape without the batch; -1 once: what is left"},
    {0},
};

extern const Op op_reshape;

static void grad_view(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    Value *values = default_attrs(reshape_attrs);
    Value *shape = find_value(reshape_attrs, values, "target_shape");
    shape->is_set = true;
    shape->count = x->rank - 1;
    memcpy(shape->i, x->dims + 1, (size_t)shape->count * sizeof *shape->i);
    Tensor *dx = add_node(g, &op_reshape, format("d_%s", x->name), n->layer, values,
                          (Tensor *[]){n->out[0]->grad, NULL});
    add_grad(g, x, dx);
}

/* ---- Flatten --------------------------------------------------------------------------------- */

static void infer_flatten(Node *n)
{
    n->out[0]->rank = 2;
    n->out[0]->dims[0] = n->in[0]->dims[0];
    n->out[0]->dims[1] = picture_count(n->in[0]);
}

const Op op_flatten = {
    .name = "Flatten",
    .doc = "(N, H, W, C) as (N, H * W * C).",
    .flags = OP_LAYER | OP_VIEW,
    .infer = infer_flatten,
    .simplify = simplify_view,
    .grad = grad_view,
    .select = select_view,
};

/* ---- Reshape --------------------------------------------------------------------------------- */

static void check_reshape(const Layer *layer)
{
    const Value *shape = layer_attr(layer, "target_shape");
    int open = 0;
    for (int i = 0; i < shape->count; i++) {
        if (shape->i[i] == 0)
            error_layer(layer, NULL, "target_shape[%d] is 0; sizes are 1 or more, or -1", i);
        open += shape->i[i] < 0;
    }
    if (open > 1) error_layer(layer, NULL, "target_shape may hold -1 only once");
}

static void infer_reshape(Node *n)
{
    const Value *shape = attr(n, "target_shape");
    const int64_t count = picture_count(n->in[0]);
    int64_t *dims = n->out[0]->dims, known = 1;
    int open = -1;
    bool fits = true;
    for (int i = 0; i < shape->count; i++) {
        dims[i + 1] = shape->i[i];
        if (shape->i[i] < 0)
            open = i + 1;
        else
            fits = fits && multiply(known, shape->i[i], &known);
    }
    fits = fits && (open > 0 ? count % known == 0 : count == known);
    if (!fits)
        error_node(n, "-1 in one place takes what is left",
                   "target_shape does not hold the %lld numbers of a picture", (long long)count);
    if (open > 0) dims[open] = count / known;
    dims[0] = n->in[0]->dims[0];
    n->out[0]->rank = shape->count + 1;
}

const Op op_reshape = {
    .name = "Reshape",
    .doc = "The same numbers in another shape.",
    .attrs = reshape_attrs,
    .flags = OP_LAYER | OP_VIEW,
    .check = check_reshape,
    .infer = infer_reshape,
    .simplify = simplify_view,
    .grad = grad_view,
    .select = select_view,
};
