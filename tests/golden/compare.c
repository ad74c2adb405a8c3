/* compare.c: between a recording of Keras (tests/parity/record.py says what is in one) and a
 * generated program.
 *
 *   compare unpack RECORDING DIR   writes what the program reads: DIR/x.npy, data.npz (x and y, if
 *                                  there is something to train) and weights.safetensors
 *   compare check RECORDING DIR    holds DIR/output.npy, DIR/grad.npz and DIR/train.npz against the
 *                                  recording; prints the first difference and exits 1
 *   compare epochs RECORDING DIR   holds the losses of steps in DIR/PHASE.npz and the history in
 *                                  DIR/PHASE/history.csv against a recording of
 * tests/parity/epochs.py
 *
 * Tolerances: outputs, gradients and weights 1e-4 of the largest magnitude of their array, losses
 * 1e-5, or 1e-4 for the large models, whose kernels and pictures come from seeds, and for all that
 * epochs show. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "ground.h"

static const int64_t LIMIT = (int64_t)1 << 31;
static const double TOLERANCE = 1e-4, LOSS_TOLERANCE = 1e-5, LARGE_LOSS_TOLERANCE = 1e-4,
                    EPOCH_TOLERANCE = 1e-4;
enum { FIRST_SEED = 1, SEEDS = 8, PURPOSE_PIXELS = 0xDA7A, WHOLE = 8192, SAMPLES = 1024 };

static const char *recording, *folder;

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static RtArray read_member(const char *name)
{
    return rt_npy_read(recording, name, LIMIT, RT_BAD_DATA);
}

/* ---- unpack ---------------------------------------------------------------------------------- */

/* Noise in whole numbers 0..255, as seeded.py makes it, of the shape that the recording names. */
static RtArray make_pictures(void)
{
    RtArray shape = read_member("pictures");
    RtArray x = {.type = RT_F32, .rank = 4};
    memcpy(x.dims, shape.data, 4 * sizeof *x.dims);
    rt_array_free(&shape);
    int64_t count = rt_array_count(&x);
    float *values = x.data = rt_alloc((size_t)count, sizeof(float));
    RtRun run = {.seed = FIRST_SEED};
    uint32_t words[4];
    for (int64_t i = 0; i < count; i++) {
        if (i % 4 == 0) rt_random4(&run, PURPOSE_PIXELS, 0, (uint32_t)(i / 4), words);
        values[i] = (float)(words[i % 4] >> 24);
    }
    return x;
}

static void unpack_data(void)
{
    bool seeded = rt_npz_has(recording, "pictures");
    RtArray pair[2] = {seeded ? make_pictures() : read_member("x")};
    pair[0].name = "x";
    rt_npy_write(rt_format("%s/x.npy", folder), &pair[0]);
    if (!rt_npz_has(recording, "y")) return;
    pair[1] = read_member("y");
    pair[1].name = "y";
    rt_npz_write(rt_format("%s/data.npz", folder), pair, 2);
}

/* Overwrites the channels (the last dimension) whose seed is not the first one. */
static void choose_channels(const RtWeight *weight, float *values, int64_t count)
{
    char *member = rt_format("seeds/%s", weight->name);
    if (!rt_npz_has(recording, member)) return;
    RtArray array = read_member(member);
    const int64_t channels = array.dims[0], *seeds = array.data;
    float *other = rt_alloc((size_t)count, sizeof *other);
    for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
        rt_initialize(weight, seed, other);
        for (int64_t i = 0; i < count; i++)
            if ((uint64_t)seeds[i % channels] == seed) values[i] = other[i];
    }
    free(other), free(member);
    rt_array_free(&array);
}

/* The initial kernel, of the shape that the recording names. */
static RtArray make_kernel(const char *member, const char *name)
{
    RtArray shape = read_member(member), array = {.type = RT_F32, .rank = (int)shape.dims[0]};
    memcpy(array.dims, shape.data, (size_t)array.rank * sizeof *array.dims);
    rt_array_free(&shape);
    int64_t count = rt_array_count(&array);
    int in = (int)array.dims[array.rank - 2], out = (int)array.dims[array.rank - 1];
    int receptive = (int)(count / in / out);
    RtWeight weight = {.name = name,
                       .rank = array.rank,
                       .init = RT_INIT_GLOROT_UNIFORM,
                       .fan_in = receptive * in,
                       .fan_out = receptive * out};
    for (int i = 0; i < array.rank; i++) weight.dims[i] = (int)array.dims[i];
    float *values = array.data = rt_alloc((size_t)count, sizeof *values);
    rt_initialize(&weight, FIRST_SEED, values);
    choose_channels(&weight, values, count);
    return array;
}

static void unpack(void)
{
    unpack_data();
    char **names = rt_npz_names(recording);
    RtArray *weights = NULL;
    size_t count = 0;
    for (char **name = names; *name; name++) {
        bool seeded = starts_with(*name, "shape/");
        if (!seeded && !starts_with(*name, "initial/")) continue;
        char *weight = strchr(*name, '/') + 1;
        weights = rt_grow(weights, count + 1, sizeof *weights);
        weights[count] = seeded ? make_kernel(*name, weight) : read_member(*name);
        weights[count++].name = weight;
    }
    if (!count) return;
    rt_tensors_write(rt_format("%s/weights.safetensors", folder), weights, count, NULL, 0);
}

/* ---- check ----------------------------------------------------------------------------------- */

typedef struct {
    int64_t count;
    double *values;
} Numbers;

static Numbers read_numbers(const char *path, const char *member)
{
    RtArray array = rt_npy_read(path, member, LIMIT, RT_BAD_DATA);
    Numbers numbers = {.count = rt_array_count(&array)};
    real *values = rt_alloc((size_t)numbers.count + 1, sizeof *values);
    numbers.values = rt_alloc((size_t)numbers.count + 1, sizeof *numbers.values);
    rt_array_to_real(&array, values);
    for (int64_t i = 0; i < numbers.count; i++) numbers.values[i] = values[i];
    if (array.type == RT_F64) memcpy(numbers.values, array.data, 8 * (size_t)numbers.count);
    free(values);
    rt_array_free(&array);
    return numbers;
}

static _Noreturn void differ(const char *name, double off, double allowed, int64_t at)
{
    printf("%s differs from Keras by %.2e at %lld, allowed %.0e\n", name, off, (long long)at,
           allowed);
    exit(RT_FAILED);
}

/* Each number within `allowed` times `scale`; NaN anywhere is a difference. */
static void check_each(const char *name, Numbers ours, int64_t step, Numbers theirs, double scale,
                       double allowed)
{
    for (int64_t i = 0; i < theirs.count; i++) {
        double off = fabs(ours.values[i * step] - theirs.values[i]);
        if (!(off <= allowed * scale)) differ(name, off / scale, allowed, i * step);
    }
}

static double largest(Numbers numbers)
{
    double most = 1e-30; /* an array of zeros must be met exactly, or nearly */
    for (int64_t i = 0; i < numbers.count; i++) most = fmax(most, fabs(numbers.values[i]));
    return most;
}

/* Largest magnitude, and the sums of values, magnitudes and squares: each within tolerance. */
static void check_totals(const char *name, Numbers ours, Numbers totals)
{
    double sums[4] = {largest(ours)}, *theirs = totals.values;
    for (int64_t i = 0; i < ours.count; i++) {
        double value = ours.values[i];
        sums[1] += value, sums[2] += fabs(value), sums[3] += value * value;
    }
    double scales[4] = {theirs[0], theirs[2], theirs[2], 2 * theirs[3]};
    for (int i = 0; i < 4; i++) {
        double off = fabs(sums[i] - theirs[i]) / scales[i];
        if (!(off <= TOLERANCE)) differ(rt_format("%s (totals)", name), off, TOLERANCE, i);
    }
}

/* Holds one array against member `name`, which may have been recorded in part. */
static void check_array(const char *name, Numbers ours)
{
    Numbers theirs = read_numbers(recording, name);
    char *total = rt_format("total/%s", name);
    int64_t step = ours.count > WHOLE ? ours.count / SAMPLES | 1 : 1;
    if (theirs.count != (ours.count + step - 1) / step) {
        printf("%s has %lld numbers, not those recorded\n", name, (long long)ours.count);
        exit(RT_FAILED);
    }
    if (step == 1) {
        check_each(name, ours, 1, theirs, largest(theirs), TOLERANCE);
    } else {
        Numbers totals = read_numbers(recording, total);
        check_each(name, ours, step, theirs, totals.values[0], TOLERANCE);
        check_totals(name, ours, totals);
        free(totals.values);
    }
    free(theirs.values), free(ours.values), free(total);
}

/* After one step of SGD with learning rate 1 and momentum, the slot is the negative gradient. */
static void check_gradient(const char *name)
{
    char *path = rt_format("%s/grad.npz", folder);
    char *slot = rt_format("optimizer/%s/momentum", name + strlen("gradient/"));
    if (!rt_npz_has(path, slot)) {
        printf("%s is missing: the weight is not trained\n", name);
        exit(RT_FAILED);
    }
    Numbers ours = read_numbers(path, slot);
    for (int64_t i = 0; i < ours.count; i++) ours.values[i] = -ours.values[i];
    check_array(name, ours);
    free(slot), free(path);
}

/* No other weight than those recorded may be trained. */
static void check_frozen(void)
{
    for (char **name = rt_npz_names(rt_format("%s/grad.npz", folder)); *name; name++) {
        if (!starts_with(*name, "optimizer/")) continue;
        char *weight = rt_format("%s", *name + strlen("optimizer/"));
        *strrchr(weight, '/') = '\0';
        if (rt_npz_has(recording, rt_format("gradient/%s", weight))) continue;
        printf("%s is trained, but frozen in Keras\n", weight);
        exit(RT_FAILED);
    }
}

static void check_losses(const char *path)
{
    double allowed = rt_npz_has(recording, "pictures") ? LARGE_LOSS_TOLERANCE : LOSS_TOLERANCE;
    Numbers ours = read_numbers(path, "loss"), theirs = read_numbers(recording, "loss");
    if (ours.count != theirs.count) {
        printf("%lld losses, not %lld\n", (long long)ours.count, (long long)theirs.count);
        exit(RT_FAILED);
    }
    for (int64_t i = 0; i < theirs.count; i++) {
        double off = fabs(ours.values[i] / theirs.values[i] - 1);
        if (!(off <= allowed)) differ("loss", off, allowed, i);
    }
}

static void check(void)
{
    char *train = rt_format("%s/train.npz", folder);
    check_array("output", read_numbers(rt_format("%s/output.npy", folder), NULL));
    char **names = rt_npz_names(recording);
    for (char **name = names; *name; name++) {
        if (starts_with(*name, "gradient/")) check_gradient(*name);
    }
    if (!rt_npz_has(recording, "loss")) return;
    check_frozen();
    check_losses(train);
    for (char **name = names; *name; name++) {
        if (!starts_with(*name, "final/")) continue;
        check_array(*name, read_numbers(train, *name + strlen("final/")));
    }
}

/* ---- epochs ---------------------------------------------------------------------------------- */

/* The number in a column of a row, counted from 0 behind the header; NaN if there is none. */
static double read_history(const char *path, const char *column, int64_t row)
{
    static char header[4096], line[4096];
    FILE *file = fopen(path, "r");
    double value = NAN;
    bool read = file && fgets(header, sizeof header, file);
    for (int64_t i = 0; i <= row && read; i++) read = fgets(line, sizeof line, file);
    char *names = header, *cells = line, *name, *cell;
    while (read && (name = strsep(&names, ",\r\n")) && (cell = strsep(&cells, ",\r\n")))
        if (!strcmp(name, column)) value = strtod(cell, NULL);
    if (file) fclose(file);
    return value;
}

static void check_numbers(const char *name, const double *ours, Numbers theirs)
{
    for (int64_t i = 0; i < theirs.count; i++) {
        double off = fabs(ours[i] - theirs.values[i]) / fmax(1, fabs(theirs.values[i]));
        if (!(off <= EPOCH_TOLERANCE)) differ(name, off, EPOCH_TOLERANCE, i);
    }
}

/* name: "epochs/PHASE/COLUMN" */
static void check_history(const char *name)
{
    Numbers theirs = read_numbers(recording, name);
    char *phase = rt_format("%s", name + strlen("epochs/")), *column = strchr(phase, '/');
    double ours[16] = {0};
    *column++ = '\0';
    char *path = rt_format("%s/%s/history.csv", folder, phase);
    for (int64_t i = 0; i < theirs.count; i++) ours[i] = read_history(path, column, i);
    check_numbers(name, ours, theirs);
    free(theirs.values), free(path), free(phase);
}

/* name: "steps/PHASE" */
static void check_steps(const char *name)
{
    char *path = rt_format("%s/%s.npz", folder, name + strlen("steps/"));
    Numbers ours = read_numbers(path, "loss"), theirs = read_numbers(recording, name);
    if (ours.count != theirs.count) differ(name, INFINITY, EPOCH_TOLERANCE, ours.count);
    check_numbers(name, ours.values, theirs);
    free(ours.values), free(theirs.values), free(path);
}

static void check_epochs(void)
{
    for (char **name = rt_npz_names(recording); *name; name++) {
        if (starts_with(*name, "epochs/")) check_history(*name);
        if (starts_with(*name, "steps/")) check_steps(*name);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"unpack", unpack}, {"check", check}, {"epochs", check_epochs}};
    rt_program = "compare";
    if (argc != 4) rt_die(RT_USAGE, NULL, "usage: compare unpack|check|epochs RECORDING DIR");
    recording = argv[2], folder = argv[3];
    for (int i = 0; i < 3; i++)
        if (!strcmp(argv[1], modes[i].name)) modes[i].run();
    return RT_OK;
}
