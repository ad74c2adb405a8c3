/* h5.c: reads files of HDF5, as Keras writes its weights; what lies where in them is known to
 * h5_keras.c.
 *
 * HDF5 is a hostile format to read: a valid file can point at any other file of the machine (soft
 * and external links, external storage, virtual data sets), declare sizes without end, or ask for
 * a plug-in to be loaded. So nothing is opened by a path: each part of a path must be a hard link.
 * A data set's storage and size are checked before the library is asked for a byte of it, and every
 * list is bounded. What remains is trust in the library itself. */
#define _GNU_SOURCE /* strverscmp */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "h5.h"

enum {
    MAX_SETS = 8192,      /* weights in a file; ResNet152 has 932 */
    MAX_NAMES = 8192,     /* names in an attribute, links in a group */
    MAX_NAME = 4096,      /* bytes of a name or path */
    MAX_LIST = 16 << 20,  /* bytes of an attribute of fixed-length names */
    MAX_GROUPS = 65536,   /* objects opened: a cycle of hard links has no other end */
    MAX_INFLATION = 1000, /* bytes declared for each byte stored */
};
static const uint64_t max_bytes = UINT64_C(1) << 32;
_Static_assert(sizeof(RtH5Object) == sizeof(hid_t), "h5.h names the library's handles");

typedef struct {
    RtH5Entry entry;
    hid_t id;
} DataSet;

struct RtH5 {
    char *path;
    const unsigned char *map;
    size_t map_bytes;
    bool keep_map;
    hid_t file;
    RtH5Kind kind;
    DataSet *sets;
    size_t count;
    int opened;
};

_Noreturn void rt_h5_refuse(const RtH5 *file, const char *object, const char *why)
{
    rt_die(RT_BAD_WEIGHTS, "take weight files only from where you trust, and compare their md5",
           "%s: %s: %s", file->path, object, why);
}

/* ---- Objects, by hard links only ------------------------------------------------------------- */

/* The member `name` of a group; -1 if there is none. */
static hid_t open_member(RtH5 *file, hid_t group, const char *name, const char *path)
{
    H5L_info_t link;
    if (strcmp(name, ".") == 0) rt_h5_refuse(file, path, "\".\" is no name");
    if (H5Lget_info(group, name, &link, H5P_DEFAULT) < 0) return -1;
    if (link.type != H5L_TYPE_HARD)
        rt_h5_refuse(file, path,
                     "is a soft, external or user-defined link; links are not followed");
    if (++file->opened > MAX_GROUPS)
        rt_h5_refuse(file, path, "too many objects, or a cycle of them");
    hid_t id = H5Oopen(group, name, H5P_DEFAULT);
    if (id < 0) rt_h5_refuse(file, path, "is damaged");
    return id;
}

RtH5Object rt_h5_object(RtH5 *file, const char *path)
{
    hid_t id = H5Gopen2(file->file, "/", H5P_DEFAULT);
    char *parts = rt_format("%s", path), *rest = NULL;
    for (char *part = strtok_r(parts, "/", &rest); part && id >= 0;
         part = strtok_r(NULL, "/", &rest)) {
        hid_t member = H5Iget_type(id) == H5I_GROUP ? open_member(file, id, part, path) : -1;
        H5Oclose(id);
        id = member;
    }
    free(parts);
    return id;
}

RtH5Object rt_h5_group(RtH5 *file, const char *path)
{
    hid_t id = rt_h5_object(file, path);
    if (id < 0) rt_h5_refuse(file, path, "is listed but not in the file");
    if (H5Iget_type(id) != H5I_GROUP) rt_h5_refuse(file, path, "is not a group");
    return id;
}

bool rt_h5_has_group(RtH5 *file, const char *path)
{
    hid_t id = rt_h5_object(file, path);
    bool found = id >= 0 && H5Iget_type(id) == H5I_GROUP;
    if (id >= 0) H5Oclose(id);
    return found;
}

void rt_h5_release(RtH5Object id) { H5Oclose(id); }

bool rt_h5_is_group(RtH5Object id) { return H5Iget_type(id) == H5I_GROUP; }

/* ---- Lists of names -------------------------------------------------------------------------- */

static void add_name(RtH5Names *list, const char *text, size_t length)
{
    list->names = rt_grow(list->names, list->count + 1, sizeof *list->names);
    list->names[list->count++] = rt_format("%.*s", (int)length, text);
}

void rt_h5_free_names(RtH5Names *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->names[i]);
    free(list->names);
    *list = (RtH5Names){0};
}

static void check_name(const RtH5 *file, const char *path, const char *name)
{
    if (!name || !*name || strnlen(name, MAX_NAME) == MAX_NAME)
        rt_h5_refuse(file, path, "holds an empty or overlong name");
}

/* A "conversion" of strings of varying length to what stands for them in the file. */
static herr_t keep_bytes(hid_t from, hid_t to, H5T_cdata_t *data, size_t n, size_t stride,
                         size_t background_stride, void *values, void *background, hid_t transfer)
{
    (void)from, (void)to, (void)n, (void)stride, (void)background_stride;
    (void)values, (void)background, (void)transfer;
    data->need_bkg = H5T_BKG_NO;
    return 0;
}

/* Strings of varying length, as h5py 3 writes them: a length, and the place of an object in a heap.
 * HDF5 1.10 must not fetch them: it believes the length, and copies an object that is longer beyond
 * the end of its buffer. So it gives the references, and the strings are fetched here. */
static bool add_varying(const RtH5 *file, RtH5Names *list, hid_t attribute, size_t n)
{
    enum { REFERENCE = 16 }; /* 4 bytes of length, 8 of address, 4 of index */
    hid_t raw = H5Tcreate(H5T_OPAQUE, REFERENCE), varying = H5Tcopy(H5T_C_S1);
    unsigned char *references = rt_alloc(n, REFERENCE);
    H5Tset_size(varying, H5T_VARIABLE);
    H5Tregister(H5T_PERS_SOFT, "references", varying, raw, keep_bytes);
    bool read = H5Aread(attribute, raw, references) >= 0;
    for (size_t i = 0; read && i < n; i++) {
        const unsigned char *at = references + i * REFERENCE;
        uint64_t bytes, length = rt_h5_number(at, 4);
        const unsigned char *text = rt_h5_heap_object(
            file->map, file->map_bytes, rt_h5_number(at + 4, 8), rt_h5_number(at + 12, 4), &bytes);
        read = text && length <= bytes && length < MAX_NAME;
        if (read) add_name(list, (const char *)text, (size_t)length);
    }
    H5Tunregister(H5T_PERS_SOFT, "references", varying, raw, keep_bytes);
    free(references);
    H5Tclose(varying);
    H5Tclose(raw);
    return read;
}

/* Strings of one length, padded with NUL, as h5py 2 and Keras 1 wrote them. */
static bool add_fixed(RtH5Names *list, hid_t attribute, hid_t type, size_t n)
{
    size_t size = H5Tget_size(type);
    if (!size || size > MAX_LIST / n) return false;
    char *texts = rt_alloc(n, size);
    bool read = H5Aread(attribute, type, texts) >= 0;
    for (size_t i = 0; read && i < n; i++)
        add_name(list, texts + i * size, strnlen(texts + i * size, size));
    free(texts);
    return read;
}

bool rt_h5_attribute(const RtH5 *file, hid_t object, const char *path, const char *name,
                     RtH5Names *list)
{
    if (H5Aexists(object, name) <= 0) return false;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) rt_h5_refuse(file, path, "has an attribute that is damaged");
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    if (n < 0 || n > MAX_NAMES || list->count + (size_t)n > MAX_NAMES)
        rt_h5_refuse(file, path, "has an attribute of too many names");
    if (n > 0) { /* an empty list has the type float64: numpy's default */
        bool read = H5Tget_class(type) == H5T_STRING &&
                    (H5Tis_variable_str(type) > 0 ? add_varying(file, list, attribute, (size_t)n)
                                                  : add_fixed(list, attribute, type, (size_t)n));
        if (!read) rt_h5_refuse(file, path, "has an attribute that is not a list of names");
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return true;
}

bool rt_h5_list(const RtH5 *file, hid_t object, const char *path, const char *name, RtH5Names *list)
{
    bool found = rt_h5_attribute(file, object, path, name, list), more = !found;
    for (int i = 0; more && i < MAX_NAMES; i++) {
        char *part = rt_format("%s%d", name, i);
        more = rt_h5_attribute(file, object, path, part, list);
        found |= more;
        free(part);
    }
    for (size_t i = 0; i < list->count; i++) check_name(file, path, list->names[i]);
    return found;
}

static int compare_names(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

RtH5Names rt_h5_members(const RtH5 *file, hid_t group, const char *path)
{
    RtH5Names list = {0};
    H5G_info_t info;
    if (H5Gget_info(group, &info) < 0 || info.nlinks > MAX_NAMES)
        rt_h5_refuse(file, path, "is damaged, or has too many members");
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[MAX_NAME];
        ssize_t length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name,
                                            sizeof name, H5P_DEFAULT);
        if (length <= 0 || length >= MAX_NAME)
            rt_h5_refuse(file, path, "has a member without a name");
        add_name(&list, name, (size_t)length);
    }
    if (list.count) qsort(list.names, list.count, sizeof *list.names, compare_names);
    return list;
}

/* ---- Data sets ------------------------------------------------------------------------------- */

/* Where the bytes are: here, and plainly. Before anything else is asked of the data set, for the
 * library opens the sources of a virtual one when asked for its shape. */
static void check_storage(const RtH5 *file, const char *path, hid_t properties)
{
    H5D_layout_t layout = H5Pget_layout(properties);
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        rt_h5_refuse(file, path, "is a virtual data set, which may read other files");
    if (H5Pget_external_count(properties) != 0)
        rt_h5_refuse(file, path, "is stored in other files");
    int filters = H5Pget_nfilters(properties);
    if (filters < 0 || filters > 8) rt_h5_refuse(file, path, "has too many filters");
    for (int i = 0; i < filters; i++) {
        unsigned flags, parameters[8];
        size_t count = 8;
        H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &count, parameters, 0, NULL, NULL);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE)
            rt_h5_refuse(file, path, "needs a filter other than deflate and shuffle");
    }
}

static void check_type(const RtH5 *file, const char *path, hid_t id)
{
    hid_t type = H5Dget_type(id);
    size_t size = H5Tget_size(type);
    if (H5Tget_class(type) != H5T_FLOAT || (size != 2 && size != 4 && size != 8))
        rt_h5_refuse(file, path, "does not hold floating-point numbers of 16, 32 or 64 bits");
    H5Tclose(type);
}

/* Product of n sizes and of `size`; refused when it passes the bound. */
static uint64_t checked_bytes(const RtH5 *file, const char *path, const hsize_t *dims, int n,
                              uint64_t size)
{
    for (int i = 0; i < n; i++)
        if (__builtin_mul_overflow(size, (uint64_t)dims[i], &size) || size > max_bytes)
            rt_h5_refuse(file, path, "declares more than 4 GiB");
    return size;
}

static void check_shape(const RtH5 *file, hid_t id, hid_t properties, RtH5Entry *entry)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t space = H5Dget_space(id), type = H5Dget_type(id);
    uint64_t size = H5Tget_size(type);
    entry->rank = H5Sget_simple_extent_ndims(space);
    if (entry->rank < 0 || entry->rank > RT_MAX_RANK ||
        H5Sget_simple_extent_type(space) == H5S_NULL)
        rt_h5_refuse(file, entry->path, "has too many dimensions, or no shape");
    H5Sget_simple_extent_dims(space, dims, NULL);
    uint64_t bytes = checked_bytes(file, entry->path, dims, entry->rank, size);
    if (bytes / MAX_INFLATION > H5Dget_storage_size(id) || (bytes && !H5Dget_storage_size(id)))
        rt_h5_refuse(file, entry->path, "declares far more data than the file holds");
    for (int i = 0; i < entry->rank; i++) entry->dims[i] = (int64_t)dims[i];
    if (H5Pget_layout(properties) == H5D_CHUNKED) {
        int rank = H5Pget_chunk(properties, RT_MAX_RANK, dims);
        uint64_t chunk = checked_bytes(file, entry->path, dims, rank, size);
        if (chunk > bytes && chunk > 1 << 20)
            rt_h5_refuse(file, entry->path, "has chunks larger than itself");
    }
    H5Tclose(type);
    H5Sclose(space);
}

void rt_h5_add(RtH5 *file, hid_t id, const char *layer, const char *path, int index)
{
    if (H5Iget_type(id) != H5I_DATASET) rt_h5_refuse(file, path, "is not a data set");
    if (file->count == MAX_SETS) rt_h5_refuse(file, path, "is one weight too many");
    DataSet set = {.id = id};
    set.entry.layer = layer ? rt_format("%s", layer) : NULL;
    set.entry.path = rt_format("%s", path);
    set.entry.name = strrchr(set.entry.path, '/') + 1;
    set.entry.index = index;
    hid_t properties = H5Dget_create_plist(id);
    if (properties < 0) rt_h5_refuse(file, path, "is damaged");
    check_storage(file, path, properties);
    check_type(file, path, id);
    check_shape(file, id, properties, &set.entry);
    H5Pclose(properties);
    file->sets = rt_grow(file->sets, file->count + 1, sizeof set);
    file->sets[file->count++] = set;
}

/* ---- The file -------------------------------------------------------------------------------- */

RtH5 *rt_h5_open(const char *path)
{
    size_t address, length;
    RtH5 *file = rt_alloc(1, sizeof *file);
    file->path = rt_format("%s", path);
    file->map = rt_map(path, SIZE_MAX, RT_BAD_WEIGHTS, &file->map_bytes);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    file->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file->file < 0)
        rt_die(RT_BAD_WEIGHTS, "fetch it again, and compare its size and md5",
               "%s: not a whole HDF5 file (%zu bytes)", path, file->map_bytes);
    hid_t creation = H5Fget_create_plist(file->file);
    if (H5Pget_sizes(creation, &address, &length) < 0 || address != 8 || length != 8)
        rt_h5_refuse(file, "/", "addresses in it are not of 64 bits");
    H5Pclose(creation);
    file->kind = rt_h5_list_weights(file);
    return file;
}

RtH5Kind rt_h5_kind(const RtH5 *file) { return file->kind; }

size_t rt_h5_count(const RtH5 *file) { return file->count; }

const RtH5Entry *rt_h5_entry(const RtH5 *file, size_t index) { return &file->sets[index].entry; }

void rt_h5_read(RtH5 *file, size_t index, real *values)
{
    hid_t memory = sizeof(real) == sizeof(double) ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
    if (H5Dread(file->sets[index].id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        rt_h5_refuse(file, file->sets[index].entry.path, "cannot be read: damaged");
}

const real *rt_h5_place(const RtH5 *file, size_t index)
{
    const DataSet *set = &file->sets[index];
    hid_t wanted = sizeof(real) == sizeof(double) ? H5T_IEEE_F64LE : H5T_IEEE_F32LE;
    hid_t properties = H5Dget_create_plist(set->id), type = H5Dget_type(set->id);
    bool plain = H5Pget_layout(properties) == H5D_CONTIGUOUS && H5Tequal(type, wanted) > 0;
    H5Pclose(properties);
    H5Tclose(type);
    uint64_t bytes = sizeof(real), at = plain ? H5Dget_offset(set->id) : HADDR_UNDEF;
    for (int i = 0; i < set->entry.rank; i++) bytes *= (uint64_t)set->entry.dims[i];
    bool inside = at != HADDR_UNDEF && at <= file->map_bytes && bytes <= file->map_bytes - at;
    if (!inside || at % sizeof(real) || H5Dget_storage_size(set->id) != bytes) return NULL;
    return (const real *)(file->map + at);
}

void rt_h5_keep_map(RtH5 *file) { file->keep_map = true; }

void rt_h5_close(RtH5 *file)
{
    for (size_t i = 0; i < file->count; i++) {
        H5Oclose(file->sets[i].id);
        free(file->sets[i].entry.layer);
        free(file->sets[i].entry.path);
    }
    free(file->sets);
    H5Fclose(file->file);
    if (!file->keep_map) rt_unmap(file->map, file->map_bytes);
    free(file->path);
    free(file);
}
