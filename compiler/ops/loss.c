/* loss.c: losses, with the meaning that Keras gives them on TensorFlow.
 *
 * in = [prediction or logits, y], out = [loss (N, 1)]; the gradient is that of the mean over the
 * pictures of the call. A crossentropy of what a sigmoid or softmax made works from that node's
 * input, whichever of the two it was, as Keras does: no precision is lost near 0 and 1. */
#include <string.h>

#include "emit.h"

static const char logits_doc[] = "true: the model's output is logits, not probabilities";

static const Attr crossentropy_attrs[] = {
    {.name = "from_logits", .type = ATTR_BOOL, .initial = "false", .doc = logits_doc},
    {.name = "label_smoothing", .type = ATTR_FLOAT, .initial = "0.0", .lo = 0, .hi = 1,
     .doc = "share of the labels' weight that is spread over all classes"},
    {0},
};

static const Attr sparse_attrs[] = {
    {.name = "from_logits", .type = ATTR_BOOL, .initial = "false", .doc = logits_doc},
    {0},
};

static const Attr no_attrs[] = {{0}};

const LossKind loss_kinds[] = {
    {"BinaryCrossentropy", "binary_crossentropy", "RT_BINARY_CROSSENTROPY", crossentropy_attrs,
     "For one sigmoid unit, or several independent ones; the mean over the units."},
    {"CategoricalCrossentropy", "categorical_crossentropy", "RT_CATEGORICAL_CROSSENTROPY",
     crossentropy_attrs, "For a softmax over classes and one-hot labels."},
    {"SparseCategoricalCrossentropy", "sparse_categorical_crossentropy",
     "RT_SPARSE_CATEGORICAL_CROSSENTROPY", sparse_attrs,
     "For a softmax over classes and class numbers as labels."},
    {"MeanSquaredError", "mean_squared_error", "RT_MEAN_SQUARED_ERROR", no_attrs,
     "For plain numbers."},
    {0},
};

static bool has_attr(const Op *op, const char *name)
{
    for (const Attr *a = op->attrs; a->name; a++)
        if (strcmp(a->name, name) == 0) return true;
    return false;
}

Tensor *add_loss(Graph *g, const Phase *phase, Tensor *prediction, Tensor *y)
{
    const Op *op = find_op(phase->loss->name);
    Layer *layer = g->model->layers[g->model->layer_count - 1];
    Tensor *logits = has_attr(op, "from_logits") ? logits_of(prediction) : NULL;
    Value *values = phase->loss_values;
    if (logits) {
        values = default_attrs(op->attrs);
        for (int i = 0; op->attrs[i].name; i++) values[i] = phase->loss_values[i];
        Value *from_logits = find_value(op->attrs, values, "from_logits");
        if (from_logits->i[0] && g->kind == PROGRAM_TRAIN)
            warn("%s.loss: from_logits is true, but the model's output is probabilities; "
                 "the loss uses what \"%s\" was given",
                 phase->path, prediction->name);
        from_logits->i[0] = 1;
    }
    return add_node(g, op, "loss", layer, values,
                    (Tensor *[]){logits ? logits : prediction, y, NULL});
}

/* ---- Hooks ----------------------------------------------------------------------------------- */

static void infer_loss(Node *n)
{
    n->out[0]->rank = 2;
    n->out[0]->dims[0] = n->in[0]->dims[0];
    n->out[0]->dims[1] = 1;
}

static void infer_categorical(Node *n)
{
    if (channels_of(n->in[0]) == 1)
        error_node(n, "\"binary_crossentropy\" for two classes, or more units in the last layer",
                   "loss %s needs more than one class in the model's output", n->op->name);
    infer_loss(n);
}

static void infer_sparse(Node *n)
{
    if (n->in[0]->rank != 2)
        error_node(n, "\"categorical_crossentropy\", or Flatten before the last layer",
                   "loss %s needs a model output (N, classes)", n->op->name);
    infer_categorical(n);
}

static void grad_loss(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    const Op *op = find_op(format("d_%s", n->op->name));
    add_grad(g, x, add_node(g, op, format("d_%s", x->name), n->layer, n->values,
                            (Tensor *[]){x, n->in[1], NULL}));
}

static void select_loss(Graph *g, Node *n)
{
    want_layout(g, n, 0, (Layout){.lanes = -1}, false);
    n->out[0]->layout = channels_last(n->out[0]);
}

/* Arguments of the row functions behind their arrays: numbers in a row, then the attributes. */
static const char *row_arguments(const Node *n)
{
    const Tensor *p = n->in[0];
    const char *arguments = format("%d", channels_of(p));
    if (has_attr(n->op, "from_logits"))
        arguments = format("%s, %d", arguments, (int)attr_int(n, "from_logits"));
    if (has_attr(n->op, "label_smoothing"))
        arguments = format("%s, %s", arguments, real_text(attr_float(n, "label_smoothing")));
    return arguments;
}

static void emit_row_loop(Emit *e, const Node *n, const char *section, const char *expression)
{
    need_section(e, "losses");
    set_shape(e, "$P", n->in[0]);
    set(e, "$labels", "%lld",
        (long long)(picture_count(n->in[1]) / (height_of(n->in[0]) * width_of(n->in[0]))));
    if (strcmp(section, "d_loss") == 0) set_shape(e, "$D", n->out[0]);
    set(e, "$expression", "%s", expression);
    set(e, "$weight", "%s",
        e->g->kind == PROGRAM_TRAIN && e->g->phase->weighs_classes
            ? "call->run->sample_weight[call->first + task]"
            : "1");
    emit_kernel(e, n, section, shape_name(n->op->name, n->in[0]), "n");
}

static void emit_loss(Emit *e, const Node *n)
{
    emit_row_loop(e, n, "loss", format("NAME(%s)(p, y, %s)", n->op->name, row_arguments(n)));
}

static void emit_d_loss(Emit *e, const Node *n)
{
    emit_row_loop(e, n, "d_loss",
                  format("NAME(%s)(p, y, d, scale, %s)", n->op->name, row_arguments(n)));
}

/* ---- One op a loss, and one for its gradient ------------------------------------------------- */

const Op op_binary_crossentropy = {
    .name = "binary_crossentropy",
    .doc = "mean of -y log p - (1 - y) log(1 - p)",
    .attrs = crossentropy_attrs,
    .infer = infer_loss,
    .grad = grad_loss,
    .select = select_loss,
    .emit = emit_loss,
};

const Op op_d_binary_crossentropy = {
    .name = "d_binary_crossentropy",
    .doc = "gradient of binary_crossentropy",
    .attrs = crossentropy_attrs,
    .infer = infer_same,
    .select = select_loss,
    .emit = emit_d_loss,
};

const Op op_categorical_crossentropy = {
    .name = "categorical_crossentropy",
    .doc = "sum of -y log p",
    .attrs = crossentropy_attrs,
    .infer = infer_categorical,
    .grad = grad_loss,
    .select = select_loss,
    .emit = emit_loss,
};

const Op op_d_categorical_crossentropy = {
    .name = "d_categorical_crossentropy",
    .doc = "gradient of categorical_crossentropy",
    .attrs = crossentropy_attrs,
    .infer = infer_same,
    .select = select_loss,
    .emit = emit_d_loss,
};

const Op op_sparse_categorical_crossentropy = {
    .name = "sparse_categorical_crossentropy",
    .doc = "-log p of the class",
    .attrs = sparse_attrs,
    .infer = infer_sparse,
    .grad = grad_loss,
    .select = select_loss,
    .emit = emit_loss,
};

const Op op_d_sparse_categorical_crossentropy = {
    .name = "d_sparse_categorical_crossentropy",
    .doc = "gradient of sparse_categorical_crossentropy",
    .attrs = sparse_attrs,
    .infer = infer_same,
    .select = select_loss,
    .emit = emit_d_loss,
};

const Op op_mean_squared_error = {
    .name = "mean_squared_error",
    .doc = "mean of (p - y)^2",
    .attrs = no_attrs,
    .infer = infer_loss,
    .grad = grad_loss,
    .select = select_loss,
    .emit = emit_loss,
};

const Op op_d_mean_squared_error = {
    .name = "d_mean_squared_error",
    .doc = "gradient of mean_squared_error",
    .attrs = no_attrs,
    .infer = infer_same,
    .select = select_loss,
    .emit = emit_d_loss,
};
