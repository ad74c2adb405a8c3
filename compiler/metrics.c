/* metrics.c: what a phase shows beside its loss, by Keras's names: the table of metrics, reading
 * them, their row in the generated file. */
#include <string.h>
#include <strings.h>

#include "emit.h"

enum { MOST_METRICS = 14 }; /* with the loss, and all again for validation: RT_LOGS */

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
        .hi = 1, .doc = "an output above this is a yes; null: 0.5"                                 \
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
     .lo = 0,
     .hi = 1,
     .doc = "an output above this is a yes"},
    {0},
};

static const Attr top_attrs[] = {OWN_NAME_ATTR, K_ATTR, {0}};

static const Attr precision_attrs[] = {COUNTED_NAME_ATTR, THRESHOLDS_ATTR, CLASS_ATTR, {0}};

static const Attr auc_attrs[] = {
    COUNTED_NAME_ATTR,
    {.name = "num_thresholds",
     .type = ATTR_INT,
     .initial = "200",
     .lo = 2,
     .hi = 1 << 16,
     .doc = "points of the curve"},
    {.name = "curve",
     .type = ATTR_CHOICE,
     .initial = "\"ROC\"",
     .choices = "ROC PR",
     .doc = "rate of true over false positives, or precision over recall"},
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
    {"AUC", "auc", "RT_AUC", auc_attrs, LABELS_EACH,
     "Area under a curve over all thresholds, all outputs taken together."},
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
    if (attrs != precision_attrs) return;
    const Value *class = find_value(attrs, metric->values, "class_id");
    if (!class->is_null && class->i[0] >= units_of(m))
        error_model(format("%s.class_id", metric->path), NULL, "the model has %d output%s",
                    units_of(m), units_of(m) == 1 ? "" : "s");
}

void check_metrics(const Model *m)
{
    for (int p = 0; p < m->phase_count; p++)
        for (int i = 0; i < m->phases[p]->metric_count; i++)
            check_metric(m, m->phases[p], m->phases[p]->metrics[i]);
}

/* ---- In the generated file ------------------------------------------------------------------- */

static double share(const Value *value) { return value->is_null ? 0.5 : value->f[0]; }

static void add_auc(Text *out, Value *values)
{
    const char *curve = find_value(auc_attrs, values, "curve")->s;
    const char *sum = find_value(auc_attrs, values, "summation_method")->s;
    add_text(out, ", .thresholds = %d, .curve = RT_CURVE_%s, .sum = RT_SUM_%s",
             (int)find_value(auc_attrs, values, "num_thresholds")->i[0], curve,
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
        add_text(out, ", .threshold = %.17g", share(find_value(binary_attrs, values, "threshold")));
    if (kind->attrs == top_attrs)
        add_text(out, ", .k = %d", (int)find_value(top_attrs, values, "k")->i[0]);
    if (kind->attrs == precision_attrs) {
        const Value *class = find_value(precision_attrs, values, "class_id");
        add_text(out, ", .threshold = %.17g, .class_id = %d",
                 share(find_value(precision_attrs, values, "thresholds")),
                 class->is_null ? -1 : (int)class->i[0]);
    }
    if (kind->attrs == auc_attrs) add_auc(out, values);
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
