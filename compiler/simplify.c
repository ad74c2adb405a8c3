/* simplify.c: local rewriting until nothing changes.
 *
 * Requires: shapes. Provides: no node that is the identity in this program, no dead node. */
#include "tlc.h"

/* Augmentation and dropout pass their input on when the program does not train. */
static bool drop_training_node(Graph *g, Node *n)
{
    if (g->kind == PROGRAM_TRAIN || !(n->op->flags & OP_TRAIN_ONLY)) return false;
    replace_uses(g, n->out[0], n->in[0]);
    return true;
}

void simplify(Graph *g)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < g->node_count && !changed; i++) {
            Node *n = g->nodes[i];
            changed = drop_training_node(g, n) || (n->op->simplify && n->op->simplify(g, n));
        }
        remove_dead(g);
    }
}
