/* model.h: the model as its user wrote it: the tables of what may be written, what is read by them,
 * and the files that read it. What the compiler makes of it is in tlc.h. */
#ifndef MODEL_H
#define MODEL_H

#include "util.h"

enum { MAX_RANK = 4, MAX_SLOTS = 4 };

typedef struct Op Op;
typedef struct Attr Attr;
typedef struct Value Value;
typedef struct Base Base;
typedef struct Weight Weight;
typedef struct Slot Slot;
typedef struct Phase Phase;
typedef struct Model Model;
typedef struct Packed Packed;
typedef struct Schedule Schedule;
typedef struct Callback Callback;
typedef struct Tuning Tuning;

/* ---- Attributes ------------------------------------------------------------------------------ */

typedef enum {
    ATTR_INT,         /* 5; range lo..hi */
    ATTR_INT2,        /* 5 or [5, 3]: a pair; range for each */
    ATTR_INTS,        /* [7, -1]: 1 to MAX_RANK - 1 integers; range for each */
    ATTR_PADDING,     /* 1, [1, 2] or [[1, 1], [2, 2]]: top, bottom, left, right */
    ATTR_FLOAT,       /* 0.5; range lo..hi */
    ATTR_RANGE,       /* 0.2 for [-0.2, 0.2], or two numbers in any order; range for each */
    ATTR_BOOL,        /* true */
    ATTR_NAME,        /* a C identifier */
    ATTR_STRING,      /* any text: a path */
    ATTR_CHOICE,      /* one of `choices`, a space-separated list */
    ATTR_REGULARIZER, /* null, "l1", "l2" (0.01) or {"type": "L1L2", "l1": 0.1, "l2": 0.01} */
    ATTR_LAYER,       /* a layer's name or a Python-style index */
    ATTR_NUMBERS,     /* [0.1, 0.01]: any count of numbers but none; range for each */
    ATTR_SCHEDULE,    /* {"type": "CosineDecay", …} */
    ATTR_RATE,        /* a number or a schedule */
    ATTR_FREQUENCY,   /* a whole number from 1 on, or one of `choices`: their index, negated */
    ATTR_TEMPLATE,    /* a path with Python's fields in it: "{epoch:02d}-{val_loss:.2f}" */
} AttrType;

/* Attr.flags; ATTR_PAIR: of a range both ends, not one number. */
enum { ATTR_REQUIRED = 1, ATTR_NULL = 2, ATTR_OPEN_LO = 4, ATTR_OPEN_HI = 8, ATTR_PAIR = 16 };

/* One row of an op's table: parsing, messages, dumps, documentation and JSON Schema come from it.
 * A table ends with a row whose name is NULL. */
struct Attr {
    const char *name;
    AttrType type;
    unsigned flags;      /* ATTR_NULL: null is allowed, and then value->is_null */
    const char *initial; /* the default, as JSON text: "[2, 2]", "\"valid\"", "null" */
    double lo, hi;       /* allowed range, ends included unless ATTR_OPEN_*; both 0: any */
    const char *choices;
    const char *doc; /* one line for docs/model-format.md and the schema */
};

struct Value {
    bool is_set, is_null; /* is_set: given in the JSON; otherwise the default holds */
    int count;            /* of i, for ATTR_INTS; of numbers */
    int64_t i[4];  /* integers; ATTR_BOOL, ATTR_INT2, ATTR_PADDING (top, bottom, left, right) */
    double f[2];   /* ATTR_FLOAT, ATTR_RANGE (lower, upper), ATTR_REGULARIZER (l1, l2) */
    const char *s; /* names, strings, choices (lower case as in the table) */
    double *numbers;
    Schedule *schedule; /* ATTR_RATE: NULL if it is the number f[0]; else that is its first rate */
};

/* ---- The model as the user wrote it ---------------------------------------------------------- */

struct Layer {
    const char *name; /* unique; Keras's automatic name if none was given */
    const char *path; /* place in the JSON: layers[7], layers[4].block1_conv1 */
    const Op *op;
    Value *values; /* one for each row of op->attrs */
    Layer *input;  /* NULL: the model's input */
    Base *base;    /* NULL, or the pretrained network that it is a layer of */
    bool has_automatic_name;
    int index;                /* in model->layers */
    int rank, dims[MAX_RANK]; /* of its output; dims[0] = 0; known after the first graph is built */
    Weight *weights[4];       /* kernel, bias, …; known likewise */
    int weight_count;
};

/* A pretrained network, or a part of it, inside the model. */
struct Base {
    const char *name;             /* "vgg16" */
    const char *type;             /* "VGG16" */
    const char *path;             /* layers[4] */
    const char *weights;          /* "imagenet", a path, or NULL */
    const char *file, *url, *md5; /* of "imagenet" */
    const char **official;        /* weighted layers of the whole network, in order */
    int official_count;
    Layer **layers; /* those taken, in order: what slices such as vgg16[:-4] count. Keras's
                     * InputLayer, first in base.layers when first is not given, is counted
                     * by `input_layer` (1), without a Layer of its own */
    int count, input_layer;
    Layer **network; /* the whole network, of which layers[] is a part */
    int network_count;
    bool starts_at_input, takes_top; /* the part does */
    int index;
};

typedef enum { INIT_ZEROS, INIT_ONES, INIT_GLOROT_UNIFORM } Init; /* as RtInit */

/* l1 times the sum of the magnitudes of a weight's numbers, and l2 times that of their squares. */
typedef struct {
    double l1, l2;
} Penalty;

struct Weight {
    const char *name; /* "fc/kernel" */
    const char *id;   /* "fc_kernel": in C */
    Layer *layer;
    int rank;
    int64_t dims[MAX_RANK];
    Init init;
    int64_t fan_in, fan_out;
    Penalty penalty;   /* its regulariser */
    bool is_statistic; /* follows the data in steps that train its layer: takes no gradient */
    int index;         /* in model->weights */
    size_t offset;     /* in the arena; by plan_model */
};

/* ---- The kinds of things in a phase, each with its table ------------------------------------- */

/* ops/loss.c. */
typedef struct {
    const char *type;       /* "BinaryCrossentropy" */
    const char *name;       /* "binary_crossentropy": the short form */
    const char *enumerator; /* "RT_BINARY_CROSSENTROPY" */
    const Attr *attrs;
    const char *doc;
} LossKind;

/* ops/optimizer.c. */
typedef struct {
    const char *type;  /* "RMSprop" */
    const char *name;  /* "rmsprop" */
    const Attr *attrs; /* learning_rate first, continue last */
    const char *doc;
    int (*slots)(const Value *values, const char *names[MAX_SLOTS]); /* how many, and their names */
} OptimizerKind;

/* A learning rate as a function of the steps: rates.c. */
typedef struct {
    const char *type;       /* "CosineDecay" */
    const char *enumerator; /* "RT_COSINE_DECAY" */
    const Attr *attrs;      /* named as the members of RtSchedule */
    const char *doc;
    void (*check)(const Schedule *schedule, const char *path); /* may be NULL */
} ScheduleKind;

struct Schedule {
    const ScheduleKind *kind;
    Value *values;
};

/* What watches a training or interferes with it: callbacks.c. */
typedef struct {
    const char *type;       /* "EarlyStopping" */
    const char *enumerator; /* "RT_EARLY_STOPPING" */
    const Attr *attrs;      /* named as the members of RtCallback */
    const char *doc;
    bool sets_rate; /* it changes the learning rate, so that this must be a number */
    void (*check)(const Phase *phase, const Callback *callback); /* may be NULL */
} CallbackKind;

struct Callback {
    const CallbackKind *kind;
    Value *values;
    const char *path; /* phases[0].callbacks[1] */
};

/* What labels a metric can be taken of: metrics.c. */
typedef enum {
    LABELS_ANY,
    LABELS_EACH,    /* a number for each output: 0 and 1, one-hot */
    LABELS_NUMBERS, /* class numbers */
} LabelKind;

typedef struct {
    const char *type;       /* "AUC" */
    const char *name;       /* "auc" */
    const char *enumerator; /* "RT_AUC"; NULL: shapes decide which other kind it is */
    const Attr *attrs;
    LabelKind labels;
    const char *doc;
} MetricKind;

typedef struct {
    const char *name; /* under which it is shown */
    const char *path; /* phases[0].metrics[1] */
    const MetricKind *kind;
    Value *values;
    bool is_counted; /* its name is numbered among others of its kind */
} Metric;

extern const LossKind loss_kinds[];           /* end with type NULL */
extern const OptimizerKind optimizer_kinds[]; /* likewise */
extern const MetricKind metric_kinds[];       /* likewise */
extern const ScheduleKind schedule_kinds[];   /* likewise */
extern const CallbackKind callback_kinds[];   /* likewise */

/* ---- Phases, and the whole ------------------------------------------------------------------- */

struct Slot {
    const char *name; /* "velocity" */
    const char *id;   /* "head_fc_kernel_velocity" */
    Weight *weight;
    Phase *phase;
    size_t offset;
};

typedef struct {
    const char *class; /* its name in the data, or its number */
    double weight;
} ClassWeight;

struct Phase {
    const char *name;
    const char *path; /* phases[0] */
    int index;
    int64_t batch, epochs;
    const LossKind *loss;
    Value *loss_values;
    const OptimizerKind *optimizer;
    Value *optimizer_values;
    bool continues;     /* with the slots of the phase before */
    const char *recipe; /* what the JSON says but for name and epochs */
    Metric **metrics;
    int metric_count;
    Callback **callbacks;
    int callback_count;
    const char **freeze;
    int freeze_count;
    const char **train;
    int train_count;
    bool weighs_classes;         /* "class_weight" is given */
    bool balanced_sampling;      /* "sampling": "balanced" */
    ClassWeight **class_weights; /* none: "balanced" */
    int class_weight_count;
    bool *frozen;  /* for each of model->layers */
    double *rates; /* likewise: factors of the learning rate */
    Slot *slots;
    int slot_count;
    const char *cache;  /* of features: "auto", "off", "memory", "disk" */
    bool half_features; /* kept as 16-bit numbers */
    int64_t variants;   /* random variants of a picture; 0: new ones each epoch */
};

/* How exact arithmetic must be, named as in PyTorch; relative rms errors of a layer. */
typedef enum {
    PRECISION_HIGHEST, /* fp32 arithmetic throughout */
    PRECISION_HIGH,    /* results as good as fp32's: at most 5e-6 */
    PRECISION_MEDIUM,  /* 16-bit numbers, sums and stored weights in fp32: at most 5e-3 */
} Precision;

struct Model {
    const char *file; /* for messages: its name as given on the command line */
    const char *name; /* a C identifier */
    const char *hash; /* SHA-256 of the canonical form, hex */
    int height, width, channels;
    bool nearest; /* interpolation */
    Precision precision;
    Tuning *tuning; /* NULL: the cost model decides */
    Layer **layers; /* in order, bases expanded; the model's output is the last one's */
    int layer_count;
    Base **bases;
    int base_count;
    Phase **phases;
    int phase_count;
    Weight **weights;
    int weight_count;
    Graph **programs; /* inference; then for each phase: evaluation, training */
    int program_count;
    Packed **packed; /* prepared forms of weights, shared by programs that leave the weight alone */
    int packed_count;
    size_t weight_bytes, slot_bytes, packed_bytes, plan_bytes, batch_bytes, arena_bytes;
    size_t slot_offset, packed_offset, plan_offset, batch_offset;
    size_t scratch_bytes; /* of each thread */
};

/* ---- Pretrained networks --------------------------------------------------------------------- */

/* bases/x.c. The build lists every `const BaseKind base_…`. */
typedef struct {
    const char *type;       /* "VGG16" */
    const char *name;       /* "vgg16": default of `name` */
    const char *preprocess; /* model of preprocess_input that its weights want: "vgg16" */
    const char *file_top, *md5_top, *file_notop, *md5_notop,
        *url; /* of "imagenet"; url ends in / */
    int min_size, default_size;
    /* Calls add_base_layer for every layer of the network, in order, without its pooling option. */
    void (*layers)(Base *base, bool include_top, int64_t classes,
                   const char *classifier_activation);
} BaseKind;

extern const BaseKind *const base_list[];

/* ==== attrs.c: values by an attribute table =================================================== */

/* Values of one JSON object by a table: unknown keys (with the nearest name), wrong types, ranges
 * and missing required ones are errors at `path`. `others`: further keys that the caller reads
 * itself ("type name inputs"), space-separated. object NULL: all defaults. */
Value *read_attrs(const Json *object, const Attr *table, const char *path, const char *others);
Value *default_attrs(const Attr *table);
void check_name(const char *name, const char *path); /* exit 3 if it is no C identifier */
const char *words_text(const char *words);           /* "a b" to "\"a\", \"b\"" */
char *range_text(const Attr *attr);                  /* "between 0 and 1, 1 not included" */
Value *find_value(const Attr *table, Value *values, const char *name); /* bug if not in the table */
int64_t attr_int(const Node *n, const char *name);
double attr_float(const Node *n, const char *name);
const char *attr_text(const Node *n, const char *name); /* NULL if null */
const Value *attr(const Node *n, const char *name);
const Value *layer_attr(const Layer *layer, const char *name);
char *attrs_text(const Attr *table,
                 const Value *values); /* "filters=64 strides=[2, 2]" for dumps */

/* ==== parse.c, freeze.c, base.c: model.json to Model ========================================== */

Model *parse_model(const char *file);
extern const Attr model_attrs[], input_attrs[], phase_attrs[], base_attrs[];
extern const char *const precision_names[];              /* "highest", …; NULL ends */
bool find_precision(const char *name, Precision *found); /* false if there is none */
/* By build_graph, once the first graph has shapes: official layers of the bases, weights of
 * pretrained layers against those in the official file, and that each phase trains something. */
void check_shapes(Model *model);
void finish_bases(Model *model);          /* base.c: its first part */
void check_trainable(const Model *model); /* freeze.c: its second */
void check_metrics(const Model *model);   /* metrics.c: its third: outputs and labels */
/* metrics.c: phase->metrics from the list at "metrics". */
void read_metrics(Phase *phase, const Json *object);
/* classes.c: the weights of classes at "class_weight"; check_shapes's fourth part. */
void read_class_weight(Phase *phase, const Json *object);
void check_classes(const Model *model);
/* For readers of phases. "adam" or {"type": "Adam", …}: the word that tells the kind; *object is
 * NULL for the short form. Whether a word means a kind of this type and short name. The items of
 * the array at `key`, at most `most`; NULL if there is none. */
const char *read_kind(const Json *json, const char *path, const Json **object);
const char *read_text(const Json *object, const char *key, const char *path); /* NULL if absent */
bool is_kind(const char *word, const char *type, const char *name);
const Json *read_array(const Json *object, const char *key, const char *path, int most);
/* For build_graph, before each layer: if a base starts there, what Keras asks of its input. */
void check_base_input(const Layer *layer, int rank, const int64_t *dims);
/* freeze.c: fills phase->frozen and phase->rates from patterns: names, globs, a base, a base with a
 * slice, "*". `multipliers`: an object of factors by pattern, or NULL. Exit 3 with near names when
 * a pattern matches nothing. */
void resolve_freeze(const Model *model, Phase *phase, const Json *multipliers);
bool trains(const Phase *phase, const Weight *weight); /* freeze.c: by the optimizer */
/* base.c: a VGG16 … entry: checks of keras.md 1.3, part by first and last, its layers appended to
 * the model. */
void expand_base(Model *model, const BaseKind *kind, const Json *object, const char *path,
                 const char *name, Layer *input);
const BaseKind *find_base(const char *type);
/* For BaseKind.layers: one layer with attributes as JSON text: add_base_layer(b, "Conv2D",
 * "block1_conv1", "{\"filters\": 64, …}"). */
void add_base_layer(Base *base, const char *type, const char *name, const char *attrs);
Layer *add_layer(Model *model, const Op *op, const char *name, const char *path, Value *values,
                 Layer *input, Base *base);
Layer *find_layer(const Model *model, const char *name); /* NULL if there is none */
void append_layer(Model *model, Layer *layer); /* exit 3 if its name stands for something already */
const char *automatic_name(const Model *model, const char *type); /* as Keras: "dense_1" */
const Op *find_op(const char *name);                              /* NULL if there is none */
/* schema.c: docs/model.schema.json and the tables of docs/model-format.md, from the op tables. */
void print_schema(FILE *out);
void print_format_tables(FILE *out);

/* ==== regularizers.c: penalties on weights =================================================== */

/* False if the value is neither a known name nor an object. */
bool read_regularizer(const Json *json, const char *path, Penalty *penalty);
bool has_penalty(const Phase *phase, const Weight *w); /* one that counts: of trained weights */

/* ==== rates.c, callbacks.c: learning-rate schedules, callbacks ================================ */

Schedule *read_schedule(const Json *object, const char *path);
double first_rate(const Schedule *schedule); /* for step 0, as far as a table's reader cares */
/* The row's values as initialisers of the struct whose members are named as the table's rows. */
void add_members(Text *text, const Attr *table, const Value *values);
const char *schedule_text(const Schedule *schedule); /* C: "&(const RtSchedule){…}", or "NULL" */

/* The phase's "callbacks" (NULL: none); its metrics and optimizer are known. */
void read_callbacks(Phase *phase, const Json *array);
bool watches_numbers(const Phase *phase); /* a callback wants to see each layer's output */

/* ==== file_name.c ============================================================================= */

/* A piece of a file name: text, then a field (NULL at the end) by a printf format (NULL: as Python
 * prints it). */
typedef struct {
    const char *text, *field, *format;
} PathPart;
/* Exit 3 at `path` if the text is not one of Python's format strings, or of a kind unknown here. */
PathPart *read_file_name(const char *text, const char *path, int *count);
void add_file_name(Text *text, const char *name); /* as a const RtPathPart[] */

/* ==== hash.c ================================================================================== */

const char *hash_model(const Model *m); /* 64 hex digits */

#endif
