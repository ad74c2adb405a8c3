/* kernels.c: the kernels of the generated file, each made once however many nodes it serves, and
 * the calls of them. */
#include <string.h>

#include "emit.h"

static const Tensor *memory_of(const Tensor *t)
{
    while (t->alias) t = t->alias;
    return t;
}

/* Names of phases and layers may join to the same word in two ways, so each thing that has a name
 * in the file gets one of its own: the wanted one, or that with a number. */
const char *name_in_file(Emit *e, const void *thing, const char *wanted)
{
    const char *name = wanted;
    int suffix = 2;
    for (int i = 0; i < e->name_count; i++)
        if (e->names[i]->thing == thing) return e->names[i]->name;
    for (int i = 0; i < e->name_count; i++)
        if (strcmp(e->names[i]->name, name) == 0) {
            name = format("%s_%d", wanted, suffix++);
            i = -1;
        }
    FileName *entry = alloc(1, sizeof *entry);
    *entry = (FileName){thing, name};
    append(&e->names, &e->name_count, entry);
    return name;
}

static const char *slot_name(Emit *e, const Slot *s)
{
    return name_in_file(e, s, format("slot_%s", s->id));
}

static const char *planned_name(Emit *e, const Graph *g, const Tensor *t)
{
    return name_in_file(e, t, format("%s_%s", g->name, t->name));
}

const char *operand(Emit *e, const Tensor *t)
{
    if (memory_of(t)->kind == TENSOR_INPUT) t = memory_of(t); /* a view of the program's argument */
    switch (t->kind) {
    case TENSOR_WEIGHT:
        return format("weight_%s", t->weight->id);
    case TENSOR_SLOT:
        return slot_name(e, t->slot);
    case TENSOR_PACKED:
        return format("packed_%s", t->packed->id);
    case TENSOR_INPUT:
        e->uses_x |= t == e->g->x;
        e->uses_y |= t == e->g->y;
        return t == e->g->x ? "x" : "y";
    case TENSOR_PLANNED:
        break;
    }
    const char *name = planned_name(e, e->g, t);
    if (!e->in_loop || !memory_of(t)->boundary) return name;
    return format("%s + (size_t)first * %zu", name, picture_size(t));
}

static bool name_taken(const Emit *e, const char *name)
{
    for (int i = 0; i < e->kernel_count; i++)
        if (strcmp(e->kernels[i]->name, name) == 0) return true;
    return false;
}

static Kernel *find_kernel(Emit *e, const char *text, const char *name)
{
    for (int i = 0; i < e->kernel_count; i++)
        if (strcmp(e->kernels[i]->text, text) == 0) return e->kernels[i];
    Kernel *k = alloc(1, sizeof *k);
    k->name = name;
    for (int suffix = 2; name_taken(e, k->name); suffix++) k->name = format("%s_%d", name, suffix);
    k->text = text;
    append(&e->kernels, &e->kernel_count, k);
    return k;
}

/* Notes the node's name once, however many programs hold it. */
static void note_service(Kernel *k, const Node *n)
{
    const char *name = n->name;
    const size_t length = strlen(name);
    for (const char *at = k->serves.data; at && (at = strstr(at, name)); at += length)
        if ((at == k->serves.data || at[-1] == ' ') && (at[length] == ',' || at[length] == '\0'))
            return;
    add_text(&k->serves, "%s%s", k->serves.length ? ", " : "", name);
}

static void note_call(Emit *e, const Node *n, Kernel *k)
{
    MadeCall *call = alloc(1, sizeof *call);
    *call = (MadeCall){e->g, n, k->name};
    append(&e->made, &e->made_count, call);
    if (n->choice && !k->why) k->why = n->choice->why;
}

/* One piece of a call, on a new line if it would pass the margin. */
static void print_piece(Emit *e, size_t *column, const char *piece)
{
    enum { MARGIN = 100, INDENT = 9 };
    const size_t length = strlen(piece);
    if (*column + length + 2 > MARGIN) {
        add_text(&e->calls, "\n%*s", INDENT, "");
        *column = INDENT;
    } else if (*column > 0) {
        add_text(&e->calls, " ");
        (*column)++;
    }
    add_text(&e->calls, "%s", piece);
    *column += length;
}

static void print_operands(Emit *e, size_t *column, const char *macro, Tensor *const *tensors,
                           int count, const char *end)
{
    for (int i = 0; i < count; i++)
        print_piece(e, column,
                    format("%s%s%s%s", i ? "" : macro, i ? "" : "(", operand(e, tensors[i]),
                           i + 1 < count ? "," : end));
}

void emit_body(Emit *e, int level, const char *section, const char *tasks)
{
    e->body = fill_section(e, section);
    e->body_tasks = tasks;
    e->body_level = level;
    e->levels[level] = true;
}

/* The section; with the other body, if there is one. */
static const char *fill_bodies(Emit *e, const char *section)
{
    const char *text = fill_section(e, section);
    if (!e->body) return text;
    Text both = {0};
    add_text(&both, "#if LEVEL >= %d\n%s#else\n%s#endif\n", e->body_level, e->body, text);
    return both.data;
}

/* Of the body that the level has. */
static void print_tasks(Emit *e, size_t *column, const char *tasks)
{
    if (e->body && strcmp(e->body_tasks, tasks) != 0)
        print_piece(e, column, format("k->level >= %d ? %s :", e->body_level, e->body_tasks));
    print_piece(e, column, format("%s,", tasks));
    e->body = NULL;
}

void emit_kernel(Emit *e, const Node *n, const char *section, const char *name, const char *tasks)
{
    Kernel *k = find_kernel(e, fill_bodies(e, section), name);
    note_service(k, n);
    note_call(e, n, k);
    e->call_count++;
    size_t column = 0;
    print_piece(e, &column, format("    CALL(%s,", k->name));
    print_tasks(e, &column, tasks);
    print_operands(e, &column, "IN", n->in, n->in_count, n->out_count ? ")," : "));");
    print_operands(e, &column, "OUT", n->out, n->out_count, "));");
    if (n->out_count > 0) {
        const Tensor *y = n->out[0];
        const char *shape = shape_text(y->rank, y->dims, y->has_batch);
        print_piece(e, &column, format("/* %s */", replace_word(shape, "None", "n")));
    }
    add_text(&e->calls, "\n");
}

void need_text(Emit *e, const char *name, const char *text)
{
    for (int i = 0; i < e->section_count; i++)
        if (strcmp(e->sections[i], name) == 0) return;
    append(&e->sections, &e->section_count, (void *)name);
    append(&e->section_texts, &e->section_text_count, (void *)text);
}

void need_section(Emit *e, const char *section)
{
    for (int i = 0; i < e->section_count; i++)
        if (strcmp(e->sections[i], section) == 0) return;
    need_text(e, section, fill_section(e, section));
}

void need_level_section(Emit *e, int level, const char *section)
{
    Text text = {0};
    add_text(&text, "#if LEVEL >= %d\n%s#endif\n", level, fill_section(e, section));
    need_text(e, section, text.data);
}

/* ---- What stands where in the arena ---------------------------------------------------------- */

static void define(Emit *e, const char *name, size_t offset, const char *comment)
{
    add_text(&e->out, "#define %-36s REALS(0x%08zx) /* %s */\n", name, offset, comment);
}

static void define_weight(Emit *e, const Weight *w)
{
    add_text(&e->out, "#define %-36s WEIGHT(%d) /* %s */\n", format("weight_%s", w->id), w->index,
             shape_text(w->rank, w->dims, false));
}

static void emit_weight_table(Emit *e)
{
    const Model *m = e->m;
    if (m->weight_count > 0) add_text(&e->out, "/* Weights, in Keras's layout. */\n");
    for (int i = 0; i < m->weight_count; i++) define_weight(e, m->weights[i]);
    for (int p = 0; p < m->phase_count; p++)
        for (int i = 0; i < m->phases[p]->slot_count; i++) {
            const Slot *s = &m->phases[p]->slots[i];
            if (i == 0)
                add_text(&e->out, "\n/* Optimizer state of phase %s. */\n", m->phases[p]->name);
            define(e, slot_name(e, s), s->offset,
                   shape_text(s->weight->rank, s->weight->dims, false));
        }
    for (int i = 0; i < m->packed_count; i++) {
        const Packed *p = m->packed[i];
        if (i == 0) add_text(&e->out, "\n/* Weights as kernels read them, made by prepare_…. */\n");
        define(e, format("packed_%s", p->id), p->offset, format("%s", count_text(p->count)));
    }
}

static const char *life_text(const Graph *g, const Tensor *t)
{
    const Layout *l = &t->layout;
    Text text = {0};
    int64_t dims[MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    if (t->has_batch) dims[0] = rows_of(g, t);
    add_text(&text, "%-22s", shape_text(t->rank, dims, false));
    add_text(&text, " %3d-%-3d", memory_of(t)->first, memory_of(t)->last);
    if (t->rank == 4 && l->lanes != t->dims[3]) add_text(&text, " blocks of %d", l->lanes);
    if (l->top + l->left + l->bottom + l->right > 0)
        add_text(&text, " halo %d,%d,%d,%d", l->top, l->bottom, l->left, l->right);
    if (t->alias) add_text(&text, " over %s", memory_of(t)->name);
    return text.data;
}

static void emit_program_table(Emit *e, const Graph *g)
{
    add_text(&e->out, "\n/* %s: %s planned, the lower bound is %s.\n", g->name,
             bytes_text(g->plan_bytes), bytes_text(g->bound_bytes));
    add_text(&e->out, " * tensor%52s shape and the steps in which it lives */\n", "arena offset,");
    for (int i = 0; i < g->tensor_count; i++) {
        const Tensor *t = g->tensors[i];
        if (t->kind == TENSOR_PLANNED) define(e, planned_name(e, g, t), t->offset, life_text(g, t));
    }
}

void emit_tensor_table(Emit *e)
{
    emit_weight_table(e);
    for (int i = 0; i < e->m->program_count; i++) emit_program_table(e, e->m->programs[i]);
}

/* ---- The part that is compiled once a level -------------------------------------------------- */

static void emit_kernel_struct(Emit *e)
{
    add_text(&e->out, "static const struct Kernels NAME(kernels) = {\n    .level = LEVEL,\n");
    for (int i = 0; i < e->kernel_count; i++)
        add_text(&e->out, "    .%s = NAME(%s),\n", e->kernels[i]->name, e->kernels[i]->name);
    add_text(&e->out, "};\n");
}

/* Lines of a comment; its first follows three characters, its last some more. */
static const char *wrapped(const char *text)
{
    enum { COLUMNS = 92 };
    Text lines = {0};
    size_t left = strlen(text);
    while (left > COLUMNS) {
        size_t end = COLUMNS;
        while (end > 0 && text[end] != ' ') end--;
        if (end == 0) break;
        add_text(&lines, "%.*s\n * ", (int)end, text);
        text += end + 1;
        left -= end + 1;
    }
    add_text(&lines, "%s", text);
    return lines.data;
}

void emit_kernels(Emit *e)
{
    add_text(&e->out, "%s", fill_section(e, "level"));
    for (int i = 0; i < e->section_text_count; i++) add_text(&e->out, "\n%s", e->section_texts[i]);
    for (int i = 0; i < e->kernel_count; i++) {
        const Kernel *k = e->kernels[i];
        add_text(&e->out, "\n/* %s.", wrapped(format("%s: serves %s", k->name, k->serves.data)));
        if (k->why) add_text(&e->out, "\n * %s.", k->why);
        add_text(&e->out, " */\n");
        add_text(&e->out, "%s", replace_word(k->text, "$name", k->name));
    }
    add_text(&e->out, "\n");
    emit_kernel_struct(e);
}
