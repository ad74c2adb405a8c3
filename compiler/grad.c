/* grad.c: gradients and updates, as ordinary nodes of the same graph.
 *
 * Requires: shapes, a loss. Provides, in training programs: behind the forward nodes, in reverse
 * order, the nodes that compute the gradient of every tensor below which a trainable weight lies;
 * an update for every trainable weight; in_prefix on the forward nodes and tensors that no
 * trainable weight influences, but for random nodes behind the last products among them. Inference
 * is one prefix; evaluation has that of its phase, or is one if no products are in it. */
#include "tlc.h"

static bool any_needs_grad(const Node *n)
{
    for (int i = 0; i < n->in_count; i++)
        if (n->in[i]->needs_grad) return true;
    return false;
}

/* A trainable weight reaches a tensor through every op but those that pass no gradient. */
static void mark_needs(Graph *g)
{
    for (int i = 0; i < g->tensor_count; i++) {
        Tensor *t = g->tensors[i];
        t->needs_grad = t->kind == TENSOR_WEIGHT && is_trainable(g, t->weight);
    }
    for (int i = 0; i < g->node_count; i++) {
        Node *n = g->nodes[i];
        const bool needs = any_needs_grad(n);
        if (needs && !n->op->grad && n->out_count > 0)
            error_node(n, NULL, "no gradient passes through it");
        for (int o = 0; o < n->out_count; o++) n->out[o]->needs_grad = needs;
    }
}

/* ---- The frozen prefix ----------------------------------------------------------------------- */

static void set_prefix(Node *n, bool in_prefix)
{
    n->in_prefix = in_prefix;
    for (int o = 0; o < n->out_count; o++) n->out[o]->in_prefix = in_prefix;
}

/* Whether the phase trains something that n reads, or n stands behind what does. */
static bool is_above(const Graph *g, const Node *n)
{
    if (n->op->flags & OP_WHOLE_BATCH) return true;
    for (int i = 0; i < n->in_count; i++) {
        const Tensor *t = n->in[i];
        if (t->producer && !t->producer->in_prefix) return true;
        if (t->weight && g->phase && !g->phase->frozen[t->weight->layer->index]) return true;
    }
    return false;
}

static bool is_product(const Node *n) { return n->op->macs && n->op->macs(n) > 0; }

/* A random node with no products behind it leaves the prefix, and what stands behind it: what is
 * left draws no numbers then, so that its results can be kept. */
static void leave_tail(Graph *g)
{
    bool *leads = alloc((size_t)g->node_count, sizeof *leads); /* to products of the prefix */
    for (int i = g->node_count - 1; i >= 0; i--) {
        Node *n = g->nodes[i];
        n->index = i;
        if (!n->in_prefix) continue;
        leads[i] = is_product(n);
        for (int u = 0; u < n->out[0]->user_count; u++)
            leads[i] |= leads[n->out[0]->users[u]->index];
    }
    for (int i = 0; i < g->node_count; i++) {
        Node *n = g->nodes[i];
        const bool leaves = draws_numbers(g, n) && !leads[i];
        set_prefix(n, n->in_prefix && !leaves && !is_above(g, n));
    }
}

static void mark_prefix(Graph *g)
{
    bool products = false;
    for (int i = 0; i < g->node_count; i++) {
        Node *n = g->nodes[i];
        set_prefix(n, !is_above(g, n));
        products |= n->in_prefix && is_product(n);
    }
    if (products)
        leave_tail(g);
    else if (g->kind != PROGRAM_TRAIN)
        for (int i = 0; i < g->node_count; i++) set_prefix(g->nodes[i], true);
}

/* ---- Gradients ------------------------------------------------------------------------------- */

void add_grad(Graph *g, Tensor *t, Tensor *grad)
{
    if (!t->needs_grad) return;
    if (!t->grad) {
        t->grad = grad;
        return;
    }
    Node *origin = grad->producer;
    t->grad = add_node(g, find_op("add"), format("d_%s", t->name), origin->layer, NULL,
                       (Tensor *[]){t->grad, grad, NULL});
}

/* The gradient of a weight is whole once the first of its forward users has been passed. */
static bool is_first_user(const Graph *g, const Tensor *weight, int place)
{
    for (int i = 0; i < place; i++)
        for (int j = 0; j < g->nodes[i]->in_count; j++)
            if (g->nodes[i]->in[j] == weight) return false;
    return true;
}

static void add_updates(Graph *g, const Node *n, int place)
{
    for (int i = 0; i < n->in_count; i++) {
        Tensor *t = n->in[i];
        if (t->kind == TENSOR_WEIGHT && t->grad && is_first_user(g, t, place))
            add_update(g, t->weight, t->grad);
    }
}

void add_gradients(Graph *g)
{
    mark_needs(g);
    mark_prefix(g);
    if (g->kind != PROGRAM_TRAIN) return;
    for (int i = g->node_count - 1; i >= 0; i--) {
        Node *n = g->nodes[i];
        if (n->in_prefix || n->out_count == 0) continue;
        if (n->out[0] == g->loss || n->out[0]->grad) {
            n->op->grad(g, n);
            add_updates(g, n, i);
        }
    }
    finish_updates(g);
    remove_dead(g);
}
