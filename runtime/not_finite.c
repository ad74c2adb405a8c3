/* not_finite.c: the callback TerminateOnNaN. When a step's loss is not finite, its update has
 * spoiled the weights already. So a copy of them is made before each step: with it the step is done
 * once more, and each layer's output looked at as it is made. The weights are left as they were
 * before the step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "callbacks.h"
#include "data.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "training.h"
#include "weights.h"

enum { MOST_NAMES = 64 };

/* What the step that is done once more shows. */
typedef struct {
    const char *layer; /* the first with a number that is not finite; NULL: the loss itself */
    bool found;
    bool *rows; /* (batch): of which pictures it is */
} Search;

static bool has_bad(const real *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return true;
    return false;
}

/* RtRun.watch. Micro-batches of one layer come apart: those of later pictures count too. */
static void look_at(const RtRun *run, const char *layer, const real *values, int first, int rows,
                    size_t size)
{
    Search *search = run->watcher;
    if (search->found && (!layer || !search->layer || strcmp(search->layer, layer) != 0)) return;
    for (int i = 0; i < rows; i++) {
        if (!has_bad(values + (size_t)i * size, size)) continue;
        search->found = true;
        search->layer = layer;
        search->rows[first + i] = true;
    }
}

static int find_layer(const RtModel *model, const char *name)
{
    int i = 0;
    while (name && i < model->layer_count && strcmp(model->layers[i].name, name) != 0) i++;
    return name ? i : model->layer_count;
}

/* The first weight up to that layer (NULL: of all) that is not finite, or NULL. */
static const RtWeight *find_bad_weight(const RtTraining *training, const char *layer)
{
    const RtModel *model = training->session->model;
    const int last = find_layer(model, layer);
    for (int i = 0; i < model->weight_count; i++) {
        const RtWeight *weight = &model->weights[i];
        const real *values = training->session->run.weights[i];
        if (weight->layer <= last && has_bad(values, rt_weight_count(weight))) return weight;
    }
    return NULL;
}

static bool has_bad_pictures(const RtTraining *training, const RtBatch *batch, bool *rows)
{
    const RtModel *model = training->session->model;
    const size_t size = (size_t)model->height * (size_t)model->width * (size_t)model->channels;
    bool found = false;
    for (int i = 0; i < batch->n; i++)
        found |= rows[i] = has_bad(batch->x + (size_t)i * size, size);
    return found;
}

static void do_again(RtTraining *training, const RtBatch *batch, Search *search)
{
    RtRun *run = &training->session->run;
    run->watch = look_at;
    run->watcher = search;
    rt_train_batch(training->session, training->phase, batch->x, batch->y, batch->n);
    run->watch = NULL;
    run->watcher = NULL;
}

/* What is the matter, in words; the caller's. */
static char *find_cause(RtTraining *training, const RtState *state, const RtBatch *batch,
                        Search *search)
{
    rt_restore_trained(training, state->weights);
    /* from a cache of features, there are no pictures */
    if (!training->session->train_cache && has_bad_pictures(training, batch, search->rows))
        return rt_format("the input itself holds such numbers");
    do_again(training, batch, search);
    rt_restore_trained(training, state->weights);
    const RtWeight *weight = find_bad_weight(training, search->layer);
    if (weight)
        return rt_format("the first layer with such numbers is %s: its weight %s had them before "
                         "this step",
                         training->session->model->layers[weight->layer].name, weight->name);
    if (!search->found) return rt_format("the penalty on the weights is not finite");
    if (!search->layer) return rt_format("every layer's output is finite: the loss is not");
    return rt_format("the first layer with such numbers is %s: its output", search->layer);
}

static char *picture_name(const RtTraining *training, uint64_t sample)
{
    const RtData *data = training->data;
    return data->paths ? rt_format("%s", data->paths[sample])
                       : rt_format("x[%llu]", (unsigned long long)sample);
}

/* Pictures of the batch; those with a star have the numbers. */
static void name_pictures(const RtTraining *training, const RtBatch *batch, const bool *rows)
{
    for (int i = 0; i < batch->n && i < MOST_NAMES; i++) {
        char *name = picture_name(training, batch->sample[i]);
        rt_note("  %c %s", rows[i] ? '*' : ' ', name);
        free(name);
    }
    if (batch->n > MOST_NAMES) rt_note("    and %d more", batch->n - MOST_NAMES);
}

static void open_nan(RtTraining *training, RtState *state)
{
    state->weights = rt_alloc(rt_trained_count(training), sizeof *state->weights);
}

static void nan_begin_step(RtTraining *training, RtState *state)
{
    rt_copy_trained(training, state->weights);
}

const RtHooks rt_nan_hooks = {.open = open_nan, .begin_step = nan_begin_step};

static RtState *find_callback(const RtTraining *training)
{
    for (int i = 0; i < training->callbacks->count; i++)
        if (training->callbacks->states[i].about->kind == RT_TERMINATE_ON_NAN)
            return &training->callbacks->states[i];
    return NULL;
}

bool rt_callbacks_not_finite(RtTraining *training, const RtBatch *batch, double loss)
{
    const RtRun *run = &training->session->run;
    char text[RT_NUMBER];
    RtState *state = find_callback(training);
    if (!state) return false;
    Search search = {.rows = rt_alloc((size_t)batch->n, sizeof *search.rows)};
    char *cause = find_cause(training, state, batch, &search);
    rt_number_text(loss, text);
    rt_note("phase %s, epoch %d, step %llu (%zu of the epoch): the loss is %s; %s",
            training->phase->name, training->epoch + 1, (unsigned long long)run->step + 1,
            training->epoch_steps + 1, text, cause);
    rt_note("pictures of the step (* with such numbers):");
    name_pictures(training, batch, search.rows);
    free(search.rows);
    free(cause);
    static const char hint[] = "a smaller learning_rate, and input in the range the model expects";
    if (state->about->raise_error) rt_die(RT_FAILED, hint, "TerminateOnNaN ends the training");
    rt_note("  hint: %s", hint);
    training->diverged = true;
    training->unsaved = true;
    return true;
}
