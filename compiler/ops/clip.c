/* clip.c: the norm of gradients, by which an optimizer clips them: the sum of the squares of each
 * part, then of all of them. The update then finds the gradient whole in memory, so that it is not
 * fused with what makes it. */
#include "emit.h"

extern const Op op_square_sum, op_add_sums;

enum { PART = 16384 }; /* numbers that one task sums */

Tensor *add_square_sum(Graph *g, Weight *w, Tensor *gradient, Tensor *accumulated, Tensor *before)
{
    Tensor *parts = add_node(g, &op_square_sum, format("squares_%s", w->id), w->layer, NULL,
                             (Tensor *[]){gradient, weight_tensor(g, w), accumulated, NULL});
    return add_node(g, &op_add_sums, format("norm_%s", w->id), w->layer, NULL,
                    (Tensor *[]){parts, before, NULL});
}

static void set_length(Node *n, int64_t count)
{
    n->out[0]->rank = 1;
    n->out[0]->has_batch = false;
    n->out[0]->dims[0] = count;
}

static void select_nothing(Graph *g, Node *n)
{
    (void)g;
    (void)n;
}

static void infer_square_sum(Node *n) { set_length(n, (tensor_count(n->in[0]) + PART - 1) / PART); }

static void emit_square_sum(Emit *e, const Node *n)
{
    const long long count = tensor_count(n->in[0]);
    need_section(e, "lanes");
    need_section(e, "optimizers");
    set(e, "$count", "%lld", count);
    set(e, "$part", "%d", PART);
    set_penalty(e, n->in[1]->weight);
    set(e, "$steps", "%d", accumulation_steps(e->g->phase));
    emit_kernel(e, n, "square_sum", format("square_sum_%lld", count),
                format("%lld", (long long)tensor_count(n->out[0])));
}

static int64_t count_squares(const Node *n) { return tensor_count(n->in[0]); }

const Op op_square_sum = {
    .name = "square_sum",
    .doc = "sums of the squares of a gradient's parts",
    .infer = infer_square_sum,
    .select = select_nothing,
    .emit = emit_square_sum,
    .macs = count_squares,
};

static void infer_add_sums(Node *n) { set_length(n, 1); }

static void emit_add_sums(Emit *e, const Node *n)
{
    set(e, "$parts", "%lld", (long long)tensor_count(n->in[0]));
    set(e, "$before", "%d", n->in_count > 1);
    emit_kernel(e, n, "add_sums", "add_sums", "1");
}

const Op op_add_sums = {
    .name = "add_sums",
    .doc = "the sum of the parts, and of another sum",
    .infer = infer_add_sums,
    .select = select_nothing,
    .emit = emit_add_sums,
};
