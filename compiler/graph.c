/* graph.c: making and changing graphs. Keeps the links between nodes and tensors right; nothing
 * else writes in[], out[], producer or users. */
#include <string.h>

#include "tlc.h"

static const char *unique_name(const Graph *g, const char *name)
{
    const char *candidate = name;
    for (int suffix = 2;; suffix++) {
        bool taken = false;
        for (int i = 0; i < g->tensor_count && !taken; i++)
            taken = strcmp(g->tensors[i]->name, candidate) == 0;
        if (!taken) return candidate;
        candidate = format("%s_%d", name, suffix);
    }
}

Tensor *add_tensor(Graph *g, const char *name, TensorKind kind, int rank, const int64_t *dims,
                   bool has_batch)
{
    Tensor *t = alloc(1, sizeof *t);
    t->name = unique_name(g, name);
    t->kind = kind;
    t->rank = rank;
    if (rank > 0) memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    t->has_batch = has_batch;
    t->layout.lanes = rank > 0 ? channels_of(t) : 1;
    t->index = g->tensor_count;
    append(&g->tensors, &g->tensor_count, t);
    return t;
}

Tensor *weight_tensor(Graph *g, Weight *weight)
{
    for (int i = 0; i < g->tensor_count; i++)
        if (g->tensors[i]->kind == TENSOR_WEIGHT && g->tensors[i]->weight == weight)
            return g->tensors[i];
    Tensor *t = add_tensor(g, weight->id, TENSOR_WEIGHT, weight->rank, weight->dims, false);
    t->weight = weight;
    return t;
}

Tensor *slot_tensor(Graph *g, Slot *slot)
{
    for (int i = 0; i < g->tensor_count; i++)
        if (g->tensors[i]->kind == TENSOR_SLOT && g->tensors[i]->slot == slot) return g->tensors[i];
    const Weight *w = slot->weight;
    Tensor *t = add_tensor(g, slot->id, TENSOR_SLOT, w->rank, w->dims, false);
    t->slot = slot;
    return t;
}

Weight *add_weight(Graph *g, Layer *layer, const char *part, int rank, const int64_t *dims,
                   Init init, int64_t fan_in, int64_t fan_out, Penalty penalty)
{
    const char *name = format("%s/%s", layer->name, part);
    for (int i = 0; i < layer->weight_count; i++)
        if (strcmp(layer->weights[i]->name, name) == 0) return layer->weights[i];
    int64_t bytes = (int64_t)sizeof(float);
    for (int i = 0; i < rank; i++)
        if (!multiply(bytes, dims[i], &bytes))
            error_layer(layer, "fewer units or filters", "weight \"%s\" is too large", name);
    Weight *w = alloc(1, sizeof *w);
    w->name = name;
    w->id = format("%s_%s", layer->name, part);
    w->layer = layer;
    w->rank = rank;
    memcpy(w->dims, dims, (size_t)rank * sizeof *dims);
    w->init = init;
    w->fan_in = fan_in;
    w->fan_out = fan_out;
    w->penalty = penalty;
    w->index = g->model->weight_count;
    append(&g->model->weights, &g->model->weight_count, w);
    layer->weights[layer->weight_count++] = w;
    return w;
}

static void add_user(Tensor *t, Node *n) { append(&t->users, &t->user_count, n); }

static void drop_user(Tensor *t, const Node *n)
{
    for (int i = 0; i < t->user_count; i++)
        if (t->users[i] == n) {
            memmove(&t->users[i], &t->users[i + 1],
                    (size_t)(t->user_count - i - 1) * sizeof(Node *));
            t->user_count--;
            return;
        }
}

/* Sizes are checked where shapes are made, so that later passes may multiply freely. */
static void check_size(const Node *n)
{
    const Tensor *t = n->out[0];
    int64_t count = (int64_t)sizeof(float);
    for (int i = 0; i < t->rank; i++)
        if (!multiply(count, t->dims[i], &count))
            error_node(n, "a smaller picture, batch or layer", "its output is too large");
    if (t->has_batch && count / t->dims[0] > INT32_MAX)
        error_node(n, "a smaller picture or layer",
                   "one picture of its output is %s, more than 2 GiB",
                   bytes_text((size_t)(count / t->dims[0])));
}

static Tensor *make_node(Graph *g, const Op *op, const char *name, Layer *layer, Value *values,
                         Tensor *const in[])
{
    Node *n = alloc(1, sizeof *n);
    n->op = op;
    n->name = name;
    n->layer = layer;
    n->values = values ? values : default_attrs(op->attrs);
    for (; in[n->in_count]; n->in_count++) {
        n->in[n->in_count] = in[n->in_count];
        add_user(in[n->in_count], n);
    }
    append(&g->nodes, &g->node_count, n);
    if (op->flags & OP_UPDATE) return NULL;
    Tensor *out = add_tensor(g, name, TENSOR_PLANNED, 0, NULL, true);
    out->producer = n;
    n->out[n->out_count++] = out;
    if (!(op->flags & OP_PACK)) {
        op->infer(n);
        check_size(n);
        out->layout = channels_last(out);
    }
    return out;
}

Tensor *add_node(Graph *g, const Op *op, const char *name, Layer *layer, Value *values,
                 Tensor *const in[])
{
    return make_node(g, op, name, layer, values, in);
}

static int place_of(const Graph *g, const Node *n)
{
    for (int i = 0; i < g->node_count; i++)
        if (g->nodes[i] == n) return i;
    bug(g, "node %s is not in the graph", n->name);
}

Tensor *insert_node(Graph *g, Node *before, const Op *op, const char *name, Layer *layer,
                    Value *values, Tensor *const in[])
{
    Tensor *out = make_node(g, op, name, layer, values, in);
    Node *n = g->nodes[g->node_count - 1];
    const int place = place_of(g, before);
    memmove(&g->nodes[place + 1], &g->nodes[place],
            (size_t)(g->node_count - 1 - place) * sizeof(Node *));
    g->nodes[place] = n;
    return out;
}

Tensor *add_workspace(Graph *g, Node *n, const char *name, int rank, const int64_t *dims,
                      bool has_batch)
{
    if (n->out_count == MAX_OUT) bug(g, "node %s has too many outputs", n->name);
    Tensor *t = add_tensor(g, name, TENSOR_PLANNED, rank, dims, has_batch);
    t->producer = n;
    t->in_prefix = n->in_prefix;
    n->out[n->out_count++] = t;
    return t;
}

void replace_input(Node *n, int operand, Tensor *t)
{
    drop_user(n->in[operand], n);
    n->in[operand] = t;
    add_user(t, n);
}

void replace_uses(Graph *g, Tensor *from, Tensor *to)
{
    while (from->user_count > 0) {
        Node *n = from->users[0];
        for (int i = 0; i < n->in_count; i++)
            if (n->in[i] == from) replace_input(n, i, to);
    }
    if (g->output == from) g->output = to;
    if (g->loss == from) g->loss = to;
}

void remove_node(Graph *g, Node *n)
{
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i]->user_count > 0) bug(g, "%s is removed but used", n->name);
    for (int i = 0; i < n->in_count; i++) drop_user(n->in[i], n);
    const int place = place_of(g, n);
    memmove(&g->nodes[place], &g->nodes[place + 1],
            (size_t)(g->node_count - place - 1) * sizeof(Node *));
    g->node_count--;
}

static bool is_result(const Graph *g, const Node *n)
{
    if (n->op->flags & OP_UPDATE || n->update) return true;
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i] == g->output || n->out[i] == g->loss || n->out[i]->user_count > 0)
            return true;
    return false;
}

static bool is_made(const Graph *g, const Tensor *t)
{
    for (int i = 0; t->producer && i < g->node_count; i++) {
        if (g->nodes[i] != t->producer) continue;
        for (int o = 0; o < t->producer->out_count; o++)
            if (t->producer->out[o] == t) return true;
    }
    return false;
}

void remove_dead(Graph *g)
{
    for (int i = g->node_count - 1; i >= 0; i--)
        if (!is_result(g, g->nodes[i])) remove_node(g, g->nodes[i]);
    int kept = 0;
    for (int i = 0; i < g->tensor_count; i++) {
        Tensor *t = g->tensors[i];
        const bool is_end = t == g->x || t == g->y || t == g->output || t == g->loss;
        if (!is_end && t->user_count == 0 && !is_made(g, t)) continue;
        t->index = kept;
        g->tensors[kept++] = t;
    }
    g->tensor_count = kept;
}

bool is_trainable(const Graph *g, const Weight *weight)
{
    return g->kind == PROGRAM_TRAIN && trains(g->phase, weight);
}

bool draws_numbers(const Graph *g, const Node *n)
{
    return g->kind == PROGRAM_TRAIN && (n->op->flags & OP_RANDOM);
}

int64_t weight_count(const Weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++) count *= w->dims[i];
    return count;
}

int64_t tensor_count(const Tensor *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= t->dims[i];
    return count;
}

int64_t picture_count(const Tensor *t) { return tensor_count(t) / (t->has_batch ? t->dims[0] : 1); }

int channels_of(const Tensor *t) { return (int)t->dims[t->rank - 1]; }
int height_of(const Tensor *t) { return t->rank == 4 ? (int)t->dims[1] : 1; }

/* Rank 3 counts as one row: (N, W, C). */
int width_of(const Tensor *t)
{
    return t->rank == 4 ? (int)t->dims[2] : t->rank == 3 ? (int)t->dims[1] : 1;
}

int blocks_of(const Tensor *t) { return (channels_of(t) + t->layout.lanes - 1) / t->layout.lanes; }

size_t picture_size(const Tensor *t)
{
    const Layout *l = &t->layout;
    return (size_t)blocks_of(t) * (size_t)(l->top + height_of(t) + l->bottom) *
           (size_t)(l->left + width_of(t) + l->right) * (size_t)l->lanes;
}

int rows_of(const Graph *g, const Tensor *t)
{
    return t->in_prefix && !t->boundary ? g->micro : g->batch;
}
