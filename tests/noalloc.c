/* noalloc.c: proves that a generated program allocates nothing in its training steps, nor between
 * the steps of an epoch. Links with the program instead of its main function:
 *
 *   cc -DNO_MAIN -DMODEL=pets_model pets.c tests/noalloc.c ... -o pets-noalloc
 *   ./pets-noalloc train --data d.npz ...
 *
 * and without arguments trains two epochs on arrays that it makes up (decoding pictures, beside the
 * steps, does allocate: libjpeg and libpng have it so). Every way to allocate of this program and
 * of the libraries it loads leads through the functions below. Exit 1 on a failure. */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"

#ifndef MODEL_IS_HERE
extern const RtModel MODEL;
#endif

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#elif defined __SANITIZE_ADDRESS__
#define HAS_SANITIZER 1
#endif

static atomic_long allocations;

#ifndef HAS_SANITIZER
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}
#endif

/* ---- The watched steps ------------------------------------------------------------------------
 */

enum { PHASES = 8 };

static RtTrain *steps[PHASES];
static long steps_done, pairs_done, after_step, failures;
static uint32_t epoch;

/* The first step of a run is watched too; the time between two steps, only within an epoch: saving
 * and validation lie between epochs. */
static double watch_step(int phase, const RtRun *run, const real *x, const real *y, int n,
                         real *out)
{
    long before = atomic_load(&allocations);
    bool same_epoch = steps_done > 0 && run->step > 0 && run->epoch == epoch;
    pairs_done += same_epoch;
    if (same_epoch && before != after_step) {
        fprintf(stderr, "%ld allocations before step %llu\n", before - after_step,
                (unsigned long long)run->step + 1);
        failures++;
    }
    before = atomic_load(&allocations);
    double loss = steps[phase](run, x, y, n, out);
    after_step = atomic_load(&allocations);
    if (after_step != before) {
        fprintf(stderr, "%ld allocations in step %llu\n", after_step - before,
                (unsigned long long)run->step + 1);
        failures++;
    }
    epoch = run->epoch;
    steps_done++;
    return loss;
}

#define WATCH(phase)                                                                               \
    static double watch_##phase(const RtRun *run, const real *x, const real *y, int n, real *out)  \
    {                                                                                              \
        return watch_step(phase, run, x, y, n, out);                                               \
    }
WATCH(0)
WATCH(1)
WATCH(2)
WATCH(3) WATCH(4) WATCH(5) WATCH(6) WATCH(7) static RtTrain *const watchers[PHASES] = {
    watch_0, watch_1, watch_2, watch_3, watch_4, watch_5, watch_6, watch_7};

/* With the callback that does something in each step. */
static RtModel watch_model(const RtModel *model, RtPhase phases[PHASES])
{
    static const RtCallback callback = {.kind = RT_TERMINATE_ON_NAN};
    RtModel watched = *model;
    watched.phases = phases;
    if (watched.phase_count > PHASES) watched.phase_count = PHASES;
    for (int i = 0; i < watched.phase_count; i++) {
        phases[i] = model->phases[i];
        steps[i] = phases[i].train;
        phases[i].train = watchers[i];
        phases[i].callbacks = &callback;
        phases[i].callback_count = 1;
    }
    return watched;
}

/* ---- Data -------------------------------------------------------------------------------------
 */

/* Three and a half batches of noise, with labels that the loss takes. */
static void make_data(const RtModel *model, const char *path)
{
    const RtPhase *phase = &model->phases[0];
    int64_t rows = phase->batch * 7 / 2 + 1, labels = rt_label_size(model, phase->loss);
    RtArray arrays[] = {
        {.name = "x", .rank = 4, .dims = {rows, model->height, model->width, model->channels}},
        {.name = "y", .rank = 2, .dims = {rows, labels}},
    };
    float *x = arrays[0].data = rt_alloc((size_t)rt_array_count(&arrays[0]), sizeof *x);
    float *y = arrays[1].data = rt_alloc((size_t)rt_array_count(&arrays[1]), sizeof *y);
    for (int64_t i = 0; i < rt_array_count(&arrays[0]); i++) x[i] = (float)(i * 7919 % 256);
    for (int64_t i = 0; i < rows; i++) {
        int64_t class = i % (model->output_size > 1 ? model->output_size : 2);
        if (labels == 1)
            y[i] = (float)class;
        else
            y[i * labels + class] = 1;
    }
    rt_npz_write(path, arrays, 2);
    free(x);
    free(y);
}

static int report(int code)
{
    if (code == 0 && failures == 0 && pairs_done > 0) {
        printf("ok no allocation in %ld training steps\n", steps_done);
        return 0;
    }
    fprintf(stderr, "%ld steps, %ld with allocations, exit %d\n", steps_done, failures, code);
    return 1;
}

int main(int argc, char **argv)
{
#ifdef HAS_SANITIZER
    printf("skip no allocation in training steps: the address sanitizer has an allocator of its own\n");
    return 0;
#endif
    RtPhase phases[PHASES];
    RtModel model = watch_model(&MODEL, phases);
    if (argc > 1) return report(rt_main(&model, argc, argv));
    const char *parent = getenv("TMPDIR");
    char *folder = rt_format("%s/noalloc-XXXXXX", parent ? parent : P_tmpdir);
    if (!mkdtemp(folder)) return 1;
    char *data = rt_format("%s/data.npz", folder), *trace = rt_format("%s/trace.npz", folder);
    make_data(&MODEL, data);
    char *own[] = {argv[0], "train", "--data", data, "--epochs", "2", "--trace", trace, NULL};
    int code = rt_main(&model, 8, own);
    unlink(data);
    unlink(trace);
    rmdir(folder);
    free(data);
    free(trace);
    free(folder);
    return report(code);
}
