/* bias_grad.c: the gradient of a bias, and what ops with weights share. */
#include "emit.h"

extern const Op op_bias_grad;

Penalty penalty(const Layer *layer, const char *name)
{
    const Value *value = layer_attr(layer, name);
    return value->is_null ? (Penalty){0} : (Penalty){value->f[0], value->f[1]};
}

void add_bias_grad(Graph *g, Node *n, Tensor *bias)
{
    if (!bias->needs_grad) return;
    add_grad(g, bias,
             add_node(g, &op_bias_grad, format("d_%s", bias->name), n->layer, NULL,
                      (Tensor *[]){n->out[0]->grad, NULL}));
}

void set_gradient(Emit *e, const Node *n, int first)
{
    if (!n->update) {
        set(e, "$apply", "memcpy((real *)call->out[0] + from, g, count * sizeof(real))");
        return;
    }
    const char *slots = n->in_count > first + 1 ? "" : "NULL";
    for (int i = first + 1; i < n->in_count; i++)
        slots = format("%s%s(real *)call->in[%d]", slots, i > first + 1 ? ", " : "", i);
    const char *function = need_update(e, n->update);
    set(e, "$apply",
        "NAME(%s)(call->run, (real *)call->in[%d], g, (real *const[]){%s}, from, count)", function,
        first, slots);
}

static void infer_bias_grad(Node *n)
{
    const Tensor *dy = n->in[0];
    Tensor *db = n->out[0];
    db->rank = 1;
    db->has_batch = false;
    db->dims[0] = dy->dims[dy->rank - 1];
}

static void select_nothing(Graph *g, Node *n)
{
    (void)g;
    (void)n;
}

static void emit_bias_grad(Emit *e, const Node *n)
{
    const Tensor *dy = n->in[0];
    need_section(e, "lanes");
    need_section(e, "tile");
    need_section(e, "sums");
    set_gradient(e, n, 1);
    set_shape(e, "$Y", dy);
    emit_kernel(e, n, "bias_grad", shape_name("bias_grad", dy),
                format("%d", (channels_of(dy) + LANES - 1) / LANES));
}

const Op op_bias_grad = {
    .name = "bias_grad",
    .doc = "gradient of a bias: sum of dy over pictures and pixels",
    .flags = OP_FUSES_UPDATE,
    .infer = infer_bias_grad,
    .select = select_nothing,
    .emit = emit_bias_grad,
};
