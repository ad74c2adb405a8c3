/* checkpoint.c: checkpoints, from which a training goes on as if nothing had happened: a sealed
 * .safetensors file that holds the weights, the optimizer's slots, every number that was kept with
 * rt_training_keep, the history and the settings. With random numbers that are a function of seed,
 * epoch and picture, and a position in the epoch's order, that is all there is. */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrays.h"
#include "commands.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "training.h"
#include "weights.h"

static const RtType REAL = sizeof(real) == sizeof(double) ? RT_F64 : RT_F32;

/* ---- The files of a folder ------------------------------------------------------------------- */

static char *checkpoint_folder(const char *folder) { return rt_format("%s/checkpoints", folder); }

/* Steps of "step-000123.safetensors"; -1 for other names. */
static int64_t steps_of(const char *name)
{
    int64_t steps;
    int length = 0;
    bool fits = sscanf(name, "step-%" SCNd64 ".safetensors%n", &steps, &length) == 1;
    return fits && length && !name[length] && steps >= 0 ? steps : -1;
}

static char *path_of(const char *folder, int64_t steps)
{
    return rt_format("%s/checkpoints/step-%06" PRId64 ".safetensors", folder, steps);
}

static int compare_down(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left < right) - (left > right);
}

/* The steps of all checkpoints, the newest first. */
static int64_t *list_checkpoints(const char *folder, size_t *count)
{
    int64_t *list = NULL;
    char *path = checkpoint_folder(folder);
    DIR *entries = opendir(path);
    free(path);
    *count = 0;
    if (!entries) return NULL;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (steps_of(entry->d_name) < 0) continue;
        list = rt_grow(list, *count + 1, sizeof *list);
        list[(*count)++] = steps_of(entry->d_name);
    }
    closedir(entries);
    if (*count) qsort(list, *count, sizeof *list, compare_down);
    return list;
}

char *rt_checkpoint_find(const char *folder, int *damaged)
{
    size_t count;
    int64_t *list = list_checkpoints(folder, &count);
    char *found = NULL;
    if (damaged) *damaged = 0;
    for (size_t i = 0; i < count && !found; i++) {
        const char *problem;
        char *path = path_of(folder, list[i]);
        if (rt_tensors_sealed(path, &problem)) {
            found = path;
            continue;
        }
        if (damaged) rt_warn("%s: a damaged checkpoint: %s; left out", path, problem);
        if (damaged) ++*damaged;
        free(path);
    }
    free(list);
    return found;
}

static void remove_checkpoint(const char *folder, int64_t steps)
{
    char *path = path_of(folder, steps);
    unlink(path);
    free(path);
}

/* Those that are newer than the one just written were passed over as damaged. */
static void remove_old(const RtTraining *training)
{
    int keep = training->session->options->keep, kept = 0;
    size_t count;
    int64_t *list = list_checkpoints(training->folder, &count);
    for (size_t i = 0; i < count; i++)
        if (list[i] > (int64_t)training->steps || kept++ >= (keep ? keep : 2))
            remove_checkpoint(training->folder, list[i]);
    free(list);
}

static void remove_all(const char *folder)
{
    size_t count;
    int64_t *list = list_checkpoints(folder, &count);
    for (size_t i = count; i > 0; i--) remove_checkpoint(folder, list[i - 1]);
    free(list);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static RtArray weight_array(const RtWeight *weight, char *name, void *data)
{
    RtArray array = {.name = name, .type = REAL, .rank = weight->rank, .data = data};
    for (int i = 0; i < weight->rank; i++) array.dims[i] = weight->dims[i];
    return array;
}

static char *slot_name(const RtModel *model, const RtSlot *slot)
{
    return rt_format("optimizer/%s/%s", model->weights[slot->weight].name, slot->name);
}

/* What goes into the file: the names are the caller's to free, the data is not. */
static RtArray *list_arrays(const RtTraining *training, size_t *count)
{
    const RtModel *model = training->session->model;
    const RtRun *run = &training->session->run;
    const RtPhase *phase = training->phase;
    size_t most = (size_t)model->weight_count + (size_t)phase->slot_count + training->kept_count;
    RtArray *arrays = rt_alloc(most, sizeof *arrays);
    *count = 0;
    for (int i = 0; i < model->weight_count; i++)
        arrays[(*count)++] = weight_array(&model->weights[i],
                                          rt_format("%s", model->weights[i].name), run->weights[i]);
    for (int i = 0; i < phase->slot_count; i++) {
        const RtSlot *slot = &phase->slots[i];
        arrays[(*count)++] = weight_array(&model->weights[slot->weight], slot_name(model, slot),
                                          run->arena + slot->offset);
    }
    for (size_t i = 0; i < training->kept_count; i++) {
        const RtKept *kept = &training->kept[i];
        arrays[(*count)++] = (RtArray){.name = rt_format("kept/%s", kept->name),
                                       .type = kept->type,
                                       .rank = 1,
                                       .dims = {(int64_t)kept->count},
                                       .data = kept->values};
    }
    return arrays;
}

bool rt_checkpoint_write(RtTraining *training)
{
    const RtModel *model = training->session->model;
    if (training->session->options->trace) return true;
    size_t count, metas = training->setting_count;
    RtArray *arrays = list_arrays(training, &count);
    RtMeta *meta = rt_alloc(metas + 4, sizeof *meta);
    char *history = rt_history_text(training->history);
    memcpy(meta, training->settings, metas * sizeof *meta);
    meta[metas++] = (RtMeta){"format", "tlc checkpoint 1"};
    meta[metas++] = (RtMeta){"tlc_model_hash", (char *)model->hash};
    meta[metas++] = (RtMeta){"phase", (char *)training->phase->name};
    meta[metas++] = (RtMeta){"history", history};
    char *path = path_of(training->folder, (int64_t)training->steps);
    bool good = rt_tensors_try(path, arrays, count, meta, metas, true);
    if (good) remove_old(training);
    for (size_t i = 0; i < count; i++) free(arrays[i].name);
    free(arrays);
    free(meta);
    free(history);
    free(path);
    return good;
}

/* ---- Finding what to go on from -------------------------------------------------------------- */

static _Noreturn void die_damaged(const char *folder, int damaged)
{
    rt_die(RT_BAD_WEIGHTS, "--fresh starts anew; --out DIR trains elsewhere",
           "%s/checkpoints: none of %d can be read", folder, damaged);
}

static void check_model(const RtTraining *training)
{
    const RtModel *model = training->session->model;
    const char *format = rt_tensors_meta(training->checkpoint, "format");
    const char *hash = rt_tensors_meta(training->checkpoint, "tlc_model_hash");
    if (!format || strcmp(format, "tlc checkpoint 1") != 0)
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: no checkpoint of this version of tlc",
               training->checkpoint_path);
    if (!hash || strcmp(hash, model->hash) != 0)
        rt_die(RT_BAD_WEIGHTS, "--fresh starts anew and removes it; --out DIR trains elsewhere",
               "%s: is of another model\n  the file:     %.64s\n  this program: %s",
               training->checkpoint_path, hash ? hash : "", model->hash);
}

/* A trace has the numbers of every step, so it must begin with the first. */
static void check_trace(const RtTraining *training)
{
    if (training->session->options->trace)
        rt_die(RT_USAGE, "--fresh removes it; --out DIR writes elsewhere",
               "%s: a training has begun here, and --trace is of a whole one", training->folder);
}

void rt_checkpoint_open(RtTraining *training)
{
    int damaged;
    if (!training->folder) return;
    if (training->session->options->fresh) remove_all(training->folder);
    char *path = rt_checkpoint_find(training->folder, &damaged);
    if (!path && damaged) die_damaged(training->folder, damaged);
    if (!path) return;
    check_trace(training);
    training->checkpoint_path = path;
    training->checkpoint = rt_tensors_open(path);
    check_model(training);
    rt_settings_check(training);
}

void rt_resume_options(const RtModel *model, RtOptions *options)
{
    char *folder = options->out ? rt_format("%s", options->out) : rt_format("runs/%s", model->name);
    char *path = rt_checkpoint_find(folder, NULL);
    if (!path)
        rt_die(RT_BAD_WEIGHTS, "without --resume a training starts",
               "%s/checkpoints: no checkpoint that can be read", folder);
    RtTensors *file = rt_tensors_open(path);
    rt_options_restore(model, options, file);
    rt_tensors_close(file);
    free(path);
    free(folder);
}

/* ---- Going on -------------------------------------------------------------------------------- */

static void read_values(const RtTraining *training, const char *name, RtType type, size_t count,
                        void *values)
{
    const void *raw = rt_tensors_raw(training->checkpoint, name, type, count);
    if (!raw)
        rt_die(RT_BAD_WEIGHTS, "--fresh starts anew and removes it",
               "%s: has not the %zu numbers \"%s\" that this program keeps",
               training->checkpoint_path, count, name);
    memcpy(values, raw, count * rt_type_size(type));
}

static const RtKept *find_kept(const RtTraining *training, const char *name)
{
    for (size_t i = 0; i < training->kept_count; i++)
        if (strcmp(training->kept[i].name, name) == 0) return &training->kept[i];
    rt_die(RT_FAILED, NULL, "nothing is kept as \"%s\"", name);
}

int64_t rt_checkpoint_number(const RtTraining *training, const char *name)
{
    const RtKept *kept = find_kept(training, name);
    char *full = rt_format("kept/%s", name);
    union {
        int64_t wide;
        int32_t narrow;
        bool flag;
    } value = {0};
    read_values(training, full, kept->type, 1, &value);
    free(full);
    return kept->type == RT_I64 ? value.wide : kept->type == RT_I32 ? value.narrow : value.flag;
}

bool rt_checkpoint_ends_phase(const RtTraining *training)
{
    int phase = (int)rt_checkpoint_number(training, "training.phase");
    return rt_checkpoint_number(training, "training.over") &&
           (rt_checkpoint_number(training, "training.stop") ||
            rt_checkpoint_number(training, "training.epoch") >=
                rt_training_epochs(training, phase));
}

void rt_checkpoint_restore(RtTraining *training)
{
    const RtModel *model = training->session->model;
    const RtRun *run = &training->session->run;
    const RtPhase *phase = training->phase;
    for (int i = 0; i < model->weight_count; i++)
        read_values(training, model->weights[i].name, REAL, rt_weight_count(&model->weights[i]),
                    run->weights[i]);
    for (int i = 0; i < phase->slot_count; i++) {
        char *name = slot_name(model, &phase->slots[i]);
        read_values(training, name, REAL, rt_weight_count(&model->weights[phase->slots[i].weight]),
                    run->arena + phase->slots[i].offset);
        free(name);
    }
    for (size_t i = 0; i < training->kept_count; i++) {
        const RtKept *kept = &training->kept[i];
        char *name = rt_format("kept/%s", kept->name);
        read_values(training, name, kept->type, kept->count, kept->values);
        free(name);
    }
    const char *history = rt_tensors_meta(training->checkpoint, "history");
    if (!history || !rt_history_read(training->history, history))
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: has no history", training->checkpoint_path);
    rt_tensors_close(training->checkpoint);
    training->checkpoint = NULL;
}
