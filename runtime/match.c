/* match.c: finds for each array of a weight file the weight of the model that it is.
 *
 * Keras assigns by position: legacy files in the order of the layers, and inside a nested model in
 * an order that depends on what was frozen when it was saved; v3 files by class and number. Names
 * are safer and are in nearly all files, so they go first, and positions serve only files of which
 * not one name is known. */
#define _GNU_SOURCE /* memrchr */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "ground.h"
#include "weights.h"

/* Which layer of its file an array belongs to. */
typedef struct {
    char *key;    /* legacy: "fc" or "vgg16/block1_conv1"; v3: "dense" or "functional/conv2d_3" */
    int ordinal;  /* of the layer among the file's layers */
    int position; /* of the array in the layer */
    int size;     /* arrays in the layer */
} Place;

typedef struct {
    const RtModel *model;
    const RtH5 *file;
    int base;
    size_t count;
    Place *places;
    RtMatch *matches;
    bool nested; /* some array lies in a model (base >= 0, legacy: in that base) of its own */
} Matching;

/* A part of a path, not ended by NUL. */
typedef struct {
    const char *at;
    size_t length;
} Part;

static bool part_is(Part part, const char *text)
{
    return strlen(text) == part.length && memcmp(part.at, text, part.length) == 0;
}

/* The part before the last one. */
static Part parent_part(const char *path)
{
    const char *end = strrchr(path, '/');
    const char *begin = end ? memrchr(path, '/', (size_t)(end - path)) : NULL;
    begin = begin ? begin + 1 : path;
    return (Part){begin, end ? (size_t)(end - begin) : 0};
}

static bool is_wanted(const RtModel *model, int base, int layer)
{
    return model->layers[layer].weights && (base < 0 || model->layers[layer].base == base);
}

/* The wanted layer of that name, one of the base `group` before others; -1 if there is none. */
static int find_layer(const Matching *m, const char *group, Part name)
{
    int found = -1;
    for (int i = 0; i < m->model->layer_count; i++) {
        const RtLayer *layer = &m->model->layers[i];
        if (!is_wanted(m->model, m->base, i) || !part_is(name, layer->name)) continue;
        bool own = layer->base >= 0 && strcmp(m->model->bases[layer->base].name, group) == 0;
        if (found < 0 || own) found = i;
    }
    return found;
}

static bool is_official(const RtModel *model, int base, Part name)
{
    if (base < 0) return false;
    for (int i = 0; i < model->bases[base].official_count; i++)
        if (part_is(name, model->bases[base].official_layers[i])) return true;
    return false;
}

/* ---- Arrays of one layer --------------------------------------------------------------------- */

/* Does a data set's name end in this word, "dense_kernel:0" in "kernel"? */
static bool ends_in(Part name, const char *word)
{
    size_t length = strlen(word);
    if (name.length < length || memcmp(name.at + name.length - length, word, length)) return false;
    return name.length == length || name.at[name.length - length - 1] == '_';
}

/* TensorFlow adds ":0", and "_1" to a name taken before; Keras 1 said W and b. */
static bool names_weight(const char *set, const char *weight)
{
    Part name = {set, strcspn(set, ":")};
    size_t digits = 0;
    while (digits < name.length && isdigit((unsigned char)set[name.length - digits - 1])) digits++;
    if (digits && digits + 1 < name.length && set[name.length - digits - 1] == '_')
        name.length -= digits + 1;
    return ends_in(name, weight) || (strcmp(weight, "kernel") == 0 && ends_in(name, "W")) ||
           (strcmp(weight, "bias") == 0 && ends_in(name, "b"));
}

static int find_weight(const RtModel *model, int layer, const char *set, int position)
{
    const RtLayer *wanted = &model->layers[layer];
    for (int i = wanted->first_weight; i < wanted->first_weight + wanted->weights; i++) {
        const char *slash = strrchr(model->weights[i].name, '/');
        if (names_weight(set, slash ? slash + 1 : model->weights[i].name)) return i;
    }
    return position < wanted->weights ? wanted->first_weight + position : RT_EXTRA;
}

/* ---- By names -------------------------------------------------------------------------------- */

static bool is_nested(const Matching *m, size_t index)
{
    if (m->base < 0 || rt_h5_kind(m->file) == RT_H5_V3)
        return strchr(m->places[index].key, '/') != NULL;
    return strcmp(rt_h5_entry(m->file, index)->layer, m->model->bases[m->base].name) == 0;
}

/* In the file of a whole model, what stands beside the base that is wanted. */
static bool is_outside(const Matching *m, size_t index)
{
    return m->base >= 0 && m->nested && !is_nested(m, index);
}

static int match_name(const Matching *m, size_t index)
{
    const RtH5Entry *entry = rt_h5_entry(m->file, index);
    Part own = {entry->layer, entry->layer ? strlen(entry->layer) : 0};
    Part inner = parent_part(entry->path);
    bool nested = rt_h5_kind(m->file) == RT_H5_LEGACY;
    if (!entry->layer) return RT_EXTRA;
    int layer = find_layer(m, entry->layer, own);
    if (layer < 0 && nested) layer = find_layer(m, entry->layer, inner);
    if (layer >= 0) return find_weight(m->model, layer, entry->name, m->places[index].position);
    bool other =
        is_official(m->model, m->base, own) || (nested && is_official(m->model, m->base, inner));
    return other ? RT_OTHER : RT_EXTRA;
}

/* Returns whether any name was known. */
static bool match_names(Matching *m)
{
    bool known = false;
    for (size_t i = 0; i < m->count; i++) {
        m->matches[i].weight = is_outside(m, i) ? RT_OTHER : match_name(m, i);
        known |= m->matches[i].weight >= 0;
    }
    return known;
}

/* ---- Legacy, by position --------------------------------------------------------------------- */

/* The layer of the model at place n of `file_layers`; RT_OTHER or RT_EXTRA if there is none. A file
 * of a whole base, or of its first layers, is counted along the whole network. */
static int layer_at(const Matching *m, int n, int file_layers)
{
    int wanted = 0, found = RT_EXTRA;
    for (int i = 0; i < m->model->layer_count; i++)
        if (is_wanted(m->model, m->base, i) && wanted++ == n) found = i;
    if (wanted == file_layers) return found;
    if (m->base < 0 || file_layers > m->model->bases[m->base].official_count) return RT_EXTRA;
    const char *name = m->model->bases[m->base].official_layers[n];
    int layer = find_layer(m, "", (Part){name, strlen(name)});
    return layer < 0 ? RT_OTHER : layer;
}

static void match_positions(Matching *m)
{
    int layers = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->places[i].ordinal >= layers) layers = m->places[i].ordinal + 1;
    for (size_t i = 0; i < m->count; i++) {
        if (m->matches[i].weight == RT_OTHER) continue;
        const Place *place = &m->places[i];
        int layer = layer_at(m, place->ordinal, layers);
        bool fits = layer >= 0 && m->model->layers[layer].weights == place->size;
        m->matches[i].weight =
            fits ? find_weight(m->model, layer, rt_h5_entry(m->file, i)->name, place->position)
            : layer == RT_OTHER ? RT_OTHER
                                : RT_EXTRA;
    }
}

/* ---- v3, by class and number ----------------------------------------------------------------- */

static const char *class_of(const RtModel *model, int layer)
{
    for (int i = 0; i < model->base_count; i++)
        if (model->bases[i].layer == layer) return "Functional";
    return model->layers[layer].type;
}

/* Keras's to_snake_case: MaxPooling2D is max_pooling2d, ReLU is re_lu. */
static char *snake_case(const char *type)
{
    char *text = rt_alloc(2 * strlen(type) + 1, 1), *out = text;
    for (const char *at = type; *at; at++) {
        bool begins = isupper((unsigned char)*at) && at > type &&
                      (islower((unsigned char)at[1]) || islower((unsigned char)at[-1]));
        if (begins) *out++ = '_';
        *out++ = (char)tolower((unsigned char)*at);
    }
    return text;
}

/* "conv2d_3": the number counts earlier layers of the class in the same model; flat: bases were
 * not saved as models of their own. */
static char *class_name(const RtModel *model, int layer, bool flat)
{
    int earlier = 0;
    const char *type = class_of(model, layer);
    for (int i = 0; i < layer; i++)
        if (flat || model->layers[i].base == model->layers[layer].base)
            earlier += strcmp(class_of(model, i), type) == 0;
    char *snake = snake_case(type);
    char *name = earlier ? rt_format("%s_%d", snake, earlier) : rt_format("%s", snake);
    free(snake);
    return name;
}

static char *class_key(const Matching *m, int layer, bool flat)
{
    char *name = class_name(m->model, layer, flat);
    int base = m->model->layers[layer].base;
    if (base < 0 || flat || m->base >= 0) return name;
    char *model = class_name(m->model, m->model->bases[base].layer, flat);
    char *key = rt_format("%s/%s", model, name);
    free(model);
    free(name);
    return key;
}

/* Numbers count from the first layer of the network, so a base without its first layers cannot be
 * found by them. */
static bool begins_network(const Matching *m)
{
    const RtBase *base = &m->model->bases[m->base];
    for (int i = 0; i < m->model->layer_count; i++)
        if (is_wanted(m->model, m->base, i))
            return base->official_count &&
                   strcmp(m->model->layers[i].name, base->official_layers[0]) == 0;
    return false;
}

static void match_class(Matching *m, int layer, bool flat)
{
    char *key = class_key(m, layer, flat);
    for (size_t i = 0; i < m->count; i++) {
        const char *slash = strrchr(m->places[i].key, '/');
        const char *found = m->base >= 0 && slash ? slash + 1 : m->places[i].key;
        if (!is_outside(m, i) && strcmp(found, key) == 0)
            m->matches[i].weight =
                find_weight(m->model, layer, rt_h5_entry(m->file, i)->name, m->places[i].position);
    }
    free(key);
}

static void match_classes(Matching *m)
{
    if (m->base >= 0 && !begins_network(m)) return;
    for (size_t i = 0; i < m->count; i++)
        if (m->base >= 0) m->matches[i].weight = RT_OTHER;
    for (int layer = 0; layer < m->model->layer_count; layer++)
        if (is_wanted(m->model, m->base, layer)) match_class(m, layer, m->base < 0 && !m->nested);
}

/* ---- Places in the file ---------------------------------------------------------------------- */

/* "/layers/functional/layers/conv2d_3/vars/0" to "functional/conv2d_3". */
static char *v3_key(const char *path)
{
    char *copy = rt_format("%s", path), *rest = NULL, *key = rt_alloc(strlen(path) + 1, 1);
    int index = 0;
    for (char *part = strtok_r(copy, "/", &rest); part;
         part = strtok_r(NULL, "/", &rest), index++) {
        bool layer = index % 2 == 1 && strchr(rest, '/'); /* the last of all is the array */
        if (layer) sprintf(key + strlen(key), "%s%s", *key ? "/" : "", part);
    }
    free(copy);
    return key;
}

static char *legacy_key(const RtH5Entry *entry)
{
    Part inner = parent_part(entry->path);
    if (part_is(inner, entry->layer)) return rt_format("%s", entry->layer);
    return rt_format("%s/%.*s", entry->layer, (int)inner.length, inner.at);
}

static void find_place(Matching *m, size_t index, int *layers)
{
    const RtH5Entry *entry = rt_h5_entry(m->file, index);
    Place *place = &m->places[index];
    bool v3 = rt_h5_kind(m->file) == RT_H5_V3;
    place->key = v3 ? v3_key(entry->path) : legacy_key(entry);
    place->ordinal = -1;
    place->size = 1;
    for (size_t i = 0; i < index; i++) {
        if (strcmp(m->places[i].key, place->key) != 0) continue;
        place->ordinal = m->places[i].ordinal;
        place->position++;
        place->size = ++m->places[i].size;
    }
    if (place->ordinal < 0) place->ordinal = (*layers)++;
}

RtMatch *rt_match_h5(const RtModel *model, const RtH5 *file, int base, bool *by_position)
{
    size_t count = rt_h5_count(file);
    int layers = 0;
    Matching m = {.model = model, .file = file, .base = base, .count = count};
    m.places = rt_alloc(count, sizeof *m.places);
    m.matches = rt_alloc(count, sizeof *m.matches);
    for (size_t i = 0; i < count; i++) {
        const RtH5Entry *entry = rt_h5_entry(file, i);
        m.matches[i].place = entry->path;
        m.matches[i].rank = entry->rank;
        memcpy(m.matches[i].dims, entry->dims, sizeof entry->dims);
        find_place(&m, i, &layers);
        m.nested |= is_nested(&m, i);
    }
    bool named = match_names(&m);
    *by_position = !named && rt_h5_kind(file) == RT_H5_LEGACY && (base < 0 || !m.nested);
    if (*by_position) match_positions(&m);
    if (!named && rt_h5_kind(file) == RT_H5_V3) match_classes(&m);
    for (size_t i = 0; i < count; i++) free(m.places[i].key);
    free(m.places);
    return m.matches;
}

/* ---- safetensors ----------------------------------------------------------------------------- */

static int match_tensor(const RtModel *model, const RtTensors *file, int base, const char *name)
{
    for (int i = 0; i < model->weight_count; i++)
        if (is_wanted(model, base, model->weights[i].layer) &&
            strcmp(model->weights[i].name, name) == 0)
            return i;
    bool whole_model = base >= 0 && rt_tensors_meta(file, "tlc_model_hash");
    bool other = whole_model || is_official(model, base, (Part){name, strcspn(name, "/")});
    return other ? RT_OTHER : RT_EXTRA;
}

RtMatch *rt_match_tensors(const RtModel *model, const RtTensors *file, int base)
{
    size_t count = rt_tensors_count(file);
    RtMatch *matches = rt_alloc(count, sizeof *matches);
    for (size_t i = 0; i < count; i++) {
        matches[i].place = rt_tensors_name(file, i);
        matches[i].rank = rt_tensors_shape(file, i, matches[i].dims);
        matches[i].weight = match_tensor(model, file, base, matches[i].place);
    }
    return matches;
}
