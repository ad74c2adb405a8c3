/* caching_pictures.c: whether a training keeps decoded pictures, and where: in memory if they fit
 * the budget, else in files if reading these is far cheaper than decoding. */
#include <stdio.h>
#include <stdlib.h>

#include "cache.h"
#include "data.h"
#include "ground.h"
#include "pictures.h"
#include "session.h"
#include "training.h"

/* What a core of today decodes in a second, in bytes of compressed pictures, and what a disk gives.
 * The decision asks for a lead of PAYS, so their order of magnitude is enough. */
static const double DECODED_A_SECOND = 3e7, BYTES_A_SECOND = 1e9, PAYS = 4;

size_t rt_pictures_bytes(const RtModel *model, const RtData *data)
{
    return data->paths ? data->count * rt_pictures_row_bytes(model) : 0;
}

static bool pays_on_disk(const RtData *data, size_t bytes)
{
    return (double)rt_file_bytes(data) / DECODED_A_SECOND > PAYS * (double)bytes / BYTES_A_SECOND;
}

RtPlace rt_pictures_place(const RtModel *model, const RtData *data, RtCacheMode mode, int epochs,
                          uint64_t memory, uint64_t disk)
{
    const size_t bytes = rt_pictures_bytes(model, data);
    if (!bytes || mode == RT_CACHE_OFF || (mode == RT_CACHE_AUTO && epochs < 2)) return RT_NOWHERE;
    if (mode != RT_CACHE_DISK && bytes <= memory) return RT_IN_MEMORY;
    if (mode == RT_CACHE_DISK) return bytes <= disk ? RT_ON_DISK : RT_NOWHERE;
    if (mode == RT_CACHE_MEMORY || bytes > disk) return RT_NOWHERE;
    return pays_on_disk(data, bytes) ? RT_ON_DISK : RT_NOWHERE;
}

/* ---- A training ------------------------------------------------------------------------------ */

typedef struct {
    RtData *data;
    const RtCache *features;
    const RtCut *cut;
    const char *name;
} Side;

enum { SIDES = 2 };

static void set_sides(const RtTraining *training, Side sides[SIDES])
{
    const RtSession *session = training->session;
    const RtPhase *phase = training->phase;
    sides[0] = (Side){training->data, session->train_cache, phase->train_cut, "training"};
    sides[1] =
        (Side){training->validation, session->evaluate_cache, phase->evaluate_cut, "validation"};
}

/* What features in memory will take: their pages come when they are written. */
static size_t feature_bytes(const RtTraining *training)
{
    Side sides[SIDES];
    size_t bytes = 0;
    set_sides(training, sides);
    for (int i = 0; i < SIDES; i++)
        if (sides[i].features)
            bytes += rt_cache_row_bytes(training->phase, sides[i].cut) * sides[i].data->count *
                     (size_t)rt_cache_variants(training->phase, sides[i].cut);
    return bytes;
}

/* All but an eighth, which is left to others. */
static uint64_t most_memory(const RtTraining *training)
{
    uint64_t all = (uint64_t)(rt_memory_available() * 7 / 8), features = feature_bytes(training);
    return all > features ? all - features : 0;
}

static void say(const RtModel *model, const Side *side, RtCacheMode mode, RtPlace place)
{
    static const char *const why_not[] = {[RT_CACHE_AUTO] =
                                              "neither fit memory nor are worth the disk",
                                          [RT_CACHE_MEMORY] = "do not fit memory",
                                          [RT_CACHE_DISK] = "do not fit the disk"};
    const double kept = (double)rt_pictures_bytes(model, side->data) / 1048576;
    if (place == RT_NOWHERE) {
        rt_note("Decoded %s pictures are not kept: %.1f MiB %s", side->name, kept, why_not[mode]);
        return;
    }
    char *folder = rt_cache_folder(model);
    rt_note("%zu %s pictures are kept as decoded and resized %s%s: %.1f KiB a picture, %.1f MiB",
            side->data->count, side->name, place == RT_ON_DISK ? "in " : "in memory",
            place == RT_ON_DISK ? folder : "", (double)rt_pictures_row_bytes(model) / 1024, kept);
    free(folder);
}

void rt_training_pictures_open(const RtTraining *training, RtCacheMode mode, uint64_t *memory,
                               uint64_t *disk)
{
    const RtModel *model = training->session->model;
    const RtOptions *options = training->session->options;
    const int epochs = options->steps ? 1 : training->epochs;
    Side sides[SIDES];
    set_sides(training, sides);
    if (mode == RT_CACHE_MEMORY) *memory = most_memory(training);
    for (int i = 0; i < SIDES; i++) {
        const Side *side = &sides[i];
        if (!side->data || !side->data->paths || side->features || side->data->kept) continue;
        RtPlace place = rt_pictures_place(model, side->data, mode, epochs, *memory, *disk);
        size_t bytes = rt_pictures_bytes(model, side->data);
        if (place == RT_IN_MEMORY) *memory -= bytes;
        if (place == RT_ON_DISK) *disk -= bytes;
        if (place != RT_NOWHERE)
            side->data->kept = rt_pictures_open(model, side->data, place == RT_ON_DISK);
        bool asked = mode != RT_CACHE_OFF && (mode != RT_CACHE_AUTO || epochs > 1);
        if (asked && !options->quiet) say(model, side, mode, place);
    }
}

bool rt_training_pictures_fill(const RtTraining *training)
{
    const RtSession *session = training->session;
    Side sides[SIDES];
    set_sides(training, sides);
    for (int i = 0; i < SIDES; i++) {
        char title[40];
        snprintf(title, sizeof title, "Pictures, %s", sides[i].name);
        if (sides[i].data && sides[i].data->kept &&
            !rt_pictures_fill(sides[i].data->kept, &session->run,
                              session->options->quiet ? NULL : title))
            return false;
    }
    return true;
}

void rt_training_pictures_close(const RtTraining *training)
{
    RtData *const sides[SIDES] = {training->data, training->validation};
    for (int i = 0; i < SIDES; i++) {
        if (!sides[i]) continue;
        rt_pictures_close(sides[i]->kept);
        sides[i]->kept = NULL;
    }
}
