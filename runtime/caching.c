/* caching.c: which features a phase keeps, and where: in memory if they fit the budget, else in
 * files. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cache.h"
#include "data.h"
#include "ground.h"
#include "session.h"
#include "training.h"

static RtCacheMode mode_of(const RtTraining *training)
{
    static const char *const names[] = {"auto", "off", "memory", "disk"};
    const char *wish = training->session->options->cache;
    for (int i = 0; wish && i < 4; i++)
        if (strcmp(wish, names[i]) == 0) return (RtCacheMode)i;
    return training->phase->cache;
}

/* Half of what is free, unless the user says how much. */
static size_t memory_budget(const RtTraining *training)
{
    int mebibytes = training->session->options->cache_memory;
    return mebibytes ? (size_t)mebibytes << 20 : (size_t)(rt_memory_available() / 2);
}

/* Room on the disk of the cache's folder, or of the first one above it that is there. */
static size_t disk_room(const RtModel *model)
{
    struct statvfs info;
    char *folder = rt_cache_folder(model);
    bool known = statvfs(folder, &info) == 0;
    while (!known && *folder) {
        char *slash = strrchr(folder, '/');
        *(slash ? slash : folder) = '\0';
        known = statvfs(*folder ? folder : slash ? "/" : ".", &info) == 0;
    }
    free(folder);
    return known ? (size_t)info.f_bavail * info.f_frsize : 0;
}

static void say(const RtCacheUse *use)
{
    int variants = rt_cache_variants(use->phase, use->cut);
    size_t bytes = rt_cache_bytes(use);
    char kinds[64] = "", where[200] = "in memory";
    if (use->session->options->quiet) return;
    if (use->cut->random) snprintf(kinds, sizeof kinds, "%d random variants of each, ", variants);
    if (use->on_disk) {
        char *folder = rt_cache_folder(use->session->model);
        snprintf(where, sizeof where, "in %s", folder);
        free(folder);
    }
    rt_note("Features of %zu %s pictures below %s are kept %s: %s%.1f KiB a picture, %.1f MiB",
            use->data->count, use->name, use->cut->layer, where, kinds,
            (double)rt_cache_row_bytes(use->phase, use->cut) / 1024, (double)bytes / 1048576);
}

/* Whether the phase has features to keep that are asked for, or that pay. */
static bool is_wanted(const RtTraining *training, const RtCut *cut, RtCacheMode mode,
                      const char *name)
{
    const RtPhase *phase = training->phase;
    const RtOptions *options = training->session->options;
    if (mode == RT_CACHE_OFF) return false;
    if (!cut) {
        if (mode != RT_CACHE_AUTO && !options->quiet)
            rt_note("Phase %s has no frozen part below all that it trains: no features are kept",
                    phase->name);
        return false;
    }
    if (mode == RT_CACHE_AUTO && !cut->pays) return false;
    if (cut->random && !phase->variants) {
        if (!options->quiet)
            rt_note("Features of %s pictures are not kept: random layers change them each epoch "
                    "(\"augment_variants\" would keep some variants)",
                    name);
        return false;
    }
    return mode != RT_CACHE_AUTO ||
           (!options->steps && training->epochs > rt_cache_variants(phase, cut));
}

/* Where; false: nowhere. */
static bool choose_place(const RtTraining *training, RtCacheUse *use, RtCacheMode mode,
                         size_t *budget)
{
    size_t bytes = rt_cache_bytes(use);
    use->on_disk = mode == RT_CACHE_DISK || (mode == RT_CACHE_AUTO && bytes > *budget);
    if (!use->on_disk) {
        *budget -= bytes < *budget ? bytes : *budget;
        return true;
    }
    size_t room = disk_room(training->session->model);
    if (mode == RT_CACHE_DISK || bytes < room) return true;
    if (!training->session->options->quiet)
        rt_note("Features of %s pictures are not kept: %.1f MiB fit neither memory nor disk",
                use->name, (double)bytes / 1048576);
    return false;
}

static RtCache *open_side(const RtTraining *training, const RtCut *cut, RtData *data,
                          const char *name, int batch, size_t *budget, RtCache *old)
{
    RtCacheMode mode = mode_of(training);
    RtCacheUse use = {training->session, training->phase, cut, data, name, batch, false};
    if (!data || !is_wanted(training, cut, mode, name) ||
        !choose_place(training, &use, mode, budget)) {
        rt_cache_close(old);
        return NULL;
    }
    say(&use);
    return rt_cache_open(&use, old);
}

void rt_caches_open(RtTraining *training)
{
    RtSession *session = training->session;
    const RtPhase *phase = training->phase;
    size_t budget = memory_budget(training);
    session->train_cache = open_side(training, phase->train_cut, training->data, "training",
                                     phase->batch, &budget, session->train_cache);
    session->evaluate_cache =
        open_side(training, phase->evaluate_cut, training->validation, "validation", session->batch,
                  &budget, session->evaluate_cache);
}

bool rt_caches_fill(RtTraining *training)
{
    RtSession *session = training->session;
    if (session->train_cache && !rt_cache_fill(session->train_cache)) return false;
    return !session->evaluate_cache || rt_cache_fill(session->evaluate_cache);
}

void rt_caches_close(RtTraining *training)
{
    RtSession *session = training->session;
    rt_cache_close(session->train_cache);
    rt_cache_close(session->evaluate_cache);
    session->train_cache = session->evaluate_cache = NULL;
}
