/* tables.c: the tables by which a generated file describes itself to the runtime: layers, weights,
 * bases, phases, memory plans, model. */
#include <string.h>

#include "emit.h"

static const char *dims_text(int rank, const int *dims)
{
    Text text = {0};
    for (int i = 0; i < rank; i++) add_text(&text, "%s%d", i ? ", " : "", i ? dims[i] : 0);
    return text.data;
}

/* ---- Layers and bases: a base's own row stands before the first of its layers ---------------- */

static bool starts_base(const Model *m, int layer)
{
    const Base *base = m->layers[layer]->base;
    return base && (layer == 0 || m->layers[layer - 1]->base != base);
}

/* Row of layer i in the printed table. */
static int row_of(const Model *m, int layer)
{
    int row = layer;
    for (int i = 0; i <= layer; i++) row += starts_base(m, i);
    return row;
}

static const Layer *last_of(const Model *m, int layer)
{
    int last = layer;
    while (last + 1 < m->layer_count && m->layers[last + 1]->base == m->layers[layer]->base) last++;
    return m->layers[last];
}

static int first_weight(const Model *m, int layer)
{
    for (int i = layer; i < m->layer_count; i++)
        if (m->layers[i]->weight_count > 0) return m->layers[i]->weights[0]->index;
    return m->weight_count;
}

static void emit_layer(Emit *e, int i)
{
    const Model *m = e->m;
    const Layer *l = m->layers[i];
    if (starts_base(m, i)) {
        const Layer *end = last_of(m, i);
        add_text(&e->out, "    {%s, \"Functional\", -1, %d, {%s}, 0, 0, 0},\n",
                 c_string(l->base->name), end->rank, dims_text(end->rank, end->dims));
    }
    int64_t params = 0;
    for (int w = 0; w < l->weight_count; w++) params += weight_count(l->weights[w]);
    add_text(&e->out, "    {%s, %s, %d, %d, {%s}, %lld, %d, %d},\n", c_string(l->name),
             c_string(l->op->keras ? l->op->keras : l->op->name), l->base ? l->base->index : -1,
             l->rank, dims_text(l->rank, l->dims), (long long)params, first_weight(m, i),
             l->weight_count);
}

static void emit_weights(Emit *e)
{
    static const char *const inits[] = {"RT_INIT_ZEROS", "RT_INIT_ONES", "RT_INIT_GLOROT_UNIFORM"};
    const Model *m = e->m;
    if (m->weight_count == 0) return;
    add_text(&e->out, "\nstatic const RtWeight weights[] = {\n");
    for (int i = 0; i < m->weight_count; i++) {
        const Weight *w = m->weights[i];
        add_text(&e->out, "    {%s, %d, %d, {", c_string(w->name), row_of(m, w->layer->index),
                 w->rank);
        for (int d = 0; d < w->rank; d++)
            add_text(&e->out, "%s%lld", d ? ", " : "", (long long)w->dims[d]);
        add_text(&e->out, "}, BYTES(0x%08zx), %s, %lld, %lld, %d},\n", w->offset, inits[w->init],
                 (long long)w->fan_in, (long long)w->fan_out, w->is_statistic);
    }
    add_text(&e->out, "};\n");
}

/* Weights that infer itself does not read: the runtime may give their memory back. */
static bool is_only_packed(const Graph *g, const Weight *w)
{
    bool packed = false;
    for (int i = 0; i < g->tensor_count; i++) {
        const Tensor *t = g->tensors[i];
        for (int u = 0; t->weight == w && u < t->user_count; u++) {
            if (!t->users[u]->in_prepare) return false;
            packed = true;
        }
    }
    return packed;
}

static void emit_packed_flags(Emit *e)
{
    const Model *m = e->m;
    if (m->weight_count == 0) return;
    add_text(&e->out, "\nstatic const unsigned char only_packed[] = {");
    for (int i = 0; i < m->weight_count; i++)
        add_text(&e->out, "%s%d", i ? ", " : "", is_only_packed(m->programs[0], m->weights[i]));
    add_text(&e->out, "};\n");
}

static void emit_official_layers(Emit *e, const Base *b)
{
    add_text(&e->out, "\nstatic const char *const %s_layers_%d[] = {\n", b->name, b->index);
    for (int i = 0; i < b->official_count; i++)
        add_text(&e->out, "    %s,\n", c_string(b->official[i]));
    add_text(&e->out, "};\n");
}

static void emit_bases(Emit *e)
{
    const Model *m = e->m;
    for (int i = 0; i < m->base_count; i++) emit_official_layers(e, m->bases[i]);
    if (m->base_count == 0) return;
    add_text(&e->out, "\nstatic const RtBase bases[] = {\n");
    for (int i = 0; i < m->base_count; i++) {
        const Base *b = m->bases[i];
        const int row = row_of(m, b->layers[0]->index);
        const bool imagenet = b->weights && strcmp(b->weights, "imagenet") == 0;
        add_text(&e->out, "    {%s, %s,\n     %s, %s, %s,\n     %d, %d, %d, %s_layers_%d, %d},\n",
                 c_string(b->name), c_string(b->weights), imagenet ? c_string(b->file) : "NULL",
                 imagenet ? c_string(b->url) : "NULL", imagenet ? c_string(b->md5) : "NULL",
                 row - 1, row, b->count, b->name, b->index, b->official_count);
    }
    add_text(&e->out, "};\n");
}

/* ---- Phases ---------------------------------------------------------------------------------- */

static const Graph *program(const Model *m, ProgramKind kind, const Phase *phase)
{
    for (int i = 0; i < m->program_count; i++)
        if (m->programs[i]->kind == kind && m->programs[i]->phase == phase) return m->programs[i];
    bug(NULL, "a program is missing");
}

static int64_t program_macs(const Graph *g)
{
    int64_t macs = 0;
    for (int i = 0; i < g->node_count; i++) {
        const Node *n = g->nodes[i];
        if (!n->op->macs || n->in_prepare) continue;
        const bool once = n->op->flags & (OP_PACK | OP_UPDATE);
        macs += n->op->macs(n) * (once || g->kind != PROGRAM_TRAIN ? 1 : g->batch);
    }
    return macs;
}

static void emit_phase_lists(Emit *e, const Phase *p)
{
    const Model *m = e->m;
    add_text(&e->out, "\nstatic const unsigned char trainable_%s[] = {", p->name);
    for (int i = 0; i < m->weight_count; i++)
        add_text(&e->out, "%s%d", i ? ", " : "", !p->frozen[m->weights[i]->layer->index]);
    add_text(&e->out, "};\n");
    emit_metrics(e, p);
    emit_class_weights(e, p);
    emit_cut(e, program(m, PROGRAM_TRAIN, p));
    emit_cut(e, program(m, PROGRAM_EVALUATE, p));
    if (p->slot_count == 0) return;
    add_text(&e->out, "static const RtSlot slots_%s[] = {\n", p->name);
    for (int i = 0; i < p->slot_count; i++)
        add_text(&e->out, "    {%s, %d, BYTES(0x%08zx)},\n", c_string(p->slots[i].name),
                 p->slots[i].weight->index, p->slots[i].offset);
    add_text(&e->out, "};\n");
}

static bool has_penalties(const Model *m, const Phase *p)
{
    for (int i = 0; i < m->weight_count; i++)
        if (has_penalty(p, m->weights[i])) return true;
    return false;
}

static const char *upper_text(const char *word)
{
    char *text = copy_text(word, strlen(word));
    for (char *c = text; *c; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    return text;
}

static void emit_phase_cache(Emit *e, const Phase *p)
{
    if (program(e->m, PROGRAM_TRAIN, p)->cut)
        add_text(&e->out, "     .train_cut = &cut_train_%s,\n", p->name);
    if (program(e->m, PROGRAM_EVALUATE, p)->cut)
        add_text(&e->out, "     .evaluate_cut = &cut_evaluate_%s,\n", p->name);
    add_text(&e->out, "     .cache = RT_CACHE_%s,\n", upper_text(p->cache));
    if (p->half_features) add_text(&e->out, "     .half_features = 1,\n");
    if (p->variants) add_text(&e->out, "     .variants = %d,\n", (int)p->variants);
}

static void emit_phase(Emit *e, const Phase *p)
{
    const Model *m = e->m;
    const char *name = p->name;
    const Value *rate = find_value(p->optimizer->attrs, p->optimizer_values, "learning_rate");
    add_text(&e->out,
             "    {.name = %s,\n     .batch = %d,\n     .epochs = %d,\n     .optimizer = %s,\n"
             "     .continues = %d,\n     .learning_rate = %.17g,\n     .loss = %s,\n     "
             ".loss_name = %s,\n",
             c_string(name), (int)p->batch, (int)p->epochs, c_string(p->optimizer->type),
             p->continues, rate->f[0], p->loss->enumerator, c_string(p->loss->name));
    if (p->metric_count > 0)
        add_text(&e->out, "     .metrics = metrics_%s,\n     .metric_count = %d,\n", name,
                 p->metric_count);
    add_text(&e->out, "     .trainable = trainable_%s,\n", name);
    if (p->weighs_classes) add_text(&e->out, "     .weighs_classes = 1,\n");
    if (p->class_weight_count > 0)
        add_text(&e->out,
                 "     .class_weights = class_weights_%s,\n     .class_weight_count = %d,\n", name,
                 p->class_weight_count);
    if (p->balanced_sampling) add_text(&e->out, "     .balanced_sampling = 1,\n");
    if (p->slot_count > 0)
        add_text(&e->out, "     .slots = slots_%s,\n     .slot_count = %d,\n", name, p->slot_count);
    add_text(
        &e->out,
        "     .prepare_train = prepare_train_%s,\n     .prepare_evaluate = prepare_evaluate_%s,\n"
        "     .train = train_%s,\n     .evaluate = evaluate_%s,\n",
        name, name, name, name);
    add_text(&e->out, "     .recipe = %s,\n",
             c_string(format("precision %s, %s", precision_names[m->precision], p->recipe)));
    if (rate->schedule) add_text(&e->out, "     .schedule = %s,\n", schedule_text(rate->schedule));
    if (p->callback_count > 0)
        add_text(&e->out, "     .callbacks = callbacks_%s,\n     .callback_count = %d,\n", name,
                 p->callback_count);
    if (has_penalties(m, p)) add_text(&e->out, "     .regularization = penalty_%s,\n", name);
    emit_phase_cache(e, p);
    add_text(&e->out, "     .step_macs = %lld},\n",
             (long long)program_macs(program(m, PROGRAM_TRAIN, p)));
}

static void emit_phases(Emit *e)
{
    const Model *m = e->m;
    for (int i = 0; i < m->phase_count; i++) {
        emit_phase_lists(e, m->phases[i]);
        emit_callbacks(e, m->phases[i]);
    }
    if (m->phase_count == 0) return;
    add_text(&e->out, "\nstatic const RtPhase phases[] = {\n");
    for (int i = 0; i < m->phase_count; i++) emit_phase(e, m->phases[i]);
    add_text(&e->out, "};\n");
}

/* ---- The memory plans ------------------------------------------------------------------------ */

/* What shares another tensor's memory has no row: its life is part of the other's. */
static void emit_plan(Emit *e, const Graph *g)
{
    add_text(&e->out, "\nstatic const RtPlanned plan_%s[] = {\n", g->name);
    for (int i = 0; i < g->tensor_count; i++) {
        const Tensor *t = g->tensors[i];
        if (t->kind != TENSOR_PLANNED || t->alias) continue;
        const int last = t->last < g->node_count ? t->last : g->node_count - 1;
        add_text(&e->out, "    {%s, BYTES(0x%08zx), BYTES(%zu), %d, %d},\n", c_string(t->name),
                 t->offset, t->bytes, t->first, last);
    }
    add_text(&e->out, "    {0},\n};\n");
}

static void emit_plans(Emit *e)
{
    const Model *m = e->m;
    for (int i = 0; i < m->program_count; i++) emit_plan(e, m->programs[i]);
    add_text(&e->out, "\nstatic const RtProgram programs[] = {\n");
    for (int i = 0; i < m->program_count; i++) {
        const Graph *g = m->programs[i];
        add_text(&e->out, "    {%s, %d, %d, %d, BYTES(%zu), BYTES(%zu), plan_%s},\n",
                 c_string(g->name), g->batch, g->micro, g->node_count, g->plan_bytes,
                 g->bound_bytes, g->name);
    }
    add_text(&e->out, "};\n");
}

/* ---- The model ------------------------------------------------------------------------------- */

/* What happens to pixels before the first layer with weights. */
static const char *preprocessing_text(const Model *m)
{
    Text text = {0};
    for (int i = 0; i < m->layer_count && m->layers[i]->weight_count == 0; i++) {
        const Layer *l = m->layers[i];
        if (l->op->flags & OP_TRAIN_ONLY) continue;
        const char *attrs = attrs_text(l->op->attrs, l->values);
        add_text(&text, "%s%s%s%s", text.length ? "; " : "", l->op->name, *attrs ? " " : "", attrs);
    }
    return text.length ? text.data : "none";
}

/* What the outputs mean: the activation that ends the model says it. */
static const char *head_of(const Model *m)
{
    const Layer *last = m->layers[m->layer_count - 1];
    const char *activation = last->op->name;
    for (const Attr *a = last->op->attrs; a && a->name; a++)
        if (strcmp(a->name, "activation") == 0) activation = layer_attr(last, "activation")->s;
    const int units = last->rank == 2 ? last->dims[1] : 0;
    if (activation && units > 1 &&
        (strcmp(activation, "softmax") == 0 || strcmp(activation, "Softmax") == 0))
        return "RT_CATEGORICAL_CROSSENTROPY";
    if (activation && units == 1 && strcmp(activation, "sigmoid") == 0)
        return "RT_BINARY_CROSSENTROPY";
    return "RT_MEAN_SQUARED_ERROR";
}

static bool has_imagenet_classes(const Model *m)
{
    const Layer *last = m->layers[m->layer_count - 1];
    return last->base && last->base->weights && last->rank == 2 && last->dims[1] == 1000 &&
           last->weight_count > 0;
}

static void emit_model_table(Emit *e)
{
    const Model *m = e->m;
    const Graph *infer = m->programs[0];
    const Layer *last = m->layers[m->layer_count - 1];
    int size = 1, rows = row_of(m, m->layer_count - 1) + 1;
    for (int i = 1; i < last->rank; i++) size *= last->dims[i];
    add_text(&e->out, "\nextern const RtModel %s_model;\nconst RtModel %s_model = {\n", m->name,
             m->name);
    add_text(&e->out,
             "    .abi = RT_ABI,\n    .name = %s,\n    .hash = \"%s\",\n    .tlc = \"%s\",\n",
             c_string(m->name), m->hash, TLC_VERSION);
    add_text(&e->out, "    .preprocessing = %s,\n", c_string(preprocessing_text(m)));
    add_text(&e->out,
             "    .height = %d,\n    .width = %d,\n    .channels = %d,\n    .interpolation = %s,\n",
             m->height, m->width, m->channels, m->nearest ? "RT_NEAREST" : "RT_BILINEAR");
    add_text(&e->out, "    .output_rank = %d,\n    .output_dims = {%s},\n    .output_size = %d,\n",
             last->rank, dims_text(last->rank, last->dims), size);
    add_text(&e->out, "    .head = %s,\n    .imagenet_classes = %d,\n", head_of(m),
             has_imagenet_classes(m));
    add_text(&e->out,
             "    .infer_batch = %d,\n    .prepare_infer = prepare_infer,\n    .infer = infer,\n"
             "    .infer_macs = %lld,\n    .layers = layers,\n    .layer_count = %d,\n",
             infer->batch, (long long)program_macs(infer), rows);
    if (m->weight_count > 0)
        add_text(&e->out,
                 "    .weights = weights,\n    .weight_count = %d,\n"
                 "    .only_packed = only_packed,\n",
                 m->weight_count);
    if (m->base_count > 0)
        add_text(&e->out, "    .bases = bases,\n    .base_count = %d,\n", m->base_count);
    if (m->phase_count > 0)
        add_text(&e->out, "    .phases = phases,\n    .phase_count = %d,\n", m->phase_count);
    add_text(&e->out,
             "    .arena_bytes = BYTES(0x%zx),\n    .plan_offset = BYTES(0x%zx),\n"
             "    .plan_bytes = BYTES(0x%zx),\n"
             "    .batch_offset = BYTES(0x%zx),\n"
             "    .batch_bytes = BYTES(0x%zx),\n    .scratch_bytes = BYTES(0x%zx),\n"
             "    .kernels = levels,\n    .programs = programs,\n    .program_count = %d,\n};\n",
             m->arena_bytes, m->plan_offset, m->plan_bytes, m->batch_offset, m->batch_bytes,
             m->scratch_bytes, m->program_count);
}

void emit_tables(Emit *e)
{
    add_text(&e->out,
             "\n/* ---- What the driver knows of the model "
             "-------------------------------------------------- */\n\n%s",
             fill_section(e, "level_table"));
    emit_levels(e, "level_row");
    add_text(&e->out, "};\n");
    add_text(&e->out,
             "\n/* Name, Keras class, base, rank and shape of the output, parameters, weights. */\n"
             "static const RtLayer layers[] = {\n");
    for (int i = 0; i < e->m->layer_count; i++) emit_layer(e, i);
    add_text(&e->out, "};\n");
    emit_weights(e);
    emit_packed_flags(e);
    emit_bases(e);
    emit_phases(e);
    emit_plans(e);
    emit_model_table(e);
    add_text(&e->out,
             "\n#ifndef NO_MAIN\nint main(int argc, char **argv) { return rt_main(&%s_model, argc, "
             "argv); }\n#endif\n",
             e->m->name);
}
