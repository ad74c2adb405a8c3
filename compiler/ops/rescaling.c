/* rescaling.c: linear maps of pixels: Rescaling, and preprocess_input of keras.applications. */
#include <string.h>

#include "emit.h"

/* ---- Rescaling ------------------------------------------------------------------------------- */

static const Attr rescaling_attrs[] = {
    {.name = "scale", .type = ATTR_FLOAT, .flags = ATTR_REQUIRED, .doc = "factor of each number"},
    {.name = "offset", .type = ATTR_FLOAT, .initial = "0.0", .doc = "added after scaling"},
    {0},
};

static void grad_rescaling(Graph *g, Node *n)
{
    Value *values = default_attrs(rescaling_attrs);
    *find_value(rescaling_attrs, values, "scale") = *attr(n, "scale");
    Tensor *dx = add_node(g, n->op, format("d_%s", n->in[0]->name), n->layer, values,
                          (Tensor *[]){n->out[0]->grad, NULL});
    add_grad(g, n->in[0], dx);
}

static bool simplify_rescaling(Graph *g, Node *n)
{
    if (attr_float(n, "scale") != 1 || attr_float(n, "offset") != 0) return false;
    replace_uses(g, n->out[0], n->in[0]);
    return true;
}

static void emit_rescaling(Emit *e, const Node *n)
{
    const double offset = attr_float(n, "offset");
    const char *scaled = format("v * %s", real_text(attr_float(n, "scale")));
    emit_map(e, n, "rescaling",
             offset == 0 ? scaled : format("%s + %s", scaled, real_text(offset)));
}

const Op op_rescaling = {
    .name = "Rescaling",
    .doc = "x * scale + offset, when training and when predicting.",
    .attrs = rescaling_attrs,
    .flags = OP_LAYER | OP_ELEMENTWISE | OP_IN_PLACE,
    .infer = infer_same,
    .simplify = simplify_rescaling,
    .grad = grad_rescaling,
    .emit = emit_rescaling,
};

/* ---- preprocess_input ------------------------------------------------------------------------ */

typedef struct {
    const char *name;
    double divisor, mean[3], deviation[3]; /* y = (x / divisor - mean) / deviation */
    bool reverse;                          /* RGB to BGR */
} Mode;

static const Mode modes[] = {
    {"caffe", 1, {103.939, 116.779, 123.68}, {1, 1, 1}, true},
    {"tf", 127.5, {1, 1, 1}, {1, 1, 1}, false},
    {"torch", 255, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, false},
};

static const struct {
    const char *model, *mode;
} models[] = {
    {"vgg16", "caffe"},     {"vgg19", "caffe"},        {"resnet50", "caffe"},
    {"inception_v3", "tf"}, {"xception", "tf"},        {"mobilenet", "tf"},
    {"mobilenet_v2", "tf"}, {"densenet", "torch"},
};

static const Attr preprocess_attrs[] = {
    {.name = "model", .type = ATTR_CHOICE, .flags = ATTR_NULL, .initial = "null",
     .choices = "vgg16 vgg19 resnet50 inception_v3 xception mobilenet mobilenet_v2 densenet",
     .doc = "the network whose preprocess_input to apply; this or mode"},
    {.name = "mode", .type = ATTR_CHOICE, .flags = ATTR_NULL, .initial = "null",
     .choices = "caffe tf torch",
     .doc = "caffe: BGR minus the means; tf: -1 to 1; torch: 0 to 1, then normalised"},
    {0},
};

static void check_preprocess(const Layer *layer)
{
    const Value *model = layer_attr(layer, "model"), *mode = layer_attr(layer, "mode");
    if (model->is_null && mode->is_null)
        error_layer(layer, "\"model\": \"vgg16\"", "needs \"model\" or \"mode\"");
    if (!model->is_null && !mode->is_null)
        error_layer(layer, "leave out one of them", "takes \"model\" or \"mode\", not both");
}

static const Mode *mode_of(const Node *n)
{
    const char *model = attr_text(n, "model"), *mode = attr_text(n, "mode");
    for (size_t i = 0; model && i < sizeof models / sizeof *models; i++)
        if (strcmp(models[i].model, model) == 0) mode = models[i].mode;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, mode) == 0) return &modes[i];
    bug(NULL, "%s: no mode of preprocessing", n->name);
}

static void infer_preprocess(Node *n)
{
    need_pictures(n);
    const Mode *mode = mode_of(n);
    if (strcmp(mode->name, "tf") != 0 && channels_of(n->in[0]) != 3)
        error_node(n, "mode \"tf\", or Rescaling", "mode \"%s\" needs 3 channels, not %d",
                   mode->name, channels_of(n->in[0]));
    infer_same(n);
}

extern const Op op_d_preprocess;

static void grad_preprocess(Graph *g, Node *n)
{
    Tensor *dx = add_node(g, &op_d_preprocess, format("d_%s", n->in[0]->name), n->layer, n->values,
                          (Tensor *[]){n->out[0]->grad, NULL});
    add_grad(g, n->in[0], dx);
}

static void set_numbers(Emit *e, const char *placeholder, const double numbers[3])
{
    set(e, placeholder, "%s, %s, %s", real_text(numbers[0]), real_text(numbers[1]),
        real_text(numbers[2]));
}

/* Reversing three channels is its own inverse, so that the gradient is the same loop: without the
 * means, and divided in the other order of channels. */
static void emit_channels(Emit *e, const Node *n, const Mode *mode, const double mean[3])
{
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    set(e, "$reverse", "%d", mode->reverse);
    set(e, "$divisor", "%s", real_text(mode->divisor));
    set_numbers(e, "$means", mean);
    set_numbers(e, "$deviations", mode->deviation);
    emit_kernel(e, n, "preprocess", shape_name(n->op->name, n->out[0]), band_tasks(n->out[0]));
}

static void emit_preprocess(Emit *e, const Node *n)
{
    const Mode *mode = mode_of(n);
    if (channels_of(n->in[0]) == 3)
        emit_channels(e, n, mode, mode->mean);
    else
        emit_map(e, n, n->op->name, "v / (real)127.5 - (real)1");
}

static void emit_d_preprocess(Emit *e, const Node *n)
{
    if (channels_of(n->in[0]) == 3)
        emit_channels(e, n, mode_of(n), (const double[3]){0, 0, 0});
    else
        emit_map(e, n, n->op->name, "v / (real)127.5");
}

const Op op_preprocess = {
    .name = "preprocess_input",
    .doc = "What keras.applications.MODEL.preprocess_input does to pixels 0..255.",
    .attrs = preprocess_attrs,
    .flags = OP_LAYER,
    .check = check_preprocess,
    .infer = infer_preprocess,
    .grad = grad_preprocess,
    .emit = emit_preprocess,
};

const Op op_d_preprocess = {
    .name = "d_preprocess_input",
    .doc = "dx of preprocess_input",
    .attrs = preprocess_attrs,
    .infer = infer_same,
    .emit = emit_d_preprocess,
};
