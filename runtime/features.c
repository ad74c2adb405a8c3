/* features.c: the model's output for every picture of a data set, as an array to work on elsewhere,
 * and beside it, for folders, a .csv with path, label and class of each row. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* "features.csv" for "features.npy". */
static char *replace_ending(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    size_t length = dot && (!slash || dot > slash + 1) ? (size_t)(dot - path) : strlen(path);
    return rt_format("%.*s.csv", (int)length, path);
}

static void write_field(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, file);
    fputc('"', file);
}

/* Rows as in the array: pictures that could not be read have none. */
static void write_rows(const char *path, const RtData *data, const uint64_t *samples, size_t rows)
{
    RtOut *out = rt_out_open(path);
    FILE *file = rt_out_file(out);
    fprintf(file, "path,label,class\r\n");
    for (size_t i = 0; i < rows; i++) {
        write_field(file, data->paths[samples[i]]);
        int label = data->labels ? data->labels[samples[i]] : -1;
        if (label >= 0)
            fprintf(file, ",%d,", label);
        else
            fputs(",,", file);
        if (label >= 0 && data->classes) write_field(file, data->classes[label]);
        fputs("\r\n", file);
    }
    rt_out_commit(out);
}

/* Runs the model over the data; returns the rows, in natural order. */
static size_t extract(RtSession *session, RtData *data, real *features, uint64_t *samples)
{
    const RtModel *model = session->model;
    size_t size = (size_t)model->output_size, rows = 0, batch_size = (size_t)session->batch;
    RtLoader *loader = rt_loader_open(model, data, session->batch, RT_LOSS_NONE, session->room,
                                      model->batch_bytes, session->options->strict);
    RtProgress *progress =
        session->options->quiet
            ? NULL
            : rt_progress_open(NULL, (data->count + batch_size - 1) / batch_size);
    if (model->prepare_infer) model->prepare_infer(&session->run);
    rt_loader_start(loader, NULL, 0);
    for (size_t step = 1;; step++) {
        RtBatch batch = rt_loader_next(loader);
        if (batch.n == 0) break;
        session->run.sample = batch.sample;
        model->infer(&session->run, batch.x, batch.n, features + rows * size);
        memcpy(samples + rows, batch.sample, (size_t)batch.n * sizeof *samples);
        rows += (size_t)batch.n;
        rt_progress_step(progress, step, NULL, 0);
    }
    rt_progress_close(progress, NULL, 0);
    rt_loader_close(loader);
    return rows;
}

int rt_features(RtSession *session)
{
    const RtModel *model = session->model;
    const char *output = session->options->output;
    RtData *data = rt_data_open(session->options->data, model, false);
    RtSaved *saved = rt_session_load(session);
    size_t size = (size_t)model->output_size;
    real *features = rt_alloc(data->count, size * sizeof *features);
    uint64_t *samples = rt_alloc(data->count, sizeof *samples);
    size_t rows = extract(session, data, features, samples);
    RtArray array = rt_output_array(model, features, (int64_t)rows);
    rt_npy_write(output, &array);
    printf("%s: %zu rows of %zu numbers\n", output, rows, size);
    if (data->paths) {
        char *path = replace_ending(output);
        write_rows(path, data, samples, rows);
        printf("%s: path, label and class of each row\n", path);
        free(path);
    }
    free(features);
    free(samples);
    if (saved) rt_saved_free(saved);
    rt_data_close(data);
    return RT_OK;
}
