/* libFuzzer entry: weight files, for a whole model, for its base, and read to the end whether they
 * fit or not. An input that begins with 'S' is a safetensors file; any other is a recipe from which
 * an HDF5 file is made: groups, lists, data sets and links of every kind, at places where the
 * reader looks. (Damage to HDF5's own structures would only find again what is known of that
 * library.) What the reader takes from the file itself, the heap of strings, is damaged too. Link
 * with die.c and cmocka. Seeds: tests/fuzz/weights. */
#define _GNU_SOURCE /* memmem */
#include <hdf5.h>
#include <sys/mman.h>

#include "die.h"

#include "../unit/small_model.h"
#include "files.h"
#include "ground.h"

enum { MOST = 1 << 20 }; /* numbers read from one array */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- A recipe for an HDF5 file
 * ------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at, *end;
} Input;

static int next(Input *input) { return input->at < input->end ? *input->at++ : 0; }

static const char *next_word(Input *input)
{
    static const char *const words[32] = {
        "layers",
        "vars",
        "0",
        "1",
        "vgg16",
        "block1_conv1",
        "fc",
        "layer_names",
        "dense",
        "weight_names",
        "functional",
        "conv2d",
        "conv2d_1",
        "dense_1",
        "block1_conv2",
        "out",
        "kernel",
        "kernel:0",
        "bias:0",
        "model_weights",
        "name",
        "x_W_1:0",
        "x_b_1:0",
        ".",
        "block1_conv1/kernel:0",
        "block1_conv1/bias:0",
        "layer_names0",
        "weight_names1",
        "_layer_checkpoint_dependencies",
        "2",
        "block2_conv1",
        "",
    };
    return words[next(input) % 32];
}

static const char *next_path(Input *input, char path[400])
{
    int parts = next(input) % 6;
    path[0] = '/', path[1] = '\0';
    for (int i = 0; i < parts; i++)
        sprintf(path + strlen(path), "%s%s", i ? "/" : "", next_word(input));
    return path;
}

static void add_list(Input *input, hid_t file)
{
    char path[400];
    const char *words[64], *name;
    hid_t group = H5Oopen(file, next_path(input, path), H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
    hsize_t n = (hsize_t)next(input) % 64;
    size_t length = (size_t)next(input) % 32; /* 0: strings of varying length */
    static char fixed[64 * 32];
    name = next_word(input);
    memset(fixed, 0, sizeof fixed);
    for (hsize_t i = 0; i < n; i++) {
        words[i] = next_word(input);
        if (length) strncpy(fixed + i * length, words[i], length);
    }
    hid_t space = n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, NULL);
    H5Tset_size(type, length ? length : H5T_VARIABLE);
    hid_t attribute = H5Acreate2(group, name, n ? type : H5T_IEEE_F64LE, space, 0, 0);
    if (n) H5Awrite(attribute, type, length ? (const void *)fixed : words);
}

static hid_t next_storage(Input *input, int rank)
{
    hsize_t chunks[16];
    int kinds = next(input);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    for (int i = 0; i < rank; i++) chunks[i] = (hsize_t)1 << (next(input) % 12);
    if (kinds & 1) H5Pset_chunk(properties, rank, chunks);
    if (kinds & 2) H5Pset_deflate(properties, 1);
    if (kinds & 4) H5Pset_shuffle(properties);
    if ((kinds & 24) == 24) H5Pset_fletcher32(properties);
    if ((kinds & 96) == 96) H5Pset_external(properties, "/dev/null", 0, H5F_UNLIMITED);
    return properties;
}

static void add_set(Input *input, hid_t file)
{
    static real values[4096];
    char path[400];
    const hid_t types[] = {H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_I32LE, H5T_IEEE_F32LE,
                           H5Tvlen_create(H5T_IEEE_F32LE)};
    hsize_t dims[16];
    next_path(input, path);
    int rank = next(input) % 11, shape = next(input);
    for (int i = 0; i < rank; i++) {
        int size = next(input);
        dims[i] = size < 192 ? (hsize_t)size % 8 : (hsize_t)1 << (size % 63);
    }
    if (shape < 128) { /* those of the model, so that some files fit */
        const RtWeight *weight = &weights[shape % WEIGHTS];
        rank = weight->rank;
        for (int i = 0; i < rank; i++) dims[i] = (hsize_t)weight->dims[i];
    }
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(rank, dims, NULL);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(file, path, types[next(input) % 5], space, links,
                           next_storage(input, rank), H5P_DEFAULT);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    if (count >= 0 && count <= 4096 && H5Tget_class(H5Dget_type(set)) != H5T_VLEN)
        H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
}

static void add_link(Input *input, hid_t file)
{
    char from[400], to[400];
    next_path(input, from);
    next_path(input, to);
    switch (next(input) % 4) {
    case 0:
        H5Lcreate_soft(to, file, from, H5P_DEFAULT, H5P_DEFAULT);
        break;
    case 1:
        H5Lcreate_external("elsewhere", to, file, from, H5P_DEFAULT, H5P_DEFAULT);
        break;
    default:
        H5Lcreate_hard(file, to, file, from, H5P_DEFAULT, H5P_DEFAULT);
        break;
    }
}

static void add_group(Input *input, hid_t file)
{
    char path[400];
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Gcreate2(file, next_path(input, path), links, H5P_DEFAULT, H5P_DEFAULT);
}

/* Overwrites up to eight bytes of the first heap of strings. */
static void damage_heap(Input *input, const char *path)
{
    size_t bytes;
    const unsigned char *data = rt_map(path, SIZE_MAX, RT_FAILED, &bytes);
    const unsigned char *heap = memmem(data, bytes, "GCOL", 4);
    long at = heap ? (long)(heap - data) : 0;
    rt_unmap(data, bytes);
    FILE *file = heap ? fopen(path, "r+b") : NULL;
    for (int i = next(input) % 9; file && i; i--) {
        fseek(file, at + next(input), SEEK_SET);
        fputc(next(input), file);
    }
    if (file) fclose(file);
}

static void make_h5(Input *input, const char *path)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < 64 && input->at < input->end; i++) {
        void (*const steps[])(Input *, hid_t) = {add_list, add_set, add_group, add_set, add_link};
        steps[next(input) % 5](input, file);
    }
    H5close(); /* all that is open, the file too */
}

/* ---- Reading it
 * ------------------------------------------------------------------------------------ */

static bool is_small(const int64_t *dims, int rank)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(count, dims[i], &count)) return false;
    return count <= MOST;
}

static void read_h5(const char *path, real *values)
{
    RtH5 *file = rt_h5_open(path);
    for (size_t i = 0; i < rt_h5_count(file); i++) {
        const RtH5Entry *entry = rt_h5_entry(file, i);
        if (is_small(entry->dims, entry->rank)) rt_h5_read(file, i, values);
    }
    rt_h5_close(file);
}

static void read_tensors(const char *path, real *values)
{
    RtTensors *file = rt_tensors_open(path);
    for (size_t i = 0; i < rt_tensors_count(file); i++) {
        int64_t dims[RT_MAX_RANK];
        int rank = rt_tensors_shape(file, i, dims);
        if (is_small(dims, rank)) rt_tensors_read(file, i, values);
    }
    rt_tensors_close(file);
}

/* Takes back the maps of the file that a longjmp left: there is a limit on their number. */
static void unmap_left(const char *path)
{
    char line[1024];
    unsigned long begin, end;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, path) && sscanf(line, "%lx-%lx", &begin, &end) == 2)
            munmap((void *)begin, end - begin);
    if (maps) fclose(maps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static real values[MOST];
    static int runs;
    const char *path = scratch("weights");
    bool h5 = bytes && data[0] != 'S';
    Input input = {data, data + bytes};
    if (h5) {
        make_h5(&input, path);
        if (data[0] & 1) damage_heap(&(Input){data + 1, data + bytes}, path);
    } else {
        write_file(path, data + (bytes > 0), bytes - (bytes > 0));
    }
    for (volatile int way = 0; way < 4; way++) {
        if (setjmp(fuzz_exit) != 0) {
            if (h5) H5close(); /* closes what the jump left open */
        } else if (way == 0) {
            h5 ? read_h5(path, values) : read_tensors(path, values);
        } else if (way < 3) {
            rt_weights_read(&model, new_run(), path, way - 2);
        } else if (!h5) {
            rt_saved_free(rt_saved_load(&model, new_run(), path));
        }
    }
    if (++runs % 1024 == 0) unmap_left(path);
    return 0;
}
