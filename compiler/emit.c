/* emit.c: prints the generated file, from top to bottom: header, table of the arena, kernels
 * (included once a level), the functions of each program, the tables for the driver, main.
 *
 * Requires: plan_model. The same model gives the same bytes on every machine. */
#include <stdlib.h>
#include <string.h>

#include "emit.h"

/* ---- Header ---------------------------------------------------------------------------------- */

static void emit_header(Emit *e)
{
    const Model *m = e->m;
    int64_t params = 0;
    for (int i = 0; i < m->weight_count; i++) params += weight_count(m->weights[i]);
    add_text(&e->out,
             "/* %s.c: model \"%s\" by tlc %s. Made by a program: edit the JSON instead.\n"
             " * Graph %s.\n"
             " * Pictures of %dx%dx%d; %s parameters, %s of arena; precision %s.\n",
             m->name, m->name, TLC_VERSION, m->hash, m->height, m->width, m->channels,
             count_text(params), bytes_text(m->arena_bytes), precision_names[m->precision]);
    for (int p = 0; p < m->phase_count; p++) {
        const Phase *phase = m->phases[p];
        int64_t trained = 0;
        for (int i = 0; i < m->weight_count; i++)
            if (trains(phase, m->weights[i])) trained += weight_count(m->weights[i]);
        add_text(&e->out, " * Phase %s trains %s of them by %s, batch %d.\n", phase->name,
                 count_text(trained), phase->optimizer->type, (int)phase->batch);
    }
    add_text(&e->out,
             " *\n"
             " * The file includes itself once for each ISA level that the compiler knows, with "
             "LEVEL set:\n"
             " * that compiles the part between the marks \"Kernels\" and \"Programs\". */\n\n");
}

/* A section for each level but the generic one that the file has. */
void emit_levels(Emit *e, const char *section)
{
    static const struct {
        const char *suffix, *target;
    } levels[LEVEL_COUNT] = {{NULL, NULL},
                             {"avx2", "RT_TARGET_AVX2"},
                             {"avx512", "RT_TARGET_AVX512"},
                             {"avx512_bf16", "RT_TARGET_AVX512_BF16"},
                             {"amx", "RT_TARGET_AMX"}};
    for (int i = 1; i < LEVEL_COUNT; i++) {
        if (i >= LEVEL_AVX512_BF16 && !e->levels[i]) continue;
        set(e, "$level", "%d", i);
        set(e, "$suffix", "%s", levels[i].suffix);
        if (strcmp(section, "include_level") == 0) set(e, "$target", "%s", levels[i].target);
        add_text(&e->out, "%s", fill_section(e, section));
    }
}

static void emit_prologue(Emit *e)
{
    emit_header(e);
    add_text(&e->out,
             "#ifndef LEVEL\n#include \"rt.h\"\n\n#include <math.h>\n#include <string.h>\n\n");
    add_text(&e->out, "%s\n", fill_section(e, "file_macros"));
    add_text(&e->out, "%s\n", fill_section(e, "call_macros"));
    emit_tensor_table(e);
    add_text(&e->out, "\n/* The kernels of a level; each runs once for every task of its grid. */\n"
                      "struct Kernels {\n    int level;\n");
    for (int i = 0; i < e->kernel_count; i++)
        add_text(&e->out, "    RtKernel *%s;\n", e->kernels[i]->name);
    add_text(&e->out, "};\n\n%s", fill_section(e, "include_levels"));
    emit_levels(e, "include_level");
    add_text(&e->out, "\n#else\n/* ---- Kernels "
                      "-------------------------------------------------------------------------- "
                      "*/\n\n");
    emit_kernels(e);
    add_text(&e->out, "#endif\n\n#ifndef LEVEL\n/* ---- Programs "
                      "------------------------------------------------------------------------- "
                      "*/\n");
}

/* ---- Functions of a program ------------------------------------------------------------------ */

typedef bool Filter(const Graph *g, const Node *n);

static bool is_prepare(const Graph *g, const Node *n) { return (void)g, n->in_prepare; }
static bool is_below(const Graph *g, const Node *n)
{
    return (void)g, n->in_prepare && n->out[0]->users[0]->in_prefix;
}
static bool is_above(const Graph *g, const Node *n) { return n->in_prepare && !is_below(g, n); }
static bool is_main(const Graph *g, const Node *n) { return (void)g, !n->in_prepare; }
static bool is_frozen(const Graph *g, const Node *n)
{
    return (void)g, n->in_prefix && !n->in_prepare;
}
static bool is_rest(const Graph *g, const Node *n)
{
    return (void)g, !n->in_prefix && !n->in_prepare;
}
static bool is_forward(const Graph *g, const Node *n)
{
    return !n->in_prefix && !n->in_prepare && n->index <= g->loss->producer->index;
}
static bool is_backward(const Graph *g, const Node *n)
{
    return !n->in_prefix && !n->in_prepare && n->index > g->loss->producer->index;
}

/* For a callback that looks for numbers that are not finite: shows it the result of a call. */
static void emit_watch(Emit *e, const Node *n)
{
    const Tensor *t = n->out_count > 0 ? n->out[0] : NULL;
    if (!t || t->kind != TENSOR_PLANNED || !t->has_batch || n->op->flags & OP_VIEW) return;
    const bool is_loss = t == e->g->loss;
    add_text(&e->calls, "    if (r->watch) r->watch(r, %s, %s, %s, n, %zu);\n",
             is_loss ? "NULL" : c_string(n->layer->name), operand(e, t), e->in_loop ? "first" : "0",
             picture_size(t));
}

/* Fills e->calls with the calls of the nodes that pass the filter; false if there is none. */
static bool collect_calls(Emit *e, Filter *filter)
{
    e->calls = (Text){0};
    e->uses_x = e->uses_y = false;
    e->call_count = 0;
    for (int i = 0; i < e->g->node_count; i++) {
        const Node *n = e->g->nodes[i];
        if (!filter(e->g, n) || !n->op->emit) continue;
        n->op->emit(e, n);
        if ((filter == is_frozen || filter == is_forward) && watches_numbers(e->g->phase))
            emit_watch(e, n);
    }
    return e->call_count > 0;
}

static const char *kernels_line = "    const struct Kernels *k = r->kernels;\n";

/* The body, or a call of the function before that has the same. */
static const char *shared_body(Emit *e, const char *name, const char *body)
{
    for (int i = 0; i < e->preparation_count; i++)
        if (strcmp(e->preparations[i]->body, body) == 0)
            return format("    %s(r);\n", e->preparations[i]->name);
    Preparation *p = alloc(1, sizeof *p);
    *p = (Preparation){name, body};
    append(&e->preparations, &e->preparation_count, p);
    return body;
}

static void emit_prepare_as(Emit *e, const char *name, Filter *filter)
{
    const char *body = "    (void)r; /* every weight is used as it is */\n";
    if (collect_calls(e, filter))
        body = shared_body(
            e, name, format("    enum { n = 0, first = 0 };\n%s%s", kernels_line, e->calls.data));
    add_text(&e->out, "\nstatic void %s(const RtRun *r)\n{\n%s}\n", name, body);
}

static void emit_prepare(Emit *e)
{
    const char *name = e->g->name;
    if (!e->g->cut) {
        emit_prepare_as(e, format("prepare_%s", name), is_prepare);
        return;
    }
    emit_prepare_as(e, format("prepare_below_%s", name), is_below);
    emit_prepare_as(e, format("prepare_above_%s", name), is_above);
    add_text(&e->out,
             "\nstatic void prepare_%s(const RtRun *r)\n{\n    prepare_below_%s(r);\n"
             "    prepare_above_%s(r);\n}\n",
             name, name, name);
}

static void emit_copy(Emit *e, const char *to, const Tensor *from)
{
    add_text(&e->out, "    memcpy(%s, %s, (size_t)n * %zu * sizeof(real));\n", to, operand(e, from),
             picture_size(from));
}

/* Opens a program's function, or, if it is cut in two, that of its upper part, which takes no
 * pictures. */
static void open_program(Emit *e, const char *what, const char *type, const char *results)
{
    const Graph *g = e->g;
    add_text(&e->out, "\n/* %s at most %d pictures%s%s. */\n", what, g->batch,
             g->cut ? ", from what the lower part left: " : "", g->cut ? g->cut->layer->name : "");
    add_text(&e->out, "static %s %s%s(const RtRun *r, %s%sint n, %s)\n{\n", type,
             g->cut ? "above_" : "", g->name, g->cut ? "" : "const real *x, ",
             g->y ? "const real *y, " : "", results);
}

/* The program of both its parts. */
static void join_parts(Emit *e, const char *type, const char *results, const char *arguments)
{
    const char *name = e->g->name;
    if (!e->g->cut) return;
    add_text(&e->out,
             "\nstatic %s %s(const RtRun *r, const real *x, const real *y, int n, %s)\n{\n"
             "    below_%s(r, x, n);\n    %sabove_%s(r, y, n, %s);\n}\n",
             type, name, results, name, strcmp(type, "void") ? "return " : "", name, arguments);
}

/* Opens the function of the lower part. */
static void open_below(Emit *e)
{
    const Cut *cut = e->g->cut;
    add_text(&e->out,
             "\n/* Pictures to what layer %s gives: %s numbers of each. */\n"
             "static void below_%s(const RtRun *r, const real *x, int n)\n{\n",
             cut->layer->name, count_text(cut->numbers), e->g->name);
}

static void emit_inference_below(Emit *e)
{
    if (!e->g->cut) return;
    collect_calls(e, is_frozen);
    e->g->cut->hash = hash_below(e);
    open_below(e);
    add_text(&e->out, "    enum { first = 0 };\n%s%s}\n", kernels_line, e->calls.data);
}

static void emit_inference(Emit *e)
{
    const Graph *g = e->g;
    const bool labels = g->kind == PROGRAM_EVALUATE;
    const char *results = labels ? "real *out, real *loss" : "real *out";
    emit_inference_below(e);
    collect_calls(e, g->cut ? is_rest : is_main);
    open_program(e, labels ? "Outputs and losses of" : "Outputs of", "void", results);
    if (e->call_count > 0)
        add_text(&e->out, "    enum { first = 0 };\n%s%s", kernels_line, e->calls.data);
    else
        add_text(&e->out, "    (void)r;\n");
    emit_copy(e, "out", g->output);
    if (labels) emit_copy(e, "loss", g->loss);
    add_text(&e->out, "}\n");
    join_parts(e, "void", results, "out, loss");
}

/* One stage of a training step as a function of its own; returns how the step calls it, or NULL if
 * the stage is empty. */
static const char *emit_stage(Emit *e, const char *stage, Filter *filter, const char *comment)
{
    e->in_loop = filter == is_frozen;
    const bool any = collect_calls(e, filter);
    const bool loop = e->in_loop;
    e->in_loop = false;
    if (!any) return NULL;
    const char *name = format("%s_%s", stage, e->g->phase->name);
    add_text(&e->out, "\n/* %s */\nstatic void %s(const RtRun *r%s%s%s, int n)\n{\n", comment, name,
             e->uses_x ? ", const real *x" : "", e->uses_y ? ", const real *y" : "",
             loop ? ", int first" : "");
    if (!loop) add_text(&e->out, "    enum { first = 0 };\n");
    add_text(&e->out, "%s%s}\n", kernels_line, e->calls.data);
    return loop ? name
                : format("%s(r%s%s, n);", name, e->uses_x ? ", x" : "", e->uses_y ? ", y" : "");
}

static void emit_prefix_loop(Emit *e, const char *name)
{
    const Graph *g = e->g;
    add_text(&e->out, "    for (int first = 0; first < n; first += %d)\n        %s(r", g->micro,
             name);
    if (e->uses_x) add_text(&e->out, ", x + (size_t)first * %zu", picture_size(g->x));
    add_text(&e->out, ", first, n - first < %d ? n - first : %d);\n", g->micro, g->micro);
}

static const char *frozen_comment(const Graph *g)
{
    const Node *first = NULL, *last = NULL;
    for (int i = 0; i < g->node_count; i++)
        if (is_frozen(g, g->nodes[i]) && !(g->nodes[i]->op->flags & OP_PACK)) {
            if (!first) first = g->nodes[i];
            last = g->nodes[i];
        }
    if (!first) return "";
    return format("Frozen: %s … %s, %d picture%s at a time. No gradient enters.",
                  first->layer->name, last->layer->name, g->micro, g->micro == 1 ? "" : "s");
}

static void emit_training_below(Emit *e, const char *frozen)
{
    if (!e->g->cut) return;
    e->g->cut->hash = hash_below(e);
    open_below(e);
    emit_prefix_loop(e, frozen);
    add_text(&e->out, "}\n");
}

static void emit_training(Emit *e)
{
    const Graph *g = e->g;
    const char *frozen = emit_stage(e, "frozen", is_frozen, frozen_comment(g));
    const bool frozen_x = e->uses_x;
    emit_training_below(e, frozen);
    const char *forward =
        emit_stage(e, "forward", is_forward, "Forward, to the loss of each picture.");
    const char *backward =
        emit_stage(e, "backward", is_backward,
                   "Backward: each gradient is used for its update as soon as it is there.");
    const bool penalty = emit_penalty(e);
    open_program(e, format("One step of phase %s:", g->phase->name), "double", "real *out");
    e->uses_x = frozen_x;
    if (frozen && !g->cut) emit_prefix_loop(e, frozen);
    if (forward) add_text(&e->out, "    %s\n", forward);
    add_text(&e->out, "    const double loss = rt_mean(%s, n)", operand(e, g->loss));
    if (penalty) add_text(&e->out, " + penalty_%s(r)", g->phase->name);
    add_text(&e->out, ";\n");
    emit_copy(e, "out", g->output);
    if (backward) add_text(&e->out, "    %s\n", backward);
    add_text(&e->out, "    return loss;\n}\n");
    join_parts(e, "double", "real *out", "out");
}

static void emit_program(Emit *e, const Graph *g)
{
    e->g = g;
    emit_prepare(e);
    if (g->kind == PROGRAM_TRAIN)
        emit_training(e);
    else
        emit_inference(e);
}

/* ---- The file -------------------------------------------------------------------------------- */

/* Programs are printed first, into a text of their own, since that finds the kernels that the top
 * of the file must know. */
Emit *print_model(const Model *m)
{
    Emit *e = alloc(1, sizeof *e);
    e->m = m;
    for (int i = 0; i < m->program_count; i++) {
        const Graph *g = m->programs[i];
        name_in_file(e, g, g->name); /* its function's: no tensor may take it */
        name_in_file(e, &g->name, format("prepare_%s", g->name));
        name_in_file(e, &g->nodes, format("plan_%s", g->name));
    }
    for (int i = 0; i < m->program_count; i++) emit_program(e, m->programs[i]);
    emit_tables(e);
    const Text programs = e->out;
    e->out = (Text){0};
    emit_prologue(e);
    add_bytes(&e->out, programs.data, programs.length);
    add_text(&e->out, "#endif\n");
    return e;
}
