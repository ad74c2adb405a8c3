/* classes.c: how much each class counts in a phase: "class_weight". The names of the classes are
 * those of the data, so that the program looks them up when it starts. */
#include <string.h>

#include "emit.h"

enum { MOST_CLASSES = 100000 };

void read_class_weight(Phase *phase, const Json *object)
{
    const Json *json = json_get(object, "class_weight");
    const char *path = format("%s.class_weight", phase->path), *word = json_string(json);
    if (!json || json_is_null(json)) return;
    phase->weighs_classes = true;
    if (word && !strcmp(word, "balanced")) return;
    if (json_is_object(json) && !json_count(json)) error_model(path, NULL, "names no class");
    if (!json_is_object(json) || json_count(json) > MOST_CLASSES)
        error_model(path, NULL,
                    "must be \"balanced\" or an object such as {\"cat\": 1, \"dog\": 2.5}, but "
                    "is %s",
                    json_kind(json));
    for (const Json *item = json_first(json); item; item = json_next(item)) {
        ClassWeight *weight = alloc(1, sizeof *weight);
        weight->class = json_key(item);
        if (!json_number(item, &weight->weight) || !(weight->weight >= 0 && weight->weight <= 1e30))
            error_model(format("%s.%s", path, weight->class), NULL,
                        "must be a number that is at least 0, but is %s", json_kind(item));
        append(&phase->class_weights, &phase->class_weight_count, weight);
    }
}

void check_classes(const Model *m)
{
    for (int p = 0; p < m->phase_count; p++) {
        const Phase *phase = m->phases[p];
        const bool numbers = !strcmp(phase->loss->enumerator, "RT_MEAN_SQUARED_ERROR");
        if (!phase->weighs_classes && !phase->balanced_sampling) continue;
        const char *key = phase->weighs_classes ? "class_weight" : "sampling";
        if (numbers || m->layers[m->layer_count - 1]->rank != 2)
            error_model(
                format("%s.%s", phase->path, key), NULL,
                "wants a class for each picture: a crossentropy and an output (N, classes)");
    }
}

void emit_class_weights(Emit *e, const Phase *phase)
{
    if (phase->class_weight_count == 0) return;
    add_text(&e->out, "static const RtClassWeight class_weights_%s[] = {\n", phase->name);
    for (int i = 0; i < phase->class_weight_count; i++)
        add_text(&e->out, "    {%s, %.17g},\n", c_string(phase->class_weights[i]->class),
                 phase->class_weights[i]->weight);
    add_text(&e->out, "};\n");
}
