/* dropout.c: Dropout.
 *
 * The mask is never stored: it is a function of run, layer, epoch, picture and place, so that the
 * gradient is the same node again, applied to dy. */
#include "emit.h"

static const Attr dropout_attrs[] = {
    {.name = "rate", .type = ATTR_FLOAT, .flags = ATTR_REQUIRED, .lo = 0, .hi = 1,
     .doc = "share of the numbers that become 0 while training"},
    {0},
};

static bool simplify_dropout(Graph *g, Node *n)
{
    if (attr_float(n, "rate") != 0) return false;
    replace_uses(g, n->out[0], n->in[0]);
    return true;
}

static void grad_dropout(Graph *g, Node *n)
{
    Tensor *dx = add_node(g, n->op, format("d_%s", n->in[0]->name), n->layer, n->values,
                          (Tensor *[]){n->out[0]->grad, NULL});
    add_grad(g, n->in[0], dx);
}

static void emit_dropout(Emit *e, const Node *n)
{
    const double rate = attr_float(n, "rate");
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    set(e, "$stream", "%d", n->layer->index);
    set(e, "$rate", "%s", real_text(rate));
    set(e, "$scale", "%s", real_text(rate < 1 ? 1 / (1 - rate) : 0));
    emit_kernel(e, n, "dropout", shape_name("dropout", n->out[0]), plane_tasks(n->out[0]));
}

const Op op_dropout = {
    .name = "Dropout",
    .doc = "While training, zeroes numbers at random and scales the others by 1 / (1 - rate).",
    .attrs = dropout_attrs,
    .flags = OP_LAYER | OP_ELEMENTWISE | OP_IN_PLACE | OP_RANDOM | OP_TRAIN_ONLY,
    .infer = infer_same,
    .simplify = simplify_dropout,
    .grad = grad_dropout,
    .emit = emit_dropout,
};
