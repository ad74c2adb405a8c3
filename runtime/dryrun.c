/* dryrun.c: train --dry-run: what a training would take of memory, disk and time, found out by
 * taking its memory and doing a few of its steps, on its own data and weights. Nothing is written.
 *
 * Memory that does not suffice has ended the program before (rt_arena_open). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "cache.h"
#include "commands.h"
#include "data.h"
#include "ground.h"
#include "session.h"
#include "tryout.h"
#include "weights.h"

enum { MEASURED = 3 /* steps, after one that pays for cold caches */, KEPT = 2 };

static const double LEAST_SECONDS = 0.5; /* of measuring: short steps vary */

/* ---- Time ------------------------------------------------------------------------------------ */

typedef struct {
    double steps, validation; /* seconds of an epoch */
} EpochTime;

static bool run_next(RtTryout *tryout, size_t *pictures)
{
    RtBatch batch = rt_loader_next(tryout->loader);
    if (batch.n == 0) return false;
    double loss = rt_tryout_step(tryout, &batch);
    if (!isfinite(loss))
        rt_warn("phase %s, step %llu: the loss is %g; training would end there",
                tryout->phase->name, (unsigned long long)tryout->session->run.step, loss);
    *pictures += (size_t)batch.n;
    return true;
}

/* Seconds of an epoch that has hardly more steps than are measured: all of it, the second time. */
static double time_whole_epoch(RtTryout *tryout)
{
    size_t pictures = 0;
    double start = 0;
    for (int i = 0; i < 2; i++) {
        start = rt_seconds();
        rt_tryout_start(tryout);
        while (run_next(tryout, &pictures) && !rt_signal()) continue;
    }
    return rt_seconds() - start;
}

static size_t epoch_pictures(const RtTryout *tryout, const RtPhase *phase)
{
    return rt_epoch_pictures(tryout->session->model, phase, tryout->data);
}

/* Pictures are decoded for the next step while one is computed, as in training; before the first
 * there is nothing to compute. */
static double time_steps(RtTryout *tryout)
{
    size_t count = epoch_pictures(tryout, tryout->phase);
    size_t batch = (size_t)tryout->phase->batch, pictures = 0;
    if (count <= (MEASURED + 1) * batch) return time_whole_epoch(tryout);
    double begun = rt_seconds();
    rt_tryout_start(tryout);
    RtBatch first = rt_loader_next(tryout->loader);
    double beginning = rt_seconds() - begun;
    rt_tryout_step(tryout, &first);
    double start = rt_seconds();
    for (int steps = 0; steps < MEASURED || rt_seconds() - start < LEAST_SECONDS; steps++)
        if (rt_signal() || !run_next(tryout, &pictures)) break;
    double seconds = rt_seconds() - start;
    return beginning + (pictures ? seconds / (double)pictures * (double)count : 0);
}

/* Evaluates all of the data or, if `few`, enough of them after a first batch; the seconds that
 * *pictures took. */
static double evaluate_some(RtSession *session, const RtPhase *phase, RtLoader *loader, bool few,
                            size_t *pictures)
{
    double start = rt_seconds();
    *pictures = 0;
    if (phase->prepare_evaluate) phase->prepare_evaluate(&session->run);
    rt_loader_start(loader, NULL, 0);
    for (int steps = 0; !rt_signal(); steps++) {
        RtBatch batch = rt_loader_next(loader);
        if (batch.n == 0) break;
        session->run.sample = batch.sample;
        rt_evaluate_batch(session, phase, &batch);
        if (few && steps == 0) {
            start = rt_seconds();
            continue;
        }
        *pictures += (size_t)batch.n;
        if (few && steps >= MEASURED && rt_seconds() - start > LEAST_SECONDS) break;
    }
    return rt_seconds() - start;
}

static double time_validation(const RtTryout *tryout)
{
    RtSession *session = tryout->session;
    const RtPhase *phase = tryout->phase;
    RtData *data = tryout->validation;
    size_t pictures;
    if (!data) return 0;
    bool few = data->count > (MEASURED + 1) * (size_t)session->batch;
    RtLoader *loader =
        rt_loader_open(session->model, data, session->batch, phase->loss, session->room,
                       session->model->batch_bytes, session->options->strict);
    if (!few) evaluate_some(session, phase, loader, false, &pictures);
    double seconds = evaluate_some(session, phase, loader, few, &pictures);
    rt_loader_close(loader);
    return pictures ? seconds / (double)pictures * (double)data->count : 0;
}

static EpochTime time_phase(RtTryout *tryout, const RtPhase *phase)
{
    EpochTime time;
    rt_tryout_begin(tryout, phase);
    time.steps = time_steps(tryout);
    rt_tryout_end(tryout);
    time.validation = time_validation(tryout);
    return time;
}

static void print_duration(double seconds)
{
    char text[40];
    long whole = lround(seconds);
    if (seconds < 100)
        snprintf(text, sizeof text, "%.2f s", seconds);
    else
        snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole % 3600 / 60, whole % 60);
    printf(" %12s", text);
}

static double print_phase(const RtTryout *tryout, const RtPhase *phase, const EpochTime *time)
{
    int asked = tryout->session->options->epochs, epochs = asked ? asked : phase->epochs;
    size_t count = epoch_pictures(tryout, phase), batch = (size_t)phase->batch;
    size_t steps = (count + batch - 1) / batch;
    double total = epochs * (time->steps + time->validation);
    printf("%-16s %7zu %9.1f %9.1f", phase->name, steps, time->steps / (double)steps * 1e3,
           (double)count / time->steps);
    print_duration(time->validation);
    print_duration(time->steps + time->validation);
    printf(" %7d", epochs);
    print_duration(total);
    printf("\n");
    fflush(stdout);
    return total;
}

/* What is measured computes all of each picture; kept features leave the upper part. */
static void print_cache(const RtTryout *tryout, const RtPhase *phase)
{
    const RtCut *cut = phase->train_cut;
    if (!cut || (cut->random && !phase->variants)) return;
    double below = (double)cut->macs * phase->batch;
    printf("phase %s: where features below %s are kept (--cache), later epochs take %.1f %% of the "
           "multiply-adds\n  and the features %.1f MiB of memory or disk\n",
           phase->name, cut->layer, 100 * fmax(1 - below / (double)phase->step_macs, 0),
           (double)rt_cache_row_bytes(phase, cut) * (double)tryout->data->count *
               rt_cache_variants(phase, cut) / 1048576);
}

static void print_times(RtTryout *tryout)
{
    const RtModel *model = tryout->session->model;
    double total = 0;
    int phases = 0;
    printf("\n%-16s %7s %9s %9s %12s %12s %7s %12s\n", "phase", "steps", "ms/step", "images/s",
           "validation", "epoch", "epochs", "all epochs");
    for (int i = 0; i < model->phase_count && !rt_signal(); i++) {
        if (!rt_tryout_chosen(tryout, &model->phases[i])) continue;
        EpochTime time = time_phase(tryout, &model->phases[i]);
        total += print_phase(tryout, &model->phases[i], &time);
        phases++;
    }
    if (phases > 1) {
        printf("%-79s", "all phases");
        print_duration(total);
        printf("\n");
    }
    for (int i = 0; i < model->phase_count; i++)
        if (rt_tryout_chosen(tryout, &model->phases[i])) print_cache(tryout, &model->phases[i]);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static size_t weight_bytes(const RtModel *model)
{
    size_t bytes = 0;
    for (int i = 0; i < model->weight_count; i++)
        bytes += rt_weight_count(&model->weights[i]) * sizeof(real);
    return bytes;
}

static size_t slot_bytes(const RtModel *model, const RtPhase *phase)
{
    size_t bytes = 0;
    for (int i = 0; i < phase->slot_count; i++)
        bytes += rt_weight_count(&model->weights[phase->slots[i].weight]) * sizeof(real);
    return bytes;
}

static void print_bytes(const char *what, double bytes)
{
    printf("  %-44s %14.0f bytes %10.1f MiB\n", what, bytes, bytes / 1048576);
}

/* After the steps: the peak is that of this process, which has done all that a training does but
 * for its report. */
static void print_memory(const RtSession *session)
{
    const RtModel *model = session->model;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    int threads = rt_pool_threads(session->run.pool);
    double arena = (double)model->arena_bytes, weights = (double)weight_bytes(model);
    double scratch = (double)threads * (double)model->scratch_bytes;
    double peak = (double)usage.ru_maxrss * 1024;
    static const double REPORT = 4 << 20; /* its pictures and its text */
    char name[80];
    printf("\nmemory\n");
    print_bytes("weights", weights);
    print_bytes("activations and gradients, as planned", (double)model->plan_bytes);
    print_bytes("two batches of pictures", (double)model->batch_bytes);
    print_bytes("optimizer, packed weights",
                arena - weights - (double)model->plan_bytes - (double)model->batch_bytes);
    snprintf(name, sizeof name, "scratch of %d threads", threads);
    print_bytes(name, scratch);
    print_bytes("program, libraries, decoders (measured)", peak - arena - scratch);
    print_bytes("report.html, while it is made (about)", REPORT);
    print_bytes("all", peak + REPORT);
}

/* ---- Disk ------------------------------------------------------------------------------------ */

/* Free bytes where the folder is, or will be. */
static double free_bytes(const char *folder)
{
    struct statvfs info;
    char *path = rt_format("%s", folder);
    bool known = statvfs(path, &info) == 0;
    while (!known && *path) {
        char *slash = strrchr(path, '/');
        const char *above = !slash ? "." : slash == path ? "/" : path;
        if (slash) *slash = '\0';
        known = statvfs(above, &info) == 0;
        if (!slash || slash == path) break;
    }
    free(path);
    return known ? (double)info.f_bavail * (double)info.f_frsize : INFINITY;
}

static double largest_slots(const RtTryout *tryout)
{
    const RtModel *model = tryout->session->model;
    double most = 0;
    for (int i = 0; i < model->phase_count; i++)
        if (rt_tryout_chosen(tryout, &model->phases[i]))
            most = fmax(most, (double)slot_bytes(model, &model->phases[i]));
    return most;
}

/* Exit 6 if the results would not fit. */
static void print_disk(const RtTryout *tryout)
{
    static const double HEAD = 256; /* of a file, for each weight and slot: name, shape, checksum */
    const RtModel *model = tryout->session->model;
    const RtOptions *options = tryout->session->options;
    int kept = options->keep ? options->keep : KEPT;
    char *folder = options->out ? rt_format("%s", options->out) : rt_format("runs/%s", model->name);
    double weights = (double)weight_bytes(model) + HEAD * model->weight_count;
    double checkpoint = weights + largest_slots(tryout) + HEAD * model->weight_count;
    double all = 2 * weights + (kept + 1) * checkpoint, room = free_bytes(folder);
    printf("\ndisk\n");
    print_bytes("best and last weights", 2 * weights);
    char name[80];
    snprintf(name, sizeof name, "%d checkpoint%s, and one that is written", kept,
             kept == 1 ? "" : "s");
    print_bytes(name, (kept + 1) * checkpoint);
    print_bytes("all", all);
    if (all > room)
        rt_die(RT_NO_ROOM, "make room, or name another folder with --out",
               "%s: training needs %.1f MiB of disk; %.1f MiB are free", folder, all / 1048576,
               room / 1048576);
    if (isfinite(room)) print_bytes("free there", room);
    free(folder);
}

int rt_dry_run(RtSession *session)
{
    RtTryout tryout;
    rt_tryout_open(&tryout, session);
    printf("%s on %s: %s, %d threads\n", session->model->name, rt_cpu_name(),
           rt_level_name(session->level), rt_pool_threads(session->run.pool));
    printf("%zu pictures for training, %zu for validation\n", tryout.data->count,
           tryout.validation ? tryout.validation->count : 0);
    print_disk(&tryout);
    fflush(stdout);
    print_times(&tryout);
    print_memory(session);
    rt_tryout_close(&tryout);
    return rt_signal() ? 128 + rt_signal() : RT_OK;
}
