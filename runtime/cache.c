/* cache.c: the features of one data set: rows in memory, in the mapped files of a store, or both:
 * what is computed is then in memory, what is found stays in the files.
 *
 * Each is a function of the picture and of the key, which covers all else: the code and shapes of
 * the cut's lower part, the level that it is compiled for, the weights that it reads, how pictures
 * are read, the form in which numbers are kept. Features that depend on random numbers are also
 * known by seed, epoch and the picture's index. So a row that is found is never stale. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrays.h"
#include "cache.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "weights.h"

struct RtCache {
    RtCacheUse use;
    RtRun *run;
    size_t row_bytes;
    int variants;
    uint64_t seed;
    RtHash key;
    char *about;       /* what it is the hash of, in words */
    const void **rows; /* (variants, pictures); NULL: not there */
    char *memory;      /* rows in memory; NULL if they are in the store alone */
    size_t memory_bytes;
    RtStore *store;            /* NULL: none */
    const RtContent *contents; /* (pictures), for the store */
    char *staging;             /* a batch of rows on their way to the store */
    size_t missing;            /* rows of pictures that can be read */
};

size_t rt_cache_row_bytes(const RtPhase *phase, const RtCut *cut)
{
    return (size_t)cut->numbers * (phase->half_features ? sizeof(uint16_t) : sizeof(real));
}

int rt_cache_variants(const RtPhase *phase, const RtCut *cut)
{
    return cut->random ? phase->variants : 1;
}

size_t rt_cache_bytes(const RtCacheUse *use)
{
    return rt_cache_row_bytes(use->phase, use->cut) *
           (size_t)rt_cache_variants(use->phase, use->cut) * use->data->count;
}

/* ---- What features are known by -------------------------------------------------------------- */

static void add_line(char **text, char *line)
{
    char *longer = rt_format("%s%s\n", *text, line);
    free(*text);
    free(line);
    *text = longer;
}

/* All that a row depends on besides its picture, for a reader too. */
static char *describe(const RtCacheUse *use)
{
    const RtModel *model = use->session->model;
    const RtCut *cut = use->cut;
    char *text = rt_format("features of %s, below %s\n", model->name, cut->layer);
    add_line(&text, rt_format("graph %s, tlc %s, level %s", cut->hash, model->tlc,
                              rt_level_name(use->session->level)));
    add_line(&text,
             rt_format("pictures %d x %d x %d, interpolation %d; %s", model->height, model->width,
                       model->channels, (int)model->interpolation, model->preprocessing));
    add_line(&text,
             rt_format("%s numbers of %zu bytes", use->phase->half_features ? "half" : "whole",
                       use->phase->half_features ? sizeof(uint16_t) : sizeof(real)));
    for (int i = 0; i < cut->boundary_count; i++)
        add_line(&text, rt_format("%d planes, %d rows of %zu", cut->boundary[i].planes,
                                  cut->boundary[i].rows, cut->boundary[i].numbers));
    for (int i = 0; i < model->weight_count; i++) {
        if (!cut->reads[i]) continue;
        size_t bytes = rt_weight_count(&model->weights[i]) * sizeof(real);
        RtHash hash = rt_hash(use->session->run.weights[i], bytes);
        add_line(&text, rt_format("%s %016llx%016llx", model->weights[i].name,
                                  (unsigned long long)hash.high, (unsigned long long)hash.low));
    }
    return text;
}

char *rt_cache_folder(const RtModel *model)
{
    const char *wish = getenv("TLC_CACHE");
    return wish && *wish ? rt_format("%s", wish) : rt_format("runs/%s/cache", model->name);
}

static char *store_folder(const RtCache *cache)
{
    char *root = rt_cache_folder(cache->use.session->model);
    char *folder = rt_format("%s/%016llx%016llx", root, (unsigned long long)cache->key.high,
                             (unsigned long long)cache->key.low);
    free(root);
    return folder;
}

/* For people: what the key is the hash of. With the lock. */
static void write_about(const RtCache *cache)
{
    char *folder = store_folder(cache), *path = rt_format("%s/about.txt", folder);
    if (access(path, F_OK) != 0) {
        RtOut *out = cache->use.may_fail ? rt_out_try(path) : rt_out_open(path);
        rt_out_write(out, cache->about, strlen(cache->about));
        rt_out_commit(out);
    }
    free(path);
    free(folder);
}

/* An epoch's promise to those who kill it holds here too; without one, the store's own. */
static void open_store(RtCache *cache)
{
    const double minutes = cache->use.session->options->checkpoint_every;
    char *folder = store_folder(cache);
    cache->store = cache->use.may_fail ? rt_store_try(folder, cache->key, cache->row_bytes)
                                       : rt_store_open(folder, cache->key, cache->row_bytes);
    if (minutes > 0) rt_store_pace(cache->store, 60 * minutes);
    cache->contents = rt_contents(cache->use.data);
    free(folder);
}

static RtHash row_hash(const RtCache *cache, int variant, size_t sample)
{
    const uint64_t random = cache->use.cut->random != 0;
    const uint64_t words[] = {cache->contents[sample].hash.low,
                              cache->contents[sample].hash.high,
                              random,
                              random * cache->seed,
                              random * (uint64_t)variant,
                              random * (uint64_t)sample};
    return rt_hash(words, sizeof words);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Whether what `cache` holds is what `other` would. */
static bool is_same(const RtCache *cache, const RtCache *other)
{
    return memcmp(&cache->key, &other->key, sizeof cache->key) == 0 &&
           cache->use.data == other->use.data && cache->use.in_memory == other->use.in_memory &&
           cache->use.on_disk == other->use.on_disk && cache->variants == other->variants &&
           cache->seed == other->seed;
}

static void take_room(RtCache *cache)
{
    const RtCacheUse *use = &cache->use;
    cache->rows = rt_alloc((size_t)cache->variants * use->data->count, sizeof *cache->rows);
    if (use->on_disk) open_store(cache);
    if (use->in_memory) {
        cache->memory_bytes = rt_cache_bytes(use);
        cache->memory = rt_arena_open(cache->memory_bytes, "the feature cache", false);
    } else {
        cache->staging = rt_alloc((size_t)use->batch, cache->row_bytes);
    }
}

static RtCache *make_cache(const RtCacheUse *use)
{
    RtCache *cache = rt_alloc(1, sizeof *cache);
    char *about = describe(use);
    *cache = (RtCache){.use = *use,
                       .run = &use->session->run,
                       .row_bytes = rt_cache_row_bytes(use->phase, use->cut),
                       .variants = rt_cache_variants(use->phase, use->cut),
                       .seed = use->session->run.seed,
                       .key = rt_hash(about, strlen(about)),
                       .about = about};
    return cache;
}

RtCache *rt_cache_open(const RtCacheUse *use, RtCache *old)
{
    RtCache *cache = make_cache(use);
    if (old && is_same(old, cache) && old->use.batch >= use->batch) {
        old->use = *use;
        rt_cache_close(cache);
        cache = old;
    } else {
        rt_cache_close(old);
        take_room(cache);
    }
    return cache;
}

void rt_cache_close(RtCache *cache)
{
    if (!cache) return;
    rt_arena_close(cache->memory, cache->memory_bytes);
    rt_store_close(cache->store);
    free(cache->about);
    free(cache->rows);
    free(cache->staging);
    free(cache);
}

/* ---- Between a row and the arena ------------------------------------------------------------- */

static void pack(const RtCache *cache, const real *from, char *to, size_t count)
{
    if (cache->use.phase->half_features)
        rt_to_halves(from, (uint16_t *)(void *)to, count);
    else
        memcpy(to, from, count * sizeof *from);
}

static void unpack(const RtCache *cache, const char *from, real *to, size_t count)
{
    if (cache->use.phase->half_features)
        rt_from_halves((const uint16_t *)(const void *)from, to, count);
    else
        memcpy(to, from, count * sizeof *to);
}

/* Copies picture `index` of the batch to its row, or back if `row` is only read. */
static void copy_picture(const RtCache *cache, int index, const char *source, char *target)
{
    size_t number = cache->use.phase->half_features ? sizeof(uint16_t) : sizeof(real), at = 0;
    for (int i = 0; i < cache->use.cut->boundary_count; i++) {
        const RtBoundary *b = &cache->use.cut->boundary[i];
        real *picture =
            (real *)(void *)(cache->run->arena + b->offset) + (size_t)index * b->picture;
        size_t inside = (size_t)b->planes * (size_t)b->rows * b->numbers;
        if (source && inside < b->picture) memset(picture, 0, b->picture * sizeof *picture);
        for (int plane = 0; plane < b->planes; plane++)
            for (int row = 0; row < b->rows; row++, at += b->numbers) {
                real *here = picture + b->first + (size_t)plane * b->plane + (size_t)row * b->row;
                if (source)
                    unpack(cache, source + at * number, here, b->numbers);
                else
                    pack(cache, here, target + at * number, b->numbers);
            }
    }
}

static int variant_now(const RtCache *cache)
{
    return (int)(cache->run->epoch % (uint32_t)cache->variants);
}

static size_t place_of(const RtCache *cache, size_t sample)
{
    return (size_t)variant_now(cache) * cache->use.data->count + sample;
}

static void load_row(const RtCall *call, int task)
{
    const RtCache *cache = call->in[0];
    copy_picture(cache, task, cache->rows[place_of(cache, call->run->sample[task])], NULL);
}

void rt_cache_load(const RtCache *cache, int n)
{
    const RtCall call = {.run = cache->run, .n = n, .in = {cache}, .name = "load_features"};
    rt_parallel(load_row, n, &call);
}

static char *room_of(const RtCache *cache, int index)
{
    if (cache->staging) return cache->staging + (size_t)index * cache->row_bytes;
    return cache->memory + place_of(cache, cache->run->sample[index]) * cache->row_bytes;
}

static void keep_row(const RtCall *call, int task)
{
    const RtCache *cache = call->in[0];
    copy_picture(cache, task, NULL, room_of(cache, task));
}

/* ---- Filling --------------------------------------------------------------------------------- */

/* Looks for rows in the store, and counts the pictures that have none. */
static void find_rows(RtCache *cache)
{
    cache->missing = 0;
    for (size_t i = 0; i < cache->use.data->count; i++) {
        const void **row = &cache->rows[place_of(cache, i)];
        if (!*row && cache->store && cache->contents[i].known)
            *row = rt_store_find(cache->store, row_hash(cache, variant_now(cache), i));
        cache->missing += !*row && !(cache->use.data->problems && cache->use.data->problems[i]);
    }
}

/* Features of a picture that changed since it was hashed would be stored as those of another. */
static void store_row(RtCache *cache, int index)
{
    const RtData *data = cache->use.data;
    size_t sample = (size_t)cache->run->sample[index];
    const RtContent *known = &cache->contents[sample], now = rt_content_now(data, sample);
    const bool same = known->known && now.known && now.hash.low == known->hash.low &&
                      now.hash.high == known->hash.high;
    if (same)
        rt_store_add(cache->store, row_hash(cache, variant_now(cache), sample),
                     room_of(cache, index));
    else if (!cache->memory)
        rt_die(RT_BAD_DATA, "start again when the data is at rest",
               "%s: changed while its features were computed",
               data->paths ? data->paths[sample] : "the array");
}

static void keep_batch(RtCache *cache, int n)
{
    const RtCall call = {.run = cache->run, .n = n, .in = {cache}, .name = "keep_features"};
    rt_parallel(keep_row, n, &call);
    for (int i = 0; i < n; i++) {
        if (cache->store) store_row(cache, i);
        if (cache->memory)
            cache->rows[place_of(cache, (size_t)cache->run->sample[i])] = room_of(cache, i);
    }
}

/* Pictures that have rows first, then those that do not; returns where these begin. */
static size_t sort_pictures(const RtCache *cache, uint64_t *order)
{
    size_t count = cache->use.data->count, at = 0, first;
    for (size_t i = 0; i < count; i++)
        if (cache->rows[place_of(cache, i)]) order[at++] = i;
    first = at;
    for (size_t i = 0; i < count; i++)
        if (!cache->rows[place_of(cache, i)]) order[at++] = i;
    return first;
}

/* The lower part on a batch; random numbers are those of the variant's own epoch. */
static void compute(RtCache *cache, const RtBatch *batch)
{
    uint32_t epoch = cache->run->epoch;
    cache->run->sample = batch->sample;
    cache->run->epoch = (uint32_t)variant_now(cache);
    rt_below_batch(cache->use.session, cache->use.cut, batch->x, batch->n);
    cache->run->epoch = epoch;
}

static void set_title(const RtCache *cache, char *title, size_t size)
{
    if (cache->use.cut->random)
        snprintf(title, size, "Features, %s, variant %d of %d", cache->use.name,
                 variant_now(cache) + 1, cache->variants);
    else
        snprintf(title, size, "Features, %s", cache->use.name);
}

static void compute_missing(RtCache *cache)
{
    const RtCacheUse *use = &cache->use;
    RtSession *session = use->session;
    uint64_t *order = rt_alloc(use->data->count, sizeof *order);
    RtLoader *loader =
        rt_loader_open(session->model, use->data, use->batch, RT_LOSS_NONE, session->room,
                       session->model->batch_bytes, session->options->strict);
    char title[80];
    set_title(cache, title, sizeof title);
    RtProgress *progress = NULL;
    if (!session->options->quiet)
        progress =
            rt_progress_open(title, (cache->missing + (size_t)use->batch - 1) / (size_t)use->batch);
    use->cut->prepare_below(cache->run);
    rt_loader_start(loader, order, sort_pictures(cache, order));
    for (size_t step = 1; !rt_signal(); step++) {
        RtBatch batch = rt_loader_next(loader);
        if (batch.n == 0) break;
        compute(cache, &batch);
        keep_batch(cache, batch.n);
        rt_progress_step(progress, step, NULL, 0);
    }
    rt_progress_close(progress, NULL, 0);
    rt_loader_close(loader);
    free(order);
}

bool rt_cache_fill(RtCache *cache)
{
    find_rows(cache);
    if (cache->missing && cache->store) {
        if (!rt_store_lock(cache->store)) return false;
        if (!rt_store_failed(cache->store)) write_about(cache);
        find_rows(cache); /* another run may have added them */
    }
    if (cache->missing) compute_missing(cache);
    if (cache->store) rt_store_unlock(cache->store);
    find_rows(cache);
    return !rt_signal();
}

bool rt_cache_is_whole(const RtCache *cache) { return !cache->missing; }

/* ---- Beforehand ------------------------------------------------------------------------------ */

static size_t count_rows(RtCache *cache)
{
    size_t found = 0, all = cache->use.data->count * (size_t)cache->variants;
    uint32_t epoch = cache->run->epoch;
    take_room(cache);
    for (int i = 0; i < cache->variants; i++) {
        cache->run->epoch = (uint32_t)i;
        find_rows(cache);
    }
    cache->run->epoch = epoch;
    for (size_t i = 0; i < all; i++) found += cache->rows[i] != NULL;
    return found;
}

size_t rt_cache_found(const RtCacheUse *use)
{
    RtCacheUse stored = *use;
    stored.in_memory = false;
    RtCache *cache = make_cache(&stored);
    char *folder = store_folder(cache);
    size_t found = use->on_disk && access(folder, F_OK) == 0 ? count_rows(cache) : 0;
    free(folder);
    rt_cache_close(cache);
    return found;
}
