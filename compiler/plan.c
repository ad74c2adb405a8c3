/* plan.c: lifetimes and places in the arena.
 *
 * Requires: a schedule. Provides: g->micro; first, last, alias, bytes and offset of every planned
 * tensor; plan_bytes and bound_bytes of the graph. plan_model then lays out the whole arena:
 * weights | slots | packed weights | the plan (as large as the largest program's) | the loader's
 * room.
 *
 * The lower bound of a program is the largest sum of bytes alive at one step; offsets come from
 * first-fit in the order of size (Pisarchyk, Lee, "Efficient memory management for deep neural net
 * inference", 2020), or of other weights, then from seeded moves in that order until the bound is
 * met. */
#include <string.h>

#include "tlc.h"

enum { ALIGNMENT = 64 };

/* Moves from each start: the work of one grows with the square of the buffers. */
static int moves_for(int count)
{
    return count < 100 ? 2000 : count < 1000 ? 20000000 / (count * count) : 0;
}

/* A frozen prefix in larger micro-batches reuses its weights more often; it may cost memory up to
 * the larger of these: this share more than one picture at a time, or this many bytes. */
enum { MICRO_PERCENT = 25, MICRO_BYTES = 112 << 20 };

/* No machine of today has more: beyond it a size is a mistake, or an attack on our arithmetic. */
#define MOST_BYTES ((size_t)1 << 46)

static size_t align(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* ---- Offsets of buffers ---------------------------------------------------------------------- */

size_t lower_bound(const Buffer *buffers, int count)
{
    size_t bound = 0;
    for (int i = 0; i < count; i++) { /* the sum grows only where a buffer begins */
        size_t alive = 0;
        for (int j = 0; j < count; j++)
            if (buffers[j].first <= buffers[i].first && buffers[i].first <= buffers[j].last)
                alive += buffers[j].bytes;
        if (alive > bound) bound = alive;
    }
    return bound;
}

static bool overlap_in_time(const Buffer *a, const Buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Placed buffers that share time with b, by offset: the lowest gap that b fits in. */
static size_t lowest_gap(const Buffer *buffers, const int *by_offset, int placed, const Buffer *b)
{
    size_t offset = 0;
    for (int i = 0; i < placed; i++) {
        const Buffer *other = &buffers[by_offset[i]];
        if (!overlap_in_time(b, other)) continue;
        if (other->offset >= offset + b->bytes) break;
        if (other->offset + other->bytes > offset) offset = other->offset + other->bytes;
    }
    return offset;
}

static size_t place_in_order(Buffer *buffers, const int *order, int *by_offset, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        Buffer *b = &buffers[order[i]];
        b->offset = lowest_gap(buffers, by_offset, i, b);
        int at = i;
        for (; at > 0 && buffers[by_offset[at - 1]].offset > b->offset; at--)
            by_offset[at] = by_offset[at - 1];
        by_offset[at] = order[i];
        if (b->offset + b->bytes > total) total = b->offset + b->bytes;
    }
    return total;
}

/* What an order sorts by, largest first. Each finds plans that the others miss. */
typedef double Weighing(const Buffer *b);

static double by_size(const Buffer *b) { return (double)b->bytes; }
static double by_life(const Buffer *b) { return b->last - b->first + (double)b->bytes * 1e-12; }
static double by_area(const Buffer *b)
{
    return (double)b->bytes * (double)(b->last - b->first + 1);
}

static void sort_buffers(const Buffer *buffers, int *order, int count, Weighing *weigh)
{
    for (int i = 0; i < count; i++) {
        int at = i;
        const double weight = weigh(&buffers[i]);
        for (; at > 0 && weigh(&buffers[order[at - 1]]) < weight; at--) order[at] = order[at - 1];
        order[at] = i;
    }
}

/* xorshift64: a fixed sequence, so that the same model gives the same plan everywhere. */
static int draw(uint64_t *state, int below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (int)(*state % (uint64_t)below);
}

static void move(int *order, int from, int to)
{
    const int item = order[from];
    if (from < to)
        memmove(&order[from], &order[from + 1], (size_t)(to - from) * sizeof *order);
    else
        memmove(&order[to + 1], &order[to], (size_t)(from - to) * sizeof *order);
    order[to] = item;
}

/* Moves single buffers in the order, keeping what is no worse, until the bound is met. */
static size_t improve(Buffer *buffers, int *order, int *by_offset, int count, size_t bound,
                      int moves)
{
    size_t best = place_in_order(buffers, order, by_offset, count);
    uint64_t state = 0x9E3779B97F4A7C15u;
    for (int i = 0; i < moves && best > bound; i++) {
        const int from = draw(&state, count), to = draw(&state, count);
        move(order, from, to);
        const size_t total = place_in_order(buffers, order, by_offset, count);
        if (total <= best)
            best = total;
        else
            move(order, to, from);
    }
    return best;
}

size_t plan_buffers(Buffer *buffers, int count, int moves)
{
    static Weighing *const weighings[] = {by_size, by_area, by_life};
    enum { STARTS = sizeof weighings / sizeof *weighings };
    if (count == 0) return 0;
    int *order = alloc((size_t)count, sizeof *order), *best_order = order;
    int *by_offset = alloc((size_t)count, sizeof *by_offset);
    const size_t bound = lower_bound(buffers, count);
    size_t best = SIZE_MAX;
    for (int i = 0; i < STARTS && best > bound; i++) {
        order = alloc((size_t)count, sizeof *order);
        sort_buffers(buffers, order, count, weighings[i]);
        const size_t total = improve(buffers, order, by_offset, count, bound, moves);
        if (total < best) {
            best = total;
            best_order = order;
        }
    }
    return place_in_order(buffers, best_order, by_offset, count);
}

/* ---- Lifetimes ------------------------------------------------------------------------------- */

static Tensor *root(Tensor *t)
{
    while (t->alias) t = t->alias;
    return t;
}

static int last_use(const Graph *g, const Tensor *t)
{
    if (t == g->output || t == g->loss) return g->node_count;
    int last = t->producer->index;
    for (int i = 0; i < t->user_count; i++)
        if (t->users[i]->index > last) last = t->users[i]->index;
    return last;
}

/* The prefix is a loop over micro-batches: what it hands over lives through all of it. */
static int first_use(const Tensor *t) { return t->boundary ? 0 : t->producer->index; }

static bool same_layout(const Tensor *a, const Tensor *b)
{
    return memcmp(&a->layout, &b->layout, sizeof a->layout) == 0 &&
           picture_size(a) == picture_size(b);
}

static bool may_take_over(const Graph *g, const Node *n)
{
    if (n->out_count == 0 || n->in_count == 0) return false;
    const Tensor *in = n->in[0], *out = n->out[0];
    if (n->op->flags & OP_VIEW) return true; /* also of x, which lies outside the arena */
    if (in->kind != TENSOR_PLANNED || in->has_batch != out->has_batch) return false;
    return n->op->flags & OP_IN_PLACE && same_layout(in, out) &&
           rows_of(g, in) == rows_of(g, out) && !(in->boundary && n->in_prefix) &&
           root((Tensor *)in)->last == n->index;
}

static void merge_lifetime(Tensor *into, const Tensor *t)
{
    if (t->first < into->first) into->first = t->first;
    if (t->last > into->last) into->last = t->last;
}

/* Views and in-place results share their input's memory, and lengthen its life. */
static void find_lifetimes(Graph *g)
{
    for (int i = 0; i < g->tensor_count; i++) {
        Tensor *t = g->tensors[i];
        t->alias = NULL;
        if (t->kind != TENSOR_PLANNED) continue;
        t->first = first_use(t);
        t->last = last_use(g, t);
    }
    for (int i = 0; i < g->node_count; i++) {
        Node *n = g->nodes[i];
        if (!may_take_over(g, n)) continue;
        n->out[0]->alias = n->in[0];
        merge_lifetime(root(n->in[0]), n->out[0]);
    }
}

static size_t tensor_bytes(const Graph *g, const Tensor *t)
{
    const size_t numbers =
        t->has_batch ? (size_t)rows_of(g, t) * picture_size(t) : (size_t)tensor_count(t);
    return align(numbers * sizeof(float));
}

/* One buffer for each planned tensor that is nobody's alias. */
static int collect_buffers(Graph *g, Buffer *buffers, Tensor **owners)
{
    int count = 0;
    for (int i = 0; i < g->tensor_count; i++) {
        Tensor *t = g->tensors[i];
        if (t->kind != TENSOR_PLANNED || t->alias) continue;
        t->bytes = tensor_bytes(g, t);
        buffers[count] = (Buffer){t->bytes, 0, t->first, t->last};
        owners[count++] = t;
    }
    return count;
}

static size_t bound_with(Graph *g, int micro, Buffer *buffers, Tensor **owners)
{
    g->micro = micro;
    return lower_bound(buffers, collect_buffers(g, buffers, owners));
}

static int choose_micro(Graph *g, Buffer *buffers, Tensor **owners)
{
    enum { MOST = 8 };
    const size_t least = bound_with(g, 1, buffers, owners);
    size_t limit = least / 100 * (100 + MICRO_PERCENT);
    if (limit < MICRO_BYTES) limit = MICRO_BYTES;
    for (int micro = g->batch < MOST ? g->batch : MOST; micro > 1; micro--)
        if (bound_with(g, micro, buffers, owners) <= limit) return micro;
    return 1;
}

void plan(Graph *g)
{
    Buffer *buffers = alloc((size_t)g->tensor_count, sizeof *buffers);
    Tensor **owners = alloc((size_t)g->tensor_count, sizeof *owners);
    find_lifetimes(g);
    g->micro = choose_micro(g, buffers, owners);
    find_lifetimes(g);
    const int count = collect_buffers(g, buffers, owners);
    g->bound_bytes = lower_bound(buffers, count);
    g->plan_bytes = plan_buffers(buffers, count, moves_for(count));
    for (int i = 0; i < count; i++) owners[i]->offset = buffers[i].offset;
    for (int i = 0; i < g->tensor_count; i++) {
        Tensor *t = g->tensors[i];
        if (!t->alias) continue;
        t->offset = root(t)->offset;
        t->bytes = root(t)->bytes;
    }
}

/* ---- The arena ------------------------------------------------------------------------------- */

static size_t place_weights(Model *m, size_t at)
{
    for (int i = 0; i < m->weight_count; i++) {
        m->weights[i]->offset = at;
        at += align((size_t)weight_count(m->weights[i]) * sizeof(float));
    }
    return at;
}

/* Phases run one after the other, so their slots may lie over one another. */
static size_t place_slots(Model *m, size_t start)
{
    size_t end = start;
    for (int p = 0; p < m->phase_count; p++) {
        Phase *phase = m->phases[p];
        size_t at = start;
        for (int i = 0; i < phase->slot_count; i++) {
            phase->slots[i].offset = at;
            at += align((size_t)weight_count(phase->slots[i].weight) * sizeof(float));
        }
        if (at > end) end = at;
    }
    return end;
}

static size_t place_packed(Model *m, size_t at)
{
    for (int i = 0; i < m->packed_count; i++) {
        m->packed[i]->offset = at;
        at += align((size_t)m->packed[i]->count * sizeof(float));
    }
    return at;
}

/* All inference and evaluation programs take the same number of pictures at once. */
static int infer_batch(const Model *m)
{
    int batch = m->programs[0]->micro;
    for (int i = 0; i < m->program_count; i++)
        if (m->programs[i]->kind != PROGRAM_TRAIN && m->programs[i]->micro < batch)
            batch = m->programs[i]->micro;
    return batch;
}

/* One of the loader's two halves: pictures, labels, sample numbers; as rt_loader_bytes. */
static size_t batch_bytes(const Model *m)
{
    size_t most = 0;
    for (int i = 0; i < m->program_count; i++) {
        const Graph *g = m->programs[i];
        const size_t rows = (size_t)g->batch;
        const size_t bytes = align(rows * picture_size(g->x) * sizeof(float)) +
                             align(rows * (g->y ? picture_size(g->y) : 1) * sizeof(float)) +
                             align(rows * sizeof(uint64_t));
        if (bytes > most) most = bytes;
    }
    return most;
}

static void place_programs(Model *m)
{
    m->plan_bytes = m->scratch_bytes = 0;
    for (int i = 0; i < m->program_count; i++) {
        Graph *g = m->programs[i];
        for (int j = 0; j < g->node_count; j++)
            if (g->nodes[j]->scratch > m->scratch_bytes)
                m->scratch_bytes = align(g->nodes[j]->scratch);
        if (g->plan_bytes > m->plan_bytes) m->plan_bytes = g->plan_bytes;
        for (int t = 0; t < g->tensor_count; t++)
            if (g->tensors[t]->kind == TENSOR_PLANNED) g->tensors[t]->offset += m->plan_offset;
    }
}

void plan_model(Model *m)
{
    for (int i = 0, batch = infer_batch(m); i < m->program_count; i++)
        if (m->programs[i]->kind != PROGRAM_TRAIN) m->programs[i]->batch = batch;
    m->weight_bytes = m->slot_offset = place_weights(m, 0);
    m->packed_offset = place_slots(m, m->slot_offset);
    m->slot_bytes = m->packed_offset - m->slot_offset;
    m->plan_offset = place_packed(m, m->packed_offset);
    m->packed_bytes = m->plan_offset - m->packed_offset;
    place_programs(m);
    m->batch_offset = m->plan_offset + m->plan_bytes;
    m->batch_bytes = 2 * batch_bytes(m);
    m->arena_bytes = m->batch_offset + m->batch_bytes;
    if (m->arena_bytes > MOST_BYTES)
        error_model("", "smaller batches, pictures or layers", "the model needs %s of memory",
                    bytes_text(m->arena_bytes));
}
