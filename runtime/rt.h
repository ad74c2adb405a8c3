/* rt.h: all that a generated program may call, and the table by which it describes itself.
 *
 * A generated file includes this header, <math.h> and <string.h>, and nothing else. It holds what
 * depends on shapes (kernels, steps, the memory plan); libtlcrt.a holds what does not (threads,
 * random numbers, files, pictures, the command line). The library knows the model only through the
 * one `const RtModel` that the file defines.
 *
 * Memory: one arena of model->arena_bytes, and behind it model->scratch_bytes for each thread,
 * taken at start and, if the run trains, touched there. Every offset in the tables below is in
 * bytes from the arena's start and a multiple of 64. Nothing is allocated in a step.
 *
 * Units: pictures are N,H,W,C in 0..255 as decoded, unless the user's arrays say otherwise; one
 * image of an N,H,W,C batch follows the other without gaps. Times are in seconds. */
#ifndef RT_H
#define RT_H

#include <stddef.h>
#include <stdint.h>

#define RT_ABI 5 /* raised whenever a table below changes; checked at start */

/* The type of every number in the arena. Tests build file and library with -DRT_DOUBLE for finite
 * differences; RM(exp)(x) is expf or exp to match. */
#ifdef RT_DOUBLE
typedef double real;
#define RM(function) function
#define REAL_MAX 1.7976931348623157e308
#else
typedef float real;
#define RM(function) function##f
#define REAL_MAX 3.402823466e38f
#endif

enum { RT_LANES = 16 }; /* channels in a block of the blocked layout [n][C/16][H][W][16] */

/* ---- ISA levels (level.c) -------------------------------------------------------------------- */

/* Kernels are compiled once a level; the highest that CPU, OS and file have is used, or the one
 * that TLC_LEVEL=generic|avx2|avx512|avx512_bf16|amx names, if the machine has it (exit 2 if not).
 * A file holds the levels of 16-bit arithmetic only if its model's precision lets it use them. */
typedef enum { RT_GENERIC, RT_AVX2, RT_AVX512, RT_AVX512_BF16, RT_AMX, RT_LEVELS } RtLevel;

#if defined __x86_64__ && !defined RT_DOUBLE
#define RT_HAS_X86_LEVELS 1
#define RT_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define RT_TARGET_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")))
#define RT_TARGET_AVX512_BF16                                                                      \
    __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw,avx512bf16")))
#if defined RT_AMX_STANDIN && !RT_AMX_STANDIN
#define RT_TARGET_AMX RT_TARGET_AVX2
#define RT_HAS_WIDE_VECTORS                                                                        \
    0 /* compilers take vectors of 16 numbers apart; no assembly for them                          \
       */
#else
#define RT_TARGET_AMX RT_TARGET_AVX512_BF16
#define RT_HAS_WIDE_VECTORS 1
#endif
#endif

/* A file is compiled for all levels that it holds, or for those whose bits are set here and the
 * generic one: -DRT_FILE_LEVELS=0 for a third of the time and of the code, 4 (1 << RT_AVX512) for a
 * machine that is known. */
#ifndef RT_FILE_LEVELS
#define RT_FILE_LEVELS 0x1f
#endif
#ifdef RT_HAS_X86_LEVELS
#define RT_HAS_LEVEL(level) (RT_FILE_LEVELS >> (level)&1)
#else
#define RT_HAS_LEVEL(level) 0
#endif

/* ---- Tiles (level amx) ----------------------------------------------------------------------- */

/* Eight registers of 16 rows of 64 bytes. C += A * B takes A as 16 rows of 32 16-bit numbers, B as
 * 16 rows of 16 pairs, a pair being what two neighbours of a row of A are multiplied with, C as 16
 * x 16 floats. Numbers of tiles must be literals. A task that uses tiles begins with RT_TILE_OPEN
 * and ends with RT_TILE_CLOSE.
 *
 * Tests on machines without AMX build file and library with -DRT_AMX_STANDIN=1 (the level needs
 * AVX512_BF16 then) or =0 (it needs AVX2): plain C, with the same bits, stands in for tiles. */
#ifdef RT_AMX_STANDIN
void rt_tile_zero(int tile); /* tile.c */
void rt_tile_load(int tile, const void *from, size_t stride);
void rt_tile_store(int tile, void *to, size_t stride);
void rt_tile_dp(int c, int a, int b);
#define RT_TILE_OPEN() ((void)0)
#define RT_TILE_CLOSE() ((void)0)
#define RT_TILE_ZERO(c) rt_tile_zero(c)
#define RT_TILE_LOAD(tile, from, stride) rt_tile_load(tile, from, stride)
#define RT_TILE_STORE(tile, to, stride) rt_tile_store(tile, to, stride)
#define RT_TILE_DP(c, a, b) rt_tile_dp(c, a, b)
#elif defined RT_HAS_X86_LEVELS
typedef struct {
    uint8_t palette, start_row, zeros[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} RtTileShapes;
#define RT_TILE_OPEN()                                                                             \
    __asm__ volatile("ldtilecfg %0" ::"m"(((const RtTileShapes){                                   \
        1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}})))
#define RT_TILE_CLOSE() __asm__ volatile("tilerelease" ::: "memory")
#define RT_TILE_ZERO(c) __asm__ volatile("tilezero %%tmm" #c ::)
#define RT_TILE_LOAD(tile, from, stride)                                                           \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"((const void *)(from)),               \
                     "r"((size_t)(stride))                                                         \
                     : "memory")
#define RT_TILE_STORE(tile, to, stride)                                                            \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"((void *)(to)),                   \
                     "r"((size_t)(stride))                                                         \
                     : "memory")
#define RT_TILE_DP(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
#endif

/* ---- A run, and a kernel call ---------------------------------------------------------------- */

typedef struct RtPool RtPool;

/* What a step may know of the run. The driver fills it; generated code reads it. */
typedef struct RtRun {
    char *arena;    /* model->arena_bytes, 64-byte aligned */
    real **weights; /* (weight_count): where each is: in the arena or, in a run that only reads
                     * them, in a mapped file, and then aligned as a `real` is, not more */
    int read_only;  /* this run writes to no weight */
    RtPool *pool;   /* the threads */
    char *scratch;  /* model->scratch_bytes for each thread, 64-byte aligned */
    size_t scratch_bytes;
    const void *kernels; /* the generated file's table of kernels for the level in use */
    uint64_t seed;       /* of the run: --seed */
    uint32_t epoch;      /* counted from 0 over all phases */
    uint64_t step;       /* optimizer steps taken before this one, in this phase and those that its
                          * optimizer continues */
    const uint64_t
        *sample; /* (n): index in the data set of each row of the batch; keys randomness */
    const real *sample_weight; /* (n): factors of the losses; for phases that weigh classes */
    real learning_rate;        /* of this step */
    /* NULL, or told of what each layer made on the way to the loss (layer NULL: the loss of each
     * picture): `rows` rows of `size` numbers, the first being row `first` of the batch. Only
     * programs of phases with the callback TerminateOnNaN ask for it. */
    void (*watch)(const struct RtRun *run, const char *layer, const real *values, int first,
                  int rows, size_t size);
    void *watcher; /* for watch */
} RtRun;

enum { RT_INPUTS = 8, RT_OUTPUTS = 4 };

/* The arguments of a kernel: what it reads and writes. A kernel is called once for each task of a
 * fixed grid, in any order, from any thread; tasks of one call write disjoint memory, and each
 * result is summed inside one task in a fixed order, so that the bits do not depend on the number
 * of threads. */
typedef struct RtCall {
    const RtRun *run;
    int n;     /* pictures in this call: the real size of a partial batch */
    int first; /* row of the batch of the first of them (micro-batches of a frozen prefix) */
    const void *in[RT_INPUTS];
    void *out[RT_OUTPUTS];
    const char *name; /* of the kernel, for who measures */
} RtCall;

typedef void RtKernel(const RtCall *call, int task);

/* Runs kernel(call, 0) … kernel(call, tasks-1) on the run's threads; returns when all are done. */
void rt_parallel(RtKernel *kernel, int tasks, const RtCall *call); /* parallel.c */

/* For kernels: memory of the calling thread, which holds nothing between two tasks. */
void *rt_scratch(const RtRun *run);

/* Into how many parts, at most `most`, each of `blocks` pieces of work should be cut so that the
 * run's threads share them evenly: the fewest that leave no more than a tenth of the time idle, or
 * those that leave the least. For kernels whose bits do not depend on the cut. */
int rt_parts(const RtRun *run, int blocks, int most);
static inline int rt_tasks(const RtRun *run, int blocks, int most)
{
    return blocks * rt_parts(run, blocks, most);
}

/* ---- Sums (reduce.c) ------------------------------------------------------------------------- */

double rt_mean(const real *values, int n);               /* in double, from the first on */
double rt_sum_squares(const real *values, size_t count); /* likewise */
double rt_sum_magnitudes(const real *values, size_t count);

/* ---- Random numbers (rng.c) ------------------------------------------------------------------ */

/* Four 32-bit words, a pure function of its arguments: Philox4x32-10 (Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC'11), key (seed), counter (index, purpose,
 * sample, epoch). `purpose` is a stream number that the compiler gives to each random node. */
void rt_random4(const RtRun *run, uint32_t purpose, uint64_t sample, uint32_t index,
                uint32_t out[4]);

/* A word as a number in [0, 1): the top 24 bits, so that float and double builds agree. */
static inline real rt_unit(uint32_t word) { return (real)(word >> 8) * (real)(1.0 / 16777216.0); }

/* ---- The model's table ----------------------------------------------------------------------- */

typedef enum {
    RT_INIT_ZEROS,
    RT_INIT_ONES,
    RT_INIT_GLOROT_UNIFORM, /* U(-L, L), L = sqrt(6 / (fan_in + fan_out)): Keras's default */
} RtInit;

/* One weight. Values in the arena and in files have Keras's layout: Conv2D (kh, kw, in, out),
 * Dense (in, out), bias (out). */
typedef struct {
    const char *name; /* "block1_conv1/kernel": unique in the model */
    int layer;        /* index in layers[] */
    int rank;
    int dims[4];
    size_t offset; /* its room in the arena */
    RtInit init;
    int fan_in, fan_out;
    int is_statistic; /* changes with its layer, by what it sees: has no gradient, is not counted */
} RtWeight;

/* One layer, in the order of Keras's model.layers; the layers of a base follow their base. */
typedef struct {
    const char *name, *type;   /* "block1_conv1", "Conv2D" (Keras's class name) */
    int base;                  /* index in bases[] of the base it belongs to, or -1 */
    int rank;                  /* of the output, batch included */
    int dims[4];               /* dims[0] is 0: the batch */
    int64_t params;            /* of this layer alone */
    int first_weight, weights; /* its run in weights[] */
} RtLayer;

/* A pretrained network inside the model. */
typedef struct {
    const char *name;             /* "vgg16": as freeze patterns and whole-model files name it */
    const char *weights;          /* "imagenet", a path, or NULL: start from initial values */
    const char *file, *url, *md5; /* official file of "imagenet"; NULL otherwise */
    int layer;                    /* index in layers[] of the row that stands for the base */
    int first_layer, layer_count; /* its layers in layers[] */
    const char *const
        *official_layers; /* every weighted layer of the whole network, in order, with */
    int official_count;   /* the top: tells "missing" from "left out on purpose" */
} RtBase;

/* An optimizer slot: as large as its weight, zero at the start of a phase, unless the phase
 * continues another. */
typedef struct {
    const char *name; /* "momentum", "velocity", "m", "v" */
    int weight;       /* index in weights[] */
    size_t offset;
} RtSlot;

typedef enum {
    RT_LOSS_NONE,
    RT_BINARY_CROSSENTROPY,
    RT_CATEGORICAL_CROSSENTROPY,
    RT_SPARSE_CATEGORICAL_CROSSENTROPY,
    RT_MEAN_SQUARED_ERROR,
} RtLoss;

/* ---- Schedules and callbacks: members are named as the attributes of docs/model-format.md ---- */

typedef enum {
    RT_EXPONENTIAL_DECAY,
    RT_COSINE_DECAY,
    RT_PIECEWISE_CONSTANT_DECAY,
    RT_POLYNOMIAL_DECAY,
    RT_INVERSE_TIME_DECAY,
} RtScheduleKind;

/* A learning rate by the step; members that are not of its kind are 0. */
typedef struct {
    RtScheduleKind kind;
    const char *type; /* "CosineDecay" */
    double initial_learning_rate, decay_steps, decay_rate, alpha, end_learning_rate, power;
    double warmup_target; /* NaN: no warm-up */
    double warmup_steps;
    int staircase, cycle;
    const double *boundaries, *values;
    int boundaries_count, values_count; /* values: one more */
} RtSchedule;

typedef enum {
    RT_MODEL_CHECKPOINT,
    RT_EARLY_STOPPING,
    RT_REDUCE_LR_ON_PLATEAU,
    RT_LEARNING_RATE_SCHEDULER,
    RT_CSV_LOGGER,
    RT_TENSORBOARD,
    RT_TERMINATE_ON_NAN,
} RtCallbackKind;

/* A piece of a path: text, then "epoch", "batch" or a log by a printf format for a long long (that
 * ends in d) or a double; format NULL: as Python prints it; field NULL: the path ends. */
typedef struct {
    const char *text, *field, *format;
} RtPathPart;

typedef struct {
    RtCallbackKind kind;
    const char *type, *place; /* "EarlyStopping", "phases[0].callbacks[1]" */
    int verbose;
    const char *monitor;
    int maximize; /* more of it is better */
    double min_delta;
    int patience;
    double baseline, initial_value_threshold; /* NaN: none */
    int restore_best_weights, start_from_epoch;
    double factor, min_lr;
    int cooldown;
    const RtSchedule *schedule;
    const RtPathPart *filepath;
    int save_best_only, save_weights_only;
    int save_freq, update_freq; /* steps; 0: by the epoch; -1: as 1 */
    const char *filename, *separator, *log_dir;
    int append, write_steps_per_second, raise_error;
} RtCallback;

/* What is shown beside the loss, with the meaning that Keras's class of the name has. */
typedef enum {
    RT_BINARY_ACCURACY,
    RT_CATEGORICAL_ACCURACY,
    RT_SPARSE_CATEGORICAL_ACCURACY,
    RT_TOP_K_CATEGORICAL_ACCURACY,
    RT_SPARSE_TOP_K_CATEGORICAL_ACCURACY,
    RT_PRECISION,
    RT_RECALL,
    RT_AUC,
} RtMetricKind;

typedef enum { RT_CURVE_ROC, RT_CURVE_PR, RT_CURVE_PRGAIN } RtCurve;
typedef enum { RT_SUM_BETWEEN, RT_SUM_LOWER, RT_SUM_HIGHER } RtSum;

typedef struct {
    const char *name; /* under which it is shown: "accuracy", "auc" */
    RtMetricKind kind;
    double threshold; /* of the binary accuracy, precision, recall */
    int k;            /* of the top-k accuracies; of precision and recall, 0: all outputs count */
    int class_id;     /* of precision and recall: the one output that counts, or -1 */
    int thresholds;   /* these of the AUC, */
    const double *points; /* and those between the first and the last; NULL: evenly spread */
    int labels;           /* outputs that have a curve of their own; 0: one for all of them */
    RtCurve curve;
    RtSum sum;
    int from_logits;
} RtMetric;

typedef struct {
    const char *name; /* of a class, or its number */
    double weight;
} RtClassWeight;

/* ---- Programs -------------------------------------------------------------------------------- */

/* A batch through the network in inference mode: n <= infer_batch pictures x (n,H,W,C) to out
 * (n, output_size). */
typedef void RtInfer(const RtRun *run, const real *x, int n, real *out);

/* The same, and the loss of every picture against y (n, label_size) to loss (n), without
 * regularisers. */
typedef void RtEvaluate(const RtRun *run, const real *x, const real *y, int n, real *out,
                        real *loss);

/* One training step on n <= batch pictures: forward in training mode, backward, update. Writes the
 * outputs of the training-mode forward to out (n, output_size) and returns the mean loss of the
 * batch with regularisers, both from before the update. */
typedef double RtTrain(const RtRun *run, const real *x, const real *y, int n, real *out);

/* Work on weights that do not change while the functions above run (packing); must be called once
 * before the first call, and again whenever weights were changed from outside. */
typedef void RtPrepare(const RtRun *run);

/* A tensor that the lower part of a cut program hands to the upper: in each picture `planes` planes
 * of `rows` rows of numbers, framed by zeros. Distances in numbers. */
typedef struct {
    size_t offset;              /* in the arena, of the batch's first picture */
    size_t picture, plane, row; /* from one to the next */
    size_t first;               /* of the first row of a picture */
    size_t numbers;             /* of a row */
    int planes, rows;
} RtBoundary;

/* A phase's program cut in two, so that what the lower part gives for a picture, its features, can
 * be kept: nothing that the phase trains influences it. The upper part takes them from where the
 * lower one puts them. Both together are the program. */
typedef struct {
    const char *hash;  /* 64 hex digits: of all code and shapes that features depend on */
    const char *layer; /* the last one below */
    const RtBoundary *boundary;
    int boundary_count;
    int64_t numbers;            /* of a picture's features, without frames */
    int64_t macs;               /* of the lower part, a picture */
    const unsigned char *reads; /* a flag for each of weights[]: features depend on it */
    int random;                 /* features depend on the epoch and the picture's index as well */
    int pays;                   /* to keep them is far cheaper than to compute them again */
    RtPrepare *prepare_below, *prepare_above;              /* as for the whole, of each part */
    void (*below)(const RtRun *run, const real *x, int n); /* n as for the whole */
    double (*train)(const RtRun *run, const real *y, int n, real *out); /* of a training program */
    void (*evaluate)(const RtRun *run, const real *y, int n, real *out, real *loss); /* else */
} RtCut;

typedef enum { RT_CACHE_AUTO, RT_CACHE_OFF, RT_CACHE_MEMORY, RT_CACHE_DISK } RtCacheMode;

typedef struct {
    const char *name;
    int batch, epochs;
    const char *optimizer; /* "RMSprop" */
    int continues;         /* with the state of the optimizer of the phase before */
    const char *recipe;    /* all that the JSON says of the phase but name and epochs */
    double learning_rate;
    RtLoss loss;
    const char *loss_name; /* as in the JSON */
    const RtMetric *metrics;
    int metric_count;
    int weighs_classes; /* each picture's loss by that of its class: by those listed, else 1; none
                         * listed: in inverse proportion to the pictures of the class */
    const RtClassWeight *class_weights;
    int class_weight_count;
    int balanced_sampling;          /* an epoch draws the same number from each class */
    const unsigned char *trainable; /* a flag for each of weights[]: it changes */
    const RtSlot *slots;
    int slot_count;
    RtPrepare *prepare_train, *prepare_evaluate;
    RtTrain *train;
    RtEvaluate *evaluate;
    double (*regularization)(const RtRun *run); /* sum of the penalties, or NULL */
    const RtSchedule *schedule; /* NULL: learning_rate holds until a callback changes it */
    const RtCallback *callbacks;
    int callback_count;
    int64_t step_macs;                     /* multiply-adds of one full step */
    const RtCut *train_cut, *evaluate_cut; /* NULL: there is nothing to keep */
    RtCacheMode cache;                     /* where features are kept */
    int half_features;                     /* as 16-bit numbers */
    int variants; /* below the cut, epoch e draws the random numbers of e mod this; 0: of e */
} RtPhase;

/* A tensor in the memory plan of a program. */
typedef struct {
    const char *name;     /* NULL ends a list */
    size_t offset, bytes; /* in the arena */
    int first, last;      /* steps of the program in which it is alive */
} RtPlanned;

/* A program as it was planned: for who shows it. */
typedef struct {
    const char *name; /* "infer", "evaluate_PHASE", "train_PHASE" */
    int batch, micro; /* rows of a call; of a micro-batch of the frozen prefix */
    int steps;
    size_t plan_bytes, bound_bytes; /* what it takes; the most that is alive at one step */
    const RtPlanned *tensors;
} RtProgram;

typedef enum { RT_BILINEAR, RT_NEAREST } RtInterpolation;

typedef struct {
    int abi;                   /* RT_ABI */
    const char *name;          /* a C identifier */
    const char *hash;          /* 64 hex digits: SHA-256 of the graph, without weights' values */
    const char *tlc;           /* version of the compiler */
    const char *preprocessing; /* what the model does to pixels, one line, kept with the weights */
    int height, width, channels;     /* of the input */
    RtInterpolation interpolation;   /* how pictures are brought to that size */
    int output_rank, output_dims[4]; /* dims[0] is 0 */
    int output_size;                 /* product of the others */
    RtLoss head;          /* what predict prints: BINARY: one sigmoid unit, CATEGORICAL: scores
                           * of classes, MEAN_SQUARED_ERROR: plain numbers */
    int imagenet_classes; /* 1: the output is an untouched ImageNet top */
    int infer_batch;      /* capacity of infer and of every evaluate */
    RtPrepare *prepare_infer;
    RtInfer *infer;
    int64_t infer_macs; /* a picture */
    const RtLayer *layers;
    int layer_count;
    const RtWeight *weights;
    int weight_count;
    const unsigned char *only_packed; /* a flag for each of weights[]: infer reads only what
                                       * prepare_infer made of it; may be NULL */
    const RtBase *bases;
    int base_count;
    const RtPhase *phases;
    int phase_count;
    size_t arena_bytes;
    size_t plan_offset; /* what a program may write to; holds nothing between two calls */
    size_t plan_bytes;
    size_t batch_offset;  /* two batches of pictures, labels and outputs of the largest phase: */
    size_t batch_bytes;   /* the loader's room in the arena */
    size_t scratch_bytes; /* of each thread, beside the arena */
    const void *const *kernels; /* (RT_LEVELS): the table of kernels of each level */
    const RtProgram *programs;
    int program_count;
} RtModel;

/* The whole program: parses the arguments, does the command, returns the exit code (0 ok, 1 run
 * time, 2 usage, 4 data, 5 weights, 6 memory or disk, 130/143 signals). */
int rt_main(const RtModel *model, int argc, char **argv); /* driver.c */

#endif
