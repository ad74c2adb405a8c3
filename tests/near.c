/* near.c: whether two .npz files hold the same arrays: near A.npz B.npz TOLERANCE NAME…
 *
 * Prints the first difference beyond TOLERANCE of the largest magnitude of an array and exits 1.
 * With names only those members are looked at, and members whose name begins with one of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "ground.h"

static bool is_wanted(const char *name, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0) return true;
    return count == 0;
}

static real *read_member(const char *path, const char *name, int64_t *count)
{
    RtArray array = rt_npy_read(path, name, (int64_t)1 << 31, RT_BAD_DATA);
    real *values = rt_alloc((size_t)rt_array_count(&array) + 1, sizeof *values);
    *count = rt_array_count(&array);
    rt_array_to_real(&array, values);
    rt_array_free(&array);
    return values;
}

static bool is_near(char **paths, const char *name, double tolerance)
{
    int64_t counts[2];
    const real *a = read_member(paths[0], name, &counts[0]);
    const real *b = read_member(paths[1], name, &counts[1]);
    double largest = 0, off = 0;
    for (int64_t i = 0; i < counts[0] && counts[0] == counts[1]; i++) {
        largest = fmax(largest, fabs((double)b[i]));
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
    }
    if (counts[0] == counts[1] && off <= tolerance * largest) return true;
    printf("%s: %lld and %lld numbers, off by %g of %g\n", name, (long long)counts[0],
           (long long)counts[1], off, largest);
    return false;
}

int main(int argc, char **argv)
{
    int compared = 0;
    rt_program = "near";
    if (argc < 4) rt_die(RT_USAGE, NULL, "usage: near A.npz B.npz TOLERANCE [NAME…]");
    for (char **name = rt_npz_names(argv[1]); *name; name++) {
        if (!is_wanted(*name, argv + 4, argc - 4)) continue;
        if (!is_near(argv + 1, *name, strtod(argv[3], NULL))) return RT_FAILED;
        compared++;
    }
    return compared ? RT_OK : RT_FAILED;
}
