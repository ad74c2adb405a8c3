/* tlc.h: the graph, the ops that its nodes are of, and the passes that work on it.
 *
 * The headers of the compiler stand one on the other: util.h (errors, memory, texts, JSON), model.h
 * (the model as its user wrote it), tlc.h, emit.h (the generated file). A file includes the last
 * one that it needs.
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

#include "model.h"

#define TLC_VERSION "0.1.0"

enum { MAX_IN = 8, MAX_OUT = 4, LANES = 16 };

typedef struct Tensor Tensor;
typedef struct Cut Cut;
typedef struct Choice Choice;
typedef struct Emit Emit; /* emit.h */

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

/* ---- Ops ------------------------------------------------------------------------------------- */

enum {                     /* Op.flags: what passes may ask, so that no pass tests an op's name */
       OP_LAYER = 1,       /* may stand in the JSON; name is its "type" */
       OP_ELEMENTWISE = 2, /* each output number depends on the input number at its place */
       OP_IN_PLACE = 4,    /* out[0] may take the memory of in[0] when that dies here */
       OP_VIEW = 8,        /* out[0] is in[0] with another shape: no code */
       OP_NO_GRAD = 16,    /* no gradient passes (augmentation, metrics) */
       OP_RANDOM = 32,     /* while training, draws numbers by layer, epoch and picture */
       OP_TRAIN_ONLY = 64, /* the identity in inference programs */
       OP_UPDATE = 128,    /* writes its weight and slots: in[0], in[2…] */
       OP_PACK = 256,      /* makes another form of a weight */
       OP_BASE = 512,      /* a pretrained network: build expands it into layers at parse time */
       OP_FUSES = 1024,    /* has an epilogue: fuse may give it an activation */
       OP_FUSES_UPDATE =
           2048, /* makes a weight's gradient and can apply the update in its last store */
       OP_WHOLE_BATCH = 4096, /* mixes the pictures of a batch: never done by micro-batches */
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

/* ==== graph.c: making and changing graphs ===================================================== */

Tensor *add_tensor(Graph *g, const char *name, TensorKind kind, int rank, const int64_t *dims,
                   bool has_batch);              /* the name is made unique */
Tensor *weight_tensor(Graph *g, Weight *weight); /* the one tensor of this weight in g */
Tensor *slot_tensor(Graph *g, Slot *slot);
/* The weight `layer/part`, made at first sight; its shape must stay the same afterwards. */
Weight *add_weight(Graph *g, Layer *layer, const char *part, int rank, const int64_t *dims,
                   Init init, int64_t fan_in, int64_t fan_out, Penalty penalty);
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
bool draws_numbers(const Graph *g, const Node *n);       /* random ones, in this program */
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

Penalty penalty(const Layer *layer, const char *name); /* of a regulariser; none if null */
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
/* Sets $penalty: the factors of what the regulariser of w adds to a gradient, those of the sign and
 * of w itself. */
void set_penalty(Emit *e, const Weight *w);
void finish_updates(Graph *g); /* the updates that wait for all gradients, once they are there */
/* Emits, once a level, `INLINE void NAME(name)(const RtRun *run, real *w, const real *g,
 * real *const slot[], size_t from, size_t count)`, which applies the gradients g[0..count) to
 * w[from..from + count) and the same part of the slots; returns its name. */
const char *need_update(Emit *e, const Node *update);

/* ==== ops/clip.c ============================================================================== */

/* The sum (1) of the squares of the gradient of w, its regulariser and what is accumulated (or
 * NULL) included, and of `before`, another such sum or NULL. */
Tensor *add_square_sum(Graph *g, Weight *w, Tensor *gradient, Tensor *accumulated, Tensor *before);

/* ==== cut.c: the feature cache's part of the compiler ========================================= */

void find_cuts(Model *m); /* fills cut of each program; plan_model is done */
/* All that decides the bits of the lower part of e->g, as 64 hex digits: kernels, operands, shapes,
 * this compiler. Its calls were printed. */
const char *hash_below(const Emit *e);
void emit_cut(Emit *e, const Graph *g);    /* the table cut_NAME */
void print_cut(const Graph *g, FILE *out); /* for `tlc plan` */

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
