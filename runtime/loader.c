/* loader.c: batches of pictures and labels, decoded by threads beside the computing.
 *
 * The room has two halves: one is used by the caller while the other is filled. What a batch holds
 * is a function of the data and the order alone: rows are claimed in the order's sequence; when all
 * claimed rows are done, those that could not be read are closed up, and the free rows at the end
 * are claimed again from where the sequence stands, until the batch is full or the order ends.
 * Messages come from the caller's thread, in the order's sequence too. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"
#include "pictures.h"

enum { MAX_DECODERS = 4 };

typedef struct {
    real *x, *y;
    uint64_t *sample;
    int n;           /* rows claimed; when ready: filled */
    size_t from, to; /* positions of the order that it covers */
    bool ready;
} Half;

struct RtLoader {
    const RtModel *model;
    RtData *data;
    RtLoss loss;
    int batch, label_size;
    size_t picture_size; /* numbers */
    bool strict, skips_pictures;

    Half halves[2];
    Half *filling;   /* NULL: none yet */
    uint64_t *order; /* our copy: threads read it while the caller makes the next */
    size_t position; /* in order, of the next claim */
    size_t count;    /* of the order: pictures in an epoch */
    bool *good;      /* (batch): rows of the half being filled that were read */
    int busy;        /* rows claimed and not done */
    bool closing;

    pthread_mutex_t lock; /* guards all of the above that changes */
    pthread_cond_t work, done;
    pthread_t threads[MAX_DECODERS];
    int thread_count;
};

static size_t align(size_t bytes) { return (bytes + 63) / 64 * 64; }

static size_t picture_size(const RtModel *model)
{
    return (size_t)model->height * (size_t)model->width * (size_t)model->channels;
}

static size_t x_bytes(const RtModel *model, int batch)
{
    return align((size_t)batch * picture_size(model) * sizeof(real));
}

static size_t y_bytes(int batch, int label_size)
{
    return align((size_t)batch * (size_t)label_size * sizeof(real));
}

size_t rt_loader_bytes(const RtModel *model, int batch, int label_size)
{
    return x_bytes(model, batch) + y_bytes(batch, label_size) +
           align((size_t)batch * sizeof(uint64_t));
}

/* ---- One row
 * -------------------------------------------------------------------------------------- */

static void copy_row(const RtArray *array, uint64_t index, real *to)
{
    size_t numbers = (size_t)(rt_array_count(array) / array->dims[0]);
    const char *data = array->data;
    RtArray row = {.type = array->type, .rank = 1, .dims = {(int64_t)numbers}};
    row.data = (void *)(data + index * numbers * rt_type_size(array->type));
    rt_array_to_real(&row, to);
}

static void fill_label(const RtLoader *loader, uint64_t sample, real *y)
{
    const RtData *data = loader->data;
    if (loader->loss == RT_LOSS_NONE) return;
    if (!data->labels) {
        copy_row(&data->y, sample, y);
    } else if (loader->label_size == 1) {
        y[0] = (real)data->labels[sample];
    } else {
        for (int i = 0; i < loader->label_size; i++) y[i] = i == data->labels[sample];
    }
}

static bool fill_row(const RtLoader *loader, const Half *half, int row, RtImageInfo *info)
{
    const RtModel *model = loader->model;
    uint64_t sample = half->sample[row];
    real *x = half->x + (size_t)row * loader->picture_size;
    fill_label(loader, sample, half->y + (size_t)row * (size_t)loader->label_size);
    if (loader->skips_pictures) return true;
    if (loader->data->kept) return rt_pictures_read(loader->data->kept, sample, x, info);
    if (loader->data->paths)
        return rt_image_read(loader->data->paths[sample], model->height, model->width,
                             model->channels, model->interpolation, x, info);
    copy_row(&loader->data->x, sample, x);
    return true;
}

/* ---- Filling a half: all with the lock held
 * ---------------------------------------------------------- */

static bool can_claim(RtLoader *loader)
{
    const Half *half = loader->filling;
    if (loader->closing || !half || half->ready || half->n == loader->batch) return false;
    while (loader->position < loader->count &&
           loader->data->problems[loader->order[loader->position]])
        loader->position++; /* known from an earlier epoch */
    return loader->position < loader->count;
}

static void move_row(const RtLoader *loader, Half *half, int from, int to)
{
    size_t picture = loader->picture_size, label = (size_t)loader->label_size;
    size_t source = (size_t)from, target = (size_t)to;
    memcpy(half->x + target * picture, half->x + source * picture, picture * sizeof(real));
    memcpy(half->y + target * label, half->y + source * label, label * sizeof(real));
    half->sample[target] = half->sample[source];
}

static void close_up(RtLoader *loader, Half *half)
{
    int kept = 0;
    for (int row = 0; row < half->n; row++) {
        if (!loader->good[row]) continue;
        if (kept < row) move_row(loader, half, row, kept);
        loader->good[kept++] = true;
    }
    half->n = kept;
}

/* Called whenever something was begun or done: goes on, or declares the half ready. */
static void settle(RtLoader *loader)
{
    Half *half = loader->filling;
    if (!loader->closing && loader->busy == 0 && !can_claim(loader)) {
        close_up(loader, half);
        if (!can_claim(loader)) {
            half->to = loader->position;
            half->ready = true;
        }
    }
    if (can_claim(loader)) pthread_cond_broadcast(&loader->work);
    if (loader->busy == 0) pthread_cond_broadcast(&loader->done);
}

static void begin_fill(RtLoader *loader, Half *half)
{
    half->n = 0;
    half->from = loader->position;
    half->ready = false;
    loader->filling = half;
    settle(loader);
}

static void *decode_rows(void *argument)
{
    RtLoader *loader = argument;
    pthread_mutex_lock(&loader->lock);
    while (!loader->closing) {
        if (!can_claim(loader)) {
            pthread_cond_wait(&loader->work, &loader->lock);
            continue;
        }
        Half *half = loader->filling;
        int row = half->n++;
        half->sample[row] = loader->order[loader->position++];
        loader->busy++;
        pthread_mutex_unlock(&loader->lock);
        RtImageInfo info;
        bool good = fill_row(loader, half, row, &info);
        pthread_mutex_lock(&loader->lock);
        loader->good[row] = good;
        char **problem = &loader->data->problems[half->sample[row]];
        if (!good && !*problem) *problem = rt_format("%s", info.problem);
        loader->busy--;
        settle(loader);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- The caller's side
 * ---------------------------------------------------------------------------------- */

static void set_half(RtLoader *loader, Half *half, char *room)
{
    half->x = (real *)(void *)room;
    room += x_bytes(loader->model, loader->batch);
    half->y = (real *)(void *)room;
    room += y_bytes(loader->batch, loader->label_size);
    half->sample = (uint64_t *)(void *)room;
}

/* Signals are for the main thread. */
static void start_threads(RtLoader *loader)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int spare = rt_default_threads() - 1, count = spare < 1 ? 1 : spare;
    if (count > MAX_DECODERS) count = MAX_DECODERS;
    for (int i = 0; i < count; i++) {
        int error = pthread_create(&loader->threads[i], NULL, decode_rows, loader);
        if (error) rt_die(RT_FAILED, NULL, "cannot start a thread: %s", strerror(error));
        loader->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

RtLoader *rt_loader_open(const RtModel *model, RtData *data, int batch, RtLoss loss, char *room,
                         size_t room_bytes, bool strict)
{
    RtLoader *loader = rt_alloc(1, sizeof *loader);
    loader->model = model;
    loader->data = data;
    loader->loss = loss;
    loader->batch = batch;
    loader->label_size = rt_label_size(model, loss);
    loader->picture_size = picture_size(model);
    loader->strict = strict;
    size_t half = room_bytes / 2 / 64 * 64;
    if (rt_loader_bytes(model, batch, loader->label_size) > half)
        rt_die(RT_FAILED, NULL, "a batch of %d does not fit into the loader's room of %zu bytes",
               batch, room_bytes);
    set_half(loader, &loader->halves[0], room);
    set_half(loader, &loader->halves[1], room + half);
    loader->count = data->count;
    loader->order = rt_alloc(data->count, sizeof *loader->order);
    loader->good = rt_alloc((size_t)batch, sizeof *loader->good);
    if (!data->problems) data->problems = rt_alloc(data->count, sizeof *data->problems);
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    start_threads(loader);
    return loader;
}

/* Lets no thread take up a row, and waits for those at work. */
static void stop_filling(RtLoader *loader)
{
    if (loader->filling) loader->filling->ready = true;
    while (loader->busy) pthread_cond_wait(&loader->done, &loader->lock);
}

void rt_loader_skip_pictures(RtLoader *loader, bool skip)
{
    pthread_mutex_lock(&loader->lock);
    stop_filling(loader);
    loader->skips_pictures = skip;
    pthread_mutex_unlock(&loader->lock);
}

void rt_loader_take(RtLoader *loader, size_t count)
{
    pthread_mutex_lock(&loader->lock);
    stop_filling(loader);
    loader->count = count < loader->data->count ? count : loader->data->count;
    pthread_mutex_unlock(&loader->lock);
}

void rt_loader_start(RtLoader *loader, const uint64_t *order, size_t from)
{
    pthread_mutex_lock(&loader->lock);
    stop_filling(loader);
    for (size_t i = 0; i < loader->count; i++) loader->order[i] = order ? order[i] : i;
    loader->position = from;
    begin_fill(loader, &loader->halves[0]);
    pthread_mutex_unlock(&loader->lock);
}

/* Names the unreadable pictures that a batch passed over, if they are news. */
static void report_problems(RtLoader *loader, const Half *half)
{
    RtData *data = loader->data;
    for (size_t i = half->from; i < half->to; i++) {
        uint64_t sample = loader->order[i];
        char *problem = data->problems[sample];
        if (!problem || !problem[0]) continue;
        if (loader->strict)
            rt_die(RT_BAD_DATA, "without --strict such pictures are left out", "%s: %s",
                   data->paths[sample], problem);
        rt_warn("%s: %s; left out", data->paths[sample], problem);
        problem[0] = 0;
        data->skipped++;
    }
    if (data->skipped == data->count)
        rt_die(RT_BAD_DATA, NULL, "none of the %zu pictures can be read", data->count);
}

RtBatch rt_loader_next(RtLoader *loader)
{
    pthread_mutex_lock(&loader->lock);
    Half *half = loader->filling;
    while (!half->ready) pthread_cond_wait(&loader->done, &loader->lock);
    report_problems(loader, half);
    if (half->n > 0) begin_fill(loader, &loader->halves[half == &loader->halves[0]]);
    pthread_mutex_unlock(&loader->lock);
    return (RtBatch){
        .n = half->n, .x = half->x, .y = half->y, .sample = half->sample, .to = half->to};
}

void rt_loader_close(RtLoader *loader)
{
    if (!loader) return;
    pthread_mutex_lock(&loader->lock);
    loader->closing = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->thread_count; i++) pthread_join(loader->threads[i], NULL);
    free(loader->order);
    free(loader->good);
    pthread_mutex_destroy(&loader->lock);
    pthread_cond_destroy(&loader->work);
    pthread_cond_destroy(&loader->done);
    free(loader);
}
