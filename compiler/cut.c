/* cut.c: where a program can be cut in two, so that what the lower part gives for a picture is
 * computed once and kept: the feature cache.
 *
 * Requires: plan_model. The lower part is the prefix, which nothing that is trained influences. A
 * cut is there if products are saved by it and the upper part reads no pictures. */
#include <string.h>

#include "emit.h"

/* What a core pair of today does in a second: multiply-adds in fp32, and bytes from or to a disk.
 * The decision asks for a lead of PAYS, so their order of magnitude is enough. */
static const double MACS_A_SECOND = 1e11, BYTES_A_SECOND = 1e9, PAYS = 4;

/* ---- Finding it ------------------------------------------------------------------------------ */

static Tensor *owner_of(Tensor *t)
{
    while (t->alias) t = t->alias;
    return t;
}

static bool is_known(const Cut *c, const Tensor *t)
{
    for (int i = 0; i < c->count; i++)
        if (c->tensors[i] == t) return true;
    return false;
}

/* What the upper part's node n reads of the lower; false if that is pictures. */
static bool add_operands(Cut *c, const Graph *g, const Node *n)
{
    for (int i = 0; i < n->in_count; i++) {
        Tensor *t = n->in[i], *memory = owner_of(t);
        if (memory == g->x) return false;
        if (t->kind != TENSOR_PLANNED || !t->producer->in_prefix || is_known(c, memory)) continue;
        append(&c->tensors, &c->count, memory);
        c->numbers += (int64_t)blocks_of(memory) * height_of(memory) * width_of(memory) *
                      memory->layout.lanes;
    }
    return true;
}

static void add_node_below(Cut *c, const Graph *g, const Node *n)
{
    const Layer *made =
        find_layer(g->model, n->out[0]->name); /* one that was fused into n has it so */
    c->random |= draws_numbers(g, n);
    if (n->op->macs) c->macs += n->op->macs(n);
    c->layer = made ? made : n->layer;
}

static size_t cut_bytes(const Graph *g)
{
    return (size_t)g->cut->numbers * (g->phase->half_features ? 2 : sizeof(float));
}

/* Without a cache an epoch computes each picture; with one the first does, and writes it, and all
 * read it. */
static void decide(const Graph *g)
{
    Cut *c = g->cut;
    const double compute = (double)c->macs / MACS_A_SECOND;
    const double move = (double)cut_bytes(g) / BYTES_A_SECOND;
    c->pays = compute > PAYS * move;
    c->even = c->pays ? (int64_t)((compute + move) / (compute - move)) + 1 : 0;
    if (c->random) c->even = (g->phase->variants ? g->phase->variants : 1) * c->even;
}

static Cut *find_cut(const Graph *g)
{
    Cut *c = alloc(1, sizeof *c);
    for (int i = 0; i < g->node_count; i++) {
        const Node *n = g->nodes[i];
        if (n->in_prepare) continue;
        if (n->in_prefix)
            add_node_below(c, g, n);
        else if (!add_operands(c, g, n))
            return NULL;
    }
    return c->count > 0 && c->macs > 0 ? c : NULL;
}

void find_cuts(Model *m)
{
    for (int i = 0; i < m->program_count; i++) {
        Graph *g = m->programs[i];
        if (g->phase) g->cut = find_cut(g);
        if (g->cut) decide(g);
        if (g->kind == PROGRAM_TRAIN && g->phase->variants && !(g->cut && g->cut->random))
            warn("%s.augment_variants: no random layer stands below a frozen layer with products",
                 g->phase->path);
    }
}

/* ---- What it is known by --------------------------------------------------------------------- */

static const Kernel *kernel_named(const Emit *e, const char *name)
{
    for (int i = 0; i < e->kernel_count; i++)
        if (strcmp(e->kernels[i]->name, name) == 0) return e->kernels[i];
    bug(e->g, "no kernel is named %s", name);
}

/* Tensors of a program by the order in which they are met: names depend on the phase. */
static int number_of(const Tensor ***met, int *count, const Tensor *t)
{
    for (int i = 0; i < *count; i++)
        if ((*met)[i] == t) return i;
    append(met, count, (void *)t);
    return *count - 1;
}

static void describe_operand(Text *text, const Tensor *t, int number)
{
    const Layout *l = &t->layout;
    add_text(text, " %d:%d", number, (int)t->kind);
    if (t->weight) add_text(text, " %s", t->weight->name);
    if (t->packed)
        add_text(text, " %s %s %d", t->packed->weight->name, t->packed->op->name,
                 t->packed->variant);
    for (int i = t->has_batch ? 1 : 0; i < t->rank; i++)
        add_text(text, "%c%lld", i > 1 ? 'x' : ' ', (long long)t->dims[i]);
    add_text(text, " %d %d %d %d %d", l->lanes, l->top, l->bottom, l->left, l->right);
}

const char *hash_below(const Emit *e)
{
    const Tensor **met = NULL;
    int count = 0;
    Text text = {0};
    add_text(&text, "tlc %s %s\n", TLC_VERSION, hash_templates());
    for (int i = 0; i < e->made_count; i++) {
        const MadeCall *call = e->made[i];
        const Node *n = call->n;
        const bool below = n->in_prepare ? n->out[0]->users[0]->in_prefix : n->in_prefix;
        if (call->g != e->g || !below) continue;
        add_text(&text, "%s\n", kernel_named(e, call->kernel)->text);
        for (int j = 0; j < n->in_count; j++)
            describe_operand(&text, n->in[j], number_of(&met, &count, n->in[j]));
        add_text(&text, " to");
        for (int j = 0; j < n->out_count; j++)
            describe_operand(&text, n->out[j], number_of(&met, &count, n->out[j]));
        add_text(&text, "\n");
    }
    char *hex = alloc(65, 1);
    sha256(text.data, text.length, hex);
    return hex;
}

/* ---- The table ------------------------------------------------------------------------------- */

static void emit_boundary(Emit *e, const Tensor *t)
{
    const Layout *l = &t->layout;
    const size_t lanes = (size_t)l->lanes;
    const size_t width = (size_t)(l->left + width_of(t) + l->right);
    const size_t height = (size_t)(l->top + height_of(t) + l->bottom);
    const size_t first = ((size_t)l->top * width + (size_t)l->left) * lanes;
    add_text(&e->out,
             "    {BYTES(0x%08zx), .picture = %zu, .first = %zu, .planes = %d, .plane = %zu,\n"
             "     .rows = %d, .row = %zu, .numbers = %zu},\n",
             t->offset, picture_size(t), first, blocks_of(t), height * width * lanes, height_of(t),
             width * lanes, (size_t)width_of(t) * lanes);
}

static bool reads_below(const Graph *g, const Weight *w)
{
    for (int i = 0; i < g->tensor_count; i++) {
        const Tensor *t = g->tensors[i];
        for (int u = 0; t->weight == w && u < t->user_count; u++) {
            const Node *n = t->users[u];
            if (n->in_prepare ? n->out[0]->users[0]->in_prefix : n->in_prefix) return true;
        }
    }
    return false;
}

void emit_cut(Emit *e, const Graph *g)
{
    const Cut *c = g->cut;
    const char *name = g->name;
    if (!c) return;
    add_text(&e->out, "static const RtBoundary boundary_%s[] = {\n", name);
    for (int i = 0; i < c->count; i++) emit_boundary(e, c->tensors[i]);
    add_text(&e->out, "};\nstatic const unsigned char below_%s_reads[] = {", name);
    for (int i = 0; i < e->m->weight_count; i++)
        add_text(&e->out, "%s%d", i ? ", " : "", reads_below(g, e->m->weights[i]));
    add_text(&e->out,
             "};\nstatic const RtCut cut_%s = {\n    .hash = \"%s\",\n    .layer = %s,\n"
             "    .boundary = boundary_%s,\n    .boundary_count = %d,\n    .numbers = %lld,\n"
             "    .macs = %lld,\n    .reads = below_%s_reads,\n    .random = %d,\n"
             "    .pays = %d,\n    .prepare_below = prepare_below_%s,\n"
             "    .prepare_above = prepare_above_%s,\n    .below = below_%s,\n"
             "    .%s = above_%s,\n};\n",
             name, c->hash, c_string(c->layer->name), name, c->count, (long long)c->numbers,
             (long long)c->macs, name, c->random, c->pays, name, name, name,
             g->kind == PROGRAM_TRAIN ? "train" : "evaluate", name);
}

/* ---- tlc plan -------------------------------------------------------------------------------- */

static void print_line(const Graph *g, const char *side, FILE *out)
{
    const Cut *c = g->cut;
    fprintf(out, "  feature cache, %-10s ", side);
    if (!c) {
        fprintf(out, "none: nothing is multiplied below the first trained layer\n");
        return;
    }
    fprintf(out, "%12s a picture of %s save %.3f G multiply-adds", bytes_text(cut_bytes(g)),
            c->layer->name, (double)c->macs / 1e9);
    if (strcmp(g->phase->cache, "off") == 0)
        fprintf(out, "; off\n");
    else if (c->random && !g->phase->variants)
        fprintf(out, "; none: random layers draw anew (\"augment_variants\")\n");
    else if (c->even)
        fprintf(out, "; pays from epoch %lld\n", (long long)c->even);
    else
        fprintf(out, "; never pays\n");
}

static bool keeps_features(const Graph *g)
{
    const Cut *c = g->cut;
    const bool automatic = strcmp(g->phase->cache, "auto") == 0;
    return c && (!c->random || g->phase->variants) && (c->pays || !automatic);
}

/* What the runtime keeps in the place of features that there are none of. */
static void print_pictures(const Graph *g, const char *side, FILE *out)
{
    const Model *m = g->model;
    const size_t numbers = (size_t)m->height * (size_t)m->width * (size_t)m->channels;
    if (keeps_features(g) || strcmp(g->phase->cache, "off") == 0) return;
    fprintf(out, "  kept pictures, %-10s %12s a picture, decoded once\n", side,
            bytes_text(numbers * (m->nearest ? 1 : sizeof(float))));
}

void print_cut(const Graph *g, FILE *out)
{
    const Model *m = g->model;
    print_line(g, "training", out);
    print_pictures(g, "training", out);
    for (int i = 0; i < m->program_count; i++)
        if (m->programs[i]->kind == PROGRAM_EVALUATE && m->programs[i]->phase == g->phase) {
            print_line(m->programs[i], "validation", out);
            print_pictures(m->programs[i], "validation", out);
        }
}
