/* needs.c: the bytes that a training takes of memory and of disk, beside what there is. */
#define _GNU_SOURCE /* O_TMPFILE */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "dryrun.h"
#include "ground.h"
#include "session.h"

enum { KEPT = 2 /* checkpoints, without --keep */ };

static const double MIB = 1048576;

static void print_bytes(const char *what, double bytes)
{
    printf("  %-44s %14.0f bytes %10.1f MiB\n", what, bytes, bytes / MIB);
}

static const RtSession *session_of(const RtDryRun *dry) { return dry->tryout.session; }

static double weight_bytes(const RtModel *model, const unsigned char *flags)
{
    double bytes = 0;
    for (int i = 0; i < model->weight_count; i++)
        if (!flags || flags[i]) bytes += (double)rt_weight_count(&model->weights[i]) * sizeof(real);
    return bytes;
}

static double slot_bytes(const RtModel *model, const RtPhase *phase)
{
    double bytes = 0;
    for (int i = 0; i < phase->slot_count; i++)
        bytes += (double)rt_weight_count(&model->weights[phase->slots[i].weight]) * sizeof(real);
    return bytes;
}

/* As training has it (results.c); NULL: nothing is saved. */
static char *result_folder(const RtDryRun *dry)
{
    const RtOptions *options = session_of(dry)->options;
    if (options->out) return rt_format("%s", options->out);
    if (options->trace || options->steps) return NULL;
    return rt_format("runs/%s", session_of(dry)->model->name);
}

/* ---- Features -------------------------------------------------------------------------------- */

static size_t rows_of(const RtCacheUse *use)
{
    return use->data->count * (size_t)rt_cache_variants(use->phase, use->cut);
}

static int index_of(const RtDryRun *dry, const RtForeseen *phase)
{
    return (int)(phase->course.phase - session_of(dry)->model->phases);
}

/* Whether an earlier phase's features of this side serve as well: any on disk, or those in memory
 * of the one just before. */
static bool is_served(const RtDryRun *dry, const RtForeseen *phase, int side)
{
    const RtCacheUse *use = &phase->course.sides[side].use;
    for (const RtForeseen *old = phase - 1; old >= dry->phases; old--) {
        const RtCachePlan *then = &old->course.sides[side];
        const bool same =
            then->use.in_memory == use->in_memory && then->use.on_disk == use->on_disk;
        if (!then->keeps || !((use->on_disk && then->use.on_disk) || (same && old == phase - 1)))
            continue;
        if (rt_course_serves(session_of(dry)->model, then->use.cut, index_of(dry, old), use->cut,
                             index_of(dry, phase)))
            return true;
    }
    return false;
}

/* Weights that an earlier phase trains are not known yet. */
static bool is_known(const RtDryRun *dry, const RtForeseen *phase, const RtCut *cut)
{
    return rt_course_serves(session_of(dry)->model, cut, index_of(dry, dry->phases), cut,
                            index_of(dry, phase));
}

/* Pictures whose features one pass over a side must compute. */
static size_t count_missing(const RtDryRun *dry, const RtForeseen *phase, int side)
{
    const RtCachePlan *plan = &phase->course.sides[side];
    if (!plan->keeps || is_served(dry, phase, side)) return 0;
    size_t found = is_known(dry, phase, plan->use.cut) ? rt_cache_found(&plan->use) : 0;
    return (rows_of(&plan->use) - found) /
           (size_t)rt_cache_variants(plan->use.phase, plan->use.cut);
}

/* Pictures stay decoded from one phase to the next. */
static void plan_pictures(const RtDryRun *dry, RtForeseen *phase)
{
    for (int i = 0; i < RT_SIDES; i++) {
        RtPlace before = phase > dry->phases ? phase[-1].pictures[i] : RT_NOWHERE;
        phase->pictures[i] = before != RT_NOWHERE ? before : phase->course.sides[i].pictures;
        phase->pictures_begin[i] = phase->pictures[i] != before;
    }
}

static size_t picture_bytes(const RtDryRun *dry, const RtForeseen *phase, RtPlace place)
{
    size_t bytes = 0;
    for (int i = 0; i < RT_SIDES; i++)
        if (phase->pictures[i] == place && place != RT_NOWHERE)
            bytes += rt_pictures_bytes(session_of(dry)->model, phase->course.sides[i].use.data);
    return bytes;
}

static size_t features_in_memory(const RtForeseen *phase)
{
    size_t bytes = 0;
    for (int i = 0; i < RT_SIDES; i++) {
        const RtCachePlan *plan = &phase->course.sides[i];
        if (plan->keeps && plan->use.in_memory) bytes += rt_cache_bytes(&plan->use);
    }
    return bytes;
}

void rt_needs_open(RtDryRun *dry)
{
    RtTryout *tryout = &dry->tryout;
    const RtModel *model = tryout->session->model;
    char *folder = result_folder(dry);
    const RtTraining training = {.session = tryout->session,
                                 .data = tryout->data,
                                 .validation = tryout->validation,
                                 .folder = folder};
    size_t held = 0;
    dry->phases = rt_alloc((size_t)model->phase_count, sizeof *dry->phases);
    for (int i = 0; i < model->phase_count; i++) {
        if (!rt_tryout_chosen(tryout, &model->phases[i])) continue;
        RtForeseen *phase = &dry->phases[dry->phase_count++];
        phase->course = rt_course(&training, i, held);
        for (int j = 0; j < RT_SIDES; j++) phase->missing[j] = count_missing(dry, phase, j);
        plan_pictures(dry, phase);
        held = features_in_memory(phase) + picture_bytes(dry, phase, RT_IN_MEMORY);
    }
    free(folder);
}

static void print_side(const RtCachePlan *plan, size_t missing)
{
    const RtCacheUse *use = &plan->use;
    const bool changes = use->cut && use->cut->random && !use->phase->variants;
    if (!use->data) return;
    printf("    %-12s", use->name);
    if (!plan->keeps && plan->pictures != RT_NOWHERE)
        printf(" decoded pictures kept %s, %zu bytes",
               plan->pictures == RT_ON_DISK ? "on disk" : "in memory",
               rt_pictures_bytes(use->session->model, use->data));
    else if (!plan->keeps)
        printf(" not kept");
    if (!plan->keeps) {
        printf("%s\n", changes ? ": random layers change them" : "");
        return;
    }
    printf(" kept %s%s%s, %zu x %zu = %zu bytes", use->in_memory ? "in memory" : "",
           use->in_memory && use->on_disk ? " and " : "", use->on_disk ? "on disk" : "",
           rows_of(use), rt_cache_row_bytes(use->phase, use->cut), rt_cache_bytes(use));
    if (missing < use->data->count) printf(", %zu to compute", missing);
    printf("\n");
}

void rt_needs_print_features(const RtDryRun *dry)
{
    printf("\nfeatures of the frozen part\n");
    for (int i = 0; i < dry->phase_count; i++) {
        const RtForeseen *phase = &dry->phases[i];
        const RtCachePlan *sides = phase->course.sides;
        const RtCut *cut = sides[RT_TRAIN_SIDE].keeps      ? sides[RT_TRAIN_SIDE].use.cut
                           : sides[RT_EVALUATE_SIDE].keeps ? sides[RT_EVALUATE_SIDE].use.cut
                                                           : NULL;
        printf("  phase %s%s%s\n", phase->course.phase->name, cut ? ", below " : ": none are kept",
               cut ? cut->layer : "");
        for (int j = 0; j < RT_SIDES; j++) {
            RtCachePlan plan = sides[j];
            plan.pictures = phase->pictures[j];
            if (cut || plan.pictures != RT_NOWHERE) print_side(&plan, phase->missing[j]);
        }
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Copies of what the phase trains: of the best weights until they are saved, and of callbacks. */
static double copy_bytes(const RtModel *model, const RtPhase *phase)
{
    int copies = 1;
    for (int i = 0; i < phase->callback_count; i++) {
        const RtCallback *callback = &phase->callbacks[i];
        copies += callback->kind == RT_TERMINATE_ON_NAN ||
                  (callback->kind == RT_EARLY_STOPPING && callback->restore_best_weights);
    }
    return copies * weight_bytes(model, phase->trainable);
}

/* Of the phase that takes most. */
static double most(const RtDryRun *dry, double (*bytes)(const RtDryRun *, const RtForeseen *))
{
    double most = 0;
    for (int i = 0; i < dry->phase_count; i++) most = fmax(most, bytes(dry, &dry->phases[i]));
    return most;
}

static double copies_of(const RtDryRun *dry, const RtForeseen *phase)
{
    return copy_bytes(session_of(dry)->model, phase->course.phase);
}

static double features_of(const RtDryRun *dry, const RtForeseen *phase)
{
    return (double)(features_in_memory(phase) + picture_bytes(dry, phase, RT_IN_MEMORY));
}

static double both_of(const RtDryRun *dry, const RtForeseen *phase)
{
    return copies_of(dry, phase) + features_of(dry, phase);
}

void rt_needs_check_memory(const RtDryRun *dry)
{
    const double needed = most(dry, both_of), left = rt_memory_available();
    if (needed <= left) return;
    rt_die(RT_NO_ROOM, "--cache disk keeps features in files, --cache off keeps none",
           "training needs %.1f MiB of memory beside the %.1f MiB that are taken, %.1f MiB of them "
           "for features; %.1f MiB are available",
           needed / MIB, (double)session_of(dry)->model->arena_bytes / MIB,
           most(dry, features_of) / MIB, left / MIB);
}

/* After the steps: the peak is that of this process, which has done all that a training does but
 * for its report and its copies. */
void rt_needs_print_memory(const RtDryRun *dry)
{
    static const double REPORT = 4 << 20; /* its pictures and its text */
    const RtSession *session = session_of(dry);
    const RtModel *model = session->model;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    int threads = rt_pool_threads(session->run.pool);
    double arena = (double)model->arena_bytes, weights = weight_bytes(model, NULL);
    double scratch = (double)threads * (double)model->scratch_bytes;
    double peak = (double)usage.ru_maxrss * 1024 - (double)dry->trial_bytes;
    /* The report is made while the last phase's features are there. */
    double last = REPORT + features_of(dry, &dry->phases[dry->phase_count - 1]);
    char name[80];
    printf("\nmemory\n");
    print_bytes("weights", weights);
    print_bytes("activations and gradients, as planned", (double)model->plan_bytes);
    print_bytes("two batches of pictures", (double)model->batch_bytes);
    print_bytes("optimizer, packed weights",
                arena - weights - (double)model->plan_bytes - (double)model->batch_bytes);
    snprintf(name, sizeof name, "scratch of %d threads", threads);
    print_bytes(name, scratch);
    print_bytes("features, decoded pictures", most(dry, features_of));
    print_bytes("copies of weights: the best, callbacks'", most(dry, copies_of));
    print_bytes("program, libraries, decoders (measured)", peak - arena - scratch);
    print_bytes("report.html, while it is made (about)", REPORT);
    print_bytes("all", peak + fmax(most(dry, both_of), last));
}

/* ---- Disk ------------------------------------------------------------------------------------ */

/* The folder, or the nearest above it that is there. */
static char *existing_folder(const char *folder)
{
    struct stat info;
    char *path = rt_format("%s", folder);
    while (stat(path, &info) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) {
            free(path);
            return rt_format("%s", slash ? "/" : ".");
        }
        *slash = '\0';
    }
    return path;
}

static double free_bytes(const char *folder)
{
    struct statvfs info;
    char *path = existing_folder(folder);
    bool known = statvfs(path, &info) == 0;
    free(path);
    return known ? (double)info.f_bavail * (double)info.f_frsize : INFINITY;
}

static bool is_same_disk(const char *folder, const char *other)
{
    struct stat first, second;
    char *path = existing_folder(folder), *other_path = existing_folder(other);
    bool same =
        stat(path, &first) == 0 && stat(other_path, &second) == 0 && first.st_dev == second.st_dev;
    free(path);
    free(other_path);
    return same;
}

static const double HEAD = 256; /* of a file, for each weight and slot: name, shape, checksum */

static double weight_file_bytes(const RtModel *model)
{
    return weight_bytes(model, NULL) + HEAD * model->weight_count;
}

static double checkpoint_of(const RtDryRun *dry, const RtForeseen *foreseen)
{
    const RtModel *model = session_of(dry)->model;
    const RtPhase *phase = foreseen->course.phase;
    double bytes = weight_file_bytes(model) + slot_bytes(model, phase) + HEAD * phase->slot_count;
    for (int i = 0; i < phase->callback_count; i++)
        if (phase->callbacks[i].kind == RT_EARLY_STOPPING &&
            phase->callbacks[i].restore_best_weights)
            bytes += weight_bytes(model, phase->trainable);
    return bytes;
}

/* Files that a ModelCheckpoint may write: one, if its path is always the same. */
static double callback_files(const RtCourse *course, const RtCallback *callback)
{
    if (callback->kind != RT_MODEL_CHECKPOINT) return 0;
    if (!callback->filepath || !callback->filepath->field) return 1;
    double epochs = course->epochs;
    return callback->save_freq > 0 ? floor(epochs * (double)course->steps / callback->save_freq)
                                   : epochs;
}

static double callback_bytes(const RtDryRun *dry)
{
    double files = 0;
    for (int i = 0; i < dry->phase_count; i++) {
        const RtCourse *course = &dry->phases[i].course;
        for (int j = 0; j < course->phase->callback_count; j++)
            files += callback_files(course, &course->phase->callbacks[j]);
    }
    return files * weight_file_bytes(session_of(dry)->model);
}

static double row_file_bytes(const RtCacheUse *use, size_t pictures)
{
    if (!pictures || !use->on_disk) return 0;
    return rt_cache_variants(use->phase, use->cut) *
           (double)rt_store_bytes(rt_cache_row_bytes(use->phase, use->cut), pictures);
}

/* On disk; those that are asked for, without those that training can do without. */
static double feature_bytes(const RtDryRun *dry, bool asked)
{
    double bytes = 0;
    for (int i = 0; i < dry->phase_count; i++)
        for (int j = 0; j < RT_SIDES; j++) {
            const RtCacheUse *use = &dry->phases[i].course.sides[j].use;
            if (!asked && dry->phases[i].pictures_begin[j] &&
                dry->phases[i].pictures[j] == RT_ON_DISK)
                bytes += (double)rt_store_bytes(rt_pictures_row_bytes(session_of(dry)->model),
                                                use->data->count);
            if (!asked || !use->may_fail) bytes += row_file_bytes(use, dry->phases[i].missing[j]);
        }
    return bytes;
}

static void check_disk(const char *folder, double bytes, const char *hint)
{
    double room = free_bytes(folder);
    if (bytes > room)
        rt_die(RT_NO_ROOM, hint, "%s: training needs %.1f MiB of disk; %.1f MiB are free", folder,
               bytes / MIB, room / MIB);
    if (isfinite(room) && bytes > 0) print_bytes("free there", room);
}

/* ---- How long a save takes ------------------------------------------------------------------- */

/* Seconds until so many bytes of the arena are safe in a file that has no name, and is gone with
 * this; negative if the folder has no such files. */
static double time_write(const RtDryRun *dry, const char *folder, size_t bytes)
{
    char *path = existing_folder(folder);
    double begun = rt_seconds();
    int file = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    free(path);
    if (file < 0) return -1;
    bool good = write(file, session_of(dry)->run.arena, bytes) == (ssize_t)bytes;
    good = fsync(file) == 0 && good;
    close(file);
    return good ? rt_seconds() - begun : -1;
}

/* The mean of a few small writes; 0 if unknown. */
static double time_sync(const RtDryRun *dry, const char *folder, size_t bytes)
{
    enum { TIMES = 3 };
    double sum = 0;
    for (int i = 0; i < TIMES; i++) sum += fmax(time_write(dry, folder, bytes), 0);
    return sum / TIMES;
}

/* What a save writes: best, last, a checkpoint; history; each is synced, and so is its folder. */
static void time_save(RtDryRun *dry, const char *folder, double bytes)
{
    enum { SYNCS = 8, LARGE = 64 << 20, SMALL = 4096 };
    const size_t arena = session_of(dry)->model->arena_bytes;
    size_t some = bytes < LARGE ? (size_t)bytes : LARGE;
    if (some > arena) some = arena;
    double sync = time_sync(dry, folder, SMALL < arena ? SMALL : arena);
    double large = time_write(dry, folder, some);
    dry->disk_a_second = 5e8;
    if (large > sync) dry->disk_a_second = (double)some / (large - sync);
    dry->save = bytes / dry->disk_a_second + SYNCS * sync;
    dry->last_save = 3 * weight_bytes(session_of(dry)->model, NULL) / 5e8; /* results.c */
}

void rt_needs_print_disk(RtDryRun *dry)
{
    const RtOptions *options = session_of(dry)->options;
    const RtModel *model = session_of(dry)->model;
    int kept = options->keep ? options->keep : KEPT;
    double weights = weight_file_bytes(model), checkpoint = most(dry, checkpoint_of);
    double features = feature_bytes(dry, false), asked = feature_bytes(dry, true),
           others = callback_bytes(dry);
    double run = 2 * weights + (kept + 1) * checkpoint + others;
    char *folder = options->out ? rt_format("%s", options->out) : rt_format("runs/%s", model->name);
    char *cache = rt_cache_folder(model), name[80];
    const bool together = is_same_disk(folder, cache);
    printf("\ndisk\n");
    print_bytes("best and last weights", 2 * weights);
    snprintf(name, sizeof name, "%d checkpoint%s, and one that is written", kept,
             kept == 1 ? "" : "s");
    print_bytes(name, (kept + 1) * checkpoint);
    if (others > 0) print_bytes("files of ModelCheckpoint, at most", others);
    if (together && features > 0) print_bytes("features", features);
    print_bytes("all", run + (together ? features : 0));
    check_disk(folder, run + (together ? asked : 0),
               "make room, or name another folder with --out");
    if (!together && features > 0) print_bytes("features, elsewhere", features);
    if (!together)
        check_disk(cache, asked, "make room, or name another folder in TLC_CACHE; or --cache off");
    time_save(dry, folder, 2 * weights + checkpoint);
    free(folder);
    free(cache);
}
