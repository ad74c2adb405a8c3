/* session.c: what every command but summary begins with: arena, threads, kernels, weights. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrays.h"
#include "cache.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "session.h"
#include "weights.h"

static const RtModel *preparing;

/* Behind the packing of each weight, not of all: peak memory is what a server must have. */
static void forget_packed(const RtCall *call, int tasks, double seconds)
{
    (void)tasks, (void)seconds;
    for (int i = 0; i < preparing->weight_count; i++) {
        const real *values = call->run->weights[i];
        if (preparing->only_packed[i] && call->in[0] == values)
            rt_map_forget(values, rt_weight_count(&preparing->weights[i]) * sizeof *values);
    }
}

void rt_prepare_infer(RtSession *session)
{
    const RtModel *model = session->model;
    const RtRun *run = &session->run;
    if (session->prepared) return;
    RtProfiler *profiler = rt_profiler;
    if (run->read_only && model->only_packed) {
        preparing = model;
        rt_profiler = forget_packed;
    }
    if (model->prepare_infer) model->prepare_infer(run);
    rt_profiler = profiler;
    session->prepared = run->read_only;
}

const RtPhase *rt_find_phase(const RtModel *model, const char *name)
{
    for (int i = 0; i < model->phase_count; i++)
        if (strcmp(model->phases[i].name, name) == 0) return &model->phases[i];
    return NULL;
}

void rt_clear_slots(const RtSession *session, const RtPhase *phase)
{
    for (int i = 0; i < phase->slot_count; i++)
        memset(session->run.arena + phase->slots[i].offset, 0,
               rt_weight_count(&session->model->weights[phase->slots[i].weight]) * sizeof(real));
}

/* Slots of two phases may lie over one another, so all are read before one is written. */
void rt_continue_slots(const RtSession *session, const RtPhase *from, const RtPhase *to)
{
    const RtWeight *weights = session->model->weights;
    char *arena = session->run.arena;
    real **kept = rt_alloc((size_t)from->slot_count, sizeof *kept);
    for (int i = 0; i < from->slot_count; i++) {
        size_t count = rt_weight_count(&weights[from->slots[i].weight]);
        kept[i] = rt_alloc(count, sizeof(real));
        memcpy(kept[i], arena + from->slots[i].offset, count * sizeof(real));
    }
    rt_clear_slots(session, to);
    for (int i = 0; i < from->slot_count; i++) {
        const RtSlot *old = &from->slots[i];
        for (int j = 0; j < to->slot_count; j++)
            if (to->slots[j].weight == old->weight && strcmp(to->slots[j].name, old->name) == 0)
                memcpy(arena + to->slots[j].offset, kept[i],
                       rt_weight_count(&weights[old->weight]) * sizeof(real));
        free(kept[i]);
    }
    free(kept);
}

/* Rows that evaluate can take at once: what it is made for, and what the loader's room holds. */
static int choose_batch(const RtModel *model)
{
    int batch = model->infer_batch, labels = 1;
    for (int i = 0; i < model->phase_count; i++) {
        int size = rt_label_size(model, model->phases[i].loss);
        if (size > labels) labels = size;
    }
    while (batch > 1 && 2 * rt_loader_bytes(model, batch, labels) > model->batch_bytes) batch--;
    return batch;
}

static int largest_batch(const RtModel *model)
{
    int batch = model->infer_batch;
    for (int i = 0; i < model->phase_count; i++)
        if (model->phases[i].batch > batch) batch = model->phases[i].batch;
    return batch;
}

/* The kernels of the level, or of the highest below it for which the file was compiled. */
static void choose_kernels(RtSession *session)
{
    int level = (int)rt_level();
    while (level > RT_GENERIC && !session->model->kernels[level]) level--;
    session->level = (RtLevel)level;
    session->run.kernels = session->model->kernels[level];
}

static size_t memory_bytes(const RtModel *model, const RtPool *pool)
{
    return model->arena_bytes + (size_t)rt_pool_threads(pool) * model->scratch_bytes;
}

static void poison(const RtSession *session)
{
    const RtModel *model = session->model;
    const RtRun *run = &session->run;
    if (!session->poison) return;
    memset(run->arena + model->plan_offset, 0xff, model->plan_bytes);
    memset(run->scratch, 0xff, memory_bytes(model, run->pool) - model->arena_bytes);
}

void rt_infer_batch(RtSession *session, const real *x, int n, real *out)
{
    poison(session);
    session->model->infer(&session->run, x, n, out);
}

void rt_prepare_train(RtSession *session, const RtPhase *phase)
{
    if (session->train_cache)
        phase->train_cut->prepare_above(&session->run);
    else if (phase->prepare_train)
        phase->prepare_train(&session->run);
}

void rt_prepare_evaluate(RtSession *session, const RtPhase *phase)
{
    if (session->evaluate_cache)
        phase->evaluate_cut->prepare_above(&session->run);
    else if (phase->prepare_evaluate)
        phase->prepare_evaluate(&session->run);
}

void rt_below_batch(RtSession *session, const RtCut *cut, const real *x, int n)
{
    poison(session);
    cut->below(&session->run, x, n);
}

void rt_evaluate_batch(RtSession *session, const RtPhase *phase, const RtBatch *batch)
{
    const RtRun *run = &session->run;
    poison(session);
    if (!session->evaluate_cache) {
        phase->evaluate(run, batch->x, batch->y, batch->n, session->out, session->losses);
        return;
    }
    rt_cache_load(session->evaluate_cache, batch->n);
    phase->evaluate_cut->evaluate(run, batch->y, batch->n, session->out, session->losses);
}

/* The lower part with the random numbers of the epoch's variant. */
static void make_variant(RtSession *session, const RtPhase *phase, const real *x, int n)
{
    RtRun *run = &session->run;
    uint32_t epoch = run->epoch;
    run->epoch %= (uint32_t)phase->variants;
    phase->train_cut->below(run, x, n);
    run->epoch = epoch;
}

double rt_train_batch(RtSession *session, const RtPhase *phase, const real *x, const real *y, int n)
{
    const RtCut *cut = phase->train_cut;
    poison(session);
    if (phase->weighs_classes) rt_weigh_batch(session, phase, y, n);
    if (session->train_cache)
        rt_cache_load(session->train_cache, n);
    else if (cut && cut->random && phase->variants)
        make_variant(session, phase, x, n);
    else
        return phase->train(&session->run, x, y, n, session->out);
    return cut->train(&session->run, y, n, session->out);
}

void rt_run_open(RtRun *run, const RtModel *model, int threads)
{
    run->pool = rt_pool_open(threads);
    run->arena = rt_arena_open(memory_bytes(model, run->pool), model->name, !run->read_only);
    run->scratch = run->arena + model->arena_bytes;
    run->scratch_bytes = model->scratch_bytes;
    run->weights = rt_alloc((size_t)model->weight_count, sizeof *run->weights);
    for (int i = 0; i < model->weight_count; i++)
        run->weights[i] = (real *)(run->arena + model->weights[i].offset);
}

void rt_run_close(RtRun *run, const RtModel *model)
{
    const size_t bytes = memory_bytes(model, run->pool);
    rt_pool_close(run->pool);
    rt_arena_close(run->arena, bytes);
    free(run->weights);
}

void rt_session_open(RtSession *session, const RtModel *model, const RtOptions *options)
{
    *session = (RtSession){.model = model, .options = options};
    const char *wish = getenv("TLC_POISON");
    session->poison = wish && strcmp(wish, "1") == 0;
    choose_kernels(session);
    session->run.seed = options->seed;
    session->run.read_only = strcmp(options->command, "train") != 0 &&
                             strcmp(options->command, "lrfind") != 0 &&
                             (strcmp(options->command, "bench") != 0 || !model->phase_count);
    rt_run_open(&session->run, model, options->threads);
    session->room = session->run.arena + model->batch_offset;
    session->batch = choose_batch(model);
    session->out =
        rt_alloc((size_t)largest_batch(model) * (size_t)model->output_size, sizeof(real));
    session->sample_weights = rt_alloc((size_t)largest_batch(model), sizeof(real));
    session->losses = rt_alloc((size_t)model->infer_batch, sizeof(real));
}

void rt_session_close(RtSession *session)
{
    rt_run_close(&session->run, session->model);
    free(session->out);
    free(session->losses);
    free(session->class_weights);
    free(session->sample_weights);
}

/* The file that the last training left, malloc'ed; NULL if there is none. */
static char *find_trained(const RtModel *model)
{
    static const char *const names[] = {"best", "last"};
    for (int i = 0; i < 2; i++) {
        char *path = rt_format("runs/%s/%s.safetensors", model->name, names[i]);
        if (access(path, F_OK) == 0) return path;
        free(path);
    }
    return NULL;
}

/* Whether a program of tlc wrote the file: then it must be a program of this model. */
static bool is_ours(const char *path)
{
    static const char hdf5[8] = "\x89HDF\r\n\x1a\n";
    char start[sizeof hdf5] = "";
    FILE *file = fopen(path, "rb");
    bool other = file && fread(start, 1, sizeof start, file) == sizeof start &&
                 memcmp(start, hdf5, sizeof hdf5) == 0;
    if (file) fclose(file);
    if (other) return false;
    RtTensors *tensors = rt_tensors_open(path);
    bool ours = rt_tensors_meta(tensors, "tlc_model_hash") != NULL;
    rt_tensors_close(tensors);
    return ours;
}

RtSaved *rt_session_load(RtSession *session)
{
    const RtModel *model = session->model;
    const char *given = session->options->weights;
    char *found = given ? NULL : find_trained(model);
    const char *path = given ? given : found;
    RtSaved *saved = NULL;
    if (!path && model->phase_count)
        rt_die(RT_BAD_WEIGHTS, rt_format("%s train --data DIR, or --weights FILE", rt_program),
               "no trained weights: runs/%s has neither best.safetensors nor last.safetensors",
               model->name);
    if (!path) {
        rt_weights_load(model, &session->run, NULL);
    } else if (is_ours(path)) {
        saved = rt_saved_load(model, &session->run, path);
    } else if (model->phase_count) { /* all that training changes must be in the file */
        rt_weights_read(model, &session->run, path, -1);
    } else {
        rt_weights_load(model, &session->run, path);
    }
    if (found) rt_note("weights: %s", found);
    free(found);
    return saved;
}
