/* report.c: what `tlc plan` prints: for each program its tensors, the plan and its lower bound; for
 * each phase parameters, optimizer state, activations, multiply-adds and bytes of a step; the
 * arena. */
#include <string.h>

#include "tlc.h"

/* Resident memory beside the arena, in MiB: the program, its libraries, thread stacks, the file
 * that is being decoded. Measured; tests hold peak memory to the arena plus this within 5 %. */
enum { OTHER_MEMORY = 20 };

static void print_tensor(const Graph *g, const Tensor *t, FILE *out)
{
    const Tensor *memory = t;
    while (memory->alias) memory = memory->alias;
    int64_t dims[MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    if (t->has_batch) dims[0] = rows_of(g, t);
    fprintf(out, "  0x%08zx %12s  %-28s %3d-%-3d  %s", t->offset, bytes_text(memory->bytes),
            shape_text(t->rank, dims, false), memory->first, memory->last, t->name);
    if (t->alias) fprintf(out, " (over %s)", memory->name);
    if (t->boundary) fprintf(out, " (boundary)");
    fprintf(out, "\n");
}

static void print_program(const Graph *g, FILE *out)
{
    fprintf(out, "%s: batch %d", g->name, g->batch);
    if (g->kind == PROGRAM_TRAIN) fprintf(out, ", frozen prefix %d at a time", g->micro);
    fprintf(out, "\n  offset            bytes  shape                        steps    tensor\n");
    for (int i = 0; i < g->tensor_count; i++)
        if (g->tensors[i]->kind == TENSOR_PLANNED) print_tensor(g, g->tensors[i], out);
    fprintf(out, "  lower bound %s, plan %s, ratio %.2f\n\n", bytes_text(g->bound_bytes),
            bytes_text(g->plan_bytes),
            g->bound_bytes ? (double)g->plan_bytes / (double)g->bound_bytes : 1.0);
}

/* Bytes that the nodes of a full step read and write, each operand once a node. */
static size_t step_bytes(const Graph *g)
{
    size_t bytes = 0;
    for (int i = 0; i < g->node_count; i++) {
        const Node *n = g->nodes[i];
        if (n->in_prepare || n->op->flags & OP_VIEW) continue;
        for (int j = 0; j < n->in_count + n->out_count; j++) {
            const Tensor *t = j < n->in_count ? n->in[j] : n->out[j - n->in_count];
            const size_t rows = t->has_batch ? (size_t)g->batch : 1;
            bytes +=
                rows * (t->has_batch ? picture_size(t) : (size_t)tensor_count(t)) * sizeof(float);
        }
    }
    return bytes;
}

static int64_t step_macs(const Graph *g)
{
    int64_t macs = 0;
    for (int i = 0; i < g->node_count; i++) {
        const Node *n = g->nodes[i];
        const bool once = n->op->flags & (OP_PACK | OP_UPDATE);
        if (n->op->macs && !n->in_prepare) macs += n->op->macs(n) * (once ? 1 : g->batch);
    }
    return macs;
}

static void print_phase(const Graph *g, FILE *out)
{
    const Model *m = g->model;
    const Phase *p = g->phase;
    int64_t trained = 0, state = 0;
    for (int i = 0; i < m->weight_count; i++)
        if (trains(p, m->weights[i])) trained += weight_count(m->weights[i]);
    for (int i = 0; i < p->slot_count; i++) state += weight_count(p->slots[i].weight);
    fprintf(out, "phase %s: %s trains %s parameters\n", p->name, p->optimizer->type,
            count_text(trained));
    fprintf(out, "  optimizer state           %12s\n", bytes_text((size_t)state * sizeof(float)));
    fprintf(out, "  activations and gradients %12s\n", bytes_text(g->plan_bytes));
    fprintf(out, "  multiply-adds a step      %12.3f G\n", (double)step_macs(g) / 1e9);
    fprintf(out, "  bytes moved a step        %12s\n", bytes_text(step_bytes(g)));
    print_cut(g, out);
    fprintf(out, "\n");
}

/* Whether an earlier convolution of this name, of another program, has the same choice. */
static bool is_listed(const Graph *const *programs, int program, const Node *n)
{
    for (int p = 0; p < program; p++)
        for (int i = 0; i < programs[p]->node_count; i++) {
            const Node *other = programs[p]->nodes[i];
            if (other->choice && strcmp(other->name, n->name) == 0 &&
                strcmp(other->choice->why, n->choice->why) == 0)
                return true;
        }
    return false;
}

static void print_choices(const Model *m, FILE *out)
{
    for (int p = 0; p < m->program_count; p++)
        for (int i = 0; i < m->programs[p]->node_count; i++) {
            const Node *n = m->programs[p]->nodes[i];
            if (n->choice && !is_listed((const Graph *const *)m->programs, p, n))
                fprintf(out, "  %-28s %s\n", n->name, n->choice->why);
        }
    fprintf(out, "\n");
}

void print_plan(const Model *m, FILE *out)
{
    int64_t params = 0;
    for (int i = 0; i < m->weight_count; i++) params += weight_count(m->weights[i]);
    for (int i = 0; i < m->program_count; i++) print_program(m->programs[i], out);
    for (int i = 0; i < m->program_count; i++)
        if (m->programs[i]->kind == PROGRAM_TRAIN) print_phase(m->programs[i], out);
    print_choices(m, out);
    fprintf(out, "model %s: %s parameters, %.3f G multiply-adds a picture, precision %s\n", m->name,
            count_text(params), (double)step_macs(m->programs[0]) / m->programs[0]->batch / 1e9,
            precision_names[m->precision]);
    fprintf(out, "  weights                   %12s\n", bytes_text(m->weight_bytes));
    fprintf(out, "  optimizer state           %12s\n", bytes_text(m->slot_bytes));
    fprintf(out, "  packed weights            %12s\n", bytes_text(m->packed_bytes));
    fprintf(out, "  largest plan              %12s\n", bytes_text(m->plan_bytes));
    fprintf(out, "  two batches of pictures   %12s\n", bytes_text(m->batch_bytes));
    fprintf(out, "arena                       %12s\n", bytes_text(m->arena_bytes));
    fprintf(out, "scratch of each thread      %12s\n", bytes_text(m->scratch_bytes));
    fprintf(out, "program and libraries       %12s\n", bytes_text((size_t)OTHER_MEMORY << 20));
}
