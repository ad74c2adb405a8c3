/* safetensors.c: named arrays in one file: 8 bytes of header length, a JSON header, the data.
 * https://github.com/huggingface/safetensors tells the format. The header is believed only after
 * every range in it was compared with the file; a checksum for each tensor, which the format lacks,
 * is kept in its metadata under "xxh3:NAME". */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"

enum { PREFIX = 8, MAX_HEADER = 16 << 20, MAX_TENSORS = 65536 };

static const struct {
    const char *name;
    int size;
} types[] = {
    {"F32", 4},  {"F64", 8}, {"F16", 2}, {"BF16", 2}, /* these four are read */
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2},
    {"U16", 2},  {"I32", 4}, {"U32", 4}, {"I64", 8},     {"U64", 8},
};
enum { F32, F64, F16, BF16, READABLE, TYPES = sizeof types / sizeof *types };

static const char *const type_names[] = {
    [RT_F32] = "F32", [RT_F64] = "F64", [RT_F16] = "F16",  [RT_U8] = "U8",
    [RT_I32] = "I32", [RT_I64] = "I64", [RT_BOOL] = "BOOL"};

typedef struct {
    const char *name; /* in the JSON */
    int type, rank;
    int64_t dims[RT_MAX_RANK];
    uint64_t count, begin, end;
} Tensor;

struct RtTensors {
    char *path;
    const unsigned char *map, *data;
    size_t map_bytes, data_bytes;
    bool keep_map;
    RtJson *header;
    Tensor *tensors;
    size_t count;
};

static _Noreturn void refuse(const RtTensors *file, const char *name, const char *why)
{
    rt_die(RT_BAD_WEIGHTS, "fetch or write it again", "%s: tensor \"%.200s\": %s", file->path, name,
           why);
}

/* ---- The header ------------------------------------------------------------------------------ */

static void read_shape(const RtTensors *file, Tensor *tensor, const RtJson *shape)
{
    size_t rank = rt_json_count(shape);
    if (!rt_json_is_array(shape) || rank > RT_MAX_RANK)
        refuse(file, tensor->name, "no shape of at most 8 dimensions");
    tensor->rank = (int)rank;
    tensor->count = 1;
    for (size_t i = 0; i < rank; i++)
        if (!rt_json_integer(rt_json_at(shape, i), &tensor->dims[i]) || tensor->dims[i] < 0 ||
            __builtin_mul_overflow(tensor->count, (uint64_t)tensor->dims[i], &tensor->count))
            refuse(file, tensor->name, "a shape that is no list of sizes");
}

static void read_tensor(const RtTensors *file, Tensor *tensor, const RtJson *member)
{
    int64_t begin, end;
    uint64_t bytes;
    tensor->name = rt_json_key(member);
    const char *type = rt_json_text(rt_json_get(member, "dtype"));
    while (type && tensor->type < TYPES && strcmp(types[tensor->type].name, type)) tensor->type++;
    if (!type || tensor->type == TYPES) refuse(file, tensor->name, "no dtype that is known");
    read_shape(file, tensor, rt_json_get(member, "shape"));
    const RtJson *range = rt_json_get(member, "data_offsets");
    if (!rt_json_is_array(range) || rt_json_count(range) != 2 ||
        !rt_json_integer(rt_json_at(range, 0), &begin) ||
        !rt_json_integer(rt_json_at(range, 1), &end) || begin < 0 || end < begin)
        refuse(file, tensor->name, "no data_offsets [begin, end]");
    if (__builtin_mul_overflow(tensor->count, (uint64_t)types[tensor->type].size, &bytes) ||
        (uint64_t)(end - begin) != bytes)
        refuse(file, tensor->name, "its data_offsets do not fit its shape");
    if ((uint64_t)end > file->data_bytes) refuse(file, tensor->name, "ends beyond the file");
    tensor->begin = (uint64_t)begin;
    tensor->end = (uint64_t)end;
}

static int compare_places(const void *a, const void *b)
{
    const Tensor *left = *(Tensor *const *)a, *right = *(Tensor *const *)b;
    if (left->begin != right->begin) return left->begin < right->begin ? -1 : 1;
    return (left->end > right->end) - (left->end < right->end);
}

/* The tensors must cover the data exactly: what lies in a hole or in two of them is not weights. */
static void check_cover(const RtTensors *file)
{
    Tensor **order = rt_alloc(file->count, sizeof *order);
    uint64_t at = 0;
    for (size_t i = 0; i < file->count; i++) order[i] = &file->tensors[i];
    qsort(order, file->count, sizeof *order, compare_places);
    for (size_t i = 0; i < file->count; at = order[i++]->end)
        if (order[i]->begin != at)
            rt_die(RT_BAD_WEIGHTS, "fetch or write it again",
                   "%s: tensor \"%.200s\" begins at offset %" PRIu64 " of the data; the one before "
                   "it ends at %" PRIu64,
                   file->path, order[i]->name, order[i]->begin, at);
    if (at != file->data_bytes)
        rt_die(RT_BAD_WEIGHTS, "fetch or write it again",
               "%s: %zu bytes of data, and the header tells of %" PRIu64, file->path,
               file->data_bytes, at);
    free(order);
}

static void read_header(RtTensors *file, size_t bytes)
{
    char problem[256];
    file->header = rt_json_parse((const char *)file->map + PREFIX, bytes, problem, sizeof problem);
    if (!file->header)
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: header of safetensors: %s", file->path, problem);
    size_t count = rt_json_count(file->header);
    if (count > MAX_TENSORS)
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: %zu tensors; at most %d are taken", file->path, count,
               (int)MAX_TENSORS);
    file->tensors = rt_alloc(count, sizeof *file->tensors);
    for (const RtJson *member = rt_json_at(file->header, 0); member;
         member = rt_json_next(member)) {
        if (!rt_json_key(member)) refuse(file, "", "the header is not an object");
        if (strcmp(rt_json_key(member), "__metadata__") == 0) continue;
        read_tensor(file, &file->tensors[file->count++], member);
    }
    check_cover(file);
}

RtTensors *rt_tensors_open(const char *path)
{
    uint64_t header = 0;
    RtTensors *file = rt_alloc(1, sizeof *file);
    file->path = rt_format("%s", path);
    file->map = rt_map(path, SIZE_MAX, RT_BAD_WEIGHTS, &file->map_bytes);
    if (file->map_bytes >= PREFIX) memcpy(&header, file->map, PREFIX);
    header = le64toh(header);
    if (file->map_bytes < PREFIX || header > MAX_HEADER || header > file->map_bytes - PREFIX)
        rt_die(RT_BAD_WEIGHTS, "fetch or write it again",
               "%s: not a whole safetensors file: %zu bytes, and a header of %" PRIu64, path,
               file->map_bytes, header);
    file->data = file->map + PREFIX + header;
    file->data_bytes = file->map_bytes - PREFIX - (size_t)header;
    read_header(file, (size_t)header);
    return file;
}

const char *rt_tensors_meta(const RtTensors *file, const char *key)
{
    return rt_json_text(rt_json_get(rt_json_get(file->header, "__metadata__"), key));
}

size_t rt_tensors_count(const RtTensors *file) { return file->count; }

const char *rt_tensors_name(const RtTensors *file, size_t index)
{
    return file->tensors[index].name;
}

int rt_tensors_shape(const RtTensors *file, size_t index, int64_t dims[RT_MAX_RANK])
{
    memcpy(dims, file->tensors[index].dims, sizeof file->tensors[index].dims);
    return file->tensors[index].rank;
}

/* ---- The data -------------------------------------------------------------------------------- */

void rt_tensors_check(const RtTensors *file, size_t index)
{
    const Tensor *tensor = &file->tensors[index];
    if (tensor->type >= READABLE) refuse(file, tensor->name, "is not of floating-point numbers");
    char *key = rt_format("xxh3:%s", tensor->name), sum[17];
    const char *told = rt_tensors_meta(file, key);
    free(key);
    if (!told) return;
    snprintf(sum, sizeof sum, "%016" PRIx64,
             rt_checksum_mapped(file->data + tensor->begin, (size_t)(tensor->end - tensor->begin)));
    if (strcmp(told, sum) != 0)
        rt_die(RT_BAD_WEIGHTS, "the file was damaged after it was written; use another copy of it",
               "%s: tensor \"%.200s\" at offset %" PRIu64
               ": its checksum is %s and should be %.40s",
               file->path, tensor->name, (uint64_t)(file->data - file->map) + tensor->begin, sum,
               told);
}

/* bfloat16 is the upper half of a float. */
static void widen(const unsigned char *data, uint64_t count, real *values)
{
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)data[2 * i] << 16 | (uint32_t)data[2 * i + 1] << 24;
        float value;
        memcpy(&value, &bits, sizeof value);
        values[i] = (real)value;
    }
}

const real *rt_tensors_place(const RtTensors *file, size_t index)
{
    const Tensor *tensor = &file->tensors[index];
    const void *place = file->data + tensor->begin;
    bool plain = tensor->type == (sizeof(real) == sizeof(double) ? F64 : F32);
    return plain && (uintptr_t)place % sizeof(real) == 0 ? place : NULL;
}

void rt_tensors_keep_map(RtTensors *file) { file->keep_map = true; }

/* Through a copy, for nothing aligns the data in a file that others wrote. */
void rt_tensors_read(RtTensors *file, size_t index, real *values)
{
    const Tensor *tensor = &file->tensors[index];
    const unsigned char *data = file->data + tensor->begin;
    size_t bytes = (size_t)(tensor->end - tensor->begin);
    rt_tensors_check(file, index);
    if (tensor->type == BF16) {
        widen(data, tensor->count, values);
        return;
    }
    RtArray array = {.rank = tensor->rank, .data = rt_alloc(bytes, 1)};
    array.type = tensor->type == F32 ? RT_F32 : tensor->type == F64 ? RT_F64 : RT_F16;
    memcpy(array.dims, tensor->dims, sizeof array.dims);
    memcpy(array.data, data, bytes);
    rt_array_to_real(&array, values);
    rt_array_free(&array);
}

const void *rt_tensors_raw(RtTensors *file, const char *name, RtType type, size_t count)
{
    for (size_t i = 0; i < file->count; i++) {
        const Tensor *tensor = &file->tensors[i];
        if (strcmp(tensor->name, name) != 0) continue;
        if (strcmp(types[tensor->type].name, type_names[type]) != 0 || tensor->count != count)
            return NULL;
        return file->data + tensor->begin;
    }
    return NULL;
}

void rt_tensors_close(RtTensors *file)
{
    if (!file->keep_map) rt_unmap(file->map, file->map_bytes);
    rt_json_free(file->header);
    free(file->tensors);
    free(file->path);
    free(file);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static const RtArray seal = {.name = "seal", .type = RT_I64, .rank = 1, .dims = {1}};

static size_t array_bytes(const RtArray *array)
{
    return (size_t)rt_array_count(array) * rt_type_size(array->type);
}

static void print_pair(FILE *out, const char *key, const char *value, const char *end)
{
    rt_json_write_string(out, key);
    fputc(':', out);
    rt_json_write_string(out, value);
    fputs(end, out);
}

static void print_metadata(FILE *out, const RtArray *arrays, size_t count, const RtMeta *meta,
                           size_t meta_count)
{
    fputs("{\"__metadata__\":{", out);
    for (size_t i = 0; i < meta_count; i++)
        print_pair(out, meta[i].key, meta[i].value, i + 1 < meta_count || count ? "," : "");
    for (size_t i = 0; i < count; i++) {
        char *key = rt_format("xxh3:%s", arrays[i].name), sum[17];
        snprintf(sum, sizeof sum, "%016" PRIx64,
                 rt_checksum(arrays[i].data, array_bytes(&arrays[i])));
        print_pair(out, key, sum, i + 1 < count ? "," : "");
        free(key);
    }
    fputc('}', out);
}

static void print_tensor(FILE *out, const RtArray *array, size_t begin)
{
    fputc(',', out);
    rt_json_write_string(out, array->name);
    fprintf(out, ":{\"dtype\":\"%s\",\"shape\":[", type_names[array->type]);
    for (int i = 0; i < array->rank; i++) fprintf(out, "%s%" PRId64, i ? "," : "", array->dims[i]);
    fprintf(out, "],\"data_offsets\":[%zu,%zu]}", begin, begin + array_bytes(array));
}

/* The header, filled with spaces so that the data begins at a multiple of 8. A seal is no part of
 * its own checksum, so metadata has none for it. */
static char *make_header(const RtArray *arrays, size_t count, const RtMeta *meta, size_t meta_count,
                         bool sealed, size_t *bytes)
{
    char *header = NULL;
    size_t begin = 0;
    FILE *out = open_memstream(&header, bytes);
    if (!out) rt_die(RT_NO_ROOM, NULL, "out of memory for a header");
    print_metadata(out, arrays, count, meta, meta_count);
    for (size_t i = 0; i < count; begin += array_bytes(&arrays[i++]))
        print_tensor(out, &arrays[i], begin);
    if (sealed) print_tensor(out, &seal, begin);
    fputc('}', out);
    fflush(out);
    while (*bytes % 8) {
        fputc(' ', out);
        fflush(out);
    }
    if (fclose(out) != 0) rt_die(RT_NO_ROOM, NULL, "out of memory for a header");
    return header;
}

static void put(RtOut *out, RtChecksum *hash, const void *data, size_t bytes)
{
    rt_out_write(out, data, bytes);
    if (hash) rt_checksum_add(hash, data, bytes);
}

static bool write_tensors(RtOut *out, const RtArray *arrays, size_t count, const RtMeta *meta,
                          size_t meta_count, bool sealed)
{
    size_t bytes;
    char *header = make_header(arrays, count, meta, meta_count, sealed, &bytes);
    uint64_t prefix = htole64(bytes);
    RtChecksum *hash = sealed ? rt_checksum_open() : NULL;
    put(out, hash, &prefix, sizeof prefix);
    put(out, hash, header, bytes);
    for (size_t i = 0; i < count; i++) put(out, hash, arrays[i].data, array_bytes(&arrays[i]));
    if (sealed) {
        uint64_t sum = htole64(rt_checksum_close(hash));
        rt_out_write(out, &sum, sizeof sum);
    }
    free(header);
    return rt_out_commit(out);
}

void rt_tensors_write(const char *path, const RtArray *arrays, size_t count, const RtMeta *meta,
                      size_t meta_count)
{
    write_tensors(rt_out_open(path), arrays, count, meta, meta_count, false);
}

bool rt_tensors_try(const char *path, const RtArray *arrays, size_t count, const RtMeta *meta,
                    size_t meta_count, bool sealed)
{
    return write_tensors(rt_out_try(path), arrays, count, meta, meta_count, sealed);
}

bool rt_tensors_sealed(const char *path, const char **problem)
{
    size_t bytes;
    uint64_t sum = 0;
    const unsigned char *map = rt_map(path, SIZE_MAX, RT_BAD_WEIGHTS, &bytes);
    *problem = "it is cut short";
    bool whole = bytes > PREFIX + sizeof sum;
    if (whole) {
        memcpy(&sum, map + bytes - sizeof sum, sizeof sum);
        whole = le64toh(sum) == rt_checksum_mapped(map, bytes - sizeof sum);
        *problem = "its checksum is wrong";
    }
    rt_unmap(map, bytes);
    return whole;
}
