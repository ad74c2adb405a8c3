/* optimizer.c: SGD, RMSprop, Adam, AdamW, with Keras 3's formulas.
 *
 * An update node has in = [w, dw, slots…] and no output. Its kernel is a loop over one inline
 * function, which a gradient's kernel may also call on each part of dw that it has finished. */
#include <math.h>
#include <string.h>

#include "emit.h"

#define RATE_ATTR(value)                                                                           \
    {                                                                                              \
        .name = "learning_rate", .type = ATTR_RATE, .initial = value, .lo = 0, .hi = 1e30,         \
        .doc = "step size: a number, or a schedule that gives it for each step"                    \
    }
#define DECAY_ATTR(value)                                                                          \
    {                                                                                              \
        .name = "weight_decay", .type = ATTR_FLOAT, .flags = ATTR_NULL, .initial = value, .lo = 0, \
        .hi = 1e30, .doc = "before the step, w shrinks by w * weight_decay * learning_rate"        \
    }
#define EPSILON_ATTR(text)                                                                         \
    {                                                                                              \
        .name = "epsilon", .type = ATTR_FLOAT, .initial = "1e-7", .lo = 0, .hi = 1e30, .doc = text \
    }
#define LIMIT_ATTR(key, text)                                                                      \
    {                                                                                              \
        .name = key, .type = ATTR_FLOAT, .flags = ATTR_NULL | ATTR_OPEN_LO, .initial = "null",     \
        .lo = 0, .hi = 1e30, .doc = text                                                           \
    }
#define SHARE_ATTR(key, value, text)                                                               \
    {                                                                                              \
        .name = key, .type = ATTR_FLOAT, .initial = value, .lo = 0, .hi = 1, .doc = text           \
    }

#define CONTINUE_ATTR                                                                              \
    {                                                                                              \
        .name = "continue", .type = ATTR_BOOL, .initial = "false",                                 \
        .doc = "true: with the state that the phase before left, which must have the same type"    \
    }

#define COMMON_ATTRS                                                                               \
    CONTINUE_ATTR,                                                                                 \
        LIMIT_ATTR("clipnorm", "each weight's gradient is scaled down to this norm at most"),      \
        LIMIT_ATTR("global_clipnorm",                                                              \
                   "all gradients together are scaled down to this norm at most"),                 \
        LIMIT_ATTR("clipvalue", "each number of a gradient is held between minus this and this"),  \
    {                                                                                              \
        .name = "gradient_accumulation_steps", .type = ATTR_INT, .flags = ATTR_NULL,               \
        .initial = "null", .lo = 2, .hi = 1 << 20,                                                 \
        .doc = "weights change every so many steps, by the mean of their gradients"                \
    }

static const Attr sgd_attrs[] = {
    RATE_ATTR("0.01"),
    SHARE_ATTR("momentum", "0.0", "share of the last step that is kept"),
    {.name = "nesterov", .type = ATTR_BOOL, .initial = "false", .doc = "Nesterov's momentum"},
    DECAY_ATTR("null"),
    COMMON_ATTRS,
    {0},
};

static const Attr rmsprop_attrs[] = {
    RATE_ATTR("0.001"),
    SHARE_ATTR("rho", "0.9", "decay of the mean of squared gradients"),
    SHARE_ATTR("momentum", "0.0", "share of the last step that is kept"),
    EPSILON_ATTR("added under the root"),
    {.name = "centered",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: divides by the deviation instead of the root mean square"},
    DECAY_ATTR("null"),
    COMMON_ATTRS,
    {0},
};

#define ADAM_ATTRS(decay)                                                                          \
    RATE_ATTR("0.001"), SHARE_ATTR("beta_1", "0.9", "decay of the mean of gradients"),             \
        SHARE_ATTR("beta_2", "0.999", "decay of the mean of squared gradients"),                   \
        EPSILON_ATTR("added to the root"),                                                         \
        {.name = "amsgrad",                                                                        \
         .type = ATTR_BOOL,                                                                        \
         .initial = "false",                                                                       \
         .doc = "true: divides by the largest mean square so far"},                                \
        DECAY_ATTR(decay), COMMON_ATTRS

static const Attr adam_attrs[] = {ADAM_ATTRS("null"), {0}};
static const Attr adamw_attrs[] = {ADAM_ATTRS("0.004"), {0}};

static double number(const Attr *attrs, const Value *values, const char *name)
{
    const Value *v = find_value(attrs, (Value *)values, name);
    return v->is_null ? 0 : v->f[0];
}

static bool flag(const Attr *attrs, const Value *values, const char *name)
{
    return find_value(attrs, (Value *)values, name)->i[0] != 0;
}

static int sgd_slots(const Value *values, const char *names[MAX_SLOTS])
{
    names[0] = "momentum";
    return number(sgd_attrs, values, "momentum") != 0;
}

static int rmsprop_slots(const Value *values, const char *names[MAX_SLOTS])
{
    int count = 0;
    names[count++] = "velocity";
    if (number(rmsprop_attrs, values, "momentum") != 0) names[count++] = "momentum";
    if (flag(rmsprop_attrs, values, "centered")) names[count++] = "average_gradient";
    return count;
}

static int adam_slots(const Value *values, const char *names[MAX_SLOTS])
{
    names[0] = "m";
    names[1] = "v";
    names[2] = "vhat";
    return flag(adam_attrs, values, "amsgrad") ? 3 : 2;
}

const OptimizerKind optimizer_kinds[] = {
    {"SGD", "sgd", sgd_attrs, "Gradient descent, with or without momentum.", sgd_slots},
    {"RMSprop", "rmsprop", rmsprop_attrs, "Steps divided by the root mean square of the gradients.",
     rmsprop_slots},
    {"Adam", "adam", adam_attrs, "Adaptive moments.", adam_slots},
    {"AdamW", "adamw", adamw_attrs, "Adam with decoupled weight decay.", adam_slots},
    {0},
};

/* ---- Slots and nodes ------------------------------------------------------------------------- */

int accumulation_steps(const Phase *phase)
{
    const Value *steps =
        find_value(phase->optimizer->attrs, phase->optimizer_values, "gradient_accumulation_steps");
    return steps->is_null ? 1 : (int)steps->i[0];
}

static double limit(const Phase *phase, const char *name)
{
    return number(phase->optimizer->attrs, phase->optimizer_values, name);
}

void check_optimizer(const Phase *phase, const char *path)
{
    static const char *const limits[] = {"clipnorm", "global_clipnorm", "clipvalue"};
    const char *first = NULL;
    for (int i = 0; i < 3; i++) {
        if (limit(phase, limits[i]) == 0) continue;
        if (first)
            error_model(path, NULL, "\"%s\" and \"%s\" exclude each other", first, limits[i]);
        first = limits[i];
    }
}

void make_slots(Model *m, Phase *phase)
{
    const char *names[MAX_SLOTS];
    int each = phase->optimizer->slots(phase->optimizer_values, names);
    if (accumulation_steps(phase) > 1) names[each++] = "gradient_accumulator";
    phase->slots = alloc((size_t)m->weight_count * (size_t)each + 1, sizeof *phase->slots);
    phase->slot_count = 0;
    for (int i = 0; i < m->weight_count; i++) {
        Weight *w = m->weights[i];
        for (int s = 0; s < each && trains(phase, w); s++)
            phase->slots[phase->slot_count++] = (Slot){
                .name = names[s],
                .id = format("%s_%s_%s", phase->name, w->id, names[s]),
                .weight = w,
                .phase = phase,
            };
    }
}

/* The slots of w in the phase's order, the accumulated gradient last, and what clips the norm. */
static void apply(Graph *g, Weight *w, Tensor *gradient, Tensor *norm)
{
    Phase *phase = g->phase;
    Tensor *in[MAX_IN + 1] = {weight_tensor(g, w), gradient};
    int count = 2;
    for (int i = 0; i < phase->slot_count; i++)
        if (phase->slots[i].weight == w) in[count++] = slot_tensor(g, &phase->slots[i]);
    in[count] = norm;
    add_node(g, find_op(phase->optimizer->name), format("update_%s", w->id), w->layer,
             phase->optimizer_values, in);
}

static Tensor *accumulator(Graph *g, const Weight *w)
{
    Slot *last = NULL;
    for (int i = 0; i < g->phase->slot_count; i++)
        if (g->phase->slots[i].weight == w) last = &g->phase->slots[i];
    return accumulation_steps(g->phase) > 1 ? slot_tensor(g, last) : NULL;
}

void add_update(Graph *g, Weight *w, Tensor *gradient)
{
    Tensor *norm = NULL;
    if (limit(g->phase, "global_clipnorm") > 0) return; /* when all gradients are there */
    if (limit(g->phase, "clipnorm") > 0)
        norm = add_square_sum(g, w, gradient, accumulator(g, w), NULL);
    apply(g, w, gradient, norm);
}

void finish_updates(Graph *g)
{
    const int count = g->tensor_count;
    Tensor *norm = NULL;
    if (limit(g->phase, "global_clipnorm") == 0) return;
    for (int i = 0; i < count; i++) {
        const Tensor *t = g->tensors[i];
        if (t->kind == TENSOR_WEIGHT && t->grad)
            norm = add_square_sum(g, t->weight, t->grad, accumulator(g, t->weight), norm);
    }
    for (int i = 0; i < count; i++) {
        const Tensor *t = g->tensors[i];
        if (t->kind == TENSOR_WEIGHT && t->grad) apply(g, t->weight, t->grad, norm);
    }
}

/* ---- Emission -------------------------------------------------------------------------------- */

static double node_number(const Node *n, const char *name)
{
    return number(n->op->attrs, n->values, name);
}

static void set_number(Emit *e, const Node *n, const char *name)
{
    set(e, format("$%s", name), "%s", real_text(node_number(n, name)));
}

static void set_flag(Emit *e, const Node *n, const char *name)
{
    set(e, format("$%s", name), "%d", flag(n->op->attrs, n->values, name));
}

static const char *set_sgd(Emit *e, const Node *n)
{
    set_number(e, n, "momentum");
    set_flag(e, n, "nesterov");
    return "sgd";
}

/* The slots' order is that of rmsprop_slots. */
static const char *set_rmsprop(Emit *e, const Node *n)
{
    set_number(e, n, "rho");
    set(e, "$rest", "%s", real_text(1 - node_number(n, "rho")));
    set_number(e, n, "momentum");
    set_number(e, n, "epsilon");
    set_flag(e, n, "centered");
    return "rmsprop";
}

static const char *set_adam(Emit *e, const Node *n)
{
    set_number(e, n, "beta_1");
    set_number(e, n, "beta_2");
    set(e, "$rest_1", "%s", real_text(1 - node_number(n, "beta_1")));
    set(e, "$rest_2", "%s", real_text(1 - node_number(n, "beta_2")));
    set_number(e, n, "epsilon");
    set_flag(e, n, "amsgrad");
    return "adam";
}

/* A function for each phase, and for each regulariser and factor of the rate in it. */
static const char *function_name(const Node *update, const Phase *phase, Penalty p, double factor)
{
    char *name = format("%s_%s", update->op->name, phase->name);
    if (p.l1 != 0) name = format("%s_l1_%.9g", name, p.l1);
    if (p.l2 != 0) name = format("%s_l2_%.9g", name, p.l2);
    if (factor != 1) name = format("%s_rate_%.9g", name, factor);
    for (char *c = name; *c; c++)
        if (*c == '.' || *c == '-' || *c == '+') *c = '_';
    return name;
}

void set_penalty(Emit *e, const Weight *w)
{
    set(e, "$penalty", "%s, %s", real_text(w->penalty.l1), real_text(2 * w->penalty.l2));
}

/* What becomes of the gradient first; the slots' order is that of apply. */
static void set_clipping(Emit *e, const Node *update)
{
    const char *names[MAX_SLOTS];
    const Phase *phase = e->g->phase;
    const double norm = fmax(limit(phase, "clipnorm"), limit(phase, "global_clipnorm"));
    const int steps = accumulation_steps(phase);
    const int each = phase->optimizer->slots(update->values, names);
    set(e, "$steps", "%d", steps);
    set(e, "$sum", steps > 1 ? "slot[%d] + from + i" : "NULL", each);
    set(e, "$clip", "%s", real_text(limit(phase, "clipvalue")));
    if (norm > 0)
        set(e, "$scale", "NAME(norm_scale)(slot[%d], %s)", each + (steps > 1), real_text(norm));
    else
        set(e, "$scale", "1");
}

/* The function `name`, which calls `mean` each time that so many gradients are there. */
static void need_accumulation(Emit *e, const Node *update, const char *name, const char *mean)
{
    const char *names[MAX_SLOTS];
    const Phase *phase = e->g->phase;
    set(e, "$update", "%s", name);
    set(e, "$mean", "%s", mean);
    set(e, "$steps", "%d", accumulation_steps(phase));
    set(e, "$sums", "slot[%d] + from", phase->optimizer->slots(update->values, names));
    set_penalty(e, update->in[0]->weight);
    need_text(e, name, fill_section(e, "accumulated"));
}

const char *need_update(Emit *e, const Node *update)
{
    const Weight *w = update->in[0]->weight;
    const double factor = e->g->phase->rates[w->layer->index];
    const char *name = function_name(update, e->g->phase, w->penalty, factor);
    const bool accumulates = accumulation_steps(e->g->phase) > 1;
    const char *function = accumulates ? format("mean_%s", name) : name;
    need_section(e, "lanes");
    need_section(e, "optimizers");
    set(e, "$update", "%s", function);
    set(e, "$rate", factor == 1 ? "run->learning_rate" : "run->learning_rate * %s",
        real_text(factor));
    set_penalty(e, w);
    set_number(e, update, "weight_decay");
    set_clipping(e, update);
    const char *kind = update->op->name;
    const char *section = strcmp(kind, "sgd") == 0       ? set_sgd(e, update)
                          : strcmp(kind, "rmsprop") == 0 ? set_rmsprop(e, update)
                                                         : set_adam(e, update);
    need_text(e, function, fill_section(e, section));
    if (accumulates) need_accumulation(e, update, name, function);
    return name;
}

enum { UPDATE_PART = 16384 }; /* numbers that one task updates */

static void emit_update(Emit *e, const Node *n)
{
    const char *function = need_update(e, n), *slots = n->in_count == 2 ? "NULL" : "";
    const long long count = tensor_count(n->in[0]);
    for (int i = 2; i < n->in_count; i++)
        slots = format("%s%s(real *)call->in[%d]", slots, i > 2 ? ", " : "", i);
    set(e, "$update", "%s", function);
    set(e, "$count", "%lld", count);
    set(e, "$part", "%d", UPDATE_PART);
    set(e, "$slots", "%s", slots);
    emit_kernel(e, n, "update", format("update_%s_%lld", e->g->phase->name, count),
                format("%lld", (count + UPDATE_PART - 1) / UPDATE_PART));
}

/* An update has no output. */
static void infer_update(Node *n) { (void)n; }

static int64_t count_update(const Node *n) { return tensor_count(n->in[0]); }

const Op op_sgd = {
    .name = "sgd",
    .doc = "w by SGD",
    .attrs = sgd_attrs,
    .flags = OP_UPDATE,
    .infer = infer_update,
    .emit = emit_update,
    .macs = count_update,
};

const Op op_rmsprop = {
    .name = "rmsprop",
    .doc = "w by RMSprop",
    .attrs = rmsprop_attrs,
    .flags = OP_UPDATE,
    .infer = infer_update,
    .emit = emit_update,
    .macs = count_update,
};

const Op op_adam = {
    .name = "adam",
    .doc = "w by Adam",
    .attrs = adam_attrs,
    .flags = OP_UPDATE,
    .infer = infer_update,
    .emit = emit_update,
    .macs = count_update,
};

const Op op_adamw = {
    .name = "adamw",
    .doc = "w by AdamW",
    .attrs = adamw_attrs,
    .flags = OP_UPDATE,
    .infer = infer_update,
    .emit = emit_update,
    .macs = count_update,
};
