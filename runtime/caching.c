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

/* Whether features of a side are kept, and where. */
static void plan_side(const RtTraining *training, RtCachePlan *side, Budget *budget)
{
    RtCacheUse *use = &side->use;
    RtCacheMode mode = mode_of(training);
    side->keeps = use->data && is_wanted(training, use->cut, mode, use->name) &&
                  choose_place(training, use, mode, budget);
}

static void plan(const RtTraining *training, Budget *budget, RtCachePlan sides[RT_SIDES])
{
    RtSession *session = training->session;
    const RtPhase *phase = training->phase;
    sides[RT_TRAIN_SIDE].use = (RtCacheUse){.session = session,
                                            .phase = phase,
                                            .cut = phase->train_cut,
                                            .data = training->data,
                                            .name = "training",
                                            .batch = phase->batch};
    sides[RT_EVALUATE_SIDE].use = (RtCacheUse){.session = session,
                                               .phase = phase,
                                               .cut = phase->evaluate_cut,
                                               .data = training->validation,
                                               .name = "validation",
                                               .batch = session->batch};
    for (int i = 0; i < RT_SIDES; i++) plan_side(training, &sides[i], budget);
}

/* As rt_training_pictures_open decides. */
static void plan_pictures(const RtTraining *training, Budget *left, RtCachePlan sides[RT_SIDES])
{
    const RtModel *model = training->session->model;
    const int epochs = training->session->options->steps ? 1 : training->epochs;
    if (mode_of(training) == RT_CACHE_MEMORY) {
        left->memory = (uint64_t)(rt_memory_available() * 7 / 8);
        for (int i = 0; i < RT_SIDES; i++) {
            uint64_t bytes = sides[i].keeps ? rt_cache_bytes(&sides[i].use) : 0;
            left->memory -= bytes < left->memory ? bytes : left->memory;
        }
    }
    for (int i = 0; i < RT_SIDES; i++) {
        const RtData *data = sides[i].use.data;
        if (!data || sides[i].keeps) continue;
        uint64_t bytes = rt_pictures_bytes(model, data);
        RtPlace place =
            rt_pictures_place(model, data, mode_of(training), epochs, left->memory, left->disk);
        if (place == RT_IN_MEMORY) left->memory -= bytes;
        if (place == RT_ON_DISK) left->disk -= bytes;
        sides[i].pictures = place;
    }
}

void rt_caches_plan(const RtTraining *training, size_t held, RtCachePlan sides[RT_SIDES])
{
    RtOptions quiet = *training->session->options;
    RtSession session = *training->session;
    RtTraining other = *training;
    quiet.quiet = true;
    session.options = &quiet;
    other.session = &session;
    Budget budget = find_budget(training);
    if (!quiet.cache_memory) budget.memory -= held / 2 < budget.memory ? held / 2 : budget.memory;
    plan(&other, &budget, sides);
    plan_pictures(&other, &budget, sides);
    for (int i = 0; i < RT_SIDES; i++) sides[i].use.session = training->session;
}

static RtCache *open_side(const RtCachePlan *side, RtCache *old)
{
    if (!side->keeps) {
        rt_cache_close(old);
        return NULL;
    }
    say(&side->use);
    return rt_cache_open(&side->use, old);
}

/* Pages come when features do, so each side alone might seem to fit. */
static void check_memory(const RtSession *session, const RtCachePlan sides[RT_SIDES])
{
    const RtCache *kept[RT_SIDES] = {session->train_cache, session->evaluate_cache};
    const double left = rt_memory_available();
    double needed = 0;
    for (int i = 0; i < RT_SIDES; i++)
        if (sides[i].keeps && sides[i].use.in_memory && !kept[i])
            needed += (double)rt_cache_bytes(&sides[i].use);
    if (needed > left)
        rt_die(RT_NO_ROOM, "--cache disk keeps them in files, --cache auto what fits",
               "features need %.1f MiB of memory, %.1f MiB are available", needed / 1048576,
               left / 1048576);
}

void rt_caches_open(RtTraining *training)
{
    RtSession *session = training->session;
    RtCachePlan sides[RT_SIDES];
    const Budget whole = find_budget(training);
    Budget left = whole;
    plan(training, &left, sides);
    check_memory(session, sides);
    session->train_cache = open_side(&sides[RT_TRAIN_SIDE], session->train_cache);
    session->evaluate_cache = open_side(&sides[RT_EVALUATE_SIDE], session->evaluate_cache);
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
