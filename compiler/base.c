/* base.c: a pretrained network in the model: its arguments with Keras's checks, the part of it that
 * is taken, and what the rest of the model must give it.
 *
 * The network is listed whole, as Keras builds it; first and last then cut it. Parts of one network
 * may stand in several places under one name, as long as they do not overlap. */
#include <string.h>
#include <strings.h>

#include "tlc.h"

const Attr base_attrs[] = {
    {"include_top", ATTR_BOOL, 0, "true", 0, 0, NULL, "with the dense layers that end the network"},
    {"weights", ATTR_STRING, ATTR_NULL, "\"imagenet\"", 0, 0, NULL,
     "\"imagenet\", a weights file (.h5, .hdf5, .safetensors), or null to start from random "
     "values"},
    {"pooling", ATTR_CHOICE, ATTR_NULL, "null", 0, 0, "avg max",
     "without the top: a global pooling layer at the end"},
    {"classes", ATTR_INT, 0, "1000", 1, INT32_MAX, NULL, "with the top: number of classes"},
    {"classifier_activation", ATTR_CHOICE, ATTR_NULL, "\"softmax\"", 0, 0,
     "softmax sigmoid tanh relu linear", "with the top: activation of its last layer"},
    {"first", ATTR_LAYER, ATTR_NULL, "null", 0, 0, NULL,
     "first layer to take: its name, or its index in Keras's base.layers (0 is the InputLayer)"},
    {"last", ATTR_LAYER, ATTR_NULL, "null", 0, 0, NULL,
     "last layer to take, likewise; it is included"},
    {0},
};

const BaseKind *find_base(const char *type)
{
    for (const BaseKind *const *kind = base_list; *kind; kind++)
        if (!strcmp((*kind)->type, type)) return *kind;
    return NULL;
}

static bool is_imagenet(const Base *base)
{
    return base->weights && !strcmp(base->weights, "imagenet");
}

/* ---- The network ----------------------------------------------------------------------------- */

void add_base_layer(Base *base, const char *type, const char *name, const char *attrs)
{
    Layer *layer = alloc(1, sizeof *layer);
    layer->name = name;
    layer->op = find_op(type);
    if (!layer->op) bug(NULL, "%s needs an op %s", base->type, type);
    layer->path = format("%s.%s", base->path, name);
    layer->values = read_attrs(parse_json(attrs, name), layer->op->attrs, layer->path, "");
    layer->base = base;
    append(&base->network, &base->network_count, layer);
}

static int find_in_network(const Base *base, const char *name)
{
    for (int i = 0; i < base->network_count; i++)
        if (!strcmp(base->network[i]->name, name)) return i;
    return -1;
}

static bool is_in_top(const BaseKind *kind, const Base *base, const char *name)
{
    Base whole = *base;
    whole.network = NULL;
    whole.network_count = 0;
    kind->layers(&whole, true, 1000, NULL);
    return find_in_network(&whole, name) >= 0;
}

static _Noreturn void error_no_layer(const BaseKind *kind, const Base *base, const char *name,
                                     const char *path)
{
    const char **names = alloc((size_t)base->network_count, sizeof *names);
    for (int i = 0; i < base->network_count; i++) names[i] = base->network[i]->name;
    const char *hint = suggest(name, names, base->network_count, NULL);
    if (is_in_top(kind, base, name)) hint = "it belongs to the top: \"include_top\": true";
    error_model(path, hint, "%s has no layer \"%.80s\"", kind->type, name);
}

/* Index in Keras's base.layers of the layer that `value` names. */
static int find_cut(const BaseKind *kind, const Base *base, const Value *value, int initial,
                    const char *path)
{
    const int count = base->network_count + 1;
    if (value->is_null) return initial;
    if (value->s) {
        int found = find_in_network(base, value->s);
        if (found < 0) error_no_layer(kind, base, value->s, path);
        return found + 1;
    }
    int64_t index = value->i[0] < 0 ? value->i[0] + count : value->i[0];
    if (index < 0 || index >= count)
        error_model(path, NULL, "index out of range: this %s has %d layers, its InputLayer counted",
                    kind->type, count);
    return (int)index;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && !strcasecmp(text + n - m, end);
}

static const Value *get(const Value *values, const char *name)
{
    return find_value(base_attrs, (Value *)values, name);
}

static void check_weights(const char *weights, const char *path)
{
    bool is_file = ends_with(weights, ".h5") || ends_with(weights, ".hdf5") ||
                   ends_with(weights, ".safetensors");
    if (!strcmp(weights, "imagenet") || is_file) return;
    error_model(format("%s.weights", path), NULL,
                "must be \"imagenet\", null or a file .h5, .hdf5 or .safetensors, but is \"%.80s\"",
                weights);
}

/* What Keras checks, and warnings about arguments that it passes over. */
static void check_arguments(const BaseKind *kind, const Value *values, const char *path)
{
    const bool top = get(values, "include_top")->i[0];
    const Value *weights = get(values, "weights"), *classes = get(values, "classes");
    const Value *activation = get(values, "classifier_activation");
    const Value *pooling = get(values, "pooling");
    if (weights->s) check_weights(weights->s, path);
    if (top && weights->s && !strcmp(weights->s, "imagenet") && classes->i[0] != 1000)
        error_model(format("%s.classes", path),
                    "for other classes: \"include_top\": false and a Dense layer of your own",
                    "must be 1000, as many as the \"imagenet\" weights with the top have");
    if (top && weights->s && activation->s && strcmp(activation->s, "softmax"))
        error_model(format("%s.classifier_activation", path), NULL,
                    "must be \"softmax\" or null when the top has pretrained weights");
    if (top && pooling->s) warn("%s: %s with its top has no use for \"pooling\"", path, kind->type);
    if (!top && classes->is_set)
        warn("%s: %s without its top has no use for \"classes\"", path, kind->type);
}

/* ---- Into the model -------------------------------------------------------------------------- */

/* Parts of one network read one file: the larger one if any of them needs it. */
static void choose_file(Model *model, const BaseKind *kind)
{
    bool top = false;
    for (int i = 0; i < model->base_count; i++)
        if (!strcmp(model->bases[i]->type, kind->type)) top = top || model->bases[i]->takes_top;
    for (int i = 0; i < model->base_count; i++) {
        Base *base = model->bases[i];
        if (strcmp(base->type, kind->type) || !is_imagenet(base)) continue;
        base->file = top ? kind->file_top : kind->file_notop;
        base->md5 = top ? kind->md5_top : kind->md5_notop;
        base->url = format("%s%s", kind->url, base->file);
    }
}

static Base *new_base(const BaseKind *kind, const Value *values, const char *path, const char *name)
{
    Base *base = alloc(1, sizeof *base);
    base->name = name;
    base->type = kind->type;
    base->path = path;
    base->weights = get(values, "weights")->s;
    return base;
}

static void list_network(Model *model, const BaseKind *kind, Base *base, const Value *values)
{
    const Value *pooling = get(values, "pooling"), *top = get(values, "include_top");
    kind->layers(base, top->i[0], get(values, "classes")->i[0],
                 get(values, "classifier_activation")->s);
    if (top->i[0] || !pooling->s) return;
    const char *type = strcmp(pooling->s, "avg") ? "GlobalMaxPooling2D" : "GlobalAveragePooling2D";
    add_base_layer(base, type, automatic_name(model, type), "{}");
    base->network[base->network_count - 1]->has_automatic_name = true;
}

static bool takes_top(const BaseKind *kind, const Base *base, int last)
{
    Base bare = *base;
    bare.network = NULL;
    bare.network_count = 0;
    kind->layers(&bare, false, 1000, NULL);
    return last > bare.network_count && is_in_top(kind, base, base->network[last - 1]->name);
}

/* Another base of this name must be another part of the same network. */
static void check_base_name(const Model *model, const Base *base)
{
    const Layer *layer = find_layer(model, base->name);
    if (layer)
        error_model(base->path, "give one of them another \"name\"",
                    "the name \"%s\" stands for %s already", base->name, layer->path);
    for (int i = 0; i < model->base_count; i++) {
        const Base *other = model->bases[i];
        if (!strcmp(other->name, base->name) && strcmp(other->type, base->type))
            error_model(base->path, "give one of them a \"name\"",
                        "the name \"%s\" stands for a %s at %s already", base->name, other->type,
                        other->path);
    }
}

void expand_base(Model *model, const BaseKind *kind, const Json *object, const char *path,
                 const char *name, Layer *input)
{
    const Value *values = read_attrs(object, base_attrs, path, "type name inputs");
    check_arguments(kind, values, path);
    Base *base = new_base(kind, values, path, name);
    check_base_name(model, base);
    list_network(model, kind, base, values);
    const char *last_path = format("%s.last", path);
    int first = find_cut(kind, base, get(values, "first"), 0, format("%s.first", path));
    int last = find_cut(kind, base, get(values, "last"), base->network_count, last_path);
    if (last == 0) error_model(last_path, NULL, "takes nothing but the InputLayer");
    if (last < first)
        error_model(last_path, NULL, "lies before \"first\": the network's layers %d and %d", last,
                    first);
    base->input_layer = first == 0;
    base->takes_top = takes_top(kind, base, last);
    base->starts_at_input = first <= 1;
    base->index = model->base_count;
    append(&model->bases, &model->base_count, base);
    choose_file(model, kind);
    for (int i = first ? first - 1 : 0; i < last; i++) {
        Layer *layer = base->network[i];
        layer->input = input;
        append_layer(model, layer);
        append(&base->layers, &base->count, layer);
        input = layer;
    }
}

/* ---- What can be checked when shapes are known ----------------------------------------------- */

void check_base_input(const Layer *layer, int rank, const int64_t *dims)
{
    const Base *base = layer->base;
    if (!base || layer != base->layers[0] || !base->starts_at_input) return;
    const BaseKind *kind = find_base(base->type);
    const char *shape = shape_text(rank, dims, true);
    if (rank != 4) error_model(base->path, NULL, "%s wants pictures, not %s", kind->type, shape);
    if (dims[1] < kind->min_size || dims[2] < kind->min_size)
        error_model(base->path, NULL, "%s wants at least %dx%d pixels, but its input is %s",
                    kind->type, kind->min_size, kind->min_size, shape);
    if (dims[3] != 3 && is_imagenet(base))
        error_model(base->path, "\"weights\": null, or three channels",
                    "the \"imagenet\" weights of %s want 3 channels, but its input is %s",
                    kind->type, shape);
    const int size = kind->default_size;
    if (base->takes_top && is_imagenet(base) && (dims[1] != size || dims[2] != size))
        error_model(base->path, "other sizes: \"include_top\": false, or \"weights\": null",
                    "the \"imagenet\" weights of %s with its top want %dx%d pixels, but its input "
                    "is %s",
                    kind->type, size, size, shape);
}

/* The network alone, at its default size, as the ImageNet weights were trained. */
static Model *reference_model(const BaseKind *kind)
{
    Model *reference = alloc(1, sizeof *reference);
    Base *base = alloc(1, sizeof *base);
    base->path = base->type = kind->type;
    reference->height = reference->width = kind->default_size;
    reference->channels = 3;
    kind->layers(base, true, 1000, "softmax");
    for (int i = 0; i < base->network_count; i++) {
        Layer *layer = base->network[i];
        layer->base = NULL;
        layer->index = i;
        layer->input = i ? base->network[i - 1] : NULL;
    }
    reference->layers = base->network;
    reference->layer_count = base->network_count;
    build_graph(reference, PROGRAM_INFER, NULL);
    return reference;
}

static void check_weight(const Weight *weight, const Weight *pretrained)
{
    const Layer *layer = weight->layer;
    bool same = weight->rank == pretrained->rank;
    for (int i = 0; same && i < weight->rank; i++) same = weight->dims[i] == pretrained->dims[i];
    if (same) return;
    const int in = pretrained->rank - 2;
    const char *hint = NULL;
    if (in >= 0 && in < weight->rank)
        hint = format("it wants an input of %lld %s, not %lld; or \"weights\": null",
                      (long long)pretrained->dims[in], in == 2 ? "channels" : "numbers",
                      (long long)weight->dims[in]);
    error_layer(layer, hint, "the pretrained %s has shape %s, but would need %s here", weight->name,
                shape_text(pretrained->rank, pretrained->dims, false),
                shape_text(weight->rank, weight->dims, false));
}

static void check_layer(const Layer *layer, const Layer *pretrained)
{
    for (int i = 0; i < layer->weight_count && i < pretrained->weight_count; i++)
        check_weight(layer->weights[i], pretrained->weights[i]);
}

static void warn_of_channels(const Model *model, const Base *base)
{
    const Layer *before = base->layers[0]->input;
    const int channels = before ? before->dims[3] : model->channels;
    if (base->starts_at_input && channels != 1 && channels != 3)
        warn("%s: %s usually has 1 or 3 channels, here %d", base->path, base->type, channels);
}

void finish_bases(Model *model)
{
    for (int b = 0; b < model->base_count; b++) {
        Base *base = model->bases[b];
        warn_of_channels(model, base);
        const Model *reference = reference_model(find_base(base->type));
        for (int i = 0; i < reference->layer_count; i++) {
            const Layer *whole = reference->layers[i];
            if (whole->weight_count)
                append(&base->official, &base->official_count, (char *)whole->name);
            for (int j = 0; is_imagenet(base) && j < base->count; j++)
                if (!strcmp(base->layers[j]->name, whole->name))
                    check_layer(base->layers[j], whole);
        }
    }
}
