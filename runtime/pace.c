/* pace.c: how long the passes of a phase take: some of their batches are timed, the rest counts
 * like them. Steps on kept features are of real features, of a few pictures, in memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "dryrun.h"
#include "ground.h"
#include "pictures.h"
#include "session.h"

enum { MEASURED = 3 /* batches, after one that pays for cold caches */ };

static const double LEAST_SECONDS = 0.25; /* of measuring: short steps vary */

static const double SAMPLE_SECONDS = 0.5; /* of computing features to take steps on */

/* What is done with all pictures of a side, batch by batch. */
typedef struct Pass {
    RtTryout *tryout;
    const RtPhase *phase;
    const RtCut *cut;      /* of computing features */
    const uint64_t *order; /* of what the loader serves */
    size_t served, count;  /* pictures: of the loader; of the real pass, which ends like it */
    int batch;
    bool decodes; /* the loader has work to do beside the steps */
    RtLoader *loader;
    void (*prepare)(struct Pass *); /* what comes before the first batch */
    void (*step)(struct Pass *, const RtBatch *);
} Pass;

/* ---- Timing a pass --------------------------------------------------------------------------- */

static RtBatch start(Pass *pass, size_t from)
{
    rt_loader_start(pass->loader, pass->order, from);
    return rt_loader_next(pass->loader);
}

/* All of it, again and again; the first time pays for cold caches. */
static double time_whole(Pass *pass)
{
    double sum = 0, once = 0;
    int done = -1;
    for (; done < 1 || sum < LEAST_SECONDS; done++) {
        double begun = rt_seconds();
        pass->prepare(pass);
        for (RtBatch batch = start(pass, 0); batch.n; batch = rt_loader_next(pass->loader))
            pass->step(pass, &batch);
        once = rt_seconds() - begun;
        if (done >= 0) sum += once;
        if (rt_signal()) return once;
    }
    return sum / done;
}

/* Seconds until the first batch is there. The second time counts. */
static double time_beginning(Pass *pass)
{
    double begun = 0;
    for (int i = 0; i < 2; i++) {
        begun = rt_seconds();
        pass->prepare(pass);
        start(pass, 0);
    }
    return rt_seconds() - begun;
}

/* Of a whole batch, from the end of the one before: it is decoded while that is computed. */
static double time_batch(Pass *pass)
{
    double sum = 0;
    int done = 0;
    RtBatch batch = start(pass, 0);
    pass->step(pass, &batch);
    while ((done < MEASURED || sum < LEAST_SECONDS) && !rt_signal()) {
        double begun = rt_seconds();
        batch = rt_loader_next(pass->loader);
        if (batch.n < pass->batch) {
            batch = start(pass, 0);
            begun = rt_seconds();
            if (pass->decodes) {
                pass->step(pass, &batch);
                continue;
            }
        }
        pass->step(pass, &batch);
        sum += rt_seconds() - begun;
        done++;
    }
    return sum / fmax(done, 1);
}

/* Of the last batch, if it is not whole, behind a whole one. */
static double time_rest(Pass *pass)
{
    size_t rest = pass->count % (size_t)pass->batch;
    double sum = 0;
    int done = 0;
    if (!rest) return 0;
    for (; done < MEASURED && (!done || sum < LEAST_SECONDS) && !rt_signal(); done++) {
        RtBatch batch = start(pass, pass->served - rest - (size_t)pass->batch);
        pass->step(pass, &batch);
        double begun = rt_seconds();
        batch = rt_loader_next(pass->loader);
        pass->step(pass, &batch);
        sum += rt_seconds() - begun;
    }
    return sum / fmax(done, 1);
}

static double time_pass(Pass *pass)
{
    size_t whole = pass->count / (size_t)pass->batch;
    if (pass->count == 0) return 0;
    if (pass->served == pass->count && (!pass->decodes || whole <= MEASURED))
        return time_whole(pass);
    return time_beginning(pass) + (double)whole * time_batch(pass) + time_rest(pass);
}

/* ---- The kinds of passes --------------------------------------------------------------------- */

static void prepare_steps(Pass *pass)
{
    rt_tryout_order(pass->tryout);
    rt_prepare_train(pass->tryout->session, pass->phase);
}

static void run_step(Pass *pass, const RtBatch *batch)
{
    double loss = rt_tryout_step(pass->tryout, batch);
    if (!isfinite(loss))
        rt_warn("phase %s: the loss is %g after %llu steps; training would end there",
                pass->phase->name, loss, (unsigned long long)pass->tryout->session->run.step);
}

static void prepare_validation(Pass *pass)
{
    rt_prepare_evaluate(pass->tryout->session, pass->phase);
}

static void validate(Pass *pass, const RtBatch *batch)
{
    RtSession *session = pass->tryout->session;
    session->run.sample = batch->sample;
    rt_evaluate_batch(session, pass->phase, batch);
}

static void prepare_features(Pass *pass) { pass->cut->prepare_below(&pass->tryout->session->run); }

static void compute_features(Pass *pass, const RtBatch *batch)
{
    RtSession *session = pass->tryout->session;
    session->run.sample = batch->sample;
    rt_below_batch(session, pass->cut, batch->x, batch->n);
}

static RtLoader *open_loader(const Pass *pass, RtData *data, RtLoss loss)
{
    const RtSession *session = pass->tryout->session;
    return rt_loader_open(session->model, data, pass->batch, loss, session->room,
                          session->model->batch_bytes, session->options->strict);
}

static double time_features(RtTryout *tryout, const RtCacheUse *use, size_t missing)
{
    Pass pass = {.tryout = tryout,
                 .phase = use->phase,
                 .cut = use->cut,
                 .served = missing,
                 .count = missing,
                 .batch = use->batch,
                 .decodes = true,
                 .prepare = prepare_features,
                 .step = compute_features};
    if (missing == 0) return 0;
    pass.loader = open_loader(&pass, use->data, RT_LOSS_NONE);
    rt_loader_take(pass.loader, missing);
    double seconds = time_pass(&pass);
    rt_loader_close(pass.loader);
    return seconds;
}

/* ---- A few pictures of a side ---------------------------------------------------------------- */

static void pick_paths(const RtData *data, RtData *few)
{
    few->paths = rt_alloc(few->count, sizeof *few->paths);
    few->labels = data->labels ? rt_alloc(few->count, sizeof *few->labels) : NULL;
    for (size_t i = 0; i < few->count; i++) {
        size_t from = i * data->count / few->count; /* of all classes */
        few->paths[i] = data->paths[from];
        if (data->labels) few->labels[i] = data->labels[from];
    }
}

/* Shares with data all that it can. */
static RtData pick(const RtData *data, size_t count)
{
    RtData few = *data;
    few.count = count;
    few.problems = NULL;
    few.contents = NULL;
    few.kept = NULL;
    few.skipped = 0;
    if (data->paths)
        pick_paths(data, &few);
    else
        few.x.dims[0] = few.y.dims[0] = (int64_t)count;
    return few;
}

static void unpick(RtData *few)
{
    for (size_t i = 0; few->problems && i < few->count; i++) free(few->problems[i]);
    free(few->problems);
    free(few->contents);
    if (!few->paths) return;
    free(few->paths);
    free(few->labels);
}

/* ---- Passes on kept features ----------------------------------------------------------------- */

/* Pictures, of `count`, whose features are computed: a few batches, all if that is quick, and what
 * is left behind whole ones. */
static size_t sample_size(size_t count, size_t batch, double seconds_a_picture)
{
    size_t whole = count / batch, some = 1;
    double most = SAMPLE_SECONDS / (seconds_a_picture * (double)batch);
    if (seconds_a_picture > 0 && most > 1) some = most < (double)whole ? (size_t)most : whole;
    return (some < whole ? some : whole) * batch + count % batch;
}

/* With features of a few pictures in *cache. */
static double time_kept(RtDryRun *dry, Pass *pass, const RtCacheUse *use, double seconds_a_picture,
                        RtCache **cache)
{
    RtData few = pick(use->data, sample_size(pass->count, (size_t)pass->batch, seconds_a_picture));
    RtCacheUse trial = *use;
    trial.data = &few;
    trial.in_memory = true;
    trial.on_disk = false;
    *cache = rt_cache_open(&trial, NULL);
    rt_cache_fill(*cache);
    pass->served = few.count;
    pass->loader = open_loader(pass, &few, pass->phase->loss);
    rt_loader_skip_pictures(pass->loader, true);
    double seconds = rt_signal() ? 0 : time_pass(pass);
    rt_loader_close(pass->loader);
    rt_cache_close(*cache);
    *cache = NULL;
    size_t bytes = rt_cache_bytes(&trial);
    if (bytes > dry->trial_bytes) dry->trial_bytes = bytes;
    unpick(&few);
    return seconds;
}

static double time_computed(Pass *pass, RtData *data)
{
    pass->served = pass->count;
    pass->decodes = true;
    pass->loader = open_loader(pass, data, pass->phase->loss);
    rt_loader_take(pass->loader, pass->count);
    double seconds = time_pass(pass);
    rt_loader_close(pass->loader);
    return seconds;
}

/* Decodes pictures into memory; the seconds that this takes on all threads. */
static double decode(const RtTryout *tryout, RtData *few)
{
    const RtModel *model = tryout->session->model;
    size_t numbers = (size_t)model->height * (size_t)model->width * (size_t)model->channels;
    real *pixels = rt_alloc(numbers, sizeof *pixels);
    RtImageInfo info;
    double begun = rt_seconds();
    for (size_t i = 0; i < few->count && !rt_signal(); i++)
        rt_pictures_read(few->kept, i, pixels, &info);
    double seconds = rt_seconds() - begun;
    free(pixels);
    return seconds / rt_pool_threads(tryout->session->run.pool);
}

/* On pictures that are decoded: a few. */
static double time_decoded(RtDryRun *dry, Pass *pass, RtForeseen *phase, RtData *data, int side)
{
    const RtModel *model = dry->tryout.session->model;
    size_t batch = (size_t)pass->batch, most = (MEASURED + 1) * batch + pass->count % batch;
    RtData few = pick(data, pass->count < most ? pass->count : most);
    few.kept = rt_pictures_open(model, &few, false);
    double decoding = decode(&dry->tryout, &few) / (double)few.count * (double)data->count;
    if (phase->pictures_begin[side]) phase->decoding += decoding;
    pass->order = NULL;
    pass->served = few.count;
    pass->decodes = true;
    pass->loader = open_loader(pass, &few, pass->phase->loss);
    double seconds = rt_signal() ? 0 : time_pass(pass);
    rt_loader_close(pass->loader);
    rt_pictures_close(few.kept);
    size_t bytes = rt_pictures_bytes(model, &few);
    if (bytes > dry->trial_bytes) dry->trial_bytes = bytes;
    unpick(&few);
    return seconds;
}

static double time_steps(RtDryRun *dry, RtForeseen *phase, double seconds_a_picture)
{
    const RtCourse *course = &phase->course;
    RtTryout *tryout = &dry->tryout;
    RtSession *session = tryout->session;
    Pass pass = {.tryout = tryout,
                 .phase = course->phase,
                 .count = course->pictures,
                 .batch = course->phase->batch,
                 .prepare = prepare_steps,
                 .step = run_step};
    if (course->sides[RT_TRAIN_SIDE].keeps)
        return time_kept(dry, &pass, &course->sides[RT_TRAIN_SIDE].use, seconds_a_picture,
                         &session->train_cache);
    if (phase->pictures[RT_TRAIN_SIDE] != RT_NOWHERE)
        return time_decoded(dry, &pass, phase, tryout->data, RT_TRAIN_SIDE);
    pass.order = tryout->order;
    return time_computed(&pass, tryout->data);
}

static double time_validation(RtDryRun *dry, RtForeseen *phase, double seconds_a_picture)
{
    const RtCourse *course = &phase->course;
    RtTryout *tryout = &dry->tryout;
    RtSession *session = tryout->session;
    Pass pass = {.tryout = tryout,
                 .phase = course->phase,
                 .count = course->validation,
                 .batch = session->batch,
                 .prepare = prepare_validation,
                 .step = validate};
    if (course->validation == 0) return 0;
    if (course->sides[RT_EVALUATE_SIDE].keeps)
        return time_kept(dry, &pass, &course->sides[RT_EVALUATE_SIDE].use, seconds_a_picture,
                         &session->evaluate_cache);
    if (phase->pictures[RT_EVALUATE_SIDE] != RT_NOWHERE)
        return time_decoded(dry, &pass, phase, tryout->validation, RT_EVALUATE_SIDE);
    return time_computed(&pass, tryout->validation);
}

/* Rows that go to disk: written once. */
static double write_seconds(const RtDryRun *dry, const RtCacheUse *use, size_t rows)
{
    if (!rows || !use->on_disk) return 0;
    return (double)rows * (double)rt_cache_row_bytes(use->phase, use->cut) / dry->disk_a_second;
}

void rt_pace_take(RtDryRun *dry, RtForeseen *phase)
{
    double a_picture[RT_SIDES];
    rt_tryout_enter(&dry->tryout, phase->course.phase);
    for (int i = 0; i < RT_SIDES; i++) {
        const RtCacheUse *use = &phase->course.sides[i].use;
        double seconds = time_features(&dry->tryout, use, phase->missing[i]);
        a_picture[i] = seconds / fmax((double)phase->missing[i], 1);
        phase->features[i] = seconds + write_seconds(dry, use, phase->missing[i]);
    }
    phase->steps = time_steps(dry, phase, a_picture[RT_TRAIN_SIDE]);
    phase->validation = time_validation(dry, phase, a_picture[RT_EVALUATE_SIDE]);
}
