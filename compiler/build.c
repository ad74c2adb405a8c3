/* build.c: from the model's layers to the graph of one program.
 *
 * Provides: nodes in the order of the layers, shapes of all tensors, weights of the model (made
 * when the first program is built), output, and for programs with labels y and the loss. */
#include <string.h>

#include "tlc.h"

/* Pictures that an inference program takes at once at most; plan.c may choose fewer. */
enum { INFER_BATCH = 8 };

static Graph *new_graph(Model *m, ProgramKind kind, Phase *phase)
{
    static const char *const names[] = {"infer", "evaluate", "train"};
    Graph *g = alloc(1, sizeof *g);
    g->model = m;
    g->phase = phase;
    g->kind = kind;
    g->name = phase ? format("%s_%s", names[kind], phase->name) : names[kind];
    g->batch = kind == PROGRAM_TRAIN ? (int)phase->batch : INFER_BATCH;
    g->micro = g->batch;
    const int64_t dims[] = {g->batch, m->height, m->width, m->channels};
    g->x = add_tensor(g, "x", TENSOR_INPUT, 4, dims, true);
    return g;
}

static void note_shape(Layer *layer, const Tensor *t)
{
    layer->rank = t->rank;
    for (int i = 1; i < t->rank; i++) layer->dims[i] = (int)t->dims[i];
}

static Tensor *build_layer(Graph *g, Layer *layer, Tensor *x)
{
    if (layer->op->build) return layer->op->build(g, layer, x);
    return add_node(g, layer->op, layer->name, layer, layer->values, (Tensor *[]){x, NULL});
}

/* Labels: one class number a picture for the sparse loss, else a number for each output. */
static Tensor *add_labels(Graph *g)
{
    const bool sparse = strcmp(g->phase->loss->name, "sparse_categorical_crossentropy") == 0;
    const int64_t dims[] = {g->batch, sparse ? 1 : picture_count(g->output)};
    return add_tensor(g, "y", TENSOR_INPUT, 2, dims, true);
}

Graph *build_graph(Model *m, ProgramKind kind, Phase *phase)
{
    Graph *g = new_graph(m, kind, phase);
    Tensor **made = alloc((size_t)m->layer_count, sizeof *made);
    for (int i = 0; i < m->layer_count; i++) {
        Layer *layer = m->layers[i];
        Tensor *x = layer->input ? made[layer->input->index] : g->x;
        check_base_input(layer, x->rank, x->dims);
        made[i] = build_layer(g, layer, x);
        note_shape(layer, made[i]);
    }
    g->output = made[m->layer_count - 1];
    if (kind == PROGRAM_INFER) check_shapes(m);
    if (phase) {
        g->y = add_labels(g);
        g->loss = add_loss(g, phase, g->output, g->y);
    }
    remove_dead(g);
    return g;
}
