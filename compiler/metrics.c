/* metrics.c: what a phase shows beside its loss, by Keras's names: the table of metrics, reading
 * them, their row in the generated file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "emit.h"

enum { MOST_METRICS = 14 }; /* with the loss, and all again for validation: RT_LOGS */
enum { MOST_THRESHOLDS = 65534 };

#define NAME_ATTR(text)                                                                            \
    {                                                                                              \
        .name = "name", .type = ATTR_NAME, .flags = ATTR_NULL, .initial = "null", .doc = text      \
    }
#define OWN_NAME_ATTR NAME_ATTR("shown under this name; null: under the short form of its type")
#define COUNTED_NAME_ATTR                                                                          \
    NAME_ATTR("shown under this name; null: under the short form of its type, numbered from the "  \
              "second object in the phase on")
#define K_ATTR                                                                                     \
    {                                                                                              \
        .name = "k", .type = ATTR_INT, .initial = "5", .lo = 1, .hi = 1 << 24,                     \
        .doc = "how many of the highest scores may hold the class"                                 \
    }
#define THRESHOLDS_ATTR                                                                            \
    {                                                                                              \
        .name = "thresholds", .type = ATTR_FLOAT, .flags = ATTR_NULL, .initial = "null", .lo = 0,  \
        .hi = 1, .doc = "an output above this is a yes; null: 0.5, or with top_k any number"       \
    }
#define TOP_ATTR                                                                                   \
    {                                                                                              \
        .name = "top_k", .type = ATTR_INT, .flags = ATTR_NULL, .initial = "null", .lo = 1,         \
        .hi = 1 << 24, .doc = "only so many of the highest outputs may be a yes; null: all"        \
    }
#define CLASS_ATTR                                                                                 \
    {                                                                                              \
        .name = "class_id", .type = ATTR_INT, .flags = ATTR_NULL, .initial = "null", .lo = 0,      \
        .hi = 1 << 24, .doc = "only this output counts; null: all of them"                         \
    }

static const Attr named_attrs[] = {OWN_NAME_ATTR, {0}};

static const Attr binary_attrs[] = {
    OWN_NAME_ATTR,
    {.name = "threshold",
     .type = ATTR_FLOAT,
     .initial = "0.5",
     .doc = "an output above this is a yes"},
    {0},
};

static const Attr top_attrs[] = {OWN_NAME_ATTR, K_ATTR, {0}};

static const Attr precision_attrs[] = {
    COUNTED_NAME_ATTR, THRESHOLDS_ATTR, TOP_ATTR, CLASS_ATTR, {0}};

static const Attr auc_attrs[] = {
    COUNTED_NAME_ATTR,
    {.name = "num_thresholds",
     .type = ATTR_INT,
     .initial = "200",
     .lo = 2,
     .hi = 1 << 16,
     .doc = "points of the curve"},
    {.name = "thresholds",
     .type = ATTR_NUMBERS,
     .flags = ATTR_NULL,
     .initial = "null",
     .lo = 0,
     .hi = 1,
     .doc = "these, one below 0 and one above 1; null: num_thresholds evenly spread"},
    {.name = "multi_label",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: the mean of the areas that each output has by itself"},
    {.name = "num_labels",
     .type = ATTR_INT,
     .flags = ATTR_NULL,
     .initial = "null",
     .lo = 1,
     .hi = 1 << 24,
     .doc = "with multi_label: the number of outputs"},
    {.name = "curve",
     .type = ATTR_CHOICE,
     .initial = "\"ROC\"",
     .choices = "ROC PR PRGAIN",
     .doc = "rate of true over false positives, precision over recall, or the gains of these over "
            "saying yes to all"},
    {.name = "summation_method",
     .type = ATTR_CHOICE,
     .initial = "\"interpolation\"",
     .choices = "interpolation minoring majoring",
     .doc = "height of the area between two points: their mean (on the curve PR between the "
            "counts), the lower, the higher"},
    {.name = "from_logits",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: the outputs are logits, not probabilities"},
    {0},
};

const MetricKind metric_kinds[] = {
    {"Accuracy", "accuracy", NULL, named_attrs, LABELS_ANY,
     "Share of right answers: one of the next three, by the number of outputs and the labels. "
     "`\"acc\"` is another name."},
    {"BinaryAccuracy", "binary_accuracy", "RT_BINARY_ACCURACY", binary_attrs, LABELS_EACH,
     "Share of the outputs that are on the label's side of the threshold."},
    {"CategoricalAccuracy", "categorical_accuracy", "RT_CATEGORICAL_ACCURACY", named_attrs,
     LABELS_EACH, "Share of the highest scores that are at the place of the one-hot label."},
    {"SparseCategoricalAccuracy", "sparse_categorical_accuracy", "RT_SPARSE_CATEGORICAL_ACCURACY",
     named_attrs, LABELS_NUMBERS, "Share of the highest scores that are those of the class."},
    {"TopKCategoricalAccuracy", "top_k_categorical_accuracy", "RT_TOP_K_CATEGORICAL_ACCURACY",
     top_attrs, LABELS_EACH, "Share of one-hot labels among the k highest scores."},
    {"SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy",
     "RT_SPARSE_TOP_K_CATEGORICAL_ACCURACY", top_attrs, LABELS_NUMBERS,
     "Share of classes among the k highest scores."},
    {"Precision", "precision", "RT_PRECISION", precision_attrs, LABELS_EACH,
     "Share of true ones among the outputs that say yes."},
    {"Recall", "recall", "RT_RECALL", precision_attrs, LABELS_EACH,
     "Share of the true ones that the outputs say yes to."},
    {"AUC", "auc", "RT_AUC", auc_attrs, LABELS_EACH, "Area under a curve over all thresholds."},
    {0},
};

/* ---- Reading --------------------------------------------------------------------------------- */

static const MetricKind *find_kind(const char *word, const char *path)
{
    Text list = {0};
    if (!strcasecmp(word, "acc")) word = "accuracy";
    for (const MetricKind *kind = metric_kinds; kind->type; kind++) {
        if (is_kind(word, kind->type, kind->name)) return kind;
        add_text(&list, "%s%s", list.length ? ", " : "", kind->name);
    }
    error_model(path, format("metrics are %s", list.data), "unknown metric \"%.80s\"", word);
}

/* An object without a name of its own: Keras numbers those of precision, recall and AUC. */
static const char *own_name(const Phase *phase, const MetricKind *kind)
{
    int number = 0;
    for (int i = 0; i < phase->metric_count; i++)
        number += phase->metrics[i]->kind == kind && phase->metrics[i]->is_counted;
    return number ? format("%s_%d", kind->name, number) : kind->name;
}

static void read_metric(Phase *phase, const Json *json, const char *path)
{
    const Json *object;
    const char *word = read_kind(json, path, &object);
    Metric *metric = alloc(1, sizeof *metric);
    metric->path = path;
    metric->kind = find_kind(word, path);
    metric->values = read_attrs(object, metric->kind->attrs, path, "type");
    const Value *name = find_value(metric->kind->attrs, metric->values, "name");
    metric->is_counted =
        object && name->is_null &&
        (metric->kind->attrs == precision_attrs || metric->kind->attrs == auc_attrs);
    metric->name = !object              ? word
                   : !name->is_null     ? name->s
                   : metric->is_counted ? own_name(phase, metric->kind)
                                        : metric->kind->name;
    for (int i = 0; i < phase->metric_count; i++)
        if (!strcmp(phase->metrics[i]->name, metric->name))
            error_model(path, "{\"type\": …, \"name\": …} gives it another name",
                        "the name \"%s\" stands for metrics[%d] already", metric->name, i);
    if (!strcmp(metric->name, "loss") || !strncmp(metric->name, "val_", 4))
        error_model(path, NULL, "the name \"%s\" is taken", metric->name);
    append(&phase->metrics, &phase->metric_count, metric);
}

void read_metrics(Phase *phase, const Json *object)
{
    const Json *item = read_array(object, "metrics", phase->path, MOST_METRICS);
    for (int i = 0; item; item = json_next(item), i++)
        read_metric(phase, item, format("%s.metrics[%d]", phase->path, i));
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

static bool takes_numbers(const Phase *phase)
{
    return !strcmp(phase->loss->enumerator, "RT_SPARSE_CATEGORICAL_CROSSENTROPY");
}

static int units_of(const Model *m)
{
    const Layer *last = m->layers[m->layer_count - 1];
    return last->dims[last->rank - 1];
}

/* "accuracy" is what outputs and labels make of it. */
static const MetricKind *settle_kind(const Model *m, const Phase *phase, const Metric *metric)
{
    if (metric->kind->enumerator) return metric->kind;
    return find_kind(units_of(m) == 1       ? "binary_accuracy"
                     : takes_numbers(phase) ? "sparse_categorical_accuracy"
                                            : "categorical_accuracy",
                     metric->path);
}

static _Noreturn void error_outputs(const Model *m, const Metric *metric, const char *key)
{
    error_model(format("%s.%s", metric->path, key), NULL, "the model has %d output%s", units_of(m),
                units_of(m) == 1 ? "" : "s");
}

static void check_precision(const Model *m, const Metric *metric)
{
    const Value *class = find_value(precision_attrs, metric->values, "class_id");
    const Value *top = find_value(precision_attrs, metric->values, "top_k");
    if (!class->is_null && class->i[0] >= units_of(m)) error_outputs(m, metric, "class_id");
    if (!top->is_null && top->i[0] > units_of(m)) error_outputs(m, metric, "top_k");
}

static void check_auc(const Model *m, const Metric *metric)
{
    const Value *labels = find_value(auc_attrs, metric->values, "num_labels");
    const bool many = find_value(auc_attrs, metric->values, "multi_label")->i[0];
    if (many && m->layers[m->layer_count - 1]->rank != 2)
        error_model(format("%s.multi_label", metric->path), "Flatten before the last layer",
                    "the model's output must have rank 2");
    if (!labels->is_null && !many)
        error_model(format("%s.num_labels", metric->path), "\"multi_label\": true",
                    "only with multi_label");
    if (!labels->is_null && labels->i[0] != units_of(m)) error_outputs(m, metric, "num_labels");
    if (find_value(auc_attrs, metric->values, "thresholds")->count > MOST_THRESHOLDS)
        error_model(format("%s.thresholds", metric->path), NULL, "more than %d", MOST_THRESHOLDS);
}

static void check_metric(const Model *m, const Phase *phase, const Metric *metric)
{
    const Attr *attrs = metric->kind->attrs;
    if (metric->kind->labels == LABELS_EACH && takes_numbers(phase))
        error_model(metric->path,
                    "the loss categorical_crossentropy makes one-hot labels; the metrics sparse_… "
                    "and accuracy take class numbers",
                    "%s wants a label for each output, but the loss %s takes class numbers",
                    metric->kind->name, phase->loss->name);
    if (metric->kind->labels == LABELS_NUMBERS && !takes_numbers(phase))
        error_model(metric->path, "the metric without sparse_ takes them",
                    "%s wants class numbers, but the loss %s takes a label for each output",
                    metric->kind->name, phase->loss->name);
    if (attrs == precision_attrs) check_precision(m, metric);
    if (attrs == auc_attrs) check_auc(m, metric);
}

void check_metrics(const Model *m)
{
    for (int p = 0; p < m->phase_count; p++)
        for (int i = 0; i < m->phases[p]->metric_count; i++)
            check_metric(m, m->phases[p], m->phases[p]->metrics[i]);
}

/* ---- In the generated file ------------------------------------------------------------------- */

static void add_precision(Text *out, Value *values)
{
    const Value *threshold = find_value(precision_attrs, values, "thresholds");
    const Value *top = find_value(precision_attrs, values, "top_k");
    const Value *class = find_value(precision_attrs, values, "class_id");
    add_text(out, ", .threshold = %.17g, .class_id = %d",
             !threshold->is_null ? threshold->f[0]
             : top->is_null      ? 0.5
                                 : -1e10, /* as Keras's NEG_INF */
             class->is_null ? -1 : (int)class->i[0]);
    if (!top->is_null) add_text(out, ", .k = %d", (int)top->i[0]);
}

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Whether they are what num_thresholds makes, as near as Keras asks: it sorts outputs between such
 * by another rule. */
static bool is_even(const double *points, int count)
{
    for (int i = 0; i < count; i++) {
        const double even = (double)(float)(i + 1) / (count + 1);
        if (fabs(points[i] - even) > 1e-7 + 1e-5 * even) return false;
    }
    return true;
}

static void add_thresholds(Text *out, Value *values)
{
    const Value *given = find_value(auc_attrs, values, "thresholds");
    if (given->is_null) {
        add_text(out, ", .thresholds = %d",
                 (int)find_value(auc_attrs, values, "num_thresholds")->i[0]);
        return;
    }
    qsort(given->numbers, (size_t)given->count, sizeof *given->numbers, compare_numbers);
    add_text(out, ", .thresholds = %d", given->count + 2);
    if (is_even(given->numbers, given->count)) return;
    add_text(out, ", .points = (const double[]){");
    for (int i = 0; i < given->count; i++)
        add_text(out, "%s%.17g", i ? ", " : "", given->numbers[i]);
    add_text(out, "}");
}

static void add_auc(Text *out, const Model *m, Value *values)
{
    const char *curve = find_value(auc_attrs, values, "curve")->s;
    const char *sum = find_value(auc_attrs, values, "summation_method")->s;
    add_thresholds(out, values);
    if (find_value(auc_attrs, values, "multi_label")->i[0])
        add_text(out, ", .labels = %d", units_of(m));
    add_text(out, ", .curve = RT_CURVE_%s, .sum = RT_SUM_%s", curve,
             !strcmp(sum, "minoring")   ? "LOWER"
             : !strcmp(sum, "majoring") ? "HIGHER"
                                        : "BETWEEN");
    if (find_value(auc_attrs, values, "from_logits")->i[0]) add_text(out, ", .from_logits = 1");
}

static void add_metric(Text *out, const Model *m, const Phase *phase, const Metric *metric)
{
    const MetricKind *kind = settle_kind(m, phase, metric);
    Value *values = kind == metric->kind ? metric->values : default_attrs(kind->attrs);
    add_text(out, "    {.name = %s, .kind = %s", c_string(metric->name), kind->enumerator);
    if (kind->attrs == binary_attrs)
        add_text(out, ", .threshold = %.17g", find_value(binary_attrs, values, "threshold")->f[0]);
    if (kind->attrs == top_attrs)
        add_text(out, ", .k = %d", (int)find_value(top_attrs, values, "k")->i[0]);
    if (kind->attrs == precision_attrs) add_precision(out, values);
    if (kind->attrs == auc_attrs) add_auc(out, m, values);
    add_text(out, "},\n");
}

void emit_metrics(Emit *e, const Phase *phase)
{
    if (phase->metric_count == 0) return;
    add_text(&e->out, "static const RtMetric metrics_%s[] = {\n", phase->name);
    for (int i = 0; i < phase->metric_count; i++)
        add_metric(&e->out, e->m, phase, phase->metrics[i]);
    add_text(&e->out, "};\n");
}
