/* select.c: for each node its algorithm, for each tensor its layout.
 *
 * Requires: fused nodes. Provides: layout of every tensor with a batch, conversion nodes where a
 * producer cannot write what a consumer wants, pack nodes for weights, n->variant. An op's select
 * hook says what it wants; ops without one work in any layout and write their input's. */
#include "tlc.h"

Layout layout_like(const Tensor *t)
{
    return (Layout){.lanes = t->rank == 4 ? t->layout.lanes : channels_of(t)};
}

Layout channels_last(const Tensor *t) { return (Layout){.lanes = channels_of(t)}; }

static int larger(int a, int b) { return a > b ? a : b; }

static void enlarge_halo(Layout *layout, const Layout *least)
{
    layout->top = larger(layout->top, least->top);
    layout->bottom = larger(layout->bottom, least->bottom);
    layout->left = larger(layout->left, least->left);
    layout->right = larger(layout->right, least->right);
}

static bool has_halo(const Layout *l) { return l->top || l->bottom || l->left || l->right; }

static bool covers(const Layout *have, const Layout *least)
{
    return have->top >= least->top && have->bottom >= least->bottom && have->left >= least->left &&
           have->right >= least->right;
}

/* Can t, as it is or with a larger halo that its producer writes, serve? */
static bool serves(Tensor *t, const Layout *least, bool exact)
{
    if (t->layout.lanes != least->lanes) return false;
    if (exact) {
        if (has_halo(&t->layout)) return false;
        t->layout_fixed = true;
        return true;
    }
    if (covers(&t->layout, least)) return true;
    if (t->kind != TENSOR_PLANNED || t->layout_fixed || t->producer->op->flags & OP_VIEW)
        return false;
    enlarge_halo(&t->layout, least);
    return true;
}

/* A conversion of t that stands already, for a consumer on the same side of the boundary. */
static Tensor *find_conversion(const Tensor *t, const Node *n, const Op *convert,
                               const Layout *least, bool exact)
{
    for (int i = 0; i < t->user_count; i++) {
        Node *user = t->users[i];
        if (user->op == convert && user->in_prefix == n->in_prefix &&
            serves(user->out[0], least, exact))
            return user->out[0];
    }
    return NULL;
}

void want_layout(Graph *g, Node *n, int i, Layout least, bool exact)
{
    Tensor *t = n->in[i];
    if (least.lanes == 0) least.lanes = t->layout.lanes;
    if (least.lanes < 0) least.lanes = channels_of(t);
    if (serves(t, &least, exact)) return;
    const Op *convert = find_op("convert");
    Tensor *made = find_conversion(t, n, convert, &least, exact);
    if (!made) {
        made = insert_node(g, n, convert, format("%s_as_%d", t->name, least.lanes), n->layer, NULL,
                           (Tensor *[]){t, NULL});
        made->layout = least;
        made->layout_fixed = exact;
        made->in_prefix = made->producer->in_prefix = n->in_prefix;
    }
    replace_input(n, i, made);
}

static Packed *find_packed(Model *m, const Weight *weight, const Op *op, int variant, int64_t count)
{
    for (int i = 0; i < m->packed_count; i++) {
        Packed *p = m->packed[i];
        if (p->weight == weight && p->op == op && p->variant == variant) return p;
    }
    Packed *p = alloc(1, sizeof *p);
    p->weight = weight;
    p->op = op;
    p->variant = variant;
    p->id = variant ? format("%s_%s_%d", weight->id, op->name, variant)
                    : format("%s_%s", weight->id, op->name);
    p->count = count;
    append(&m->packed, &m->packed_count, p);
    return p;
}

static Tensor *find_pack_node(const Tensor *weight, const Op *op, int variant)
{
    for (int i = 0; i < weight->user_count; i++)
        if (weight->users[i]->op == op && weight->users[i]->variant == variant)
            return weight->users[i]->out[0];
    return NULL;
}

void pack_weight(Graph *g, Node *n, int i, const Op *op, int64_t count)
{
    Tensor *weight = n->in[i];
    Tensor *packed = find_pack_node(weight, op, n->variant);
    if (!packed) {
        packed = insert_node(g, n, op, format("%s_%s", weight->name, op->name), n->layer, n->values,
                             (Tensor *[]){weight, NULL});
        Node *maker = packed->producer;
        maker->variant = n->variant;
        maker->in_prepare = !is_trainable(g, weight->weight);
        packed->rank = 1;
        packed->dims[0] = count;
        packed->has_batch = false;
        packed->layout.lanes = 1;
        if (maker->in_prepare) {
            packed->kind = TENSOR_PACKED;
            packed->packed = find_packed(g->model, weight->weight, op, n->variant, count);
        }
    }
    replace_input(n, i, packed);
}

static void select_node(Graph *g, Node *n)
{
    if (n->op->select) {
        n->op->select(g, n);
        return;
    }
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i]->has_batch)
            n->out[i]->layout.lanes = n->in_count > 0 && n->out[i]->rank == 4 &&
                                              n->in[0]->rank == 4 &&
                                              channels_of(n->out[i]) == channels_of(n->in[0])
                                          ? n->in[0]->layout.lanes
                                          : channels_of(n->out[i]);
}

/* What leaves the program is dense and channels-last, whoever made it, and there before the loss: a
 * training step gives its results before it goes backward. */
static void straighten_result(Graph *g, Tensor **result)
{
    Tensor *t = *result, *in[] = {t, NULL};
    const Op *convert = find_op("convert");
    const Layout plain = channels_last(t);
    if (t->kind != TENSOR_INPUT && serves(t, &plain, true)) return;
    Node *maker = t->producer;
    Tensor *made = maker ? find_conversion(t, maker, convert, &plain, true) : NULL;
    if (!made) {
        Layer *layer = g->model->layers[g->model->layer_count - 1];
        const char *name = format("%s_out", t->name);
        made = g->loss && t != g->loss
                   ? insert_node(g, g->loss->producer, convert, name, layer, NULL, in)
                   : add_node(g, convert, name, layer, NULL, in);
        made->layout_fixed = true;
        made->in_prefix = made->producer->in_prefix = maker ? maker->in_prefix : true;
    }
    *result = made;
}

void select_algorithms(Graph *g)
{
    for (int i = 0; i < g->node_count; i++) {
        Node *n = g->nodes[i];
        select_node(g, n);
        while (g->nodes[i] != n) i++; /* conversions and packs stand before n now */
    }
    straighten_result(g, &g->output);
    if (g->loss) straighten_result(g, &g->loss);
}
