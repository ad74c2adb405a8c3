/* internal.h: what the files of the runtime offer one another; generated code sees only rt.h.
 *
 * Ownership: every *_open has its *_close; a `char *` result is malloc'ed and the caller's unless
 * it is const. Functions that can fail for reasons of the outside world end the program through
 * rt_die with place, facts and hint, unless their contract says that they return an error. */
#ifndef RT_INTERNAL_H
#define RT_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>

#include "rt.h"

/* ---- error.c: the world is wrong ------------------------------------------------------------- */

enum { RT_OK, RT_FAILED, RT_USAGE, RT_BAD_MODEL, RT_BAD_DATA, RT_BAD_WEIGHTS, RT_NO_ROOM };

/* Prints "program: message", then "  hint: hint" unless hint is NULL, on stderr; removes unfinished
 * output files (file.c); exits with code. Safe to call from any thread. */
_Noreturn void rt_die(int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "program: warning: message" on stderr; clears a progress line first. */
void rt_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A plain line on stderr, for what is neither result nor warning. */
void rt_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern const char *rt_program; /* name for messages: the last part of argv[0] */

/* ---- memory.c: checked allocation for start-up and files; never in a step -------------------- */

void *rt_alloc(size_t count, size_t size);             /* zeroed; exit 6 on overflow or no memory */
void *rt_grow(void *array, size_t count, size_t size); /* realloc, likewise */
char *rt_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One arena, 64-byte aligned, zeroed, huge pages asked for, every page touched if so wanted. Checks
 * bytes against what the machine and its cgroup have before (exit 6 with both numbers). `what` for
 * the message. */
char *rt_arena_open(size_t bytes, const char *what, bool touched);
void rt_arena_close(char *arena, size_t bytes);
double rt_memory_available(void); /* bytes that the machine and its cgroup have left */

/* ---- cgroup.c: limits that a container sets -------------------------------------------------- */

/* The folder with the limits of this process's control group, or of its `up`-th ancestor;
 * `controller` ("memory", "cpu") is asked for where each has a hierarchy of its own (version 1).
 * False beyond the root. */
bool rt_cgroup_folder(const char *controller, int up, char *folder, size_t size);
/* `count` numbers of the first line, or of the line that begins with `key`, of folder/name. */
bool rt_read_numbers(const char *folder, const char *name, const char *key, double *values,
                     int count);

/* ---- parallel.c ------------------------------------------------------------------------------ */

/* A pool of `threads` threads, the caller among them. 0: as many as affinity and cgroup quota give.
 */
RtPool *rt_pool_open(int threads);
void rt_pool_close(RtPool *pool);
int rt_pool_threads(const RtPool *pool);
int rt_default_threads(void);
/* While set, told of every kernel call that rt_parallel has done. */
typedef void RtProfiler(const RtCall *call, int tasks, double seconds);
extern RtProfiler *rt_profiler;

/* ---- level.c --------------------------------------------------------------------------------- */

RtLevel rt_level(void); /* the level to use; see rt.h */
const char *rt_level_name(RtLevel level);
bool rt_level_is_below(const char *name, RtLevel level);
const char *rt_cpu_name(void); /* cpu.c: "Intel(R) Xeon(R) …" */

/* ---- rng.c ----------------------------------------------------------------------------------- */

/* A permutation of 0..n-1 into order, a pure function of (seed, epoch, n): Fisher-Yates on Philox.
 */
void rt_shuffle(uint64_t seed, uint32_t epoch, uint64_t *order, size_t n);
/* Initial value of one weight: count = product of dims numbers, keyed by seed and by the weight's
 * name, so that adding a layer does not change the others. */
void rt_initialize(const RtWeight *weight, uint64_t seed, real *values);

/* ---- file.c: whole or not at all ------------------------------------------------------------- */

typedef struct RtOut RtOut;
/* Opens path.tmp.PID beside path. Parent folders are made. */
RtOut *rt_out_open(const char *path);
/* The same, but what fails does not end the program: nothing more is written, and the commit says
 * so. */
RtOut *rt_out_try(const char *path);
void rt_out_write(RtOut *out, const void *data, size_t bytes); /* exit 6 on a full disk */
FILE *rt_out_file(RtOut *out); /* the same stream, for fprintf; errors show at commit */
/* Flush, fsync, rename to its name, fsync of the folder. If any of them fails, the old file is
 * still in place (or the new one, if only the last did) and the unfinished one is gone: exit 6 or,
 * of rt_out_try, a warning and false. */
bool rt_out_commit(RtOut *out);
void rt_out_remove_unfinished(void); /* async-signal-safe: called by rt_die and signal handlers */
/* Removes what killed processes left half-written in a folder that this one has the lock of. */
void rt_out_remove_abandoned(const char *folder);
void rt_make_folders(const char *path); /* like mkdir -p */
/* Whole file in memory (mapped, private). Fails (exit code) if missing, not a regular file, or
 * larger than limit. */
const unsigned char *rt_map(const char *path, size_t limit, int code, size_t *bytes);
void rt_unmap(const unsigned char *data, size_t bytes);
/* Gives back the memory of the whole pages in a part of a mapped file, which come back when they
 * are read, or of other mapped memory, which is zero then. */
void rt_map_forget(const void *mapped, size_t bytes);

/* ---- hash.c: <md5.h> of libmd and <xxhash.h> ------------------------------------------------- */

/* Of mapped files, whose pages are forgotten behind the reading. */
void rt_md5_mapped(const void *mapped, size_t bytes, char hex[33]);
uint64_t rt_checksum_mapped(const void *mapped, size_t bytes); /* XXH3-64 */
uint64_t rt_checksum(const void *data, size_t bytes);          /* the same, of any memory */
/* The same, of parts: open, add each, close for the sum. */
typedef struct RtChecksum RtChecksum;
RtChecksum *rt_checksum_open(void);
void rt_checksum_add(RtChecksum *hash, const void *data, size_t bytes);
uint64_t rt_checksum_close(RtChecksum *hash);
/* XXH3-128, by which contents are known. */
typedef struct {
    uint64_t low, high;
} RtHash;
RtHash rt_hash(const void *data, size_t bytes);
bool rt_hash_file(const char *path, RtHash *hash); /* false if it cannot be read as a whole */

/* ---- json.c: the only runtime file with cJSON.h ---------------------------------------------- */

/* A strict reader (length-checked, depth limit 64, no duplicate keys, no trailing bytes) and a
 * writer. Readers return NULL/false on a wrong shape, so the caller can name its own place. */
typedef struct cJSON RtJson;
RtJson *rt_json_parse(const char *text, size_t bytes, char *error, size_t error_size);
void rt_json_free(RtJson *json);
const RtJson *rt_json_get(const RtJson *object, const char *key);
const RtJson *rt_json_at(const RtJson *array, size_t index); /* in an object: the index-th member */
const RtJson *rt_json_next(const RtJson *member);            /* the one after it, or NULL */
const char *rt_json_key(const RtJson *member);
size_t rt_json_count(const RtJson *array_or_object);
bool rt_json_is_array(const RtJson *json);
const char *rt_json_text(const RtJson *string);             /* NULL if not a string */
bool rt_json_integer(const RtJson *number, int64_t *value); /* exact integers only */
bool rt_json_number(const RtJson *number, double *value);
void rt_json_write_string(FILE *out, const char *text); /* quoted and escaped */
/* Length of the well-formed UTF-8 character at text; 0 if none. */
size_t rt_utf8_length(const unsigned char *text, size_t left);

/* ---- tensors.c: a list of named arrays, the common coin of all weight and array files -------- */

typedef enum { RT_F32, RT_F64, RT_F16, RT_U8, RT_I32, RT_I64, RT_BOOL } RtType;
enum { RT_MAX_RANK = 8 };

typedef struct {
    char *name;
    RtType type;
    int rank;
    int64_t dims[RT_MAX_RANK];
    void *data; /* row-major, little-endian, owned */
} RtArray;

int64_t rt_array_count(const RtArray *array); /* product of dims */
size_t rt_type_size(RtType type);
void rt_array_to_real(const RtArray *array, real *values); /* converts each element */
void rt_array_free(RtArray *array);                        /* its name and data */

/* ---- npy.c: .npy and, by <zip.h>, .npz ------------------------------------------------------- */

/* Reads x.npy, or member `member` ("x") of x.npz. limit: largest number of elements taken. Refuses
 * (exit `code`) objects, Fortran order with rank > 1, foreign byte order of types not listed,
 * sizes that do not match the file. */
RtArray rt_npy_read(const char *path, const char *member, int64_t limit, int code);
bool rt_npz_has(const char *path, const char *member);
/* NULL-terminated list of member names without ".npy"; caller frees the list and the names. */
char **rt_npz_names(const char *path);
void rt_npy_write(const char *path, const RtArray *array);                /* atomic */
void rt_npz_write(const char *path, const RtArray *arrays, size_t count); /* atomic, stored */

/* ---- images.c: the only file with the JPEG header; png.c: the only one with png.h ------------ */

typedef struct {
    int width, height; /* of the file */
    char problem[200]; /* why it was refused; "" if it was read */
} RtImageInfo;

/* Decodes a JPEG or PNG (told apart by content, not by name) of any colour mode to width x height x
 * channels (1 or 3) numbers in 0..255, unrounded, in rows from the top: resized as Keras's
 * image_dataset_from_directory does (RT_BILINEAR: half-pixel centres, no antialias; JPEG by the
 * fast integer DCT with fancy upsampling, as TensorFlow decodes) or as its load_img does
 * (RT_NEAREST: source floor((x + 0.5) * in / out); accurate DCT, as PIL decodes). Alpha is dropped,
 * palettes are expanded, 16 bits become 8, CMYK becomes RGB, grey becomes three equal channels and
 * RGB becomes grey by the ITU-R 601 weights, each as that function of Keras does. Returns false,
 * with info->problem set, for anything that is not a whole, valid picture; truncated data and
 * decoder warnings count as invalid. At most 2^28 pixels. Thread-safe; no state between calls but
 * the malloc'ed decoder it frees. */
bool rt_image_read(const char *path, int height, int width, int channels,
                   RtInterpolation interpolation, real *pixels, RtImageInfo *info);
bool rt_image_decode(const unsigned char *data, size_t bytes, int height, int width, int channels,
                     RtInterpolation interpolation, real *pixels, RtImageInfo *info);
/* RGB rows as a JPEG, malloc'ed; NULL if that fails. quality: 1 to 100. */
unsigned char *rt_jpeg_encode(const unsigned char *rgb, int height, int width, int quality,
                              size_t *bytes);
/* The two parts of it, for who wants more of a file than its numbers: its bytes, and its pixels at
 * their own size, in rows of *decoded channels, as they are before the resizing (grey or three).
 * Both are malloc'ed; NULL, with info->problem set, as above. */
unsigned char *rt_image_file(const char *path, size_t *bytes, RtImageInfo *info);
unsigned char *rt_image_rows(const unsigned char *data, size_t bytes, int channels,
                             RtInterpolation interpolation, int *decoded, RtImageInfo *info);
/* png.c: 8-bit RGB or grey rows, malloc'ed; false with problem set. */
bool rt_png_decode(const unsigned char *data, size_t bytes, int channels, unsigned char **rows,
                   RtImageInfo *info);
/* resize.c: h x w x channels bytes to height x width x channels numbers. */
void rt_resize(const unsigned char *rows, int h, int w, int channels, int height, int width,
               RtInterpolation interpolation, real *pixels);

/* ---- dataset.c: what there is to learn from -------------------------------------------------- */

typedef struct {
    size_t count;
    char **paths;   /* NULL for arrays */
    char *folder;   /* that holds the class folders; NULL for arrays and without labels */
    int *labels;    /* class of each picture; NULL for arrays */
    char **classes; /* names, in label order; NULL for arrays */
    int class_count;
    RtArray x, y;    /* arrays: all pictures and their labels as given (data NULL for folders) */
    char **problems; /* loader.c: why a picture cannot be read, "" once the user knows, NULL: it
                      * can be read or is untried; NULL: no loader was opened yet */
    size_t skipped;  /* pictures that could not be read so far (loader.c counts) */
} RtData;

/* Folder of class folders (sorted by name in code-point order; nested folders are walked; names
 * beginning with a dot are passed over; .jpg .jpeg .png in any case), or .npz with x and y. A
 * folder that holds train/ and (validation/ or val/ or test/) is two: see rt_data_open_pair. Exit 4
 * with what was looked for when there is no picture, an empty class, or one class only. need_labels
 * false: any folder or npz without y will do (features, predict). */
RtData *rt_data_open(const char *path, const RtModel *model, bool need_labels);
/* Training and validation sides of --data DIR with --validation DIR (may be NULL) or
 * --validation-split F (0: none; then train/ and validation/ inside DIR are used if they exist).
 * The split shuffles by seed and takes the last int(F * count), as Keras does. *validation is NULL
 * when there is none. Both sides must have the same classes (exit 4 with the difference). */
void rt_data_open_pair(const char *path, const char *validation, double split, uint64_t seed,
                       const RtModel *model, RtData **train, RtData **validation_side);
void rt_data_close(RtData *data);
bool rt_is_picture_name(const char *name); /* ends in .jpg, .jpeg or .png */
/* labels.c: numbers of one label: 1 (sparse), as many as the model has outputs (others), 0 (none).
 */
int rt_label_size(const RtModel *model, RtLoss loss);
/* The classes must fit the model's output (binary: 2 classes for 1 unit; categorical: as many as
 * units): exit 4 with both numbers. */
void rt_data_check(const RtData *data, const RtModel *model, RtLoss loss);

/* ---- loader.c: batches, decoded beside the computing ----------------------------------------- */

typedef struct {
    int n;                  /* rows filled; 0: the epoch is over */
    const real *x, *y;      /* (n, H, W, C), (n, label size); valid until the next rt_loader_next */
    const uint64_t *sample; /* (n): index of each row in the data set */
    size_t to;              /* position in the order behind it: where the next one begins */
} RtBatch;

typedef struct RtLoader RtLoader;
/* Serves data in batches of `batch` rows through room (model->batch_bytes at batch_offset of the
 * arena: two halves, one filled while the other is used). Decoding threads run beside; pictures
 * that cannot be read are named (rt_warn, once each), counted and left out, or end the program with
 * exit 4 if strict; a run whose pictures are all unreadable ends with exit 4. y is filled as the
 * loss wants it (label 0/1 or class number as one number, one-hot, or rows of the array y). loss
 * RT_LOSS_NONE: no labels. */
RtLoader *rt_loader_open(const RtModel *model, RtData *data, int batch, RtLoss loss, char *room,
                         size_t room_bytes, bool strict);
/* From the next start on an epoch is `count` pictures long (at first all of the data's). */
void rt_loader_take(RtLoader *loader, size_t count);
/* Begins an epoch over order[0..count-1] (indices into data, copied; NULL: 0,1,2,…), at position
 * `from` of it. May come before the epoch in progress is over. */
void rt_loader_start(RtLoader *loader, const uint64_t *order, size_t from);
RtBatch rt_loader_next(RtLoader *loader);
void rt_loader_close(RtLoader *loader);
/* Leaves x as it is: the caller has what it needs of the pictures. Before the first start. */
void rt_loader_skip_pictures(RtLoader *loader);
/* Bytes that one half needs for a batch: pictures, labels, sample numbers. */
size_t rt_loader_bytes(const RtModel *model, int batch, int label_size);

/* ---- h5.c: the only file with hdf5.h --------------------------------------------------------- */

/* One dataset that the reader found, by its place in the file. */
typedef struct {
    char *layer; /* layer name (legacy: the group; v3: attribute `name` of vars, or NULL) */
    char *path;  /* full path of the dataset */
    char *name;  /* last part: "kernel:0", "block1_conv1_W_1:0", "0" */
    int index;   /* position among its layer's weights */
    int rank;
    int64_t dims[RT_MAX_RANK];
} RtH5Entry;

/* Keras 1/2 (and .h5 of Keras 3), or .weights.h5 */
typedef enum { RT_H5_LEGACY, RT_H5_V3 } RtH5Kind;

typedef struct RtH5 RtH5;
/* Opens read-only and lists all weight datasets in order (legacy: layer_names, then weight_names,
 * nested bases included; v3: groups under layers/, in the order of model.layers as far as the file
 * tells). Never follows soft, external or user-defined links, never loads filter plugins, refuses
 * external or virtual storage, variable-length data, filters other than deflate and shuffle,
 * declared sizes over 4 GiB or over 1000 times what is stored: exit 5 with the object's path. */
RtH5 *rt_h5_open(const char *path);
RtH5Kind rt_h5_kind(const RtH5 *file);
size_t rt_h5_count(const RtH5 *file);
const RtH5Entry *rt_h5_entry(const RtH5 *file, size_t index);
void rt_h5_read(RtH5 *file, size_t index, real *values); /* as many as its dims say; converts */
/* The values in the mapped file, if they stand there as `real`s, one behind the other; else NULL.
 */
const real *rt_h5_place(const RtH5 *file, size_t index);
void rt_h5_keep_map(RtH5 *file); /* places outlive the file: as long as the process */
void rt_h5_close(RtH5 *file);

/* ---- h5_heap.c ------------------------------------------------------------------------------- */

/* A little-endian number of so many bytes. */
uint64_t rt_h5_number(const unsigned char *at, int bytes);
/* Object `index` of the global heap at an address of a mapped file (HDF5 file format, III.E), and
 * its size; NULL if there is none. */
const unsigned char *rt_h5_heap_object(const unsigned char *map, size_t map_bytes, uint64_t heap,
                                       uint64_t index, uint64_t *bytes);

/* ---- safetensors.c --------------------------------------------------------------------------- */

typedef struct {
    char *key, *value;
} RtMeta;

typedef struct RtTensors RtTensors;
/* Opens and checks the whole header (sizes, ranges, overlaps, holes) before anything is used, and
 * each tensor's checksum (metadata "xxh3:NAME") when it is read; exit 5 names file, tensor and
 * offset. */
RtTensors *rt_tensors_open(const char *path);
const char *rt_tensors_meta(const RtTensors *file, const char *key); /* NULL if absent */
size_t rt_tensors_count(const RtTensors *file);
const char *rt_tensors_name(const RtTensors *file, size_t index);
int rt_tensors_shape(const RtTensors *file, size_t index, int64_t dims[RT_MAX_RANK]); /* rank */
void rt_tensors_read(RtTensors *file, size_t index, real *values);
/* The two parts of reading, for several threads: the check, and the values in the mapped file, if
 * they stand there as aligned `real`s; else NULL. */
void rt_tensors_check(const RtTensors *file, size_t index);
const real *rt_tensors_place(const RtTensors *file, size_t index);
void rt_tensors_keep_map(RtTensors *file); /* places outlive the file: as long as the process */
void rt_tensors_close(RtTensors *file);
/* The values of a tensor of this type and count in the mapped file, not aligned and not checked;
 * NULL if there is none. */
const void *rt_tensors_raw(RtTensors *file, const char *name, RtType type, size_t count);
/* Writes arrays in the order given and metadata, atomically, with checksums. */
void rt_tensors_write(const char *path, const RtArray *arrays, size_t count, const RtMeta *meta,
                      size_t meta_count);
/* The same, but false and a warning if it cannot be written; and, if sealed, with a last tensor
 * "seal": the checksum of all bytes before it. */
bool rt_tensors_try(const char *path, const RtArray *arrays, size_t count, const RtMeta *meta,
                    size_t meta_count, bool sealed);
/* Whether the file is whole as it was sealed; if not, *problem says why. */
bool rt_tensors_sealed(const char *path, const char **problem);

/* ---- match.c: which array of a file is which weight of the model ----------------------------- */

enum { RT_EXTRA = -1, RT_OTHER = -2 };

typedef struct {
    const char *place; /* in the file, for messages */
    int weight;        /* index in weights[]; RT_EXTRA: the model has no such weight; RT_OTHER: of a
                        * part of the network that is left out on purpose */
    int rank;
    int64_t dims[RT_MAX_RANK];
} RtMatch;

/* One match for each array of the file, in its order; the caller frees the list. base as in
 * rt_weights_read. By names: legacy by layer name, or, in the group of a base, by that of the layer
 * inside, and by the data set's name; v3 by the attribute `name`. If no name is of this model:
 * legacy by position among the weighted layers, as Keras does (*by_position is set), v3 by class
 * and number ("conv2d_3"), also as Keras does. */
RtMatch *rt_match_h5(const RtModel *model, const RtH5 *file, int base, bool *by_position);
/* By full names, "block1_conv1/kernel". */
RtMatch *rt_match_tensors(const RtModel *model, const RtTensors *file, int base);

/* ---- weights.c: from any weight file into the model ------------------------------------------ */

/* Fills every weight of the model. Without `file`: initial values first (seed), then each base's
 * `weights` ("imagenet": the official file under $KERAS_HOME/models or ~/.keras/models, md5 checked
 * at each load, seconds for VGG16's 528 MB; else exit 5 saying which file, from where, with which
 * md5, and the place to put it). With `file` (.h5, .weights.h5 or .safetensors, told apart by
 * content): from it alone; or, if it holds weights of bases only, it stands in for "imagenet" and
 * the other layers keep their initial values. run->weights tells where they are: a run that is
 * read_only uses the large ones where they stand in the file, which stays mapped. */
void rt_weights_load(const RtModel *model, RtRun *run, const char *file);
/* Fills from one file. All wanted: names, layers or positions must cover every weight of the model
 * (exit 5 listing missing, extra and mis-shaped ones); base >= 0: only that base's layers are
 * wanted, and what the file holds of the base's other layers, or around the base in the file of a
 * whole model, is no error. */
void rt_weights_read(const RtModel *model, RtRun *run, const char *file, int base);
/* Path of a file of Keras's models folder: $KERAS_HOME/models/name or ~/.keras/models/name. */
char *rt_keras_file(const char *name);

/* ---- saved.c: our own weight files ----------------------------------------------------------- */

/* What a saved file says beside its weights. */
typedef struct {
    char **classes; /* NULL if it names none */
    int class_count;
    char *phase;
    int epoch;       /* epochs finished in that phase */
    double val_loss; /* NaN if there was none */
    char *model_hash;
} RtSaved;

/* Reads a .safetensors of this program into the arena. Another model's file: exit 5 with both
 * hashes. */
RtSaved *rt_saved_load(const RtModel *model, RtRun *run, const char *path);
void rt_saved_free(RtSaved *saved);
/* weights: where each of the model's is. False and a warning if it cannot be written. */
bool rt_saved_write(const RtModel *model, real *const *weights, const char *path,
                    const RtSaved *about);
/* ["cat","dog"], as metadata "classes" has it. */
char *rt_class_list(char *const *classes, int count);

/* ---- options.c: the command line of a generated program -------------------------------------- */

typedef struct {
    const char *command;
    const char *data, *validation, *weights, *out, *phase, *until, *input, *output, *trace, *cache;
    const char **images;
    int image_count;
    double validation_split, checkpoint_every, min_lr, max_lr; /* minutes; 0: not given */
    int epochs, steps, threads, top, batch, repeat, keep, cache_memory; /* 0: not given */
    uint64_t seed;
    bool shuffle, json, strict, quiet, layers, resume, fresh, dry_run, overfit_batch;
    int argc; /* the command line as it was given */
    char **argv;
} RtOptions;

/* Parses argv into options by a table, from which --help is printed too; exit 2 with the nearest
 * option on a mistake. Returns false when --help or --version was answered. */
bool rt_options_parse(const RtModel *model, int argc, char **argv, RtOptions *options);
/* The options of train that a checkpoint keeps, as "--seed", "5" or "--seed", "not given"; the
 * caller frees the list and the values. */
size_t rt_options_list(const RtOptions *options, RtMeta **list);
/* Whether a training may go on with another value of this one. */
bool rt_option_is_loose(const char *name);
/* For --resume: takes those that were not given from a checkpoint's metadata ("option:--seed"). */
void rt_options_restore(const RtModel *model, RtOptions *options, const RtTensors *file);

/* suggest.c: "did you mean NAME?" for the nearest of names (malloc'ed), or `otherwise`. */
const char *rt_suggest(const char *given, const char *const *names, int count,
                       const char *otherwise);

/* ---- metrics.c: Keras's metrics (keras.md 5.4) ----------------------------------------------- */

/* Number of rows that Keras's "accuracy" counts as right: one unit: y == (p > 0.5); sparse labels
 * or one-hot by argmax, the first on ties. */
int rt_correct(const RtModel *model, RtLoss loss, const real *y, const real *out, int n);
int rt_argmax(const real *values, int count); /* the first on ties */
/* What a metric knows of the pictures so far: so many numbers, 0 at first. */
size_t rt_metric_size(const RtMetric *metric);
void rt_metric_add(const RtMetric *metric, const RtModel *model, const RtBatch *batch,
                   const real *out, double *sums);
double rt_metric_value(const RtMetric *metric, const double *sums);

/* ---- meter.c: what an epoch comes to --------------------------------------------------------- */

/* A number to show, by its name. */
typedef struct {
    const char *name;
    double value;
} RtLog;

enum { RT_LOGS = 33 }; /* most of them in an epoch: half with val_, and learning_rate */

/* Sums over the pictures of an epoch so far: all that is to be kept of it. */
typedef struct {
    const RtPhase *phase;
    double loss;
    size_t count;
    double *sums; /* (sum_count): of the phase's metrics, one behind the other */
    size_t sum_count;
} RtMeter;

RtMeter rt_meter_open(const RtPhase *phase);
void rt_meter_close(RtMeter *meter);
void rt_meter_clear(RtMeter *meter); /* as it was opened */
void rt_meter_add(RtMeter *meter, const RtModel *model, const RtBatch *batch, const real *out,
                  double mean_loss);

/* The names under which a phase shows what its meters hold: "loss" and the metrics, sorted as Keras
 * sorts them, and the same with "val_" before. */
typedef struct {
    int count;
    char **names, **val_names;
} RtLogNames;

RtLogNames rt_log_names_open(const RtPhase *phase);
void rt_log_names_close(RtLogNames *names);
/* Fills logs (names->count) with the means; returns how many. */
int rt_meter_logs(const RtMeter *meter, const RtLogNames *names, bool validation, RtLog *logs);

/* ---- progress.c: Keras's bar on a terminal, one line an epoch elsewhere; on stderr ----------- */

/* A NULL progress shows nothing. rt_progress_step allocates nothing. */

typedef struct RtProgress RtProgress;
RtProgress *rt_progress_open(const char *title, size_t steps); /* title: "Epoch 1/20" or NULL */
void rt_progress_step(RtProgress *progress, size_t done, const RtLog *logs, int count);
void rt_progress_close(RtProgress *progress, const RtLog *logs, int count); /* the closing line */
/* From here on images/s and the time left of the whole training are shown too. images: of all the
 * steps; validation: the work of this epoch behind them, after: that of all later epochs, both in
 * steps like these. */
void rt_progress_forecast(RtProgress *progress, size_t images, double validation, double after);
void rt_progress_clear(void);    /* erase an open bar before another line is printed */
int rt_terminal_width(int file); /* of COLUMNS in the environment or of the terminal; else 80 */
double rt_seconds(void);         /* monotonic clock */

/* ---- session.c: a model with its arena and threads, shared by the commands ------------------- */

typedef struct {
    const RtModel *model;
    const RtOptions *options;
    RtRun run;
    RtLevel level;
    char *room;          /* the loader's, model->batch_bytes */
    int batch;           /* rows that infer and evaluate take at once: at most infer_batch */
    real *out;           /* outputs of a batch */
    real *losses;        /* (batch) */
    real *class_weights; /* (class_count): of the phase under way, if it has some */
    int class_count;
    real *sample_weights; /* (largest batch): of the batch */
    bool poison, prepared;
    /* Features of training and validation pictures (cache.h), or NULL. With them, batches need no
     * pictures: run.sample tells them. */
    struct RtCache *train_cache, *evaluate_cache;
} RtSession;

/* The run's threads and memory: the arena, and behind it the scratch of each thread; weights in the
 * arena. threads as for rt_pool_open. A run that is read_only takes pages when it first needs them,
 * others take all now. */
void rt_run_open(RtRun *run, const RtModel *model, int threads);
void rt_run_close(RtRun *run, const RtModel *model);
void rt_session_open(RtSession *session, const RtModel *model, const RtOptions *options);
void rt_session_close(RtSession *session);
/* The model's functions on a batch. With TLC_POISON=1 in the environment the planned memory is
 * filled with NaN before, so that a number read before it is written shows in the results. */
/* What infer needs beforehand. A run that is read_only then gives back what infer does not read. */
void rt_prepare_infer(RtSession *session);
/* Before an epoch, and before an evaluation: weights may have changed. */
void rt_prepare_train(RtSession *session, const RtPhase *phase);
void rt_prepare_evaluate(RtSession *session, const RtPhase *phase);
void rt_below_batch(RtSession *session, const RtCut *cut, const real *x, int n);
void rt_infer_batch(RtSession *session, const real *x, int n, real *out);
void rt_evaluate_batch(RtSession *session, const RtPhase *phase, const RtBatch *batch);
double rt_train_batch(RtSession *session, const RtPhase *phase, const real *x, const real *y,
                      int n);
/* Fills the weights for evaluate, predict and features: from --weights; else from best.safetensors
 * or last.safetensors in runs/NAME; else, if the program has no phases, from the bases' own files.
 * Says on stderr which. Returns what a file of this program says of itself, or NULL. */
RtSaved *rt_session_load(RtSession *session);
size_t rt_weight_count(const RtWeight *weight); /* product of its dims */
void rt_clear_slots(const RtSession *session,
                    const RtPhase *phase); /* an optimizer without memory */
/* The slots of `to` from those of `from`, by weight and name; the others without memory. */
void rt_continue_slots(const RtSession *session, const RtPhase *from, const RtPhase *to);
const RtPhase *rt_find_phase(const RtModel *model, const char *name); /* NULL if there is none */

/* ---- classes.c: weights of classes, balanced sampling ---------------------------------------- */

/* The phase's class weights for the classes of `data`, kept in the session. Exit 4 for a class that
 * the data do not have. */
void rt_class_weights_open(RtSession *session, const RtPhase *phase, const RtData *data);
/* run.sample_weight of a batch with these labels; 1 for what has no weight. */
void rt_weigh_batch(RtSession *session, const RtPhase *phase, const real *y, int n);
/* Pictures in an epoch of the phase, and which, in their order: a pure function of seed, epoch and
 * data. Not shuffled: by number or, if sampling is balanced, by class. */
size_t rt_epoch_pictures(const RtModel *model, const RtPhase *phase, const RtData *data);
void rt_epoch_order(const RtRun *run, const RtModel *model, const RtPhase *phase,
                    const RtData *data, bool shuffle, uint64_t *order);

/* ---- signals.c: SIGINT and SIGTERM ----------------------------------------------------------- */

/* A signal removes unfinished files and ends the program with 128 + its number. If graceful, the
 * first one only asks: rt_signal tells its number (0: none yet), and the command comes to a stop.
 */
void rt_signals_open(bool graceful);
int rt_signal(void);

/* ---- commands: each returns the exit code ---------------------------------------------------- */

int rt_train(RtSession *session); /* train.c */
/* For --resume: takes the options that were not given from the newest checkpoint; exit 5 if there
 * is none. */
void rt_resume_options(const RtModel *model, RtOptions *options); /* checkpoint.c */
int rt_evaluate(RtSession *session);                              /* evaluate.c */
/* Data of other classes than those that the weights say they were trained on: exit 4. Either may
 * be silent. path: of the data. */
void rt_classes_check(const RtData *data, const RtSaved *saved, const char *path);
/* Loss (with regularization) and correct answers of a phase over what the loader serves from its
 * start. Stops early on a signal. tally, if not NULL: (classes) pictures and right ones of each.
 * The caller closes the meter. */
RtMeter rt_measure(RtSession *session, const RtPhase *phase, RtLoader *loader, RtProgress *progress,
                   const RtLogNames *names, size_t (*tally)[2]);
int rt_predict(RtSession *session); /* predict.c */
/* Pictures for the model from a file of --input; exit 4 if their shape is another. */
RtArray rt_input_read(const RtModel *model, const char *path);
/* Rows of outputs as an array of the model's output shape; rows stay the caller's. */
RtArray rt_output_array(const RtModel *model, real *rows, int64_t count);
int rt_features(RtSession *session); /* features.c */
int rt_bench(RtSession *session);    /* bench.c */
int rt_report(RtSession *session);   /* report.c: report.html anew, from a run folder */
/* driver.c: 'Y' for layers whose weights are trained in this phase (NULL: in any), 'N' for others
 * that have weights, '-' for the rest; and how many parameters are trained. */
char *rt_mark_trainable(const RtModel *model, const RtPhase *phase, int64_t *params);
/* These three leave nothing behind: no file, and no weights. */
int rt_dry_run(RtSession *session);       /* dryrun.c: what training would need */
int rt_overfit_batch(RtSession *session); /* overfit.c: exit 1 if the batch is not learned */
int rt_lrfind(RtSession *session);        /* lrfind.c */
int rt_check(const RtModel *model, const RtOptions *options); /* check.c: exit 4 on errors */

/* ---- history.c: history.csv, in the form of Keras's CSVLogger -------------------------------- */

enum { RT_NUMBER = 64 };
/* As Python prints a float: the fewest digits that give the same number again. */
void rt_number_text(double value, char text[RT_NUMBER]);
/* schedule.c: the learning rate of a phase: a number, in `text`, or the schedule's type. */
const char *rt_rate_text(const RtPhase *phase, char text[RT_NUMBER]);

typedef struct RtHistory RtHistory;
RtHistory *rt_history_open(void);
/* Adds an epoch (counted from 0 over all phases); copies logs. */
void rt_history_add(RtHistory *history, const char *phase, int epoch, const RtLog *logs, int count);
/* All epochs so far, atomically; false and a warning if it cannot be. */
bool rt_history_write(const RtHistory *history, const char *path);
char *rt_history_text(const RtHistory *history); /* as JSON, with every bit of the numbers */
/* Adds the epochs of such a text; false if it is none. */
bool rt_history_read(RtHistory *history, const char *text);
size_t rt_history_count(const RtHistory *history); /* epochs */
void rt_history_close(RtHistory *history);

/* ---- trace.c: what --trace writes ------------------------------------------------------------ */

/* losses (steps), out (n, output), every weight, every slot of the phase, to an .npz file. */
void rt_trace_write(const char *path, const RtModel *model, const RtPhase *phase, char *arena,
                    const double *losses, size_t steps, real *out, int n);

/* summary.c: Keras's table (keras.md 7.3). Shared with tlc. trainable: per layer 'Y', 'N' or '-',
 * or NULL for no such column. width: of the terminal; 80 if not one. */
void rt_print_summary(FILE *out, const char *name, const RtLayer *layers, int count,
                      const char *trainable, int64_t trainable_params, bool expand_bases,
                      int width);

#endif
