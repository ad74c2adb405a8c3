/* batch_norm.c: BatchNormalization.
 *
 * One op normalises by the mean and variance that it is given: the moving ones, which are weights,
 * or, in a step that trains the layer, those of the batch, made by nodes of their own. What moves
 * the moving ones is an update like any other, but takes no gradient. */
#include "emit.h"

static const Attr batch_norm_attrs[] = {
    {.name = "axis",
     .type = ATTR_INT,
     .initial = "-1",
     .lo = -1,
     .hi = MAX_RANK - 1,
     .doc = "the channels: the last axis"},
    {.name = "momentum",
     .type = ATTR_FLOAT,
     .initial = "0.99",
     .lo = 0,
     .hi = 1,
     .doc = "share of a moving average that a step of training keeps"},
    {.name = "epsilon",
     .type = ATTR_FLOAT,
     .flags = ATTR_OPEN_LO,
     .initial = "0.001",
     .lo = 0,
     .hi = 1e30,
     .doc = "added to the variance"},
    {.name = "center", .type = ATTR_BOOL, .initial = "true", .doc = "adds `beta`"},
    {.name = "scale", .type = ATTR_BOOL, .initial = "true", .doc = "multiplies by `gamma`"},
    {.name = "beta_regularizer",
     .type = ATTR_REGULARIZER,
     .flags = ATTR_NULL,
     .initial = "null",
     .doc = "penalty on beta"},
    {.name = "gamma_regularizer",
     .type = ATTR_REGULARIZER,
     .flags = ATTR_NULL,
     .initial = "null",
     .doc = "penalty on gamma"},
    {0},
};

extern const Op op_batch_normalization, op_batch_mean, op_batch_variance, op_moving_average,
    op_batch_norm_dgamma, op_batch_norm_dx, op_batch_norm_scale;

/* ---- Layer to nodes -------------------------------------------------------------------------- */

static Weight *add_vector(Graph *g, Layer *layer, const char *part, int64_t count, Init init,
                          Penalty penalty)
{
    return add_weight(g, layer, part, 1, &count, init, 0, 0, penalty);
}

static Weight *add_statistic(Graph *g, Layer *layer, const char *part, int64_t count, Init init)
{
    Weight *w = add_vector(g, layer, part, count, init, (Penalty){0});
    w->is_statistic = true;
    return w;
}

/* The batch's mean or variance, towards which the moving one goes. */
static Tensor *add_moment(Graph *g, Layer *layer, const Op *op, Weight *moving, Tensor *x,
                          Tensor *mean)
{
    Tensor *made = add_node(g, op, format("%s_%s", layer->name, op->name), layer, layer->values,
                            (Tensor *[]){x, mean, NULL});
    add_node(g, &op_moving_average, format("update_%s", moving->id), layer, layer->values,
             (Tensor *[]){weight_tensor(g, moving), made, NULL});
    return made;
}

/* in = [x, mean, variance, gamma, beta]; the weights are made in Keras's order. */
static Tensor *build_batch_norm(Graph *g, Layer *layer, Tensor *x)
{
    const int64_t count = channels_of(x);
    Tensor *in[] = {x, NULL, NULL, NULL, NULL, NULL};
    int next = 3;
    if (layer_attr(layer, "scale")->i[0])
        in[next++] = weight_tensor(g, add_vector(g, layer, "gamma", count, INIT_ONES,
                                                 penalty(layer, "gamma_regularizer")));
    if (layer_attr(layer, "center")->i[0])
        in[next++] = weight_tensor(
            g, add_vector(g, layer, "beta", count, INIT_ZEROS, penalty(layer, "beta_regularizer")));
    Weight *mean = add_statistic(g, layer, "moving_mean", count, INIT_ZEROS);
    Weight *variance = add_statistic(g, layer, "moving_variance", count, INIT_ONES);
    if (g->kind == PROGRAM_TRAIN && !g->phase->frozen[layer->index]) {
        in[1] = add_moment(g, layer, &op_batch_mean, mean, x, NULL);
        in[2] = add_moment(g, layer, &op_batch_variance, variance, x, in[1]);
    } else {
        in[1] = weight_tensor(g, mean);
        in[2] = weight_tensor(g, variance);
    }
    return add_node(g, &op_batch_normalization, layer->name, layer, layer->values, in);
}

static void infer_batch_norm(Node *n)
{
    const int64_t axis = attr_int(n, "axis");
    infer_same(n);
    if (axis >= 0 && axis != n->in[0]->rank - 1)
        error_node(n, "\"axis\": -1", "axis %lld is not that of the channels, the last",
                   (long long)axis);
}

/* A number for each channel. */
static void infer_channels(Node *n)
{
    n->out[0]->rank = 1;
    n->out[0]->has_batch = false;
    n->out[0]->dims[0] = channels_of(n->in[0]);
}

static void infer_nothing(Node *n) { (void)n; }

/* ---- Normalising ----------------------------------------------------------------------------- */

static bool has(const Node *n, const char *name) { return attr(n, name)->i[0] != 0; }

/* What has pictures lies in the lanes of in[0]. */
static void select_batch_norm(Graph *g, Node *n)
{
    const Layout like = layout_like(n->in[0]);
    for (int i = 1; i < n->in_count; i++)
        if (n->in[i]->has_batch) want_layout(g, n, i, like, false);
    n->out[0]->layout = like;
}

/* `operand` 0: there is none. */
static void set_operand(Emit *e, const char *placeholder, int operand)
{
    if (operand)
        set(e, placeholder, "(const real *)call->in[%d]", operand);
    else
        set(e, placeholder, "NULL");
}

static void set_epsilon(Emit *e, const Node *n)
{
    set(e, "$epsilon", "(real)%.17g", attr_float(n, "epsilon"));
}

/* Placeholders set_operand's are numbers of operands. */
static void emit_normal(Emit *e, const Node *n, int mean, int variance, int gamma, int beta)
{
    need_section(e, "lanes");
    need_section(e, "activations");
    need_section(e, "norm_factors");
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    set_operand(e, "$mean", mean);
    set_operand(e, "$variance", variance);
    set_operand(e, "$gamma", gamma);
    set_operand(e, "$beta", beta);
    set_epsilon(e, n);
    set(e, "$epilogue", "%s", n->fused ? format("NAME(act_%s)(v)", n->fused) : "v");
    emit_kernel(e, n, "batch_norm", shape_name(n->op->name, n->out[0]), plane_tasks(n->out[0]));
}

static void emit_batch_norm(Emit *e, const Node *n)
{
    const bool scale = has(n, "scale");
    emit_normal(e, n, 1, 2, scale ? 3 : 0, has(n, "center") ? 3 + scale : 0);
}

/* ---- Sums over the batch --------------------------------------------------------------------- */

static const char *channel_tasks(const Node *n)
{
    return format("%d", (channels_of(n->in[0]) + LANES - 1) / LANES);
}

/* The sums of single pictures are its last output. */
static void select_sums(Graph *g, Node *n)
{
    const Tensor *x = n->in[0];
    if (n->in[1]->has_batch) want_layout(g, n, 1, layout_like(x), false);
    Tensor *parts = add_workspace(g, n, format("%s_parts", n->name), 2,
                                  (int64_t[]){x->dims[0], channels_of(x)}, true);
    parts->layout = channels_last(parts);
}

static void select_mean(Graph *g, Node *n)
{
    Tensor *x = n->in[0];
    Tensor *parts = add_workspace(g, n, format("%s_parts", n->name), 2,
                                  (int64_t[]){x->dims[0], channels_of(x)}, true);
    parts->layout = channels_last(parts);
}

/* Sums of `term`, in which a pixel of other is read; times `factor`, handed on by $apply, which the
 * caller's set_gradient may have to set between the two. */
static void emit_parts(Emit *e, const Node *n, const Tensor *other, int mean, const char *term)
{
    need_section(e, "lanes");
    need_section(e, "tile");
    need_section(e, "norm_factors");
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", other);
    set_operand(e, "$mean", mean);
    set(e, "$term", "%s", term);
    set(e, "$parts", "call->out[%d]", n->out_count - 1);
    emit_kernel(e, n, "channel_sums", shape_name(n->op->name, n->in[0]),
                format("n * %s", channel_tasks(n)));
}

static void emit_total(Emit *e, const Node *n, int first, const char *factor)
{
    set_gradient(e, n, first);
    set_shape(e, "$X", n->in[0]);
    set(e, "$parts", "call->out[%d]", n->out_count - 1);
    set(e, "$factor", "%s", factor);
    emit_kernel(e, n, "add_pictures", shape_name(format("%s_sum", n->op->name), n->in[0]),
                channel_tasks(n));
}

static const char *mean_factor(const Node *n)
{
    return format("1.0 / ((double)call->n * %lld)",
                  (long long)(picture_count(n->in[0]) / channels_of(n->in[0])));
}

static void emit_mean(Emit *e, const Node *n)
{
    emit_parts(e, n, n->in[0], 0, "centred");
    emit_total(e, n, 0, mean_factor(n));
}

static void emit_variance(Emit *e, const Node *n)
{
    emit_parts(e, n, n->in[0], 1, "centred * centred");
    emit_total(e, n, 0, mean_factor(n));
}

static void emit_moving_average(Emit *e, const Node *n)
{
    const double momentum = attr_float(n, "momentum");
    const long long count = tensor_count(n->in[0]);
    set(e, "$momentum", "(real)%.17g", momentum);
    set(e, "$rest", "(real)%.17g", 1 - momentum);
    set(e, "$count", "%lld", count);
    emit_kernel(e, n, "moving_average", format("moving_average_%lld", count), "1");
}

/* ---- Gradients ------------------------------------------------------------------------------- */

static Tensor *add_gradient(Graph *g, const Node *n, const Op *op, const Tensor *of,
                            Tensor *const in[])
{
    return add_node(g, op, format("d_%s", of->name), n->layer, n->values, in);
}

/* Where the layer is frozen its statistics do not depend on x. */
static void grad_frozen(Graph *g, Node *n)
{
    add_grad(g, n->in[0],
             add_gradient(
                 g, n, &op_batch_norm_scale, n->in[0],
                 (Tensor *[]){n->out[0]->grad, n->in[2], has(n, "scale") ? n->in[3] : NULL, NULL}));
}

static void grad_batch_norm(Graph *g, Node *n)
{
    Tensor *x = n->in[0], *mean = n->in[1], *variance = n->in[2], *dy = n->out[0]->grad;
    if (mean->kind == TENSOR_WEIGHT) {
        grad_frozen(g, n);
        return;
    }
    Tensor *gamma = has(n, "scale") ? n->in[3] : NULL;
    Tensor *beta = has(n, "center") ? n->in[n->in_count - 1] : NULL;
    const Tensor *scale_name = gamma ? gamma : variance, *shift_name = beta ? beta : mean;
    Tensor *d_gamma = NULL, *d_beta = NULL;
    if (gamma || x->needs_grad)
        d_gamma = add_gradient(g, n, &op_batch_norm_dgamma, scale_name,
                               (Tensor *[]){x, dy, mean, variance, NULL});
    if (beta || x->needs_grad)
        d_beta = add_node(g, find_op("bias_grad"), format("d_%s", shift_name->name), n->layer, NULL,
                          (Tensor *[]){dy, NULL});
    if (gamma) add_grad(g, gamma, d_gamma);
    if (beta) add_grad(g, beta, d_beta);
    if (x->needs_grad)
        add_grad(g, x,
                 add_gradient(g, n, &op_batch_norm_dx, x,
                              (Tensor *[]){dy, x, mean, variance, d_gamma, d_beta, gamma, NULL}));
}

/* The gradient of a moment is in that of the node that normalises by it. */
static void grad_moment(Graph *g, Node *n)
{
    (void)g;
    (void)n;
}

static void emit_dgamma(Emit *e, const Node *n)
{
    emit_parts(e, n, n->in[1], 2,
               "centred * load_lanes(AT(Y, (const real *)call->in[1], n, from / YV, h, w) + "
               "from % YV + i * VL, lanes)");
    emit_total(e, n, 4,
               format("1 / RM(sqrt)(((const real *)call->in[3])[c] + (real)%.17g)",
                      attr_float(n, "epsilon")));
}

static void emit_dx(Emit *e, const Node *n)
{
    need_section(e, "lanes");
    need_section(e, "norm_factors");
    set_shape(e, "$D", n->in[0]);
    set_shape(e, "$X", n->in[1]);
    set_shape(e, "$Y", n->out[0]);
    set_operand(e, "$gamma", n->in_count > 6 ? 6 : 0);
    set_epsilon(e, n);
    emit_kernel(e, n, "batch_norm_dx", shape_name("batch_norm_dx", n->out[0]),
                plane_tasks(n->out[0]));
}

static void emit_scale(Emit *e, const Node *n)
{
    emit_normal(e, n, 0, 1, n->in_count > 2 ? 2 : 0, 0);
}

/* ---- The ops --------------------------------------------------------------------------------- */

const Op op_batch_normalization = {
    .name = "BatchNormalization",
    .doc = "Each channel less its mean, divided by its deviation: by those of the batch while the "
           "layer is trained, else by their moving averages.",
    .attrs = batch_norm_attrs,
    .flags = OP_LAYER | OP_IN_PLACE | OP_FUSES,
    .build = build_batch_norm,
    .infer = infer_batch_norm,
    .grad = grad_batch_norm,
    .select = select_batch_norm,
    .emit = emit_batch_norm,
};

const Op op_batch_mean = {
    .name = "batch_mean",
    .doc = "the mean of each channel",
    .attrs = batch_norm_attrs,
    .flags = OP_WHOLE_BATCH,
    .infer = infer_channels,
    .grad = grad_moment,
    .select = select_mean,
    .emit = emit_mean,
};

const Op op_batch_variance = {
    .name = "batch_variance",
    .doc = "the variance of each channel, not corrected",
    .attrs = batch_norm_attrs,
    .flags = OP_WHOLE_BATCH,
    .infer = infer_channels,
    .grad = grad_moment,
    .select = select_sums,
    .emit = emit_variance,
};

const Op op_moving_average = {
    .name = "moving_average",
    .doc = "a moving average goes towards that of the batch",
    .attrs = batch_norm_attrs,
    .flags = OP_UPDATE,
    .infer = infer_nothing,
    .emit = emit_moving_average,
};

const Op op_batch_norm_dgamma = {
    .name = "batch_norm_dgamma",
    .doc = "gradient of gamma from x and dy",
    .attrs = batch_norm_attrs,
    .flags = OP_FUSES_UPDATE,
    .infer = infer_channels,
    .select = select_sums,
    .emit = emit_dgamma,
};

const Op op_batch_norm_dx = {
    .name = "batch_norm_dx",
    .doc = "dx of BatchNormalization while it is trained",
    .attrs = batch_norm_attrs,
    .flags = OP_IN_PLACE,
    .infer = infer_same,
    .select = select_batch_norm,
    .emit = emit_dx,
};

const Op op_batch_norm_scale = {
    .name = "batch_norm_scale",
    .doc = "dx of BatchNormalization by the moving averages",
    .attrs = batch_norm_attrs,
    .flags = OP_IN_PLACE,
    .infer = infer_same,
    .select = select_batch_norm,
    .emit = emit_scale,
};
