/* schedule.c: the order of running.
 *
 * Requires: selected nodes. Provides: g->nodes in the order prepare, prefix, rest; each node behind
 * those whose results it reads; a node that writes a weight behind all others that read it, and
 * else as early as it can, so that a gradient dies as soon as it is used; boundary on the tensors
 * that the prefix hands over. */
#include "tlc.h"

static int section_of(const Node *n) { return n->in_prepare ? 0 : n->in_prefix ? 1 : 2; }

static bool is_writer(const Node *n) { return n->update || n->op->flags & OP_UPDATE; }

/* The weight that a writer changes. */
static const Tensor *written(const Node *n)
{
    for (int i = 0; i < n->in_count; i++)
        if (n->in[i]->kind == TENSOR_WEIGHT) return n->in[i];
    return NULL;
}

typedef struct {
    Graph *g;
    bool *done; /* of each node, in the old order */
} Scheduler;

static bool is_done(const Scheduler *s, const Node *n) { return s->done[n->index]; }

static bool is_ready(const Scheduler *s, const Node *n)
{
    for (int i = 0; i < n->in_count; i++)
        if (n->in[i]->producer && !is_done(s, n->in[i]->producer)) return false;
    if (!is_writer(n)) return true;
    const Tensor *w = written(n);
    for (int i = 0; i < w->user_count; i++)
        if (w->users[i] != n && !is_done(s, w->users[i])) return false;
    return true;
}

/* Does a node prepare a larger weight? The largest come first, and give the memory of the weight
 * back before the others take theirs. */
static bool prepares_more(const Node *n, const Node *than)
{
    return n->in_prepare && than->in_prepare && tensor_count(n->in[0]) > tensor_count(than->in[0]);
}

/* The first ready node of the lowest section; ready writers come before all others of theirs. */
static Node *next_node(const Scheduler *s)
{
    Node *best = NULL;
    for (int i = 0; i < s->g->node_count; i++) {
        Node *n = s->g->nodes[i];
        if (is_done(s, n) || !is_ready(s, n)) continue;
        if (!best || section_of(n) < section_of(best) || prepares_more(n, best) ||
            (section_of(n) == section_of(best) && is_writer(n) && !is_writer(best)))
            best = n;
    }
    if (!best) bug(s->g, "no node can run next");
    return best;
}

/* A tensor of the prefix that is read behind it, and what it is a view of. */
static void mark_boundary(Graph *g)
{
    for (int i = g->node_count - 1; i >= 0; i--) {
        Node *n = g->nodes[i];
        for (int o = 0; o < n->out_count && n->in_prefix; o++) {
            Tensor *t = n->out[o];
            for (int u = 0; u < t->user_count; u++) {
                const Node *user = t->users[u];
                t->boundary |= !user->in_prefix;
                t->boundary |= user->op->flags & OP_VIEW && user->out[0]->boundary;
            }
            if (g->kind == PROGRAM_TRAIN) t->boundary |= t == g->output || t == g->loss;
        }
    }
    for (int i = 0; i < g->node_count; i++) {
        Node *n = g->nodes[i];
        if (n->op->flags & OP_VIEW) n->out[0]->boundary |= n->in[0]->boundary;
    }
}

void schedule(Graph *g)
{
    Scheduler s = {g, alloc((size_t)g->node_count + 1, sizeof *s.done)};
    Node **order = alloc((size_t)g->node_count + 1, sizeof *order);
    for (int i = 0; i < g->node_count; i++) g->nodes[i]->index = i;
    for (int i = 0; i < g->node_count; i++) {
        order[i] = next_node(&s);
        s.done[order[i]->index] = true;
    }
    for (int i = 0; i < g->node_count; i++) {
        g->nodes[i] = order[i];
        order[i]->index = i;
    }
    mark_boundary(g);
}
