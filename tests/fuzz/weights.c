/* libFuzzer entry: any bytes as a weight file, HDF5 or safetensors, for a whole model, for its base,
 * and read to the end whether it fits or not. Seeds: tests/unit/keras. Link with die.c and cmocka. */
#include <hdf5.h>
#include <sys/mman.h>

#include "die.h"

#include "../unit/small_model.h"

enum { MOST = 1 << 20 }; /* numbers read from one array */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static real values[MOST];
    static int runs;
    const char *path = scratch("weights");
    write_file(path, data, bytes);
    bool h5 = bytes >= 4 && memcmp(data, "\x89HDF", 4) == 0;
    for (volatile int way = 0; way < 4; way++) {
        if (setjmp(fuzz_exit) == 0) {
            if (way == 0)
                h5 ? read_h5(path, values) : read_tensors(path, values);
            else if (way < 3)
                rt_weights_read(&model, arena, path, way - 2);
            else
                rt_saved_free(rt_saved_load(&model, arena, path));
        }
        if (h5) H5close(); /* closes what a longjmp left open */
    }
    if (++runs % 1024 == 0) unmap_left(path);
    return 0;
}
