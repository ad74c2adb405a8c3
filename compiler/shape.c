/* shape.c: what the infer, select and emit hooks of several ops share. */
#include <string.h>

#include "emit.h"

void infer_same(Node *n)
{
    const Tensor *x = n->in[0];
    Tensor *y = n->out[0];
    y->rank = x->rank;
    y->has_batch = x->has_batch;
    memcpy(y->dims, x->dims, sizeof y->dims);
}

void set_picture(Node *n, int64_t height, int64_t width, int64_t channels)
{
    n->out[0]->rank = 4;
    memcpy(n->out[0]->dims, (int64_t[]){n->in[0]->dims[0], height, width, channels},
           sizeof n->out[0]->dims);
}

void need_pictures(const Node *n)
{
    if (n->in[0]->rank != 4)
        error_node(n, "it must stand before Flatten", "needs pictures (N, H, W, C)");
}

int64_t window_count(int64_t length, int64_t window, int64_t stride, bool same, int64_t *before)
{
    *before = 0;
    if (!same) return length < window ? 0 : (length - window) / stride + 1;
    const int64_t count = (length + stride - 1) / stride;
    const int64_t total = (count - 1) * stride + window - length;
    if (total > 0) *before = total / 2;
    return count;
}

void select_alike(Graph *g, Node *n)
{
    const Layout like = layout_like(n->in[0]);
    for (int i = 1; i < n->in_count; i++) want_layout(g, n, i, like, false);
    n->out[0]->layout = layout_like(n->in[0]);
}

void select_channels_last(Graph *g, Node *n)
{
    for (int i = 0; i < n->in_count; i++) want_layout(g, n, i, (Layout){.lanes = -1}, false);
    n->out[0]->layout = channels_last(n->out[0]);
}

const char *shape_name(const char *stem, const Tensor *t)
{
    const char *name = stem;
    for (int i = t->has_batch; i < t->rank; i++)
        name = format("%s%c%lld", name, i == t->has_batch ? '_' : 'x', (long long)t->dims[i]);
    return name;
}

const char *plane_tasks(const Tensor *t)
{
    return blocks_of(t) == 1 ? "n" : format("n * %d", blocks_of(t));
}

const char *band_tasks(const Tensor *t)
{
    const int parts = blocks_of(t) * ((height_of(t) + BAND_ROWS - 1) / BAND_ROWS);
    return parts == 1 ? "n" : format("n * %d", parts);
}

void emit_map(Emit *e, const Node *n, const char *stem, const char *expression)
{
    need_section(e, "lanes");
    need_section(e, "activations");
    set_shape(e, "$X", n->in[0]);
    if (n->in_count == 2) set_shape(e, "$Z", n->in[1]);
    set_shape(e, "$Y", n->out[0]);
    set(e, "$expression", "%s", expression);
    emit_kernel(e, n, n->in_count == 2 ? "map2" : "map", shape_name(stem, n->out[0]),
                plane_tasks(n->out[0]));
}
