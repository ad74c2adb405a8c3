/* check.c: verifies a graph between passes. A finding is our bug, never the user's. */
#include <string.h>

#include "tlc.h"

static void check_links(const Graph *g, const char *after)
{
    for (int i = 0; i < g->node_count; i++) {
        Node *n = g->nodes[i];
        for (int j = 0; j < n->in_count; j++) {
            const Tensor *t = n->in[j];
            bool found = false;
            for (int u = 0; u < t->user_count && !found; u++) found = t->users[u] == n;
            if (!found) bug(g, "after %s: %s does not list its user %s", after, t->name, n->name);
        }
        for (int j = 0; j < n->out_count; j++)
            if (n->out[j]->producer != n)
                bug(g, "after %s: %s is not made by %s", after, n->out[j]->name, n->name);
    }
}

/* Every operand is there before its reader. */
static void check_order(const Graph *g, const char *after)
{
    for (int i = 0; i < g->node_count; i++) {
        const Node *n = g->nodes[i];
        for (int j = 0; j < n->in_count; j++) {
            const Node *maker = n->in[j]->producer;
            bool before = !maker;
            for (int k = 0; k < i && !before; k++) before = g->nodes[k] == maker;
            if (!before) bug(g, "after %s: %s reads %s too early", after, n->name, n->in[j]->name);
        }
    }
}

static void check_tensors(const Graph *g, const char *after)
{
    for (int i = 0; i < g->tensor_count; i++) {
        const Tensor *t = g->tensors[i];
        if (t->rank < 1 || t->rank > MAX_RANK) bug(g, "after %s: %s has no rank", after, t->name);
        for (int d = 0; d < t->rank; d++)
            if (t->dims[d] < 1) bug(g, "after %s: %s has an empty dimension", after, t->name);
        if (t->layout.lanes < 1) bug(g, "after %s: %s has no layout", after, t->name);
        for (int j = 0; j < i; j++)
            if (strcmp(g->tensors[j]->name, t->name) == 0)
                bug(g, "after %s: two tensors are named %s", after, t->name);
    }
}

/* Only updates write weights, and nothing reads a weight behind its update. */
static void check_updates(const Graph *g, const char *after)
{
    for (int i = 0; i < g->node_count; i++) {
        const Node *n = g->nodes[i];
        if (!n->update && !(n->op->flags & OP_UPDATE)) continue;
        for (int j = 0; j < n->in_count; j++) {
            const Tensor *w = n->in[j];
            if (w->kind != TENSOR_WEIGHT) continue;
            if (g->kind != PROGRAM_TRAIN || g->phase->frozen[w->weight->layer->index])
                bug(g, "after %s: %s is frozen", after, w->name);
            for (int u = 0; u < w->user_count; u++)
                if (w->users[u]->index > n->index)
                    bug(g, "after %s: %s reads %s behind its update", after, w->users[u]->name,
                        w->name);
        }
    }
}

static const Tensor *owner(const Tensor *t)
{
    while (t->alias) t = t->alias;
    return t;
}

static void check_plan(const Graph *g, const char *after)
{
    for (int i = 0; i < g->tensor_count; i++) {
        const Tensor *a = g->tensors[i];
        if (a->kind != TENSOR_PLANNED || a->alias) continue;
        for (int j = 0; j < i; j++) {
            const Tensor *b = g->tensors[j];
            if (b->kind != TENSOR_PLANNED || owner(b) == a || b->alias) continue;
            const bool in_time = a->first <= b->last && b->first <= a->last;
            const bool in_space =
                a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
            if (in_time && in_space) bug(g, "after %s: %s lies over %s", after, a->name, b->name);
        }
    }
}

void check(const Graph *g, const char *after)
{
    check_links(g, after);
    check_order(g, after);
    check_tensors(g, after);
    if (strcmp(after, "schedule") == 0 || strcmp(after, "plan") == 0) check_updates(g, after);
    if (strcmp(after, "plan") == 0) check_plan(g, after);
}
