/* summary.c: the rows of Keras's summary table for a model; the runtime's summary.c, which is
 * linked into tlc too, prints them. */
#include "ground.h"

#include "tlc.h"

enum { WIDTH = 80 };

typedef struct {
    RtLayer *layers;
    char *marks; /* 'Y', 'N' or '-' for each row */
    int count;
    int64_t trainable;
} Rows;

static int64_t count_params(const Layer *layer, bool with_statistics)
{
    int64_t params = 0;
    for (int w = 0; w < layer->weight_count; w++)
        if (with_statistics || !layer->weights[w]->is_statistic)
            params += weight_count(layer->weights[w]);
    return params;
}

static RtLayer *add_row(Rows *rows, const char *name, const char *type, const Layer *shape)
{
    RtLayer *row = &rows->layers[rows->count];
    rows->marks[rows->count++] = '-';
    *row = (RtLayer){.name = name, .type = type, .base = -1, .rank = shape->rank};
    for (int i = 1; i < shape->rank; i++) row->dims[i] = shape->dims[i];
    return row;
}

/* A base is one row that its layers follow. */
static void add_layer_row(Rows *rows, const Phase *phase, const Layer *layer)
{
    const Base *base = layer->base;
    if (base && layer == base->layers[0])
        add_row(rows, base->name, "Functional", base->layers[base->count - 1]);
    RtLayer *row =
        add_row(rows, layer->name, layer->op->keras ? layer->op->keras : layer->op->name, layer);
    row->params = count_params(layer, true);
    if (base) row->base = base->index;
    if (row->params == 0) return;
    const bool trained = !phase || !phase->frozen[layer->index];
    rows->marks[rows->count - 1] = trained ? 'Y' : 'N';
    if (trained) rows->trainable += count_params(layer, false);
    if (!base) return;
    int owner = rows->count - 1;
    while (rows->layers[owner].base >= 0) owner--;
    if (rows->marks[owner] != 'Y') rows->marks[owner] = trained ? 'Y' : 'N';
}

static void print_rows(const Model *m, const Phase *phase, FILE *out, bool with_marks, bool expand)
{
    const size_t most = (size_t)m->layer_count + (size_t)m->base_count;
    Rows rows = {.layers = alloc(most, sizeof(RtLayer)), .marks = alloc(most, 1)};
    for (int i = 0; i < m->layer_count; i++) add_layer_row(&rows, phase, m->layers[i]);
    rt_print_summary(out, m->name, rows.layers, rows.count, with_marks ? rows.marks : NULL,
                     rows.trainable, expand, WIDTH);
}

void print_summary(const Model *m, FILE *out, bool trainable, bool expand)
{
    if (!trainable || m->phase_count == 0) {
        print_rows(m, m->phase_count ? m->phases[0] : NULL, out, trainable, expand);
        return;
    }
    for (int i = 0; i < m->phase_count; i++) {
        fprintf(out, "%sPhase \"%s\"\n", i ? "\n" : "", m->phases[i]->name);
        print_rows(m, m->phases[i], out, true, expand);
    }
}
