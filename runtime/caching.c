/* caching.c: which features a phase keeps, and where: in memory if they fit the budget, and in
 * files for the runs to come. */
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "data.h"
#include "ground.h"
#include "pictures.h"
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

/* What features may take yet, in bytes. */
typedef struct {
    uint64_t memory, disk;
} Budget;

/* Half of what is free, unless the user says how much. What was kept before counts as free: on disk
 * it gives way, unless it is used. */
static Budget find_budget(const RtTraining *training)
{
    const RtOptions *options = training->session->options;
    char *root = rt_cache_folder(training->session->model);
    uint64_t room = rt_disk_room(root) + rt_stores_bytes(root);
    Budget budget = {(uint64_t)rt_memory_available() / 2, room / 2};
    if (options->cache_memory) budget.memory = (uint64_t)options->cache_memory << 20;
    if (options->cache_disk) budget.disk = (uint64_t)options->cache_disk << 20;
    if (budget.disk > room) budget.disk = room;
    free(root);
    return budget;
}

static void say(const RtCacheUse *use)
{
    int variants = rt_cache_variants(use->phase, use->cut);
    size_t bytes = rt_cache_bytes(use);
    char kinds[64] = "", *root = rt_cache_folder(use->session->model);
    if (use->cut->random) snprintf(kinds, sizeof kinds, "%d random variants of each, ", variants);
    if (!use->session->options->quiet)
        rt_note("Features of %zu %s pictures below %s are kept %s%s%s%s: %s%.1f KiB a picture, "
                "%.1f MiB",
                use->data->count, use->name, use->cut->layer, use->in_memory ? "in memory" : "",
                use->in_memory && use->on_disk ? " and " : "", use->on_disk ? "in " : "",
                use->on_disk ? root : "", kinds,
                (double)rt_cache_row_bytes(use->phase, use->cut) / 1024, (double)bytes / 1048576);
    free(root);
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

/* Where; false: nowhere. Auto takes memory for speed, and the disk for the runs to come: for one
 * that goes on where this was broken off, and for the next experiment. */
static bool choose_place(const RtTraining *training, RtCacheUse *use, RtCacheMode mode,
                         Budget *budget)
{
    const bool automatic = mode == RT_CACHE_AUTO, leaves_files = training->folder != NULL;
    uint64_t bytes = rt_cache_bytes(use);
    use->in_memory = mode == RT_CACHE_MEMORY || (automatic && bytes <= budget->memory);
    use->on_disk = mode == RT_CACHE_DISK ||
                   (automatic && bytes <= budget->disk && (leaves_files || !use->in_memory));
    use->may_fail = automatic;
    if (use->in_memory) budget->memory -= bytes < budget->memory ? bytes : budget->memory;
    if (use->on_disk) budget->disk -= bytes < budget->disk ? bytes : budget->disk;
    if (use->in_memory || use->on_disk) return true;
    if (!training->session->options->quiet)
        rt_note("Features of %s pictures are not kept: %.1f MiB fit neither memory nor disk",
                use->name, (double)bytes / 1048576);
    return false;
}

static RtCache *open_side(const RtTraining *training, RtCacheUse use, Budget *budget, RtCache *old)
{
    RtCacheMode mode = mode_of(training);
    if (!use.data || !is_wanted(training, use.cut, mode, use.name) ||
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
    const Budget whole = find_budget(training);
    Budget left = whole;
    const RtCacheUse train = {.session = session,
                              .phase = phase,
                              .cut = phase->train_cut,
                              .data = training->data,
                              .name = "training",
                              .batch = phase->batch};
    const RtCacheUse evaluate = {.session = session,
                                 .phase = phase,
                                 .cut = phase->evaluate_cut,
                                 .data = training->validation,
                                 .name = "validation",
                                 .batch = session->batch};
    session->train_cache = open_side(training, train, &left, session->train_cache);
    session->evaluate_cache = open_side(training, evaluate, &left, session->evaluate_cache);
    rt_training_pictures_open(training, mode_of(training), &left.memory, &left.disk);
    if (left.disk == whole.disk) return; /* nothing is stored */
    char *root = rt_cache_folder(session->model);
    rt_stores_evict(root, whole.disk, whole.disk - left.disk);
    free(root);
}

/* Without room the features of an epoch cannot all be kept: then they are computed in each. */
static bool fill(RtCache **cache, RtLoader *loader)
{
    if (!*cache) return true;
    if (!rt_cache_fill(*cache)) return false;
    const bool whole = rt_cache_is_whole(*cache);
    if (!whole) {
        rt_note("Features are not kept: the disk refused them, and they do not fit memory");
        rt_cache_close(*cache);
        *cache = NULL;
    }
    rt_loader_skip_pictures(loader, whole);
    return true;
}

bool rt_caches_fill(RtTraining *training)
{
    RtSession *session = training->session;
    if (!rt_training_pictures_fill(training)) return false;
    return fill(&session->train_cache, training->loader) &&
           fill(&session->evaluate_cache, training->validation_loader);
}

void rt_caches_close(RtTraining *training)
{
    RtSession *session = training->session;
    rt_cache_close(session->train_cache);
    rt_cache_close(session->evaluate_cache);
    session->train_cache = session->evaluate_cache = NULL;
}
