/* dump.c: a graph as stable text, one node a line:
 *
 *   block1_conv1 = conv2d(x_pad, block1_conv1_kernel, block1_conv1_bias) filters=64 … : (8, 224,
 * 224, 64)
 *
 * followed by what passes have found out: fused activation, layout, section, life and place. */
#include "tlc.h"

static void dump_tensor(const Tensor *t, FILE *out)
{
    const Layout *l = &t->layout;
    fprintf(out, "%s", shape_text(t->rank, t->dims, false));
    if (t->rank == 4 && l->lanes != t->dims[3]) fprintf(out, " lanes %d", l->lanes);
    if (l->top || l->bottom || l->left || l->right)
        fprintf(out, " halo %d,%d,%d,%d", l->top, l->bottom, l->left, l->right);
    if (t->boundary) fprintf(out, " boundary");
    if (t->alias) fprintf(out, " over %s", t->alias->name);
    if (t->bytes) fprintf(out, " @%zu+%zu steps %d-%d", t->offset, t->bytes, t->first, t->last);
}

static void dump_node(const Node *n, FILE *out)
{
    fprintf(out, "  ");
    for (int i = 0; i < n->out_count; i++) fprintf(out, "%s%s", i ? ", " : "", n->out[i]->name);
    fprintf(out, "%s%s(", n->out_count ? " = " : "", n->op->name);
    for (int i = 0; i < n->in_count; i++) fprintf(out, "%s%s", i ? ", " : "", n->in[i]->name);
    const char *attrs = attrs_text(n->op->attrs, n->values);
    fprintf(out, ")%s%s", *attrs ? " " : "", attrs);
    if (n->fused) fprintf(out, " then %s", n->fused);
    if (n->update) fprintf(out, " then %s", n->update->op->name);
    if (n->in_prepare) fprintf(out, " [prepare]");
    if (n->in_prefix) fprintf(out, " [prefix]");
    for (int i = 0; i < n->out_count; i++) {
        fprintf(out, "%s", i ? ", " : " : ");
        dump_tensor(n->out[i], out);
    }
    fprintf(out, "\n");
}

void dump(const Graph *g, FILE *out)
{
    fprintf(out, "%s(x: %s", g->name, shape_text(g->x->rank, g->x->dims, false));
    if (g->y) fprintf(out, ", y: %s", shape_text(g->y->rank, g->y->dims, false));
    fprintf(out, ")\n");
    for (int i = 0; i < g->node_count; i++) dump_node(g->nodes[i], out);
    fprintf(out, "  return %s", g->output->name);
    if (g->loss) fprintf(out, ", %s", g->loss->name);
    fprintf(out, "\n");
}
