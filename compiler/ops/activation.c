/* activation.c: functions of single numbers, and softmax.
 *
 * JSON names (Activation, ReLU, Softmax) become one node a function: relu, sigmoid, tanh, softmax;
 * fusion, losses and gradients need to know only those. Gradients of all but the general ReLU are
 * computed from the output y: the input need not be kept. */
#include <string.h>

#include "emit.h"

const char activation_choices[] = "linear relu sigmoid tanh softmax";

extern const Op op_relu, op_sigmoid, op_tanh, op_softmax;

Tensor *add_activation(Graph *g, Layer *layer, const char *activation, Tensor *x)
{
    if (!activation || strcmp(activation, "linear") == 0) return x;
    const Op *const ops[] = {&op_relu, &op_sigmoid, &op_tanh, &op_softmax};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i]->name, activation) == 0)
            return add_node(g, ops[i], layer->name, layer, NULL, (Tensor *[]){x, NULL});
    bug(g, "activation %s is unknown", activation);
}

Tensor *logits_of(const Tensor *t)
{
    const Node *n = t->producer;
    return n && (n->op == &op_sigmoid || n->op == &op_softmax) ? n->in[0] : NULL;
}

/* ---- Those with an epilogue: relu, sigmoid, tanh --------------------------------------------- */

static const char *epilogue(const Node *n) { return n->op->name; }

static void emit_function(Emit *e, const Node *n)
{
    emit_map(e, n, n->op->name, format("NAME(act_%s)(v)", n->op->name));
}

/* Node d_NAME: in = [dy, y]. */
static void grad_from_output(Graph *g, Node *n)
{
    Tensor *y = n->out[0];
    const char *name = format("d_%s", n->op->name);
    add_grad(g, n->in[0], add_node(g, find_op(name), format("d_%s", n->in[0]->name), n->layer, NULL,
                                   (Tensor *[]){y->grad, y, NULL}));
}

static void emit_gradient(Emit *e, const Node *n)
{
    emit_map(e, n, n->op->name, format("NAME(%s)(a, b)", n->op->name));
}

enum { FUNCTION = OP_ELEMENTWISE | OP_IN_PLACE };

const Op op_relu = {
    .name = "relu",
    .doc = "max(x, 0)",
    .flags = FUNCTION,
    .infer = infer_same,
    .grad = grad_from_output,
    .epilogue = epilogue,
    .emit = emit_function,
};

const Op op_sigmoid = {
    .name = "sigmoid",
    .doc = "1 / (1 + exp(-x))",
    .flags = FUNCTION,
    .infer = infer_same,
    .grad = grad_from_output,
    .epilogue = epilogue,
    .emit = emit_function,
};

const Op op_tanh = {
    .name = "tanh",
    .doc = "hyperbolic tangent",
    .flags = FUNCTION,
    .infer = infer_same,
    .grad = grad_from_output,
    .epilogue = epilogue,
    .emit = emit_function,
};

const Op op_d_relu = {
    .name = "d_relu",
    .doc = "dx of relu from dy and y",
    .flags = FUNCTION,
    .infer = infer_same,
    .select = select_alike,
    .emit = emit_gradient,
};

const Op op_d_sigmoid = {
    .name = "d_sigmoid",
    .doc = "dx of sigmoid from dy and y",
    .flags = FUNCTION,
    .infer = infer_same,
    .select = select_alike,
    .emit = emit_gradient,
};

const Op op_d_tanh = {
    .name = "d_tanh",
    .doc = "dx of tanh from dy and y",
    .flags = FUNCTION,
    .infer = infer_same,
    .select = select_alike,
    .emit = emit_gradient,
};

/* ---- Softmax --------------------------------------------------------------------------------- */

static void emit_softmax(Emit *e, const Node *n)
{
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    emit_kernel(e, n, "softmax", shape_name("softmax", n->out[0]), "n");
}

static void emit_d_softmax(Emit *e, const Node *n)
{
    set_shape(e, "$D", n->in[0]);
    set_shape(e, "$Y", n->in[1]);
    set_shape(e, "$X", n->out[0]);
    emit_kernel(e, n, "d_softmax", shape_name("d_softmax", n->out[0]), "n");
}

const Op op_softmax = {
    .name = "softmax",
    .doc = "exp(x) / sum(exp(x)) over the last axis",
    .flags = OP_IN_PLACE,
    .infer = infer_same,
    .grad = grad_from_output,
    .select = select_channels_last,
    .emit = emit_softmax,
};

const Op op_d_softmax = {
    .name = "d_softmax",
    .doc = "dx of softmax from dy and y",
    .flags = OP_IN_PLACE,
    .infer = infer_same,
    .select = select_channels_last,
    .emit = emit_d_softmax,
};

static const Attr softmax_attrs[] = {
    {.name = "axis", .type = ATTR_INT, .initial = "-1", .lo = -4, .hi = 3,
     .doc = "axis that sums to 1: the last one, -1"},
    {0},
};

static Tensor *build_softmax(Graph *g, Layer *layer, Tensor *x)
{
    const int64_t axis = layer_attr(layer, "axis")->i[0];
    if (axis != -1 && axis != x->rank - 1)
        error_layer(layer, "\"axis\": -1", "axis %lld is not the last of its input %s",
                    (long long)axis, shape_text(x->rank, x->dims, x->has_batch));
    return add_activation(g, layer, "softmax", x);
}

const Op op_softmax_layer = {
    .name = "Softmax",
    .doc = "Softmax over the last axis.",
    .attrs = softmax_attrs,
    .flags = OP_LAYER,
    .build = build_softmax,
    .infer = infer_same,
};

/* ---- Activation ------------------------------------------------------------------------------ */

static const Attr activation_attrs[] = {
    {.name = "activation", .type = ATTR_CHOICE, .flags = ATTR_REQUIRED,
     .choices = activation_choices, .doc = "the function"},
    {0},
};

static Tensor *build_activation(Graph *g, Layer *layer, Tensor *x)
{
    return add_activation(g, layer, layer_attr(layer, "activation")->s, x);
}

const Op op_activation = {
    .name = "Activation",
    .doc = "Applies a function to every number; softmax to every last axis.",
    .attrs = activation_attrs,
    .flags = OP_LAYER,
    .build = build_activation,
    .infer = infer_same,
};

/* ---- ReLU ------------------------------------------------------------------------------------ */

static const Attr relu_attrs[] = {
    {.name = "max_value", .type = ATTR_FLOAT, .flags = ATTR_NULL, .initial = "null", .lo = 0,
     .hi = 1e30, .doc = "largest result; null for no limit"},
    {.name = "negative_slope", .type = ATTR_FLOAT, .initial = "0.0", .lo = 0, .hi = 1e30,
     .doc = "slope where x is not above threshold"},
    {.name = "threshold", .type = ATTR_FLOAT, .initial = "0.0", .lo = 0, .hi = 1e30,
     .doc = "x passes only above this"},
    {0},
};

extern const Op op_d_general_relu;

static Tensor *build_relu(Graph *g, Layer *layer, Tensor *x)
{
    if (layer_attr(layer, "max_value")->is_null && layer_attr(layer, "negative_slope")->f[0] == 0 &&
        layer_attr(layer, "threshold")->f[0] == 0)
        return add_activation(g, layer, "relu", x);
    return add_node(g, layer->op, layer->name, layer, layer->values, (Tensor *[]){x, NULL});
}

/* Arguments of act_general_relu behind x. */
static const char *relu_arguments(const Node *n)
{
    const Value *limit = attr(n, "max_value");
    const char *slope = real_text(attr_float(n, "negative_slope"));
    return format("%s, %s, %s", limit->is_null ? "REAL_MAX" : real_text(limit->f[0]), slope,
                  real_text(attr_float(n, "threshold")));
}

static void grad_relu(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    add_grad(g, x, add_node(g, &op_d_general_relu, format("d_%s", x->name), n->layer, n->values,
                            (Tensor *[]){n->out[0]->grad, x, NULL}));
}

static void emit_relu(Emit *e, const Node *n)
{
    emit_map(e, n, "general_relu", format("NAME(act_general_relu)(v, %s)", relu_arguments(n)));
}

static void emit_d_relu(Emit *e, const Node *n)
{
    emit_map(e, n, "d_general_relu", format("NAME(d_general_relu)(a, b, %s)", relu_arguments(n)));
}

const Op op_general_relu = {
    .name = "ReLU",
    .doc = "max(x, 0), or with a limit, a slope for negative numbers and a threshold.",
    .attrs = relu_attrs,
    .flags = OP_LAYER | FUNCTION,
    .build = build_relu,
    .infer = infer_same,
    .grad = grad_relu,
    .emit = emit_relu,
};

const Op op_d_general_relu = {
    .name = "d_general_relu",
    .doc = "dx of ReLU from dy and x",
    .attrs = relu_attrs,
    .flags = FUNCTION,
    .infer = infer_same,
    .select = select_alike,
    .emit = emit_d_relu,
};
