/* fuse.c: joins nodes whose work can be done in another's last store.
 *
 * Requires: gradients. Provides: n->fused, the activation in a node's epilogue; n->pooled;
 * n->update, the optimizer applied where a gradient is made, which then exists in no memory. */
#include <string.h>

#include "tlc.h"

/* conv -> relu becomes conv with fused "relu", if nothing else reads what lies between. */
static bool fuse_activation(Graph *g, Node *n)
{
    if (!(n->op->flags & OP_FUSES) || n->fused) return false;
    Tensor *t = n->out[0];
    if (t->user_count != 1 || t == g->output || t == g->loss) return false;
    Node *user = t->users[0];
    const char *function = user->op->epilogue ? user->op->epilogue(user) : NULL;
    if (!function || user->in_prefix != n->in_prefix) return false;
    n->fused = function;
    t->name = user->out[0]->name;
    n->name = user->name;
    replace_uses(g, user->out[0], t);
    return true;
}

/* conv -> relu -> pool: the convolution writes what the pool would. */
static bool fuse_pool(Graph *g, Node *n)
{
    Tensor *t = n->out[0];
    if (!n->op->absorb || n->pooled || t->user_count != 1 || t == g->output || t == g->loss)
        return false;
    Node *user = t->users[0];
    if (user->in_prefix != n->in_prefix || !n->op->absorb(g, n, user)) return false;
    n->pooled = true;
    memcpy(t->dims, user->out[0]->dims, sizeof t->dims);
    t->name = user->out[0]->name;
    n->name = format("%s, %s", n->name, user->name);
    replace_uses(g, user->out[0], t);
    return true;
}

/* The gradient's node takes over the update: its operands follow its own, its output goes. */
static bool fuse_update(Graph *g, Node *n)
{
    if (!(n->op->flags & OP_FUSES_UPDATE) || n->update || n->out[0]->user_count != 1) return false;
    Node *update = n->out[0]->users[0];
    if (!(update->op->flags & OP_UPDATE) || n->in_count + update->in_count - 1 > MAX_IN)
        return false;
    Tensor *w = update->in[0];
    n->update = update;
    for (int i = 0; i < update->in_count; i++) {
        if (i == 1) continue; /* the gradient */
        Tensor *t = i == 0 ? w : update->in[i];
        n->in[n->in_count++] = t;
        append(&t->users, &t->user_count, n);
    }
    remove_node(g, update);
    n->out_count = 0;
    return true;
}

void fuse(Graph *g)
{
    for (int i = 0; i < g->node_count; i++) {
        if (fuse_activation(g, g->nodes[i])) remove_dead(g);
        if (fuse_pool(g, g->nodes[i])) remove_dead(g);
        if (fuse_update(g, g->nodes[i])) remove_dead(g);
    }
}
