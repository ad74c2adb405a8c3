/* parse.c: model.json to a Model: the layers in order, with names, attributes and inputs, and the
 * phases. Shapes come later, with the first graph. */
#include <string.h>
#include <strings.h>

#include "tlc.h"

enum { MOST_LAYERS = 10000, MOST_PHASES = 100, MOST_PATTERNS = 1000 };

/* ---- Tables of the parts that are no layers -------------------------------------------------- */

const Attr model_attrs[] = {
    {"name", ATTR_NAME, ATTR_REQUIRED, NULL, 0, 0, NULL,
     "names in the generated file begin with it"},
    {"precision", ATTR_CHOICE, 0, "\"highest\"", 0, 0, "highest high medium",
     "arithmetic: fp32; what is as good (relative rms error of a layer up to 5e-6); 16-bit "
     "numbers, "
     "sums in fp32 (up to 5e-3)"},
    {0},
};

const Attr input_attrs[] = {
    {"shape", ATTR_INTS, ATTR_REQUIRED, NULL, 1, 65536, NULL,
     "height, width and channels of a picture"},
    {"interpolation", ATTR_CHOICE, 0, "\"bilinear\"", 0, 0, "bilinear nearest",
     "how pictures are brought to that size: as image_dataset_from_directory or as load_img does"},
    {0},
};

const Attr phase_attrs[] = {
    {"name", ATTR_NAME, ATTR_REQUIRED, NULL, 0, 0, NULL, "for messages and --phase"},
    {"epochs", ATTR_INT, 0, "1", 1, 1000000, NULL, "times through the data"},
    {"batch_size", ATTR_INT, 0, "32", 1, 1 << 20, NULL, "pictures in a training step"},
    {"cache", ATTR_CHOICE, 0, "\"auto\"", 0, 0, "auto off memory disk",
     "where results of the frozen part, or decoded pictures, are kept between epochs; auto: where "
     "it pays"},
    {"cache_type", ATTR_CHOICE, 0, "\"float32\"", 0, 0, "float32 float16",
     "as what; float16 halves the room and rounds what is trained on"},
    {"augment_variants", ATTR_INT, 0, "0", 0, 1000, NULL,
     "random variants of a picture in the frozen part; epoch e shows number e mod this; 0: "
     "new ones each epoch, which cannot be kept"},
    {"sampling", ATTR_CHOICE, 0, "\"all\"", 0, 0, "all balanced",
     "an epoch takes every picture once, or draws the same number from each class"},
    {0},
};

/* ---- Ops and names --------------------------------------------------------------------------- */

const Op *find_op(const char *name)
{
    for (const Op *const *op = op_list; *op; op++)
        if (!strcmp((*op)->name, name)) return *op;
    return NULL;
}

/* "MaxPooling2D" to "max_pooling2d", as Keras's to_snake_case. */
static char *snake_case(const char *class_name)
{
    Text text = {0};
    for (const char *p = class_name; *p; p++) {
        bool upper = *p >= 'A' && *p <= 'Z';
        bool between =
            p > class_name && ((p[-1] >= 'a' && p[-1] <= 'z') || (p[1] >= 'a' && p[1] <= 'z'));
        add_text(&text, "%s%c", upper && between ? "_" : "", upper ? *p - 'A' + 'a' : *p);
    }
    return text.data;
}

Layer *find_layer(const Model *model, const char *name)
{
    for (int i = 0; i < model->layer_count; i++)
        if (!strcmp(model->layers[i]->name, name)) return model->layers[i];
    return NULL;
}

static const Base *find_base_name(const Model *model, const char *name)
{
    for (int i = model->base_count - 1; i >= 0; i--)
        if (!strcmp(model->bases[i]->name, name)) return model->bases[i];
    return NULL;
}

/* Keras numbers the automatic names of each class. Names that a base brought are passed over. */
const char *automatic_name(const Model *model, const char *type)
{
    const Op *op = find_op(type);
    const char *stem = snake_case(op && op->keras ? op->keras : type), *name = stem;
    int number = 0;
    for (int i = 0; i < model->layer_count; i++)
        number += model->layers[i]->has_automatic_name && !strcmp(model->layers[i]->op->name, type);
    for (;; number++) {
        name = number ? format("%s_%d", stem, number) : stem;
        const Layer *taken = find_layer(model, name);
        if (!taken || !taken->base) return name;
    }
}

/* ---- Layers ---------------------------------------------------------------------------------- */

static void check_unique(const Model *model, const Layer *layer)
{
    const Layer *other = find_layer(model, layer->name);
    const Base *base = find_base_name(model, layer->name);
    if (!strcmp(layer->name, "input"))
        error_model(layer->path, NULL, "the name \"input\" stands for the model's input");
    if (!other && !(base && base != layer->base)) return;
    const char *hint = other && other->base && layer->base
                           ? "parts of one network must not overlap: set \"first\" and \"last\""
                           : "give one of them another \"name\"";
    error_model(layer->path, hint, "the name \"%s\" stands for %s already", layer->name,
                other ? other->path : base->path);
}

void append_layer(Model *model, Layer *layer)
{
    check_unique(model, layer);
    if (model->layer_count == MOST_LAYERS)
        error_model(layer->path, NULL, "a model may have %d layers", MOST_LAYERS);
    layer->index = model->layer_count;
    append(&model->layers, &model->layer_count, layer);
}

Layer *add_layer(Model *model, const Op *op, const char *name, const char *path, Value *values,
                 Layer *input, Base *base)
{
    Layer *layer = alloc(1, sizeof *layer);
    *layer = (Layer){
        .name = name, .path = path, .op = op, .values = values, .input = input, .base = base};
    append_layer(model, layer);
    if (op->check) op->check(layer);
    return layer;
}

static _Noreturn void error_type(const char *type, const char *path)
{
    const char **names = NULL;
    int count = 0;
    for (const BaseKind *const *kind = base_list; *kind; kind++)
        append(&names, &count, (char *)(*kind)->type);
    for (const Op *const *op = op_list; *op; op++)
        if ((*op)->flags & OP_LAYER) append(&names, &count, (char *)(*op)->name);
    error_model(path, suggest(type, names, count, "docs/model-format.md lists the layer types"),
                "unknown layer type \"%.80s\"", type);
}

/* The layer that `name` stands for: itself, a base's last one, or NULL for the model's input. */
static Layer *find_input(const Model *model, const Json *json, const char *path)
{
    const char *name = json_string(json);
    if (!name) error_model(path, NULL, "must be a layer's name, but is %s", json_kind(json));
    if (!strcmp(name, "input")) return NULL;
    Layer *layer = find_layer(model, name);
    const Base *base = find_base_name(model, name);
    if (layer) return layer;
    if (base) return base->layers[base->count - 1];
    const char **names = NULL;
    int count = 0;
    for (int i = 0; i < model->layer_count; i++)
        append(&names, &count, (char *)model->layers[i]->name);
    error_model(path, suggest(name, names, count, NULL),
                "no layer \"%.80s\" stands before this one", name);
}

static Layer *read_inputs(const Model *model, const Json *object, const char *path)
{
    const Json *inputs = json_get(object, "inputs");
    if (!inputs) return model->layer_count ? model->layers[model->layer_count - 1] : NULL;
    path = format("%s.inputs", path);
    if (!json_is_array(inputs)) return find_input(model, inputs, path);
    if (json_count(inputs) != 1)
        error_model(path, NULL, "this layer has one input, but %d are given", json_count(inputs));
    return find_input(model, json_first(inputs), format("%s[0]", path));
}

/* The string at `key`, or NULL if the key is not there. */
const char *read_text(const Json *object, const char *key, const char *path)
{
    const Json *json = json_get(object, key);
    if (!json) return NULL;
    if (!json_string(json))
        error_model(format("%s.%s", path, key), NULL, "must be a string, but is %s",
                    json_kind(json));
    return json_string(json);
}

static void read_layer(Model *model, const Json *object, const char *path)
{
    if (!json_is_object(object))
        error_model(path, NULL, "must be an object such as {\"type\": \"Flatten\"}, but is %s",
                    json_kind(object));
    const char *type = read_text(object, "type", path), *name = read_text(object, "name", path);
    if (!type) error_model(path, NULL, "the key \"type\" is missing: a layer type");
    if (name) check_name(name, format("%s.name", path));
    const BaseKind *kind = find_base(type);
    const Op *op = find_op(type);
    if (!kind && !(op && op->flags & OP_LAYER)) error_type(type, format("%s.type", path));
    Layer *input = read_inputs(model, object, path);
    if (kind) {
        expand_base(model, kind, object, path, name ? name : kind->name, input);
        return;
    }
    Value *values = read_attrs(object, op->attrs, path, "type name inputs");
    Layer *layer =
        add_layer(model, op, name ? name : automatic_name(model, type), path, values, input, NULL);
    layer->has_automatic_name = !name;
}

/* The items of the array at `key`: at most `most`, at least one unless it may be left out. */
const Json *read_array(const Json *object, const char *key, const char *path, int most)
{
    const Json *array = json_get(object, key);
    if (!array) return NULL;
    path = format("%s%s%s", path, *path ? "." : "", key);
    if (!json_is_array(array))
        error_model(path, NULL, "must be an array, but is %s", json_kind(array));
    if (json_count(array) > most)
        error_model(path, NULL, "has %d items; at most %d are allowed", json_count(array), most);
    return json_first(array);
}

static void read_layers(Model *model, const Json *root)
{
    const Json *item = read_array(root, "layers", "", MOST_LAYERS);
    if (!item) error_model("layers", NULL, "a model has at least one layer");
    for (int i = 0; item; item = json_next(item), i++)
        read_layer(model, item, format("layers[%d]", i));
    bool *used = alloc((size_t)model->layer_count, sizeof *used);
    for (int i = 0; i < model->layer_count; i++)
        if (model->layers[i]->input) used[model->layers[i]->input->index] = true;
    for (int i = 0; i + 1 < model->layer_count; i++)
        if (!used[i])
            error_layer(model->layers[i],
                        "only the last layer of the model may be without a successor",
                        "no layer uses its output");
}

static void read_input(Model *model, const Json *root)
{
    const Json *input = json_get(root, "input");
    if (!input)
        error_model("", "\"input\": {\"shape\": [height, width, channels]}",
                    "the key \"input\" is missing");
    if (!json_is_object(input))
        error_model("input", NULL, "must be an object, but is %s", json_kind(input));
    Value *values = read_attrs(input, input_attrs, "input", "");
    const Value *shape = find_value(input_attrs, values, "shape");
    if (shape->count != 3)
        error_model("input.shape", NULL, "must be [height, width, channels], but has %d numbers",
                    shape->count);
    model->height = (int)shape->i[0];
    model->width = (int)shape->i[1];
    model->channels = (int)shape->i[2];
    model->nearest = !strcmp(find_value(input_attrs, values, "interpolation")->s, "nearest");
}

/* ---- Phases ---------------------------------------------------------------------------------- */

bool is_kind(const char *word, const char *type, const char *name)
{
    return !strcasecmp(word, type) || !strcasecmp(word, name);
}

/* "adam" or {"type": "Adam", …}: the word that tells the kind; *object is NULL for the short form.
 */
const char *read_kind(const Json *json, const char *path, const Json **object)
{
    *object = json_is_object(json) ? json : NULL;
    if (json_string(json)) return json_string(json);
    if (!*object)
        error_model(path, NULL, "must be a name or an object with a \"type\", but is %s",
                    json_kind(json));
    const char *type = read_text(json, "type", path);
    if (!type) error_model(path, NULL, "the key \"type\" is missing");
    return type;
}

static void find_optimizer(Phase *phase, const char *word, const char *path)
{
    Text list = {0};
    for (const OptimizerKind *kind = optimizer_kinds; kind->type; kind++) {
        add_text(&list, "%s%s", list.length ? ", " : "", kind->type);
        if (is_kind(word, kind->type, kind->name)) phase->optimizer = kind;
    }
    if (!phase->optimizer)
        error_model(path, format("optimizers are %s", list.data), "unknown optimizer \"%.80s\"",
                    word);
}

/* The slots of two types of optimizers mean different things. */
static void check_continues(const Model *model, const Phase *phase, const char *path)
{
    if (model->phase_count == 0)
        error_model(path, "the first phase names its optimizer",
                    "no phase stands before this one, whose optimizer could go on");
    const Phase *before = model->phases[model->phase_count - 1];
    if (phase->optimizer && phase->optimizer != before->optimizer)
        error_model(path, "the same type in both, or no \"continue\"",
                    "the state of phase \"%s\" is that of %s; %s cannot go on with it",
                    before->name, before->optimizer->type, phase->optimizer->type);
}

/* "continue" alone is the optimizer of the phase before, with its settings. */
static void read_optimizer(const Model *model, Phase *phase, const Json *json)
{
    const char *path = format("%s.optimizer", phase->path), *word = "rmsprop";
    const Json *object = NULL;
    if (json) word = read_kind(json, path, &object);
    phase->continues = !object && !strcmp(word, "continue");
    if (phase->continues) {
        check_continues(model, phase, path);
        phase->optimizer = model->phases[model->phase_count - 1]->optimizer;
        phase->optimizer_values = model->phases[model->phase_count - 1]->optimizer_values;
        return;
    }
    find_optimizer(phase, word, path);
    phase->optimizer_values = read_attrs(object, phase->optimizer->attrs, path, "type");
    phase->continues =
        find_value(phase->optimizer->attrs, phase->optimizer_values, "continue")->i[0] != 0;
    if (phase->continues) check_continues(model, phase, format("%s.continue", path));
    check_optimizer(phase, path);
}

static void read_loss(Phase *phase, const Json *json)
{
    const char *path = format("%s.loss", phase->path);
    const Json *object = NULL;
    Text list = {0};
    if (!json) error_model(phase->path, NULL, "the key \"loss\" is missing");
    const char *word = read_kind(json, path, &object);
    for (const LossKind *kind = loss_kinds; kind->type; kind++) {
        add_text(&list, "%s%s", list.length ? ", " : "", kind->name);
        if (is_kind(word, kind->type, kind->name)) phase->loss = kind;
    }
    if (!phase->loss)
        error_model(path, format("losses are %s", list.data), "unknown loss \"%.80s\"", word);
    phase->loss_values = read_attrs(object, phase->loss->attrs, path, "type");
}

/* Strings of the array at `key`, each not empty. */
static int read_strings(const Json *object, const char *key, const char *path,
                        const char ***strings)
{
    int count = 0;
    const Json *item = read_array(object, key, path, MOST_PATTERNS);
    for (; item; item = json_next(item)) {
        const char *text = json_string(item);
        if (!text || !*text)
            error_model(format("%s.%s[%d]", path, key, count), NULL,
                        "must be a string that is not empty, but is %s", json_kind(item));
        append(strings, &count, (char *)text);
    }
    return count;
}

/* What the numbers of a training depend on: so that one goes on only with what it began with. Where
 * features are kept matters only if they are rounded there. */
static const char *make_recipe(const Json *object, bool half_features)
{
    Text text = {0};
    for (const Json *item = json_first(object); item; item = json_next(item))
        if (strcmp(json_key(item), "name") && strcmp(json_key(item), "epochs") &&
            (half_features || strcmp(json_key(item), "cache")))
            add_text(&text, "%s%s %s", text.length ? ", " : "", json_key(item), json_text(item));
    return text.data;
}

static void read_phase(Model *model, const Json *object, const char *path)
{
    if (!json_is_object(object))
        error_model(path, NULL, "must be an object, but is %s", json_kind(object));
    Value *values =
        read_attrs(object, phase_attrs, path,
                   "freeze train learning_rate_multipliers optimizer loss metrics class_weight "
                   "callbacks");
    Phase *phase = alloc(1, sizeof *phase);
    phase->name = find_value(phase_attrs, values, "name")->s;
    phase->path = path;
    phase->index = model->phase_count;
    phase->epochs = find_value(phase_attrs, values, "epochs")->i[0];
    phase->batch = find_value(phase_attrs, values, "batch_size")->i[0];
    phase->cache = find_value(phase_attrs, values, "cache")->s;
    phase->half_features = !strcmp(find_value(phase_attrs, values, "cache_type")->s, "float16");
    phase->variants = find_value(phase_attrs, values, "augment_variants")->i[0];
    phase->balanced_sampling = !strcmp(find_value(phase_attrs, values, "sampling")->s, "balanced");
    for (int i = 0; i < model->phase_count; i++)
        if (!strcmp(model->phases[i]->name, phase->name))
            error_model(format("%s.name", path), NULL, "the name \"%s\" stands for %s already",
                        phase->name, model->phases[i]->path);
    read_optimizer(model, phase, json_get(object, "optimizer"));
    read_loss(phase, json_get(object, "loss"));
    read_metrics(phase, object);
    read_callbacks(phase, json_get(object, "callbacks"));
    read_class_weight(phase, object);
    phase->freeze_count = read_strings(object, "freeze", path, &phase->freeze);
    phase->train_count = read_strings(object, "train", path, &phase->train);
    phase->recipe = make_recipe(object, phase->half_features);
    append(&model->phases, &model->phase_count, phase);
    resolve_freeze(model, phase, json_get(object, "learning_rate_multipliers"));
}

/* ---- Precision ------------------------------------------------------------------------------- */

const char *const precision_names[] = {[PRECISION_HIGHEST] = "highest",
                                       [PRECISION_HIGH] = "high",
                                       [PRECISION_MEDIUM] = "medium",
                                       NULL};

bool find_precision(const char *name, Precision *found)
{
    for (int i = 0; precision_names[i]; i++)
        if (!strcmp(precision_names[i], name)) return *found = (Precision)i, true;
    return false;
}

/* ---- The whole ------------------------------------------------------------------------------- */

Model *parse_model(const char *file)
{
    set_model_file(file);
    const Json *root = read_json(file);
    if (!json_is_object(root))
        error_model("", NULL, "a model is an object, but this is %s", json_kind(root));
    Model *model = alloc(1, sizeof *model);
    Value *values = read_attrs(root, model_attrs, "", "input layers phases $schema");
    model->file = file;
    model->name = find_value(model_attrs, values, "name")->s;
    find_precision(find_value(model_attrs, values, "precision")->s, &model->precision);
    read_input(model, root);
    read_layers(model, root);
    const Json *item = read_array(root, "phases", "", MOST_PHASES);
    for (int i = 0; item; item = json_next(item), i++)
        read_phase(model, item, format("phases[%d]", i));
    return model;
}

void check_shapes(Model *model)
{
    finish_bases(model);
    check_trainable(model);
    check_metrics(model);
    check_classes(model);
}
