/* dense.c: Dense, on the last axis of its input. Kernels: templates/dense.c and those beside it. */
#include <string.h>

#include "tlc.h"

static const Attr dense_attrs[] = {
    {.name = "units", .type = ATTR_INT, .flags = ATTR_REQUIRED, .lo = 1, .hi = 1 << 24,
     .doc = "numbers of the output"},
    {.name = "activation", .type = ATTR_CHOICE, .flags = ATTR_NULL, .initial = "\"linear\"",
     .choices = activation_choices, .doc = "function of the result"},
    {.name = "use_bias", .type = ATTR_BOOL, .initial = "true", .doc = "adds a number per unit"},
    {.name = "kernel_regularizer", .type = ATTR_REGULARIZER, .flags = ATTR_NULL,
     .initial = "null", .doc = "penalty on the kernel"},
    {.name = "bias_regularizer", .type = ATTR_REGULARIZER, .flags = ATTR_NULL,
     .initial = "null", .doc = "penalty on the bias"},
    {0},
};

extern const Op op_dense, op_dense_dx, op_dense_dw;

static int64_t last_dim(const Tensor *t) { return t->dims[t->rank - 1]; }

/* Rows of numbers in one picture. */
static int64_t row_count(const Tensor *t) { return picture_count(t) / last_dim(t); }

/* ---- Forward
 * ----------------------------------------------------------------------------------------- */

static Tensor *build_dense(Graph *g, Layer *layer, Tensor *x)
{
    const int64_t in = last_dim(x), units = layer_attr(layer, "units")->i[0];
    const char *activation = layer_attr(layer, "activation")->s;
    Tensor *operands[] = {x, NULL, NULL, NULL};
    operands[1] = weight_tensor(g, add_weight(g, layer, "kernel", 2, (int64_t[]){in, units},
                                              INIT_GLOROT_UNIFORM, in, units,
                                              penalty(layer, "kernel_regularizer")));
    if (layer_attr(layer, "use_bias")->i[0])
        operands[2] = weight_tensor(g, add_weight(g, layer, "bias", 1, &units, INIT_ZEROS, 0, 0,
                                                  penalty(layer, "bias_regularizer")));
    const bool linear = !activation || strcmp(activation, "linear") == 0;
    const char *name = linear ? layer->name : format("%s_dense", layer->name);
    return add_activation(g, layer, activation,
                          add_node(g, &op_dense, name, layer, layer->values, operands));
}

/* Shape of out[0]: that of in[0] with another last axis. */
static void set_last(Node *n, int64_t count)
{
    infer_same(n);
    n->out[0]->dims[n->out[0]->rank - 1] = count;
}

static void infer_dense(Node *n) { set_last(n, attr_int(n, "units")); }

/* Plain rows of numbers, without halo. */
static void select_rows(Graph *g, Node *n)
{
    for (int i = 0; i < n->in_count && n->in[i]->has_batch; i++)
        want_layout(g, n, i, (Layout){.lanes = -1}, true);
    if (n->out_count == 0 || !n->out[0]->has_batch) return;
    n->out[0]->layout = channels_last(n->out[0]);
    n->out[0]->layout_fixed = true;
}

static void need_dense(Emit *e)
{
    need_section(e, "lanes");
    need_section(e, "tile");
    need_section(e, "dense_parts");
}

/* x, y: on the sides of W. */
static void set_sizes(Emit *e, const Tensor *x, const Tensor *y)
{
    set(e, "$in", "%lld", (long long)last_dim(x));
    set(e, "$out", "%lld", (long long)last_dim(y));
    set(e, "$pixels", "%lld", (long long)row_count(x));
}

static const char *dense_name(const char *stem, const Tensor *x, const Tensor *y)
{
    return format("%s_%lldx%lld", stem, (long long)last_dim(x), (long long)last_dim(y));
}

static const char *task_text(int64_t count, int64_t each)
{
    return format("%lld", (long long)((count + each - 1) / each));
}

enum { TASKS = 16, NARROW = 32, BROAD = 256 }; /* tasks at least; columns of one */

/* Columns for one task: many, so that memory is read in long runs, but not for the last thread. */
static int64_t panel_columns(int64_t out)
{
    const int64_t panel = (out / TASKS + NARROW - 1) / NARROW * NARROW;
    return panel < NARROW ? NARROW : panel > BROAD ? BROAD : panel;
}

static void emit_dense(Emit *e, const Node *n)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    const int64_t panel = panel_columns(last_dim(y));
    const char *name = dense_name("dense", x, y);
    need_dense(e);
    need_section(e, "dense_few");
    need_section(e, "activations");
    set_sizes(e, x, y);
    set(e, "$batch", "%d", rows_of(e->g, x));
    set(e, "$panel", "%lld", (long long)panel);
    set(e, "$bias", n->in_count > 2 ? "call->in[2]" : "NULL");
    set(e, "$epilogue", n->fused ? "NAME(act_%s)(v)" : "v", n->fused);
    emit_kernel(e, n, "dense", n->fused ? format("%s_%s", name, n->fused) : name,
                task_text(last_dim(y), panel));
}

static int64_t count_dense(const Node *n) { return picture_count(n->in[0]) * last_dim(n->out[0]); }

/* ---- Gradients
 * ---------------------------------------------------------------------------------------- */

static void grad_dense(Graph *g, Node *n)
{
    Tensor *x = n->in[0], *kernel = n->in[1], *dy = n->out[0]->grad;
    if (x->needs_grad)
        add_grad(g, x,
                 add_node(g, &op_dense_dx, format("d_%s", x->name), n->layer, NULL,
                          (Tensor *[]){dy, kernel, NULL}));
    if (kernel->needs_grad)
        add_grad(g, kernel,
                 add_node(g, &op_dense_dw, format("d_%s", kernel->name), n->layer, NULL,
                          (Tensor *[]){x, dy, NULL}));
    if (n->in_count > 2) add_bias_grad(g, n, n->in[2]);
}

static void infer_dx(Node *n) { set_last(n, n->in[1]->dims[0]); }

enum { GRADIENT_ROWS = 28, GRADIENT_COLUMNS = 128 }; /* of W: for one task, in one go */

static void emit_dx(Emit *e, const Node *n)
{
    const Tensor *dy = n->in[0], *dx = n->out[0];
    need_dense(e);
    need_section(e, "dense_sums");
    set_sizes(e, dx, dy);
    set(e, "$rows", "%d", GRADIENT_ROWS);
    emit_kernel(e, n, "dense_dx", dense_name("dense_dx", dx, dy),
                task_text(last_dim(dx), GRADIENT_ROWS));
}

static void infer_dw(Node *n)
{
    Tensor *dw = n->out[0];
    dw->rank = 2;
    dw->has_batch = false;
    dw->dims[0] = last_dim(n->in[0]);
    dw->dims[1] = last_dim(n->in[1]);
}

static void emit_dw(Emit *e, const Node *n)
{
    const Tensor *x = n->in[0], *dy = n->in[1];
    need_dense(e);
    set_gradient(e, n, 2);
    set_sizes(e, x, dy);
    set(e, "$rows", "%d", GRADIENT_ROWS);
    set(e, "$panel", "%d", GRADIENT_COLUMNS);
    emit_kernel(e, n, "dense_dw", dense_name("dense_dw", x, dy),
                task_text(last_dim(x), GRADIENT_ROWS));
}

static int64_t count_dw(const Node *n) { return picture_count(n->in[0]) * last_dim(n->in[1]); }

/* ---- The ops
 * --------------------------------------------------------------------------------------------- */

const Op op_dense = {
    .name = "Dense",
    .doc = "Each output is a weighted sum of all numbers of the last axis.",
    .attrs = dense_attrs,
    .flags = OP_LAYER | OP_FUSES,
    .build = build_dense,
    .infer = infer_dense,
    .grad = grad_dense,
    .select = select_rows,
    .emit = emit_dense,
    .macs = count_dense,
};

const Op op_dense_dx = {
    .name = "dense_dx",
    .doc = "dx of Dense from dy and the kernel",
    .infer = infer_dx,
    .select = select_rows,
    .emit = emit_dx,
    .macs = count_dense,
};

const Op op_dense_dw = {
    .name = "dense_dw",
    .doc = "gradient of Dense's kernel from x and dy",
    .flags = OP_FUSES_UPDATE,
    .infer = infer_dw,
    .select = select_rows,
    .emit = emit_dw,
    .macs = count_dw,
};
