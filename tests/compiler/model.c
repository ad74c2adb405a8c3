/* model.c (test): what parsing makes of a model.json: names, attributes, parts of pretrained
 * networks, frozen layers, official weights. What it refuses is in tests/bad. */
#include "../unit/outcome.h"

#include "tlc.h"

#define VGG "{\"type\": \"VGG16\", \"include_top\": false"

/* A model of these layers, in JSON without the brackets; its shapes are known. */
static Model *read_model(const char *shape, const char *layers, const char *phases)
{
    const char *text = format("{\"name\": \"m\", \"input\": {\"shape\": %s}, \"layers\": [%s], "
                              "\"phases\": [%s]}",
                              shape, layers, phases);
    const char *path = scratch("model.json");
    write_file(path, text, strlen(text));
    Model *m = parse_model(path);
    build_graph(m, PROGRAM_INFER, NULL);
    return m;
}

static void assert_names(const Model *m, const char *names)
{
    Text text = {0};
    for (int i = 0; i < m->layer_count; i++)
        add_text(&text, "%s%s", i ? " " : "", m->layers[i]->name);
    assert_string_equal(text.data, names);
}

static Layer *layer_named(const Model *m, const char *name)
{
    Layer *layer = find_layer(m, name);
    assert_non_null(layer);
    return layer;
}

/* ---- Names and inputs ------------------------------------------------------------------------ */

static void test_automatic_names(void **state)
{
    (void)state;
    const Model *m = read_model(
        "[32, 32, 3]",
        "{\"type\": \"RandomFlip\"}, {\"type\": \"ZeroPadding2D\"}, {\"type\": \"MaxPooling2D\"}, "
        "{\"type\": \"MaxPooling2D\"}, {\"type\": \"ReLU\"}, "
        "{\"type\": \"preprocess_input\", \"model\": \"vgg16\"}, "
        "{\"type\": \"GlobalAveragePooling2D\"}, {\"type\": \"Dense\", \"units\": 2}, "
        "{\"type\": \"Dense\", \"units\": 2, \"name\": \"fc\"}, {\"type\": \"Dense\", \"units\": "
        "2}",
        "");
    assert_names(m,
                 "random_flip zero_padding2d max_pooling2d max_pooling2d_1 re_lu preprocess_input "
                 "global_average_pooling2d dense fc dense_1");
    assert_string_equal(m->layers[9]->path, "layers[9]");
}

/* The network's own flatten is passed over; pooling's layer is numbered with the others. */
static void test_names_beside_a_base(void **state)
{
    (void)state;
    const Model *m = read_model(
        "[224, 224, 3]", "{\"type\": \"VGG16\", \"last\": \"fc1\"}, {\"type\": \"Flatten\"}", "");
    assert_string_equal(m->layers[m->layer_count - 1]->name, "flatten_1");
    m = read_model("[32, 32, 3]",
                   VGG ", \"pooling\": \"max\"}, "
                       "{\"type\": \"Reshape\", \"target_shape\": [1, 1, 512]}, "
                       "{\"type\": \"GlobalMaxPooling2D\"}",
                   "");
    assert_string_equal(m->layers[18]->name, "global_max_pooling2d");
    assert_ptr_equal(m->layers[18]->base, m->bases[0]);
    assert_string_equal(m->layers[20]->name, "global_max_pooling2d_1");
}

static void test_inputs(void **state)
{
    (void)state;
    const Model *m = read_model("[32, 32, 3]",
                                VGG ", \"inputs\": \"input\"}, "
                                    "{\"type\": \"Flatten\", \"inputs\": [\"vgg16\"]}, "
                                    "{\"type\": \"ReLU\", \"inputs\": \"flatten\"}",
                                "");
    assert_null(m->layers[0]->input);
    assert_ptr_equal(layer_named(m, "flatten")->input, layer_named(m, "block5_pool"));
    assert_ptr_equal(layer_named(m, "re_lu")->input, layer_named(m, "flatten"));
}

/* ---- Attributes --------------------------------------------------------------------------------
 */

static const Attr table[] = {
    {.name = "int", .type = ATTR_INT, .initial = "7", .lo = 1, .hi = 9},
    {.name = "pair", .type = ATTR_INT2, .flags = ATTR_NULL, .initial = "null"},
    {.name = "ints", .type = ATTR_INTS, .initial = "[4]"},
    {.name = "padding", .type = ATTR_PADDING, .initial = "[[1, 2], [3, 4]]"},
    {.name = "float",
     .type = ATTR_FLOAT,
     .initial = "0.5",
     .flags = ATTR_OPEN_HI,
     .lo = 0,
     .hi = 1},
    {.name = "range", .type = ATTR_RANGE, .initial = "0.2", .lo = -1, .hi = 1},
    {.name = "bool", .type = ATTR_BOOL, .initial = "true"},
    {.name = "choice", .type = ATTR_CHOICE, .initial = "\"same\"", .choices = "valid same"},
    {.name = "penalty", .type = ATTR_REGULARIZER, .flags = ATTR_NULL, .initial = "null"},
    {0},
};

static Value *read_values(const char *text)
{
    return read_attrs(parse_json(text, "test"), table, "test", "type");
}

static const Value *value_of(const Value *values, const char *name)
{
    return find_value(table, (Value *)values, name);
}

static void assert_penalty(const Value *values, double l1, double l2)
{
    const Value *value = value_of(values, "penalty");
    assert_true(value->f[0] == l1 && value->f[1] == l2);
}

static void test_defaults(void **state)
{
    (void)state;
    const Value *v = read_values("{\"type\": \"x\"}");
    for (int i = 0; table[i].name; i++) assert_false(v[i].is_set);
    assert_int_equal(value_of(v, "int")->i[0], 7);
    assert_true(value_of(v, "pair")->is_null);
    assert_int_equal(value_of(v, "ints")->count, 1);
    assert_memory_equal(value_of(v, "padding")->i, ((int64_t[]){1, 2, 3, 4}), 32);
    assert_true(value_of(v, "float")->f[0] == 0.5);
    assert_true(value_of(v, "range")->f[0] == -0.2 && value_of(v, "range")->f[1] == 0.2);
    assert_int_equal(value_of(v, "bool")->i[0], 1);
    assert_string_equal(value_of(v, "choice")->s, "same");
    assert_true(value_of(v, "penalty")->is_null);
    assert_string_equal(attrs_text(table, v), "");
}

static void test_values(void **state)
{
    (void)state;
    const Value *v =
        read_values("{\"int\": 9.0, \"pair\": [5, 3], \"ints\": [1, -2, 3], "
                    "\"padding\": [1, [2, 3]], \"float\": -0, \"range\": [0.25, -0.5], "
                    "\"bool\": false, \"choice\": \"VALID\", \"penalty\": \"L2\"}");
    for (int i = 0; table[i].name; i++) assert_true(v[i].is_set && !v[i].is_null);
    assert_int_equal(value_of(v, "int")->i[0], 9);
    assert_memory_equal(value_of(v, "pair")->i, ((int64_t[]){5, 3}), 16);
    assert_memory_equal(value_of(v, "ints")->i, ((int64_t[]){1, -2, 3}), 24);
    assert_memory_equal(value_of(v, "padding")->i, ((int64_t[]){1, 1, 2, 3}), 32);
    assert_true(value_of(v, "range")->f[0] == -0.5 && value_of(v, "range")->f[1] == 0.25);
    assert_string_equal(value_of(v, "choice")->s, "valid");
    assert_penalty(v, 0, 0.01);
    assert_string_equal(attrs_text(table, v),
                        "int=9 pair=[5, 3] ints=[1, -2, 3] padding=[1, 1, 2, 3] float=0 "
                        "range=[-0.5, 0.25] bool=false choice=valid penalty=[0, 0.01]");
    v = read_values("{\"pair\": 4, \"padding\": 2, \"range\": -1, "
                    "\"penalty\": {\"type\": \"L2\", \"l2\": 0.5}}");
    assert_memory_equal(value_of(v, "pair")->i, ((int64_t[]){4, 4}), 16);
    assert_memory_equal(value_of(v, "padding")->i, ((int64_t[]){2, 2, 2, 2}), 32);
    assert_true(value_of(v, "range")->f[0] == -1 && value_of(v, "range")->f[1] == 1);
    assert_penalty(v, 0, 0.5);
}

static void test_penalties(void **state)
{
    (void)state;
    assert_penalty(read_values("{\"penalty\": \"l1\"}"), 0.01, 0);
    assert_penalty(read_values("{\"penalty\": {\"type\": \"L1\"}}"), 0.01, 0);
    assert_penalty(read_values("{\"penalty\": {\"type\": \"l1\", \"l1\": 3}}"), 3, 0);
    assert_penalty(read_values("{\"penalty\": {\"type\": \"L2\"}}"), 0, 0.01);
    assert_penalty(read_values("{\"penalty\": {\"type\": \"L1L2\", \"l2\": 0.5}}"), 0, 0.5);
    assert_penalty(read_values("{\"penalty\": {\"type\": \"L1L2\", \"l1\": 2, \"l2\": 0.5}}"), 2,
                   0.5);
}

/* Every default in every table must itself be readable and in range. */
static void test_tables(void **state)
{
    (void)state;
    for (const Op *const *op = op_list; *op; op++) default_attrs((*op)->attrs);
    for (const LossKind *kind = loss_kinds; kind->type; kind++) default_attrs(kind->attrs);
    for (const OptimizerKind *kind = optimizer_kinds; kind->type; kind++)
        default_attrs(kind->attrs);
}

/* ---- Pretrained networks
 * -------------------------------------------------------------------------- */

static void assert_part(const char *arguments, const char *first, const char *last, int count,
                        bool input_layer, bool notop)
{
    const Model *m = read_model("[224, 224, 3]", format("{\"type\": \"VGG16\"%s}", arguments), "");
    const Base *base = m->bases[0];
    assert_int_equal(m->layer_count, count);
    assert_int_equal(base->count, count);
    assert_int_equal(base->input_layer, input_layer);
    assert_string_equal(m->layers[0]->name, first);
    assert_string_equal(m->layers[count - 1]->name, last);
    assert_int_equal(strstr(base->file, "notop") != NULL, notop);
}

/* As base.layers of Keras counts: 0 is the InputLayer. */
static void test_parts(void **state)
{
    (void)state;
    assert_part("", "block1_conv1", "predictions", 22, true, false);
    assert_part(", \"include_top\": false", "block1_conv1", "block5_pool", 18, true, true);
    assert_part(", \"last\": \"fc2\"", "block1_conv1", "fc2", 21, true, false);
    assert_part(", \"last\": -2", "block1_conv1", "fc2", 21, true, false);
    assert_part(", \"last\": \"block2_pool\"", "block1_conv1", "block2_pool", 6, true, true);
    assert_part(", \"last\": 6", "block1_conv1", "block2_pool", 6, true, true);
    assert_part(", \"first\": 0, \"last\": 1", "block1_conv1", "block1_conv1", 1, true, true);
    assert_part(", \"first\": 1, \"last\": 1", "block1_conv1", "block1_conv1", 1, false, true);
    assert_part(", \"last\": \"block5_pool\"", "block1_conv1", "block5_pool", 18, true, true);
    assert_part(", \"last\": \"flatten\"", "block1_conv1", "flatten", 19, true, false);
}

static void test_network(void **state)
{
    (void)state;
    const Model *m = read_model("[224, 224, 3]", "{\"type\": \"VGG19\"}", "");
    const Base *base = m->bases[0];
    int64_t params = 0;
    for (int i = 0; i < m->weight_count; i++) {
        int64_t count = 1;
        for (int d = 0; d < m->weights[i]->rank; d++) count *= m->weights[i]->dims[d];
        params += count;
    }
    assert_int_equal(m->layer_count, 25);
    assert_int_equal(params, 143667240);
    assert_int_equal(base->official_count, 19);
    assert_string_equal(base->official[0], "block1_conv1");
    assert_string_equal(base->official[18], "predictions");
    assert_string_equal(base->url, "https://storage.googleapis.com/tensorflow/keras-applications/"
                                   "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5");
    assert_string_equal(base->md5, "cbe5617147190e668d6c5d5026f83318");
}

static const char two_parts[] =
    VGG ", \"last\": \"block2_pool\"}, "
        "{\"type\": \"Conv2D\", \"filters\": 128, \"kernel_size\": 5, \"padding\": \"same\"}, " VGG
        ", \"first\": \"block3_conv1\"}, {\"type\": \"Flatten\"}, "
        "{\"type\": \"Dense\", \"units\": 1}";

static const char *phase_with(const char *freeze)
{
    return format("{\"name\": \"p\", \"loss\": \"binary_crossentropy\", \"freeze\": [%s]}", freeze);
}

static void test_two_parts(void **state)
{
    (void)state;
    const Model *m = read_model("[64, 64, 3]", two_parts, phase_with("\"vgg16\""));
    assert_int_equal(m->base_count, 2);
    assert_string_equal(m->bases[0]->name, m->bases[1]->name);
    assert_string_equal(m->bases[0]->file, m->bases[1]->file);
    assert_ptr_equal(layer_named(m, "conv2d")->input, layer_named(m, "block2_pool"));
    assert_ptr_equal(layer_named(m, "block3_conv1")->input, layer_named(m, "conv2d"));
    for (int i = 0; i < m->layer_count; i++)
        assert_int_equal(m->phases[0]->frozen[i], m->layers[i]->base != NULL);
}

/* One part with the dense layers: both read the file that has them. */
static void test_shared_file(void **state)
{
    (void)state;
    const Model *m = read_model("[224, 224, 3]",
                                "{\"type\": \"VGG16\", \"last\": \"block2_pool\"}, "
                                "{\"type\": \"Dropout\", \"rate\": 0.1}, "
                                "{\"type\": \"VGG16\", \"first\": \"block3_conv1\"}",
                                "");
    assert_string_equal(m->bases[0]->file, "vgg16_weights_tf_dim_ordering_tf_kernels.h5");
    assert_string_equal(m->bases[1]->file, m->bases[0]->file);
}

/* ---- Freeze
 * ------------------------------------------------------------------------------------------ */

/* Frozen layers of VGG16 as bits of Keras's base.layers, where 1 is block1_conv1. */
static unsigned frozen_bits(const char *pattern)
{
    const Model *m = read_model(
        "[32, 32, 3]", VGG "}, {\"type\": \"Flatten\"}, {\"type\": \"Dense\", \"units\": 1}",
        phase_with(format("\"%s\"", pattern)));
    unsigned bits = 0;
    for (int i = 0; i < m->layer_count; i++) bits |= (unsigned)m->phases[0]->frozen[i] << (i + 1);
    return bits;
}

/* Expected: what Python's slices of a list of 19 items take. The InputLayer, bit 0, has no weights.
 */
static void test_slices(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        unsigned bits;
    } cases[] = {
        {"vgg16[:7]", 0x0007f},
        {"vgg16[:-4]", 0x07fff},
        {"vgg16[-4:]", 0x78000},
        {"vgg16[1:]", 0x7fffe},
        {"vgg16[::2]", 0x55555},
        {"vgg16[1::2]", 0x2aaaa},
        {"vgg16[::-1]", 0x7ffff},
        {"vgg16[-1::-3]", 0x49249},
        {"vgg16[5:2:-1]", 0x00038},
        {"vgg16[3:]", 0x7fff8},
        {"vgg16[3]", 0x00008},
        {"vgg16[-1]", 0x40000},
        {"vgg16[0]", 0x00001},
        {"vgg16[2:100]", 0x7fffc},
        {"vgg16[-100:3]", 0x00007},
        {"vgg16[100::-5]", 0x42108},
        {"vgg16[:0:-6]", 0x41040},
        {"vgg16[:1]", 0x00001},
        {"vgg16[4:9:3]", 0x00090},
        {"vgg16[-3:-1]", 0x30000},
        {"vgg16[:99999999999999999999]", 0x7ffff},
        {"vgg16", 0x7ffff},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (frozen_bits(cases[i].pattern) != (cases[i].bits & ~1u))
            fail_msg("%s froze 0x%05x", cases[i].pattern, frozen_bits(cases[i].pattern));
}

static void test_globs(void **state)
{
    (void)state;
    assert_int_equal(frozen_bits("block1_conv1"), 0x00002);
    assert_int_equal(frozen_bits("block[1-4]_*"), 0x07ffe);
    assert_int_equal(frozen_bits("block[!1-4]_*"), 0x78000);
    assert_int_equal(frozen_bits("*_conv?"), 0x3bbb6);
    assert_int_equal(frozen_bits("vgg*"), 0x7fffe);
    assert_int_equal(frozen_bits("[a-b]lock1_pool"), 0x00008);
}

/* Slices of a name that several parts share count them as one list. */
static void test_slice_of_parts(void **state)
{
    (void)state;
    const Model *m = read_model("[64, 64, 3]", two_parts, phase_with("\"vgg16[6:8]\""));
    for (int i = 0; i < m->layer_count; i++) {
        const char *name = m->layers[i]->name;
        assert_int_equal(m->phases[0]->frozen[i],
                         !strcmp(name, "block2_pool") || !strcmp(name, "block3_conv1"));
    }
}

/* ---- Phases
 * -------------------------------------------------------------------------------------------- */

static void test_phases(void **state)
{
    (void)state;
    const Model *m = read_model(
        "[8, 8, 1]", "{\"type\": \"Flatten\"}, {\"type\": \"Dense\", \"units\": 1}",
        "{\"name\": \"a\", \"loss\": \"BinaryCrossentropy\"}, "
        "{\"name\": \"b\", \"loss\": {\"type\": \"binary_crossentropy\", \"label_smoothing\": "
        "0.1}, "
        "\"optimizer\": {\"type\": \"Adam\", \"learning_rate\": 1}, \"metrics\": [\"acc\"], "
        "\"epochs\": 3, \"batch_size\": 5}");
    const Phase *a = m->phases[0], *b = m->phases[1];
    assert_string_equal(a->optimizer->type, "RMSprop");
    assert_string_equal(a->loss->name, "binary_crossentropy");
    assert_int_equal(a->epochs, 1);
    assert_int_equal(a->batch, 32);
    assert_int_equal(a->metric_count, 0);
    assert_string_equal(b->optimizer->type, "Adam");
    assert_true(find_value(b->optimizer->attrs, b->optimizer_values, "learning_rate")->f[0] == 1);
    assert_true(find_value(b->loss->attrs, b->loss_values, "label_smoothing")->f[0] == 0.1);
    assert_string_equal(b->metrics[0]->name, "acc");
    assert_int_equal(b->epochs, 3);
    assert_int_equal(b->batch, 5);
}

/* ---- Precision ------------------------------------------------------------------------------- */

/* It does not count in the hash: weights of one precision fit programs of another. */
static void test_precision(void **state)
{
    (void)state;
    Model *m = read_model("[8, 8, 1]", "{\"type\": \"Flatten\"}", "");
    assert_int_equal(m->precision, PRECISION_HIGHEST);
    const char *hash = hash_model(m);
    assert_string_equal(hash, "a9e5e6214137c868812934afcf2474ea3b4c8ce0d4794f3b2dd52a131b3e8c66");
    assert_true(find_precision("medium", &m->precision));
    assert_int_equal(m->precision, PRECISION_MEDIUM);
    assert_string_equal(hash_model(m), hash);
    assert_false(find_precision("low", &m->precision));
}

static int free_memory(void **state)
{
    (void)state;
    free_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_automatic_names, free_memory),
        cmocka_unit_test_teardown(test_names_beside_a_base, free_memory),
        cmocka_unit_test_teardown(test_inputs, free_memory),
        cmocka_unit_test_teardown(test_defaults, free_memory),
        cmocka_unit_test_teardown(test_values, free_memory),
        cmocka_unit_test_teardown(test_penalties, free_memory),
        cmocka_unit_test_teardown(test_tables, free_memory),
        cmocka_unit_test_teardown(test_parts, free_memory),
        cmocka_unit_test_teardown(test_network, free_memory),
        cmocka_unit_test_teardown(test_two_parts, free_memory),
        cmocka_unit_test_teardown(test_shared_file, free_memory),
        cmocka_unit_test_teardown(test_slices, free_memory),
        cmocka_unit_test_teardown(test_globs, free_memory),
        cmocka_unit_test_teardown(test_slice_of_parts, free_memory),
        cmocka_unit_test_teardown(test_phases, free_memory),
        cmocka_unit_test_teardown(test_precision, free_memory),
    };
    return cmocka_run_group_tests_name("compiler/model", tests, NULL, NULL);
}
