/* tlc.h: the one header of the compiler: its types, then the functions of each file.
 *
 * The way of the data: parse.c reads model.json into a Model (layers, phases). For each program of
 * the generated file (inference; per phase evaluation and a training step) build.c makes a Graph of
 * nodes and tensors, and the passes listed in main.c work on it, one after the other, each a
 * `void pass(Graph *)` that states what it requires and provides. emit.c prints the file.
 *
 * Memory: tlc is short-lived. Everything comes from one zeroing arena (util.c) and is never freed.
 *
 * Dimension letters: N batch, H W height and width, C channels of the input, K channels of the
 * output, R S height and width of a kernel. Gradients are named d + name. */
#ifndef TLC_H
#define TLC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TLC_VERSION "0.1.0"

/* ISA levels that a kernel may have a body of its own for; as RtLevel. */
enum { LEVEL_AVX512_BF16 = 3, LEVEL_AMX, LEVEL_COUNT };

enum { MAX_RANK = 4, MAX_IN = 8, MAX_OUT = 4, MAX_SLOTS = 4, LANES = 16 };

typedef struct Op Op;
typedef struct Attr Attr;
typedef struct Value Value;
typedef struct Layer Layer;
typedef struct Base Base;
typedef struct Weight Weight;
typedef struct Slot Slot;
typedef struct Phase Phase;
typedef struct Model Model;
typedef struct Tensor Tensor;
typedef struct Node Node;
typedef struct Graph Graph;
typedef struct Cut Cut;
typedef struct Emit Emit;
typedef struct Packed Packed;
typedef struct Choice Choice;
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
    ATTR_RANGE,       /* 0.2 for [-0.2, 0.2], or [lower, upper]; range for each */
    ATTR_BOOL,        /* true */
    ATTR_NAME,        /* a C identifier */
    ATTR_STRING,      /* any text: a path */
    ATTR_CHOICE,      /* one of `choices`, a space-separated list */
    ATTR_REGULARIZER, /* null, "l2" (0.01) or {"type": "L2", "l2": 0.01} */
    ATTR_LAYER,       /* a layer's name or a Python-style index */
    ATTR_NUMBERS,     /* [0.1, 0.01]: any count of numbers but none; range for each */
    ATTR_SCHEDULE,    /* {"type": "CosineDecay", …} */
    ATTR_RATE,        /* a number or a schedule */
    ATTR_FREQUENCY,   /* a whole number from 1 on, or one of `choices`: their index, negated */
    ATTR_TEMPLATE,    /* a path with Python's fields in it: "{epoch:02d}-{val_loss:.2f}" */
} AttrType;

enum { ATTR_REQUIRED = 1, ATTR_NULL = 2, ATTR_OPEN_LO = 4, ATTR_OPEN_HI = 8 }; /* Attr.flags */

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
    double f[2];   /* ATTR_FLOAT, ATTR_RANGE (lower, upper), ATTR_REGULARIZER (l2) */
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
    Weight *weights[2];       /* kernel, bias; known likewise */
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

struct Weight {
    const char *name; /* "fc/kernel" */
    const char *id;   /* "fc_kernel": in C */
    Layer *layer;
    int rank;
    int64_t dims[MAX_RANK];
    Init init;
    int64_t fan_in, fan_out;
    double l2;     /* regulariser's factor, 0 if none */
    int index;     /* in model->weights */
    size_t offset; /* in the arena; by plan_model */
};

/* ---- Losses and optimizers: tables in ops/loss.c and ops/optimizer.c ------------------------- */

typedef struct {
    const char *type;       /* "BinaryCrossentropy" */
    const char *name;       /* "binary_crossentropy": the short form */
    const char *enumerator; /* "RT_BINARY_CROSSENTROPY" */
    const Attr *attrs;
    const char *doc;
} LossKind;

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

extern const ScheduleKind schedule_kinds[]; /* end with type NULL */
extern const CallbackKind callback_kinds[]; /* likewise */
/* What labels a metric can be taken of. */
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

/* Where a training or evaluating program can begin anew, if what lies below was kept. */
struct Cut {
    Tensor **tensors; /* what is handed over: owners of memory */
    int count;
    int64_t numbers;    /* of a picture, without halos */
    int64_t macs;       /* of a picture, saved */
    bool random;        /* the lower part draws numbers */
    bool pays;          /* to keep the numbers beats to compute them again */
    int64_t even;       /* epochs after which it was worth it, if it pays */
    const Layer *layer; /* the last one below */
    const char *hash;   /* of all that the lower part computes; by emit */
};

/* Another form of a weight: one for each (weight, op, variant). */
struct Packed {
    const Weight *weight;
    const Op *op;
    int variant;
    const char *id; /* "block1_conv1_kernel_packed" */
    int64_t count;
    size_t offset;
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

/* ---- Choice among algorithms ----------------------------------------------------------------- */

struct Choice {
    const char *key;       /* what a table knows it by, "conv2d_3x3_28x28_256_512"; NULL: none */
    bool winograd;         /* or the direct sum */
    int64_t tiles, groups; /* about so many of a block; 0: as the cost model takes them */
    const char *why;       /* one line for the file and `tlc plan` */
};

/* One row of a table of measured choices. */
typedef struct {
    Choice choice;
    double ms, other_ms; /* of all calls in a run; of the best of the other algorithm */
    bool used;           /* the model has such a convolution */
} TunedChoice;

struct Tuning {
    const char *model, *precision, *cpu, *level; /* measured on, at, by */
    int threads, batch;
    const Choice *forced; /* for all convolutions, instead of the rows */
    TunedChoice **rows;
    int count;
};

/* ---- Graph ----------------------------------------------------------------------------------- */

/* How a tensor of pictures lies in memory. Pixels of `lanes` channels, in rows, in planes, in
 * pictures: [n][ceil(C / lanes)][top + H + bottom][left + W + right][lanes]. lanes = C is the usual
 * N,H,W,C; lanes = LANES is the blocked form that convolutions want. The frame of zeros (halo) is
 * written by the producer. Lanes past C hold finite numbers that no result may depend on.
 * A tensor of rank 2 counts as H = W = 1, C = its second dimension, lanes = C. */
typedef struct {
    int lanes, top, bottom, left, right;
} Layout;

typedef enum {
    TENSOR_INPUT,   /* pictures x or labels y: arguments of the program */
    TENSOR_WEIGHT,  /* lives in the weights region */
    TENSOR_SLOT,    /* optimizer state */
    TENSOR_PACKED,  /* another form of a weight; prepared before the program runs */
    TENSOR_PLANNED, /* activation, gradient, workspace: placed by plan.c */
} TensorKind;

struct Tensor {
    const char *name; /* unique in the graph, a C identifier */
    TensorKind kind;
    int rank;
    int64_t dims[MAX_RANK]; /* dims[0] is the batch when has_batch */
    bool has_batch;
    Layout layout;     /* of has_batch tensors; by select */
    bool layout_fixed; /* select may not enlarge the halo any more */
    Weight *weight;    /* TENSOR_WEIGHT: which */
    Packed *packed;    /* TENSOR_PACKED: which */
    Slot *slot;        /* TENSOR_SLOT */
    Node *producer;    /* NULL for inputs, weights, slots */
    Node **users;      /* consumers, each once per operand */
    int user_count;
    Tensor *grad;         /* while grad.c works: its gradient, summed so far */
    bool needs_grad;      /* a trainable weight lies below it (or it is one) */
    bool in_prefix;       /* made by the frozen prefix: micro rows instead of batch rows */
    bool boundary;        /* made by the prefix, read behind it: batch rows */
    Tensor *alias;        /* shares this tensor's memory (views, in-place); by plan */
    int first, last;      /* steps of the schedule; by plan */
    size_t bytes, offset; /* by plan; offset from the start of the arena */
    int index;
};

struct Node {
    const Op *op;
    const char *name; /* "block1_conv1", "d_block1_conv1": for dumps and comments */
    Layer *layer;     /* origin, for messages; never NULL */
    Value *values;    /* attributes, one for each row of op->attrs */
    Tensor *in[MAX_IN], *out[MAX_OUT];
    int in_count, out_count;
    const char *fused;    /* activation in the epilogue, or NULL: "relu"; by fuse */
    bool pooled;          /* 2x2 max pooling in the epilogue, after the activation; by fuse */
    Node *update;         /* optimizer node done in this node's last store, or NULL; by fuse */
    int variant;          /* algorithm chosen by select; the op's own numbering */
    const Choice *choice; /* how a convolution is summed, and why; by select */
    size_t scratch;       /* bytes of each thread's own memory that its kernel needs; by select */
    bool in_prefix;       /* runs in micro-batches: nothing that is trained influences it */
    bool in_prepare;      /* runs once, before the program */
    int index;
};

typedef enum { PROGRAM_INFER, PROGRAM_EVALUATE, PROGRAM_TRAIN } ProgramKind;

struct Graph {
    Model *model;
    Phase *phase; /* NULL for inference */
    ProgramKind kind;
    const char *name; /* "infer", "evaluate_head", "train_head": the C function */
    int batch;        /* rows of a full call */
    int micro;        /* rows of a micro-batch of the prefix; by plan */
    Node **nodes;     /* in an order that respects data; after schedule: the order of running */
    int node_count;
    Tensor **tensors;
    int tensor_count;
    Tensor *x, *y;                  /* pictures; labels (NULL for inference) */
    Tensor *output;                 /* (N, …): what predict prints */
    Tensor *loss;                   /* (N): per picture; NULL for inference */
    size_t plan_bytes, bound_bytes; /* of its planned tensors; lower bound; by plan */
    Cut *cut;                       /* NULL: there is none; by find_cuts */
};

/* ---- Ops ------------------------------------------------------------------------------------- */

enum {                     /* Op.flags: what passes may ask, so that no pass tests an op's name */
       OP_LAYER = 1,       /* may stand in the JSON; name is its "type" */
       OP_ELEMENTWISE = 2, /* each output number depends on the input number at its place */
       OP_IN_PLACE = 4,    /* out[0] may take the memory of in[0] when that dies here */
       OP_VIEW = 8,        /* out[0] is in[0] with another shape: no code */
       OP_NO_GRAD = 16,    /* no gradient passes (augmentation, metrics) */
       OP_RANDOM = 32,     /* draws numbers, keyed by layer, epoch and picture */
       OP_TRAIN_ONLY = 64, /* the identity in inference programs */
       OP_UPDATE = 128,    /* writes its weight and slots: in[0], in[2…] */
       OP_PACK = 256,      /* makes another form of a weight */
       OP_BASE = 512,      /* a pretrained network: build expands it into layers at parse time */
       OP_FUSES = 1024,    /* has an epilogue: fuse may give it an activation */
       OP_FUSES_UPDATE =
           2048, /* makes a weight's gradient and can apply the update in its last store */
};

struct Op {
    const char *name;  /* "Conv2D", or "conv2d_dw" for ops that have no JSON */
    const char *keras; /* Keras's class name if it is another */
    const char *doc;   /* one line */
    const Attr *attrs; /* may be NULL */
    unsigned flags;
    /* Meaning of attributes beyond their ranges; the layer is known, shapes are not. Optional. */
    void (*check)(const Layer *layer);
    /* Layer to nodes: returns the output tensor. NULL: one node of this op with one input. */
    Tensor *(*build)(Graph *g, Layer *layer, Tensor *x);
    /* Shape of out[] from in[] and attributes; error_node on a mismatch. Required. */
    void (*infer)(Node *n);
    /* Rewrites n locally: returns true if the graph changed. Optional. */
    bool (*simplify)(Graph *g, Node *n);
    /* Adds the nodes that compute gradients of in[] from out[0]->grad, by add_grad. */
    void (*grad)(Graph *g, Node *n);
    /* Name of the function on vectors, act_NAME, that does all that n does, or NULL: lets fuse put
     * n into its producer's epilogue. Optional. */
    const char *(*epilogue)(const Node *n);
    /* Whether n can do the work of `user`, the only one that reads its result, in its last store;
     * only 2x2 max pooling as yet. Optional. */
    bool (*absorb)(const Graph *g, const Node *n, const Node *user);
    /* Sets layouts of out[], asks for those of in[] (want_layout), may set variant and add
     * workspace and pack nodes. NULL: in any layout without regard to the halo, out like in[0]. */
    void (*select)(Graph *g, Node *n);
    /* Prints kernel and call. NULL only for OP_VIEW. */
    void (*emit)(Emit *e, const Node *n);
    /* Multiply-adds for one picture (for updates and packs: in all). NULL: 0. */
    int64_t (*macs)(const Node *n);
};

extern const Op
    *const op_list[]; /* made by the build from every `const Op op_…` of ops/; NULL ends */

/* A pretrained network: bases/x.c. The build lists every `const BaseKind base_…`. */
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

/* ==== error.c: nothing else calls exit or abort =============================================== */

enum { EXIT_OK, EXIT_RUN, EXIT_USAGE, EXIT_MODEL, EXIT_DATA, EXIT_WEIGHTS, EXIT_ROOM };

/* The graph is wrong: "cats.json: layers[7] "pool1" (MaxPooling2D): message", the node's inputs
 * with their shapes, and the hint (may be NULL). Exit 3. */
_Noreturn void error_node(const Node *n, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void error_layer(const Layer *layer, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The model is wrong at a JSON path: "cats.json: phases[0].freeze[1]: message". Exit 3. */
_Noreturn void error_model(const char *path, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The command is wrong. Exit 2. */
_Noreturn void usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The world is wrong: a file, the disk. */
_Noreturn void error_world(int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* We are wrong: says so, dumps g if not NULL, aborts. */
_Noreturn void bug(const Graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void set_model_file(const char *file); /* the name that messages begin with */
extern void (*exit_hook)(int code);    /* for tests: called instead of exit; must not return */

/* ==== util.c ================================================================================== */

void *alloc(size_t count, size_t size); /* zeroed, from the arena, never freed; never NULL */
void free_all(void);                    /* for tests that parse many models: empties the arena */
char *format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* into the arena */
char *copy_text(const char *text, size_t length);
/* Appends item to *array of pointers (arena, doubling). */
void append(void *array, int *count, void *item);
/* a * b, a + b; false on overflow or beyond 2^53. */
bool multiply(int64_t a, int64_t b, int64_t *product);
bool is_identifier(const char *text); /* C identifier of at most 63 characters, no keyword */
int edit_distance(const char *a, const char *b);
const char *nearest(const char *word, const char *const *words,
                    int count);                            /* NULL if none is near */
void sha256(const void *data, size_t bytes, char hex[65]); /* <sha2.h> of libmd: hash.c */
const char *hash_model(const Model *m);                    /* 64 hex digits; likewise */
/* Text that grows. */
typedef struct {
    char *data;
    size_t length, size;
} Text;
void add_text(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void add_bytes(Text *text, const char *data, size_t length);
const char *shape_text(int rank, const int64_t *dims, bool has_batch); /* "(None, 5, 5, 512)" */
const char *bytes_text(size_t bytes);                                  /* "61.8 MiB" */
const char *count_text(int64_t count);                                 /* "17,992,001" */
const char *number_text(double value); /* the shortest text that reads back as value */

/* ==== json.c: the only compiler file with cJSON.h ============================================= */

typedef struct cJSON Json;
/* Reads a file of at most 16 MiB, nesting at most 64. Exit 3 with line, column, the line and a
 * caret on a syntax error, on duplicate keys, on trailing text. */
const Json *read_json(const char *file);
const Json *parse_json(const char *text, const char *name); /* a NUL-terminated text, likewise */
const Json *json_get(const Json *object, const char *key);
const Json *json_first(const Json *parent); /* first child of an array or object */
const Json *json_next(const Json *child);
const char *json_key(const Json *child);
int json_count(const Json *array);
const char *json_string(const Json *json); /* NULL if it is not one */
bool json_number(const Json *json, double *value);
bool json_bool(const Json *json, bool *value);
bool json_is_null(const Json *json);
bool json_is_array(const Json *json);
bool json_is_object(const Json *json);
const char *json_text(const Json *json); /* on one line, without spaces */
const char *json_kind(const Json *json); /* "a string", "an array", … for messages */

/* ==== attrs.c: values by an attribute table =================================================== */

/* Values of one JSON object by a table: unknown keys (with the nearest name), wrong types, ranges
 * and missing required ones are errors at `path`. `others`: further keys that the caller reads
 * itself
 * ("type name inputs"), space-separated. object NULL: all defaults. */
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
/* Once, after the first graph is built: official layers of the bases, weights of pretrained layers
 * against those in the official file, and that each phase trains something. */
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
bool is_kind(const char *word, const char *type, const char *name);
const Json *read_array(const Json *object, const char *key, const char *path, int most);
/* For build_graph, before each layer: if a base starts there, what Keras asks of its input. */
void check_base_input(const Layer *layer, int rank, const int64_t *dims);
/* freeze.c: fills phase->frozen and phase->rates from patterns: names, globs, a base, a base with a
 * slice, "*". `multipliers`: an object of factors by pattern, or NULL. Exit 3 with near names when
 * a pattern matches nothing. */
void resolve_freeze(const Model *model, Phase *phase, const Json *multipliers);
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

/* ==== rates.c, callbacks.c: learning-rate schedules, callbacks ================================ */

Schedule *read_schedule(const Json *object, const char *path);
double first_rate(const Schedule *schedule); /* for step 0, as far as a table's reader cares */
/* The row's values as initialisers of the struct whose members are named as the table's rows. */
void add_members(Text *text, const Attr *table, const Value *values);
const char *schedule_text(const Schedule *schedule); /* C: "&(const RtSchedule){…}", or "NULL" */

/* A piece of a path: text, then a field (NULL at the end) by a printf format (NULL: as Python
 * prints it). */
typedef struct {
    const char *text, *field, *format;
} PathPart;
/* Exit 3 at `path` if the text is not one of Python's format strings, or of a kind unknown here. */
PathPart *read_template(const char *text, const char *path, int *count);
/* The phase's "callbacks" (NULL: none); its metrics and optimizer are known. */
void read_callbacks(Phase *phase, const Json *array);
void emit_callbacks(Emit *e, const Phase *phase); /* static const RtCallback callbacks_PHASE[] */
bool watches_numbers(const Phase *phase);         /* a callback wants to see each layer's output */

/* ==== graph.c: making and changing graphs ===================================================== */

Tensor *add_tensor(Graph *g, const char *name, TensorKind kind, int rank, const int64_t *dims,
                   bool has_batch);              /* the name is made unique */
Tensor *weight_tensor(Graph *g, Weight *weight); /* the one tensor of this weight in g */
Tensor *slot_tensor(Graph *g, Slot *slot);
/* The weight `layer/part`, made at first sight; its shape must stay the same afterwards. */
Weight *add_weight(Graph *g, Layer *layer, const char *part, int rank, const int64_t *dims,
                   Init init, int64_t fan_in, int64_t fan_out, double l2);
/* A node with one output of the shape that op->infer gives. values NULL: defaults. in[] ends with
 * NULL. The output's name is `name`. */
Tensor *add_node(Graph *g, const Op *op, const char *name, Layer *layer, Value *values,
                 Tensor *const in[]);
/* The same, run before `before` instead of last. */
Tensor *insert_node(Graph *g, Node *before, const Op *op, const char *name, Layer *layer,
                    Value *values, Tensor *const in[]);
/* A further output without consumers: workspace of `rank` dims. */
Tensor *add_workspace(Graph *g, Node *n, const char *name, int rank, const int64_t *dims,
                      bool has_batch);
void replace_input(Node *n, int operand, Tensor *t);
void replace_uses(Graph *g, Tensor *from, Tensor *to);   /* everywhere, outputs of the graph too */
void remove_node(Graph *g, Node *n);                     /* its outputs must have no users */
void remove_dead(Graph *g);                              /* nodes from which no result comes */
bool is_trainable(const Graph *g, const Weight *weight); /* in this program */
int64_t weight_count(const Weight *w);                   /* numbers in it */
int64_t tensor_count(const Tensor *t);                   /* product of all dims */
int64_t picture_count(const Tensor *t);                  /* product of dims after the batch */
int blocks_of(const Tensor *t);                          /* ceil(C / lanes) */
int height_of(const Tensor *t);                          /* 1 for rank 2; W, C likewise */
int width_of(const Tensor *t);
int channels_of(const Tensor *t);
size_t picture_size(const Tensor *t);         /* numbers of one picture, halo and lanes included */
int rows_of(const Graph *g, const Tensor *t); /* pictures that it has room for */

/* ==== The passes, in their order ============================================================== */

Graph *build_graph(Model *m, ProgramKind kind,
                   Phase *phase); /* build.c: layers to nodes, shapes known */
void simplify(Graph *g);          /* simplify.c */
void add_gradients(Graph *g);     /* grad.c: gradients and updates of a training program */
void fuse(Graph *g);              /* fuse.c */
void select_algorithms(
    Graph *g);           /* select.c: algorithm of each node, layout of each tensor, conversions */
void schedule(Graph *g); /* schedule.c: prepare, prefix, the rest; order of running */
void plan(Graph *g);     /* plan.c: lifetimes, offsets */
void check(const Graph *g,
           const char *after);        /* check.c: verifies all that holds after that pass */
void dump(const Graph *g, FILE *out); /* dump.c */

/* For Op.grad: t's gradient is (also) `grad`. */
void add_grad(Graph *g, Tensor *t, Tensor *grad);
/* For Op.select. Sees to it that operand `i` of n has these lanes (0: any; -1: lanes = C) and at
 * least this halo (exact true: no more), by asking the producer or by a conversion node before n.
 */
void want_layout(Graph *g, Node *n, int i, Layout least, bool exact);
Layout layout_like(const Tensor *t); /* lanes of t, no halo */
Layout channels_last(const Tensor *t);
/* Replaces weight operand i of n by its packed form of `count` numbers, made by a node of `op`
 * (OP_PACK) with n's attributes and variant: prepared before the program if the weight does not
 * change in it, else run before its first user. One node for each (weight, op, variant). */
void pack_weight(Graph *g, Node *n, int i, const Op *op, int64_t count);

/* plan.c, for tests: offsets of `count` buffers alive in [first, last], sizes in bytes; returns the
 * total. Greedy by size, then seeded moves in the order until the bound is met or `moves` are
 * spent. */
typedef struct {
    size_t bytes, offset;
    int first, last;
} Buffer;
size_t plan_buffers(Buffer *buffers, int count, int moves);
size_t lower_bound(const Buffer *buffers, int count);
/* Places weights, slots, packed forms, the shared plan and the loader's room: all programs known.
 */
void plan_model(Model *m);

/* ==== template.c, kernels.c, emit.c, tables.c ================================================= */

/* One kernel of the file: a template section with its placeholders filled. */
typedef struct {
    const char *name, *text; /* text with $name still in it: equal texts are one kernel */
    const char *why;         /* of the choice that made it, or NULL */
    Text serves;             /* the nodes that call it, for the comment above it */
} Kernel;

/* One call of a kernel. */
typedef struct {
    const Graph *g;
    const Node *n;
    const char *kernel;
} MadeCall;

/* What a thing (tensor, slot) is called in the file. */
typedef struct {
    const void *thing;
    const char *name;
} FileName;

/* The file in the making. */
struct Emit {
    const Model *m;
    const Graph *g;      /* the program whose functions are printed now */
    Text out;            /* the file */
    Text calls;          /* the body of the function printed now */
    bool in_loop;        /* it is called once for each micro-batch */
    bool uses_x, uses_y; /* what its body reads */
    int call_count;
    Kernel **kernels;
    int kernel_count;
    MadeCall **made; /* in the order of the file */
    int made_count;
    FileName **names;
    int name_count;
    const char **sections; /* needed once a level, in order */
    const char **section_texts;
    int section_count, section_text_count;
    bool levels[LEVEL_COUNT]; /* those above AVX-512 that the file needs */
    int body_level; /* of the body that the next kernel has for a level and those above, */
    const char *body, *body_tasks; /* and the body; NULL if it has none */
    const char *placeholders[64], *replacements[64];
    int placeholder_count;
};

/* Placeholders for the next kernel: set(e, "$R", "%d", 3). */
void set(Emit *e, const char *placeholder, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "$X" becomes the ten numbers of SHAPE(X, …): height, width, channels, lanes, top, left, height
 * and width with halo, blocks, numbers a picture. */
void set_shape(Emit *e, const char *placeholder, const Tensor *t);
/* Text of section `//% section` with the placeholders set so far replaced, and those forgotten.
 * $name stays. A placeholder that is not set, or not used, is a bug. */
const char *fill_section(Emit *e, const char *section);
const char *hash_templates(void); /* of the text of all of them, 64 hex digits */
const char *replace_word(const char *text, const char *word, const char *by);
/* kernels.c: instantiates template section `section` with the placeholders set so far, unless the
 * same was made before, notes that it serves n, and prints the call: operands are n's in[] and
 * out[]. name: a C identifier that says op and shapes, made unique. tasks: a C expression of n. */
void emit_kernel(Emit *e, const Node *n, const char *section, const char *name, const char *tasks);
/* The next kernel has another body for `level` and those above: the section with the placeholders
 * set so far, which are then forgotten, and its number of tasks. Its operands are the same. The
 * file gets that level. */
void emit_body(Emit *e, int level, const char *section, const char *tasks);
/* A section of inline functions that kernels need, printed before them, once a level. */
void need_section(Emit *e, const char *section);
/* The same from `level` on. */
void need_level_section(Emit *e, int level, const char *section);
/* The same for text made by fill_section; its function is called `name`. */
void need_text(Emit *e, const char *name, const char *text);
const char *name_in_file(Emit *e, const void *thing, const char *wanted); /* made unique */
const char *operand(Emit *e, const Tensor *t); /* "train_head_fc": the C expression of a tensor */
void emit_tensor_table(Emit *e);
void emit_kernels(Emit *e);
const char *c_string(const char *text);               /* quoted and escaped; NULL becomes "NULL" */
void emit_tables(Emit *e);                            /* tables.c: RtLayer … RtModel */
void emit_metrics(Emit *e, const Phase *phase);       /* metrics.c: metrics_PHASE, if it has any */
void emit_class_weights(Emit *e, const Phase *phase); /* classes.c: class_weights_PHASE, likewise */
/* emit.c: the section (include_level, level_row) for each level of the file but the generic one. */
void emit_levels(Emit *e, const char *section);
/* emit.c: the whole file, in out. */
Emit *print_model(const Model *m);
/* Writes a file beside its name and renames it; "-": standard output. */
void write_whole(const char *path, const Text *text);

/* ==== shape.c: what hooks of several ops share ================================================ */

enum { BAND_ROWS = 16 }; /* rows of a plane that one task takes, where a plane is cut */

void infer_same(Node *n); /* Op.infer: out[0] as in[0] */
void set_picture(Node *n, int64_t height, int64_t width, int64_t channels); /* shape of out[0] */
void need_pictures(const Node *n); /* error unless in[0] has rank 4 */
/* How many windows stand in `length` numbers, 0 if it is too short; *before: zeros of padding in
 * front of them (keras.md 5.1). A dilated window counts with its holes. */
int64_t window_count(int64_t length, int64_t window, int64_t stride, bool same, int64_t *before);
void select_alike(Graph *g, Node *n); /* Op.select: all operands and out[0] in the lanes of in[0] */
void select_channels_last(Graph *g, Node *n); /* Op.select: all of them with lanes = C */
const char *shape_name(const char *stem, const Tensor *t); /* "relu_14x14x512" */
const char *plane_tasks(const Tensor *t);                  /* a task for each plane: "n * 4" */
const char *band_tasks(const Tensor *t); /* a task for each BAND_ROWS rows of a plane */
/* Emits an elementwise node as a loop over a C expression of vectors: v of one operand, a and b of
 * two. Operands must be alike. */
void emit_map(Emit *e, const Node *n, const char *stem, const char *expression);

/* ==== ops/activation.c ======================================================================== */

/* `activation` ("relu", …) of x; x itself for "linear" and NULL. The node has the layer's name. */
Tensor *add_activation(Graph *g, Layer *layer, const char *activation, Tensor *x);
extern const char activation_choices[]; /* for ATTR_CHOICE */
/* What a sigmoid or softmax node was given, if one made t, else NULL. */
Tensor *logits_of(const Tensor *t);

/* ==== ops/pool2d.c ============================================================================ */

bool is_halving_pool(const Node *n); /* max pooling of 2x2 by steps of 2, without padding */

/* ==== ops/bias_grad.c ========================================================================= */

double penalty(const Layer *layer, const char *name); /* factor of a regulariser, 0 if null */
/* For Op.grad of n, which adds `bias`: its gradient, if it is trainable. */
void add_bias_grad(Graph *g, Node *n, Tensor *bias);
/* Sets $apply, the statement by which a kernel hands over `count` gradients g of the weight's
 * numbers at `from`: stores them, or does the fused update. The update's operands are in[first] and
 * on. Call it before other placeholders are set. */
void set_gradient(Emit *e, const Node *n, int first);

/* ==== ops/loss.c ============================================================================== */

/* The loss (N, 1) of each picture, as phase->loss says. Works from logits where Keras on TensorFlow
 * does: for any crossentropy of what a sigmoid or softmax made. */
Tensor *add_loss(Graph *g, const Phase *phase, Tensor *prediction, Tensor *y);

/* ==== ops/optimizer.c ========================================================================= */

/* Fills phase->slots: for each trainable weight as many as the optimizer needs. Weights are known.
 */
void make_slots(Model *m, Phase *phase);
int accumulation_steps(const Phase *phase);                 /* of gradients; 1: none */
void check_optimizer(const Phase *phase, const char *path); /* exit 3 on attributes at odds */
/* The node that applies `gradient` to w, by the phase's optimizer. Its regulariser is included. */
void add_update(Graph *g, Weight *w, Tensor *gradient);
void finish_updates(Graph *g); /* the updates that wait for all gradients, once they are there */
/* Emits, once a level, `INLINE void NAME(name)(const RtRun *run, real *w, const real *g,
 * real *const slot[], size_t from, size_t count)`, which applies the gradients g[0..count) to
 * w[from..from + count) and the same part of the slots; returns its name. */
const char *need_update(Emit *e, const Node *update);

/* ==== cut.c: the feature cache's part of the compiler ========================================= */

void find_cuts(Model *m); /* fills cut of each program; plan_model is done */
/* All that decides the bits of the lower part of e->g, as 64 hex digits: kernels, operands, shapes,
 * this compiler. Its calls were printed. */
const char *hash_below(const Emit *e);
void emit_cut(Emit *e, const Graph *g);    /* the table cut_NAME */
void print_cut(const Graph *g, FILE *out); /* for `tlc plan` */
/* ==== ops/clip.c ============================================================================== */

/* The sum (1) of the squares of the gradient of w, its regulariser and what is accumulated (or
 * NULL) included, and of `before`, another such sum or NULL. */
Tensor *add_square_sum(Graph *g, Weight *w, Tensor *gradient, Tensor *accumulated, Tensor *before);

/* ==== tuned.c, tune.c: measured choices ======================================================= */

/* tuned.c: what `tlc tune` wrote. Exit 3 on what it cannot have written. */
Tuning *read_tuning(const char *file);
/* Warnings where the table was measured for another model, precision or CPU, or on convolutions
 * that the model does not have; all programs are known. */
void check_tuning(const Tuning *t, const char *file, const Model *m);
/* What the table says about this convolution, or NULL. */
const Choice *find_choice(Tuning *t, const char *key);
void write_tuning(const Tuning *t, const char *path);
const char *plain_text(const char *text); /* with _ for what a comment or a string cannot hold */

/* script.c: whether a script of sh succeeds, in which $1 is scratch_directory(), $2 and $3 are the
 * others. Ends tlc if it takes too long or a signal comes, with the script's processes. */
bool run_script(const char *script, const char *name, const char *batch);
const char *scratch_directory(void);

/* tune.c: times the candidates on this machine and writes the table. compile makes the model anew,
 * by these choices (NULL: the cost model's). */
typedef Model *Compile(const void *context, Tuning *tuning);
void tune(Compile *compile, const void *context, const char *out, int64_t batch);

/* ==== summary.c, report.c ===================================================================== */

void print_summary(const Model *m, FILE *out, bool trainable, bool expand);
void print_plan(const Model *m, FILE *out); /* tlc plan */

#endif
