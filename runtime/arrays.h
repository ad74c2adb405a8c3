/* arrays.h: named arrays of numbers, and the kinds of file that hold them. What they mean to a
 * model is in weights.h and data.h. */
#ifndef RT_ARRAYS_H
#define RT_ARRAYS_H

#include <stdbool.h>

#include "rt.h"

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

#endif
