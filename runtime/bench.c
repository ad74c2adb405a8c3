/* bench.c: how fast this program is on this machine; on made-up pictures and random weights, unless
 * given others. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "arrays.h"
#include "commands.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "session.h"
#include "weights.h"

enum { REPEAT = 10, CALLS = 4096 };

typedef struct {
    RtSession *session;
    const RtPhase *phase; /* NULL: inference */
    int n;
    real *x, *y;
    double cpu; /* least seconds of CPU time of a run, of all threads together */
} Work;

/* ---- Data ------------------------------------------------------------------------------------ */

/* Inference takes a larger batch in several calls, on the same pictures again. */
static size_t rows_at_once(const Work *work)
{
    const int n = work->n, most = work->session->batch;
    return (size_t)(work->phase || n < most ? n : most);
}

/* Those of --input again and again. */
static void copy_pictures(const Work *work, size_t picture)
{
    RtArray given = rt_input_read(work->session->model, work->session->options->input);
    size_t there = (size_t)given.dims[0], taken = 0;
    if (!there) rt_die(RT_BAD_DATA, NULL, "%s: no pictures", work->session->options->input);
    for (size_t rows = rows_at_once(work); taken < rows; taken += (size_t)given.dims[0]) {
        given.dims[0] = (int64_t)(rows - taken < there ? rows - taken : there);
        rt_array_to_real(&given, work->x + taken * picture);
    }
    rt_array_free(&given);
}

static void fill_pictures(const Work *work)
{
    const RtModel *model = work->session->model;
    size_t picture = (size_t)model->height * (size_t)model->width * (size_t)model->channels;
    if (work->session->options->input) {
        copy_pictures(work, picture);
        return;
    }
    size_t count = rows_at_once(work) * picture;
    uint32_t words[4];
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0) rt_random4(&work->session->run, 0, i >> 32, (uint32_t)i, words);
        work->x[i] = 255 * rt_unit(words[i % 4]);
    }
}

static void fill_labels(const Work *work)
{
    const RtModel *model = work->session->model;
    int size = rt_label_size(model, work->phase->loss), units = model->output_size;
    for (int i = 0; i < work->n; i++) {
        real *y = work->y + (size_t)i * (size_t)size;
        for (int j = 0; j < size; j++) y[j] = j == i % units;
        if (size == 1) y[0] = (real)(i % (units > 1 ? units : 2));
    }
}

/* The room is that of the loader, two batches of the largest phase; the labels lie at its end. */
static void prepare(Work *work)
{
    const RtModel *model = work->session->model;
    RtRun *run = &work->session->run;
    work->x = (real *)work->session->room;
    fill_pictures(work);
    if (!work->phase) {
        rt_prepare_infer(work->session);
        return;
    }
    size_t labels = (size_t)work->n * (size_t)rt_label_size(model, work->phase->loss);
    size_t bytes = (labels * sizeof(real) + 63) / 64 * 64; /* as aligned as the loader's */
    work->y = (real *)(work->session->room + model->batch_bytes / 64 * 64 - bytes);
    fill_labels(work);
    run->step = 0;
    run->learning_rate = 0; /* the work is the same, and numbers stay numbers */
    if (work->phase->prepare_train) work->phase->prepare_train(run);
}

static void run_once(const Work *work)
{
    RtSession *session = work->session;
    if (!work->phase) {
        const int most = (int)rows_at_once(work);
        for (int left = work->n; left > 0; left -= most)
            rt_infer_batch(session, work->x, left < most ? left : most, session->out);
    } else {
        rt_train_batch(session, work->phase, work->x, work->y, work->n);
        session->run.step++;
    }
}

/* ---- Times ----------------------------------------------------------------------------------- */

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorted times of as many runs as asked for; the caller frees them. */
static double *measure(Work *work, int repeat)
{
    double *times = rt_alloc((size_t)repeat, sizeof *times);
    prepare(work);
    run_once(work); /* caches, and threads that sleep */
    work->cpu = INFINITY;
    for (int i = 0; i < repeat; i++) {
        double start = rt_seconds();
        clock_t cpu = clock();
        run_once(work);
        work->cpu = fmin(work->cpu, (double)(clock() - cpu) / CLOCKS_PER_SEC);
        times[i] = rt_seconds() - start;
    }
    qsort(times, (size_t)repeat, sizeof *times, compare_times);
    return times;
}

/* ---- Kernel by kernel ------------------------------------------------------------------------ */

static struct {
    const char *kernel;
    int tasks;
    double least;
} calls[CALLS];
static int call_count;

static void record_call(const RtCall *call, int tasks, double seconds)
{
    if (call_count == CALLS) return;
    int i = call_count++;
    const char *kernel = call->name ? call->name : "-";
    bool again = calls[i].kernel && strcmp(calls[i].kernel, kernel) == 0 && calls[i].tasks == tasks;
    calls[i].least = again ? fmin(calls[i].least, seconds) : seconds;
    calls[i].kernel = kernel;
    calls[i].tasks = tasks;
}

static void measure_calls(Work *work, int repeat)
{
    memset(calls, 0, sizeof calls);
    prepare(work);
    rt_profiler = record_call;
    for (int i = 0; i < repeat; i++) {
        call_count = 0;
        run_once(work);
    }
    rt_profiler = NULL;
}

/* ---- Results --------------------------------------------------------------------------------- */

static double peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024;
}

static void print_head(const RtSession *session)
{
    printf("%s on %s: %s, %d threads\n", session->model->name, rt_cpu_name(),
           rt_level_name(session->level), rt_pool_threads(session->run.pool));
    printf("%-20s %5s %10s %10s %10s %10s\n", "", "batch", "min ms", "median ms", "images/s",
           "GMAC/s");
}

static void print_row(const Work *work, const char *what, double macs, const double *times,
                      int repeat)
{
    double middle = (times[repeat / 2] + times[(repeat - 1) / 2]) / 2;
    printf("%-20s %5d %10.3f %10.3f %10.1f %10.1f\n", what, work->n, times[0] * 1e3, middle * 1e3,
           work->n / middle, macs / middle * 1e-9);
    if (!call_count) return;
    double total = 0;
    for (int i = 0; i < call_count; i++) total += calls[i].least;
    printf("  %4s %6s %10s %6s  %s\n", "call", "tasks", "min ms", "%", "kernel");
    for (int i = 0; i < call_count; i++)
        printf("  %4d %6d %10.3f %6.1f  %s\n", i + 1, calls[i].tasks, calls[i].least * 1e3,
               total > 0 ? 100 * calls[i].least / total : 0.0, calls[i].kernel);
}

/* One object a line for each measurement, with all that is known of it. */
static void print_json(const Work *work, const char *what, double macs, const double *times,
                       int repeat)
{
    const RtSession *session = work->session;
    printf("{\"model\": \"%s\", \"cpu\": ", session->model->name);
    rt_json_write_string(stdout, rt_cpu_name());
    printf(", \"level\": \"%s\", \"threads\": %d, \"what\": \"%s\", \"batch\": %d, \"macs\": %.0f",
           rt_level_name(session->level), rt_pool_threads(session->run.pool), what, work->n, macs);
    printf(", \"ms\": [");
    for (int i = 0; i < repeat; i++) printf("%s%.4f", i ? ", " : "", times[i] * 1e3);
    printf("], \"cpu_ms\": %.4f, \"calls\": [", work->cpu * 1e3);
    for (int i = 0; i < call_count; i++)
        printf("%s{\"kernel\": \"%s\", \"tasks\": %d, \"ms\": %.4f}", i ? ", " : "",
               calls[i].kernel, calls[i].tasks, calls[i].least * 1e3);
    printf("], \"peak_bytes\": %.0f, \"arena_bytes\": %zu}\n", peak_bytes(),
           session->model->arena_bytes);
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void measure_work(RtSession *session, const RtPhase *phase, int n)
{
    const RtOptions *options = session->options;
    Work work = {.session = session, .phase = phase, .n = n};
    int repeat = options->repeat ? options->repeat : REPEAT;
    double *times = measure(&work, repeat);
    if (options->layers) measure_calls(&work, repeat);
    double macs =
        phase ? (double)phase->step_macs / phase->batch : (double)session->model->infer_macs;
    char *what = phase ? rt_format("train %s", phase->name) : rt_format("infer");
    (options->json ? print_json : print_row)(&work, what, macs * n, times, repeat);
    fflush(stdout);
    free(what);
    free(times);
}

static RtSaved *open_bench(RtSession *session, uint64_t *samples, int count)
{
    const RtModel *model = session->model;
    for (int i = 0; i < count; i++) samples[i] = (uint64_t)i;
    session->run.sample = samples;
    if (session->options->weights) return rt_session_load(session);
    for (int i = 0; i < model->weight_count; i++)
        rt_initialize(&model->weights[i], session->run.seed, session->run.weights[i]);
    return NULL;
}

int rt_bench(RtSession *session)
{
    const RtModel *model = session->model;
    int most = session->batch;
    for (int i = 0; i < model->phase_count; i++)
        if (model->phases[i].batch > most) most = model->phases[i].batch;
    int batch = session->options->batch;
    const char *only = session->options->phase;
    uint64_t *samples = rt_alloc((size_t)most, sizeof *samples);
    RtSaved *saved = open_bench(session, samples, most);
    if (!session->options->json) print_head(session);
    for (int n = batch ? batch : 1; !only && n <= (batch ? batch : session->batch); n *= 2)
        measure_work(session, NULL, n);
    for (int i = 0; i < model->phase_count; i++) {
        const RtPhase *phase = &model->phases[i];
        if (only && strcmp(phase->name, only) != 0) continue;
        rt_clear_slots(session, phase);
        if (batch <= phase->batch) measure_work(session, phase, batch ? batch : phase->batch);
    }
    if (!session->options->json)
        printf("peak memory %.1f MiB, of it the arena %.1f MiB\n", peak_bytes() / 1048576,
               (double)model->arena_bytes / 1048576);
    if (saved) rt_saved_free(saved);
    free(samples);
    return RT_OK;
}
