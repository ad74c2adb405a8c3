/* convert.c: what passes put between nodes: a copy in another layout, the sum of two gradients. */
#include "emit.h"

static void emit_convert(Emit *e, const Node *n)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    const char *shape = shape_name("convert", y);
    set_shape(e, "$X", x);
    set_shape(e, "$Y", y);
    emit_kernel(e, n, "convert", format("%s_%d_to_%d", shape, x->layout.lanes, y->layout.lanes),
                format("n * %d", height_of(y)));
}

const Op op_convert = {
    .name = "convert",
    .doc = "x in another layout: select.c says which",
    .infer = infer_same,
    .emit = emit_convert,
};

static void emit_add(Emit *e, const Node *n) { emit_map(e, n, "add", "a + b"); }

const Op op_add = {
    .name = "add",
    .doc = "sum of two tensors of one shape",
    .flags = OP_ELEMENTWISE | OP_IN_PLACE,
    .infer = infer_same,
    .select = select_alike,
    .emit = emit_add,
};
