/* freeze.c: which layers a phase leaves alone, and how fast it trains the others, by the patterns
 * that it lists. Keras's meaning: a frozen layer's weights do not change; frozen Dropout drops as
 * before. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { MOST_PATTERN = 200 };

/* A Python index or slice; *_given false: left out. */
typedef struct {
    bool is_index;
    bool given[3];
    int64_t value[3]; /* start, stop, step */
} Slice;

/* Digits with an optional minus at *p; far values are cut, which changes no result. */
static bool read_integer(const char **p, int64_t *value)
{
    const char *digits = *p + (**p == '-');
    size_t count = strspn(digits, "0123456789");
    if (!count) return false;
    *value = strtoll(*p, NULL, 10);
    if (*value > INT32_MAX) *value = INT32_MAX;
    if (*value < -INT32_MAX) *value = -INT32_MAX;
    *p = digits + count;
    return true;
}

/* "3", "-4", ":7", "1:-4", "::2", up to the closing bracket. */
static bool read_slice(const char *p, Slice *slice)
{
    *slice = (Slice){.is_index = true, .value = {0, 0, 1}};
    for (int part = 0; part < 3; part++) {
        slice->given[part] = read_integer(&p, &slice->value[part]);
        if (*p == ']') return !p[1] && (!slice->is_index || slice->given[0]);
        if (*p++ != ':') return false;
        slice->is_index = false;
    }
    return false;
}

/* Start and stop of a slice of `count` items as Python's slice.indices gives them. */
static void clip_slice(Slice *slice, int64_t count)
{
    bool down = slice->value[2] < 0;
    int64_t low = down ? -1 : 0, high = down ? count - 1 : count;
    for (int i = 0; i < 2; i++) {
        int64_t *v = &slice->value[i];
        if (!slice->given[i])
            *v = (i == 0) != down ? low : high;
        else if (*v < 0)
            *v = *v + count < low ? low : *v + count;
        else if (*v > high)
            *v = high;
    }
}

/* The layers of every part of the base `name`, in order; NULL stands for Keras's InputLayer. */
static int list_base(const Model *model, const char *name, Layer ***layers)
{
    int count = 0;
    for (int b = 0; b < model->base_count; b++) {
        const Base *base = model->bases[b];
        if (strcmp(base->name, name)) continue;
        if (base->input_layer) append(layers, &count, NULL);
        for (int i = 0; i < base->count; i++) append(layers, &count, base->layers[i]);
    }
    return count;
}

/* `found` has a flag for each layer of the model. */
static void take(bool *found, const Layer *layer)
{
    if (layer) found[layer->index] = true;
}

static void take_index(bool *found, const char *name, int64_t index, Layer **layers, int count,
                       const char *path)
{
    if (index < 0) index += count;
    if (index < 0 || index >= count)
        error_model(path, NULL, "index out of range: %s has %d layers%s", name, count,
                    layers[0] ? "" : ", its InputLayer counted");
    take(found, layers[index]);
}

static void take_slice(bool *found, const char *name, Slice *slice, Layer **layers, int count,
                       const char *path)
{
    if (slice->value[2] == 0) error_model(path, NULL, "a slice's step must not be 0");
    clip_slice(slice, count);
    int64_t stop = slice->value[1], step = slice->value[2];
    bool any = false;
    for (int64_t i = slice->value[0]; step > 0 ? i < stop : i > stop; i += step, any = true)
        take(found, layers[i]);
    if (!any)
        error_model(path, NULL, "the slice takes none of the %d layers of %s%s", count, name,
                    layers[0] ? "" : ", its InputLayer counted");
}

/* Patterns "base" and "base[slice]". Returns false if the pattern is none of these or takes
 * nothing. */
static bool take_base(const Model *model, bool *found, const char *pattern, const char *path)
{
    Slice slice = {.is_index = false, .value = {0, 0, 1}};
    Layer **layers = NULL;
    size_t length = strcspn(pattern, "[");
    const char *name = copy_text(pattern, length);
    int count = list_base(model, name, &layers);
    if (!count) return false;
    if (pattern[length] && !read_slice(pattern + length + 1, &slice))
        error_model(path, "such as vgg16[:7], vgg16[:-4], vgg16[1::2], vgg16[3]",
                    "\"%s\" is not a Python slice of %s", pattern + length, name);
    if (slice.is_index)
        take_index(found, name, slice.value[0], layers, count, path);
    else
        take_slice(found, name, &slice, layers, count, path);
    return true;
}

/* Layer names, with or without wildcards. A wildcard may also take a base by its name. */
static bool take_names(const Model *model, bool *found, const char *pattern)
{
    bool any = false;
    for (int i = 0; i < model->layer_count; i++) {
        const Layer *layer = model->layers[i];
        if (fnmatch(pattern, layer->name, FNM_NOESCAPE) &&
            !(layer->base && !fnmatch(pattern, layer->base->name, FNM_NOESCAPE)))
            continue;
        take(found, layer);
        any = true;
    }
    return any;
}

static bool is_listed(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

/* The names of bases and layers nearest to the pattern, "a, b, c". */
static const char *near_names(const Model *model, const char *pattern)
{
    enum { SHOWN = 4 };
    const char **names = NULL, *shown[SHOWN];
    int count = 0, taken = 0;
    for (int i = 0; i < model->base_count; i++)
        if (!is_listed(model->bases[i]->name, names, count))
            append(&names, &count, (char *)model->bases[i]->name);
    for (int i = 0; i < model->layer_count; i++)
        append(&names, &count, (char *)model->layers[i]->name);
    const size_t length = strlen(pattern);
    const bool is_slice = length > 0 && pattern[length - 1] == ']';
    const char *word = copy_text(pattern, is_slice ? strcspn(pattern, "[") : length);
    Text text = {0};
    for (; taken < SHOWN && taken < count; taken++) {
        const char *best = NULL;
        for (int i = 0; i < count; i++)
            if (!is_listed(names[i], shown, taken) &&
                (!best || edit_distance(word, names[i]) < edit_distance(word, best)))
                best = names[i];
        shown[taken] = best;
        add_text(&text, "%s%s", taken ? ", " : "", best);
    }
    return text.data;
}

static void match(const Model *model, const char *pattern, const char *path, bool *found)
{
    if (strlen(pattern) > MOST_PATTERN)
        error_model(path, NULL, "a pattern may have %d characters", MOST_PATTERN);
    if (!take_base(model, found, pattern, path) && !take_names(model, found, pattern))
        error_model(path, format("the nearest names are %s", near_names(model, pattern)),
                    "\"%s\" matches no layer", pattern);
}

static void match_all(const Model *model, const Phase *phase, const char *key,
                      const char *const *patterns, int count, bool *found)
{
    for (int i = 0; i < count; i++)
        match(model, patterns[i], format("%s.%s[%d]", phase->path, key, i), found);
}

/* Of the patterns that match a layer the last one counts. */
static void read_rates(const Model *model, Phase *phase, const Json *multipliers)
{
    const char *all = format("%s.learning_rate_multipliers", phase->path);
    for (int i = 0; i < model->layer_count; i++) phase->rates[i] = 1;
    if (!multipliers) return;
    if (!json_is_object(multipliers))
        error_model(all, NULL, "must be an object such as {\"block5_*\": 0.1}, but is %s",
                    json_kind(multipliers));
    for (const Json *item = json_first(multipliers); item; item = json_next(item)) {
        const char *path = format("%s.%s", all, json_key(item));
        bool *found = alloc((size_t)model->layer_count, sizeof *found);
        double factor;
        if (!json_number(item, &factor))
            error_model(path, NULL, "must be a number, but is %s", json_kind(item));
        if (!(factor >= 0 && factor <= 1e6))
            error_model(path, NULL, "%s is out of range: must be between 0 and 1000000",
                        number_text(factor));
        match(model, json_key(item), path, found);
        for (int l = 0; l < model->layer_count; l++)
            if (found[l]) phase->rates[l] = factor;
    }
}

void resolve_freeze(const Model *model, Phase *phase, const Json *multipliers)
{
    phase->frozen = alloc((size_t)model->layer_count, sizeof *phase->frozen);
    phase->rates = alloc((size_t)model->layer_count, sizeof *phase->rates);
    match_all(model, phase, "train", phase->train, phase->train_count, phase->frozen);
    for (int i = 0; phase->train_count && i < model->layer_count; i++)
        phase->frozen[i] = !phase->frozen[i];
    match_all(model, phase, "freeze", phase->freeze, phase->freeze_count, phase->frozen);
    read_rates(model, phase, multipliers);
}

bool trains(const Phase *phase, const Weight *weight)
{
    return !phase->frozen[weight->layer->index] && !weight->is_statistic;
}

void check_trainable(const Model *model)
{
    for (int p = 0; p < model->phase_count; p++) {
        const Phase *phase = model->phases[p];
        bool any = false;
        for (int i = 0; i < model->weight_count; i++) any = any || trains(phase, model->weights[i]);
        if (!any)
            error_model(phase->path,
                        !model->weight_count ? NULL
                        : phase->train_count ? "name a layer with weights in \"train\""
                                             : "leave a layer with weights out of \"freeze\"",
                        model->weight_count ? "nothing is left to train: all layers with weights "
                                              "are frozen"
                                            : "nothing to train: the model has no weights");
    }
}
