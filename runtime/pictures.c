/* pictures.c: the pictures of one data set as the model takes them, in memory or in the mapped
 * files of a store.
 *
 * By the nearest pixel they are bytes, else floats, as the resizing gives them. In files each is
 * known by the content of its own; the store's key covers size, colours and interpolation. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "pictures.h"

enum { CHUNK = 16 /* pictures that are decoded before they are written */ };

enum { ABSENT, COMING, THERE };

struct RtPictures {
    const RtModel *model;
    const RtData *data;
    size_t numbers, row_bytes;
    const unsigned char **rows; /* (pictures), if in a store; NULL: not there */
    unsigned char *memory;      /* (pictures) rows; NULL if they are in a store */
    atomic_uchar *states;       /* (pictures) of the rows in memory */
    RtStore *store;
    RtHash *contents; /* (pictures): of their files, where readable */
    bool *readable;
    bool filled;
};

static bool is_bytes(const RtModel *model) { return model->interpolation == RT_NEAREST; }

static size_t numbers_of(const RtModel *model)
{
    return (size_t)model->height * (size_t)model->width * (size_t)model->channels;
}

size_t rt_pictures_row_bytes(const RtModel *model)
{
    return numbers_of(model) * (is_bytes(model) ? 1 : sizeof(float));
}

static void pack(const RtPictures *pictures, const real *pixels, unsigned char *row)
{
    float *numbers = (float *)(void *)row;
    if (is_bytes(pictures->model))
        for (size_t i = 0; i < pictures->numbers; i++) row[i] = (unsigned char)pixels[i];
    else
        for (size_t i = 0; i < pictures->numbers; i++) numbers[i] = (float)pixels[i];
}

static void unpack(const RtPictures *pictures, const unsigned char *row, real *pixels)
{
    const float *numbers = (const float *)(const void *)row;
    if (is_bytes(pictures->model))
        for (size_t i = 0; i < pictures->numbers; i++) pixels[i] = (real)row[i];
    else
        for (size_t i = 0; i < pictures->numbers; i++) pixels[i] = (real)numbers[i];
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* All that a row depends on besides its file, for a reader too. */
static char *describe(const RtModel *model)
{
    return rt_format(
        "pictures, decoded and resized by tlc %s\n%d x %d x %d, interpolation %d, %s\n", model->tlc,
        model->height, model->width, model->channels, (int)model->interpolation,
        is_bytes(model) ? "bytes" : "floats");
}

static char *store_folder(const RtModel *model, RtHash *key)
{
    char *about = describe(model), *root = rt_cache_folder(model);
    *key = rt_hash(about, strlen(about));
    char *folder = rt_format("%s/%016llx%016llx", root, (unsigned long long)key->high,
                             (unsigned long long)key->low);
    free(root);
    free(about);
    return folder;
}

/* For people: what the key is the hash of. With the lock. */
static void write_about(const RtModel *model)
{
    RtHash key;
    char *folder = store_folder(model, &key), *path = rt_format("%s/about.txt", folder);
    char *about = describe(model);
    if (access(path, F_OK) != 0) {
        RtOut *out = rt_out_open(path);
        rt_out_write(out, about, strlen(about));
        rt_out_commit(out);
    }
    free(about);
    free(path);
    free(folder);
}

static void open_store(RtPictures *pictures)
{
    RtHash key;
    char *folder = store_folder(pictures->model, &key);
    pictures->store = rt_store_open(folder, key, pictures->row_bytes);
    free(folder);
}

RtPictures *rt_pictures_open(const RtModel *model, const RtData *data, bool on_disk)
{
    RtPictures *pictures = rt_alloc(1, sizeof *pictures);
    pictures->model = model;
    pictures->data = data;
    pictures->numbers = numbers_of(model);
    pictures->row_bytes = rt_pictures_row_bytes(model);
    if (on_disk) {
        pictures->rows = rt_alloc(data->count, sizeof *pictures->rows);
        pictures->contents = rt_alloc(data->count, sizeof *pictures->contents);
        pictures->readable = rt_alloc(data->count, sizeof *pictures->readable);
        open_store(pictures);
    } else {
        pictures->states = rt_alloc(data->count, sizeof *pictures->states);
        pictures->memory = (unsigned char *)rt_arena_open(data->count * pictures->row_bytes,
                                                          "keeping decoded pictures", false);
    }
    return pictures;
}

void rt_pictures_close(RtPictures *pictures)
{
    if (!pictures) return;
    rt_arena_close((char *)pictures->memory, pictures->data->count * pictures->row_bytes);
    rt_store_close(pictures->store);
    free(pictures->rows);
    free(pictures->states);
    free(pictures->contents);
    free(pictures->readable);
    free(pictures);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool decode(const RtPictures *pictures, size_t sample, real *pixels, RtImageInfo *info)
{
    const RtModel *model = pictures->model;
    return rt_image_read(pictures->data->paths[sample], model->height, model->width,
                         model->channels, model->interpolation, pixels, info);
}

/* Another thread may be at the same picture, which balanced sampling shows more than once: only one
 * of them writes the row. */
static bool read_from_memory(RtPictures *pictures, size_t sample, real *pixels, RtImageInfo *info)
{
    unsigned char *row = pictures->memory + sample * pictures->row_bytes, state = ABSENT;
    atomic_uchar *shared = &pictures->states[sample];
    if (atomic_load_explicit(shared, memory_order_acquire) == THERE) {
        unpack(pictures, row, pixels);
        return true;
    }
    if (!decode(pictures, sample, pixels, info)) return false;
    if (atomic_compare_exchange_strong(shared, &state, COMING)) {
        pack(pictures, pixels, row);
        atomic_store_explicit(shared, THERE, memory_order_release);
    }
    return true;
}

bool rt_pictures_read(RtPictures *pictures, size_t sample, real *pixels, RtImageInfo *info)
{
    if (pictures->memory) return read_from_memory(pictures, sample, pixels, info);
    if (!pictures->rows[sample]) return decode(pictures, sample, pixels, info);
    unpack(pictures, pictures->rows[sample], pixels);
    return true;
}

/* ---- Filling the store ----------------------------------------------------------------------- */

static void know_content(const RtCall *call, int task)
{
    RtPictures *pictures = call->out[0];
    size_t sample = (size_t)(call->first + task);
    pictures->readable[sample] =
        rt_hash_file(pictures->data->paths[sample], &pictures->contents[sample]);
}

static void know_contents(RtPictures *pictures, const RtRun *run)
{
    RtCall call = {.run = run, .out = {pictures}, .name = "know_contents"};
    int count = (int)pictures->data->count;
    for (; call.first < count && !rt_signal(); call.first += call.n) {
        call.n = count - call.first < CHUNK ? count - call.first : CHUNK;
        rt_parallel(know_content, call.n, &call);
    }
}

/* Lists the pictures that have no row; returns how many. */
static size_t find_rows(RtPictures *pictures, size_t *missing)
{
    size_t count = 0;
    for (size_t i = 0; i < pictures->data->count; i++) {
        const unsigned char **row = &pictures->rows[i];
        if (!*row && pictures->readable[i] && !rt_signal())
            *row = rt_store_find(pictures->store, pictures->contents[i]);
        if (!*row) missing[count++] = i;
    }
    return count;
}

/* Room for the pictures that are decoded at a time. */
typedef struct {
    RtPictures *pictures;
    const size_t *samples;
    real *pixels;
    unsigned char *rows;
    bool good[CHUNK];
} Chunk;

/* Content and pixels are of the same bytes, even if the file was changed since. */
static void decode_row(const RtCall *call, int task)
{
    Chunk *chunk = call->out[0];
    RtPictures *pictures = chunk->pictures;
    const RtModel *model = pictures->model;
    size_t bytes, sample = chunk->samples[task];
    real *pixels = chunk->pixels + (size_t)task * pictures->numbers;
    RtImageInfo info;
    unsigned char *file = rt_image_file(pictures->data->paths[sample], &bytes, &info);
    chunk->good[task] =
        file && rt_image_decode(file, bytes, model->height, model->width, model->channels,
                                model->interpolation, pixels, &info);
    pictures->readable[sample] = chunk->good[task];
    if (chunk->good[task]) {
        pictures->contents[sample] = rt_hash(file, bytes);
        pack(pictures, pixels, chunk->rows + (size_t)task * pictures->row_bytes);
    }
    free(file);
}

static void add_chunk(Chunk *chunk, const RtRun *run, int n)
{
    RtPictures *pictures = chunk->pictures;
    const RtCall call = {.run = run, .n = n, .out = {chunk}, .name = "decode_pictures"};
    rt_parallel(decode_row, n, &call);
    for (int i = 0; i < n; i++)
        if (chunk->good[i])
            rt_store_add(pictures->store, pictures->contents[chunk->samples[i]],
                         chunk->rows + (size_t)i * pictures->row_bytes);
}

static void add_rows(RtPictures *pictures, const RtRun *run, const size_t *missing, size_t count,
                     const char *title)
{
    Chunk chunk = {.pictures = pictures};
    RtProgress *progress = NULL;
    if (title) progress = rt_progress_open(title, (count + CHUNK - 1) / CHUNK);
    chunk.pixels = rt_alloc(CHUNK * pictures->numbers, sizeof *chunk.pixels);
    chunk.rows = rt_alloc(CHUNK, pictures->row_bytes);
    for (size_t at = 0, step = 1; at < count && !rt_signal(); at += CHUNK, step++) {
        chunk.samples = missing + at;
        add_chunk(&chunk, run, count - at < CHUNK ? (int)(count - at) : CHUNK);
        rt_progress_step(progress, step, NULL, 0);
    }
    rt_progress_close(progress, NULL, 0);
    free(chunk.pixels);
    free(chunk.rows);
}

bool rt_pictures_fill(RtPictures *pictures, const RtRun *run, const char *title)
{
    if (!pictures->store || pictures->filled) return true;
    size_t *missing = rt_alloc(pictures->data->count, sizeof *missing), count;
    know_contents(pictures, run);
    count = find_rows(pictures, missing);
    if (count && rt_store_lock(pictures->store)) {
        write_about(pictures->model);
        count = find_rows(pictures, missing); /* another run may have added them */
        if (count) add_rows(pictures, run, missing, count, title);
        rt_store_unlock(pictures->store);
        find_rows(pictures, missing);
    }
    free(missing);
    pictures->filled = !rt_signal();
    return pictures->filled;
}
