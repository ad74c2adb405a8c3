/* augment.c: random changes of pictures while training: flips, affine maps, crops, contrast,
 * brightness.
 *
 * As in Keras 3 on TensorFlow, but for the random numbers themselves: one draw a picture and layer.
 * RandomContrast's single factor f means U(1, 1 + f), as in Keras 3.15, whose documentation says
 * U(1 - f, 1 + f); [f, f] means that. Keras's RandomCrop draws one place for all pictures of a
 * batch, and hands on the whole picture when it predicts. */
#include <string.h>

#include "emit.h"

enum { AUGMENT = OP_LAYER | OP_NO_GRAD | OP_RANDOM | OP_TRAIN_ONLY };

static void infer_augment(Node *n)
{
    need_pictures(n);
    infer_same(n);
}

/* `tasks`: planes or bands; `section` is the kernel's name too. */
static void emit_augment(Emit *e, const Node *n, const char *section, const char *tasks)
{
    set_shape(e, "$X", n->in[0]);
    set_shape(e, "$Y", n->out[0]);
    set(e, "$stream", "%d", n->layer->index);
    emit_kernel(e, n, section, shape_name(n->op->name, n->out[0]), tasks);
}

static void set_range(Emit *e, const char *placeholder, const double range[2])
{
    set(e, placeholder, "%s, %s", real_text(range[0]), real_text(range[1]));
}

/* ---- RandomFlip ------------------------------------------------------------------------------ */

static const Attr flip_attrs[] = {
    {.name = "mode", .type = ATTR_CHOICE, .initial = "\"horizontal_and_vertical\"",
     .choices = "horizontal vertical horizontal_and_vertical",
     .doc = "horizontal: left to right; both together or not at all"},
    {0},
};

static void emit_flip(Emit *e, const Node *n)
{
    const char *mode = attr_text(n, "mode");
    set(e, "$horizontal", "%d", mode[0] == 'h');
    set(e, "$vertical", "%d", strcmp(mode, "horizontal") != 0);
    emit_augment(e, n, "flip", band_tasks(n->out[0]));
}

const Op op_random_flip = {
    .name = "RandomFlip",
    .doc = "While training, mirrors half of the pictures.",
    .attrs = flip_attrs,
    .flags = AUGMENT,
    .infer = infer_augment,
    .emit = emit_flip,
};

/* ---- RandomRotation, RandomZoom, RandomTranslation ------------------------------------------- */

static const char fill_doc[] = "what lies beyond the edge: dcba|abcd|dcba, kkkk|abcd|kkkk, "
                               "abcd|abcd|abcd, aaaa|abcd|dddd";

#define SAMPLING_ATTRS                                                                             \
    {.name = "fill_mode", .type = ATTR_CHOICE, .initial = "\"reflect\"",                           \
     .choices = "reflect constant wrap nearest", .doc = fill_doc},                                 \
    {.name = "interpolation", .type = ATTR_CHOICE, .initial = "\"bilinear\"",                      \
     .choices = "bilinear nearest", .doc = "from the four pixels around a point, or the nearest"}, \
    {.name = "fill_value", .type = ATTR_FLOAT, .initial = "0.0",                                   \
     .doc = "the k of fill_mode \"constant\""}

/* The map: rotation, zoom or translation; two ranges to draw from, height or angle first. */
static void emit_affine(Emit *e, const Node *n, const char *map, const Value *first,
                        const Value *second)
{
    const char *fill = attr_text(n, "fill_mode");
    need_section(e, "affine_maps");
    set(e, "$map", "%s", map);
    set_range(e, "$first", first->f);
    set_range(e, "$second", second->f);
    set(e, "$together", "%d", second == first);
    set(e, "$fill_mode", "FILL_%s", strcmp(fill, "reflect") == 0    ? "REFLECT"
                                    : strcmp(fill, "constant") == 0 ? "CONSTANT"
                                    : strcmp(fill, "wrap") == 0     ? "WRAP"
                                                                    : "NEAREST");
    set(e, "$bilinear", "%d", strcmp(attr_text(n, "interpolation"), "bilinear") == 0);
    set(e, "$fill_value", "%s", real_text(attr_float(n, "fill_value")));
    emit_augment(e, n, "affine", band_tasks(n->out[0]));
}

static const Attr rotation_attrs[] = {
    {.name = "factor", .type = ATTR_RANGE, .flags = ATTR_REQUIRED, .lo = -1, .hi = 1,
     .doc = "range of angles in full turns, counter-clockwise"},
    SAMPLING_ATTRS,
    {0},
};

static void emit_rotation(Emit *e, const Node *n)
{
    const Value *factor = attr(n, "factor");
    emit_affine(e, n, "rotation", factor, factor);
}

const Op op_random_rotation = {
    .name = "RandomRotation",
    .doc = "While training, turns pictures about their centre.",
    .attrs = rotation_attrs,
    .flags = AUGMENT,
    .infer = infer_augment,
    .emit = emit_rotation,
};

static const Attr zoom_attrs[] = {
    {.name = "height_factor", .type = ATTR_RANGE, .flags = ATTR_REQUIRED | ATTR_OPEN_LO, .lo = -1,
     .hi = 1, .doc = "range of what the height's 1 grows by; above 0 shows more, smaller"},
    {.name = "width_factor", .type = ATTR_RANGE, .flags = ATTR_NULL | ATTR_OPEN_LO,
     .initial = "null", .lo = -1, .hi = 1, .doc = "likewise; null: the same draw as the height"},
    SAMPLING_ATTRS,
    {0},
};

static void emit_zoom(Emit *e, const Node *n)
{
    const Value *height = attr(n, "height_factor"), *width = attr(n, "width_factor");
    emit_affine(e, n, "zoom", height, width->is_null ? height : width);
}

const Op op_random_zoom = {
    .name = "RandomZoom",
    .doc = "While training, zooms pictures about their centre.",
    .attrs = zoom_attrs,
    .flags = AUGMENT,
    .infer = infer_augment,
    .emit = emit_zoom,
};

static const Attr translation_attrs[] = {
    {.name = "height_factor", .type = ATTR_RANGE, .flags = ATTR_REQUIRED, .lo = -1, .hi = 1,
     .doc = "range of shifts down, in heights"},
    {.name = "width_factor", .type = ATTR_RANGE, .flags = ATTR_REQUIRED, .lo = -1, .hi = 1,
     .doc = "range of shifts to the right, in widths"},
    SAMPLING_ATTRS,
    {0},
};

static void emit_translation(Emit *e, const Node *n)
{
    emit_affine(e, n, "translation", attr(n, "height_factor"), attr(n, "width_factor"));
}

const Op op_random_translation = {
    .name = "RandomTranslation",
    .doc = "While training, shifts pictures.",
    .attrs = translation_attrs,
    .flags = AUGMENT,
    .infer = infer_augment,
    .emit = emit_translation,
};

/* ---- RandomCrop ------------------------------------------------------------------------------ */

static const Attr crop_attrs[] = {
    {.name = "height", .type = ATTR_INT, .flags = ATTR_REQUIRED, .lo = 1, .hi = 65536,
     .doc = "of the part that is taken; at most that of the picture"},
    {.name = "width", .type = ATTR_INT, .flags = ATTR_REQUIRED, .lo = 1, .hi = 65536,
     .doc = "likewise"},
    {0},
};

static void infer_crop(Node *n)
{
    need_pictures(n);
    const Tensor *x = n->in[0];
    const int64_t height = attr_int(n, "height"), width = attr_int(n, "width");
    if (height > height_of(x) || width > width_of(x))
        error_node(n, "a larger input, or a smaller part", "%dx%d is more than its input has",
                   (int)height, (int)width);
    set_picture(n, height, width, channels_of(x));
}

static void emit_crop(Emit *e, const Node *n)
{
    set(e, "$random", "%d", e->g->kind == PROGRAM_TRAIN);
    emit_augment(e, n, "crop", band_tasks(n->out[0]));
}

const Op op_random_crop = {
    .name = "RandomCrop",
    .doc = "While training, takes a part of each picture at a random place; else from its middle.",
    .attrs = crop_attrs,
    .flags = OP_LAYER | OP_NO_GRAD | OP_RANDOM,
    .infer = infer_crop,
    .emit = emit_crop,
};

/* ---- RandomContrast, RandomBrightness -------------------------------------------------------- */

#define VALUE_RANGE_ATTR                                                                           \
    {.name = "value_range", .type = ATTR_RANGE, .flags = ATTR_PAIR, .initial = "[0, 255]",         \
     .doc = "range of the pixels, its ends in any order; results are clipped to it"}

static const Attr contrast_attrs[] = {
    {.name = "factor", .type = ATTR_RANGE, .flags = ATTR_REQUIRED, .lo = 0, .hi = 1,
     .doc = "[lower, upper]: contrast is scaled by 1 - lower to 1 + upper; one number is upper, "
            "and lower is 0"},
    VALUE_RANGE_ATTR,
    {0},
};

static void emit_contrast(Emit *e, const Node *n)
{
    const double *factor = attr(n, "factor")->f;
    set_range(e, "$factor", (const double[]){1 - factor[0], 1 + factor[1]});
    set_range(e, "$limits", attr(n, "value_range")->f);
    emit_augment(e, n, "contrast", plane_tasks(n->out[0]));
}

const Op op_random_contrast = {
    .name = "RandomContrast",
    .doc = "While training, changes the contrast of each channel about its mean.",
    .attrs = contrast_attrs,
    .flags = AUGMENT,
    .infer = infer_augment,
    .emit = emit_contrast,
};

static const Attr brightness_attrs[] = {
    {.name = "factor", .type = ATTR_RANGE, .flags = ATTR_REQUIRED, .lo = -1, .hi = 1,
     .doc = "range of what is added, in widths of value_range"},
    VALUE_RANGE_ATTR,
    {0},
};

static void emit_brightness(Emit *e, const Node *n)
{
    const double *limits = attr(n, "value_range")->f;
    set_range(e, "$factor", attr(n, "factor")->f);
    set_range(e, "$limits", limits);
    emit_augment(e, n, "brightness", band_tasks(n->out[0]));
}

const Op op_random_brightness = {
    .name = "RandomBrightness",
    .doc = "While training, adds a number to all pixels of a picture.",
    .attrs = brightness_attrs,
    .flags = AUGMENT,
    .infer = infer_augment,
    .emit = emit_brightness,
};
