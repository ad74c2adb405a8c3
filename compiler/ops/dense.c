/* dense.c: Dense, on the last axis of its input. Kernels: templates/dense.c and those beside it. */
#include <string.h>

#include "emit.h"

static const Attr dense_attrs[] = {
    {.name = "units",
     .type = ATTR_INT,
     .flags = ATTR_REQUIRED,
     .lo = 1,
     .hi = 1 << 24,
     .doc = "numbers of the output"},
    {.name = "activation",
     .type = ATTR_CHOICE,
     .flags = ATTR_NULL,
     .initial = "\"linear\"",
     .choices = activation_choices,
     .doc = "function of the result"},
    {.name = "use_bias", .type = ATTR_BOOL, .initial = "true", .doc = "adds a number per unit"},
    {.name = "kernel_regularizer",
     .type = ATTR_REGULARIZER,
     .flags = ATTR_NULL,
     .initial = "null",
     .doc = "penalty on the kernel"},
    {.name = "bias_regularizer",
     .type = ATTR_REGULARIZER,
     .flags = ATTR_NULL,
     .initial = "null",
     .doc = "penalty on the bias"},
    {0},
};

extern const Op op_dense, op_dense_dx, op_dense_dw, op_dense_pack;

enum { FLOATS, HALVES }; /* Node.variant: how W is stored */

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
    return format("%lld", (long long)ceil_div(count, each));
}

/* How the work is cut into tasks. */
typedef struct {
    int64_t rows;   /* of x: whose sums, of one panel, stay in the second cache */
    int64_t panel;  /* columns: long runs of memory */
    int64_t chunks; /* of the products, so that there are TASKS tasks with small batches too */
} Grid;

enum {
    TASKS = 16,           /* at least, unless they were */
    LEAST_WORK = 1 << 15, /* fewer numbers of W */
    MOST_ROWS = 44,
    MOST_COLUMNS = 1024,
    FULL_TILE = 32 /* columns: panels and rows of packed weights are multiples of it */
};

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* A frozen prefix has fewer rows when it is emitted than select knew of; the chunks stay those that
 * select has given room. */
static Grid cut_work(const Graph *g, const Node *n)
{
    const int64_t rows = rows_of(g, n->in[0]) * row_count(n->in[0]), out = last_dim(n->out[0]);
    Grid grid = {.rows = ceil_div(rows, ceil_div(rows, MOST_ROWS)), .chunks = 1};
    grid.panel = smaller(ceil_div(out, FULL_TILE) * FULL_TILE, MOST_COLUMNS);
    if (n->out_count > 1) grid.chunks = n->out[1]->dims[1] / (row_count(n->in[0]) * out);
    return grid;
}

static int64_t count_chunks(const Graph *g, const Node *n)
{
    const Grid grid = cut_work(g, n);
    const int64_t rows = rows_of(g, n->in[0]) * row_count(n->in[0]);
    const int64_t tasks = ceil_div(rows, grid.rows) * ceil_div(last_dim(n->out[0]), grid.panel);
    return smaller(ceil_div(TASKS, tasks), ceil_div(last_dim(n->in[0]) * grid.panel, LEAST_WORK));
}

/* Numbers in a row of W as it is read. */
static int64_t stride_of(const Node *n)
{
    const int64_t out = last_dim(n->out[0]);
    return n->variant == HALVES ? ceil_div(out, FULL_TILE) * FULL_TILE : out;
}

static void select_dense(Graph *g, Node *n)
{
    select_rows(g, n);
    const Grid grid = cut_work(g, n);
    const int64_t in = last_dim(n->in[0]), out = last_dim(n->out[0]);
    const int64_t rows = smaller(rows_of(g, n->in[0]) * row_count(n->in[0]), MOST_ROWS);
    /* The levels round rows up to tiles of 3 at least, and add less than one to each. */
    n->scratch = (size_t)((rows + ceil_div(rows, 3) + 2) * grid.panel) * sizeof(float);
    const int64_t chunks = count_chunks(g, n);
    if (chunks > 1) {
        Tensor *sums = add_workspace(
            g, n, format("%s_sums", n->name), 2,
            (int64_t[]){n->out[0]->dims[0], row_count(n->out[0]) * chunks * out}, true);
        sums->layout = channels_last(sums);
    }
    if (g->model->precision != PRECISION_MEDIUM || is_trainable(g, n->in[1]->weight)) return;
    n->variant = HALVES;
    pack_weight(g, n, 1, &op_dense_pack, ceil_div(in * stride_of(n), 2));
}

/* Rows of numbers in n pictures. */
static const char *row_text(const Tensor *x)
{
    return row_count(x) == 1 ? "n" : format("n * %lld", (long long)row_count(x));
}

static const char *dense_tasks(const Emit *e, const Node *n, const Grid *grid)
{
    const Tensor *x = n->in[0];
    const int64_t blocks = ceil_div(rows_of(e->g, x) * row_count(x), grid->rows);
    const int64_t each = ceil_div(last_dim(n->out[0]), grid->panel) * grid->chunks;
    if (blocks == 1) return format("%lld", (long long)each);
    return format("(%s + %lld) / %lld * %lld", row_text(x), (long long)grid->rows - 1,
                  (long long)grid->rows, (long long)each);
}

static void emit_dense(Emit *e, const Node *n)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    const Grid grid = cut_work(e->g, n);
    const char *name = dense_name(n->variant == HALVES ? "dense_half" : "dense", x, y);
    if (n->fused) name = format("%s_%s", name, n->fused);
    const char *bias = n->in_count > 2 ? "call->in[2]" : "NULL";
    const char *epilogue = n->fused ? format("NAME(act_%s)(v)", n->fused) : "v";
    need_dense(e);
    need_section(e, "dense_few");
    need_section(e, "activations");
    set_sizes(e, x, y);
    set(e, "$rows", "%lld", (long long)grid.rows);
    set(e, "$panel", "%lld", (long long)grid.panel);
    set(e, "$chunks", "%lld", (long long)grid.chunks);
    set(e, "$stride", "%lld", (long long)stride_of(n));
    set(e, "$type", "%s", n->variant == HALVES ? "uint16_t" : "real");
    set(e, "$load", "%s", n->variant == HALVES ? "load_half" : "load_lanes");
    set(e, "$bias", "%s", bias);
    set(e, "$epilogue", "%s", epilogue);
    emit_kernel(e, n, "dense", name, dense_tasks(e, n, &grid));
    if (grid.chunks == 1) return;
    set(e, "$out", "%lld", (long long)last_dim(y));
    set(e, "$chunks", "%lld", (long long)grid.chunks);
    set(e, "$bias", "%s", bias);
    set(e, "$epilogue", "%s", epilogue);
    emit_kernel(e, n, "dense_sum", format("%s_sum", name), row_text(x));
}

static int64_t count_dense(const Node *n) { return picture_count(n->in[0]) * last_dim(n->out[0]); }

/* ---- W in 16 bits
 * ----------------------------------------------------------------------------------------- */

static void emit_pack(Emit *e, const Node *n)
{
    enum { ROWS = 64 };
    const int64_t in = n->in[0]->dims[0], out = n->in[0]->dims[1];
    set(e, "$in", "%lld", (long long)in);
    set(e, "$out", "%lld", (long long)out);
    set(e, "$rows", "%d", ROWS);
    set(e, "$stride", "%lld", (long long)(ceil_div(out, FULL_TILE) * FULL_TILE));
    emit_kernel(e, n, "dense_pack", format("dense_pack_%lldx%lld", (long long)in, (long long)out),
                task_text(in, ROWS));
}

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
    .select = select_dense,
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

const Op op_dense_pack = {
    .name = "dense_pack",
    .doc = "Dense's kernel in 16 bits",
    .attrs = dense_attrs,
    .flags = OP_PACK,
    .infer = infer_same,
    .emit = emit_pack,
};
