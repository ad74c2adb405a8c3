/* regularizers.c: penalties on weights, L1 and L2: reading them, their sum in the generated file.
 * What they add to gradients is in templates/optimizer.c. */
#include <string.h>
#include <strings.h>

#include "emit.h"

#define TYPE_ATTR(choice)                                                                          \
    {                                                                                              \
        "type", ATTR_CHOICE, ATTR_REQUIRED, NULL, 0, 0, choice, NULL                               \
    }
#define FACTOR_ATTR(name, initial)                                                                 \
    {                                                                                              \
        name, ATTR_FLOAT, 0, initial, 0, 1e30, NULL, NULL                                          \
    }

static const Attr l1_attrs[] = {TYPE_ATTR("l1"), FACTOR_ATTR("l1", "0.01"), {0}};
static const Attr l2_attrs[] = {TYPE_ATTR("l2"), FACTOR_ATTR("l2", "0.01"), {0}};
static const Attr both_attrs[] = {
    TYPE_ATTR("l1 l2 l1l2"), FACTOR_ATTR("l1", "0.0"), FACTOR_ATTR("l2", "0.0"), {0}};

/* The table of a type; with defaults that penalise, so that its name alone says enough, or without.
 * NULL: there is none. */
static const Attr *find_type(const char *word, bool alone)
{
    if (word && !strcasecmp(word, "l1")) return l1_attrs;
    if (word && !strcasecmp(word, "l2")) return l2_attrs;
    return alone ? NULL : both_attrs;
}

static double factor(const Attr *table, Value *values, const char *name)
{
    for (const Attr *attr = table; attr->name; attr++)
        if (!strcmp(attr->name, name)) return find_value(table, values, name)->f[0];
    return 0;
}

bool read_regularizer(const Json *json, const char *path, Penalty *penalty)
{
    const bool object = json_is_object(json);
    const char *word = json_string(object ? json_get(json, "type") : json);
    const Attr *table = find_type(word, !object);
    if (!table) return false;
    Value *values = object ? read_attrs(json, table, path, "") : default_attrs(table);
    *penalty = (Penalty){factor(table, values, "l1"), factor(table, values, "l2")};
    return true;
}

bool has_penalty(const Phase *phase, const Weight *w)
{
    return (w->penalty.l1 != 0 || w->penalty.l2 != 0) && !phase->frozen[w->layer->index];
}

static void add_term(Text *sum, double factor, const char *function, const Weight *w)
{
    if (factor != 0)
        add_text(sum, "%s%.17g * %s(weight_%s, %lld)", sum->length ? " +\n           " : "", factor,
                 function, w->id, (long long)weight_count(w));
}

bool emit_penalty(Emit *e)
{
    const Model *m = e->m;
    Text sum = {0};
    for (int i = 0; i < m->weight_count; i++) {
        const Weight *w = m->weights[i];
        if (!has_penalty(e->g->phase, w)) continue;
        add_term(&sum, w->penalty.l1, "rt_sum_magnitudes", w);
        add_term(&sum, w->penalty.l2, "rt_sum_squares", w);
    }
    if (sum.length == 0) return false;
    add_text(&e->out, "\nstatic double penalty_%s(const RtRun *r)\n{\n    return %s;\n}\n",
             e->g->phase->name, sum.data);
    return true;
}
