/* features.c: the model's output for every picture of a data set, as an array to work on elsewhere,
 * and beside it, for folders, a .csv with path, label and class of each row. Any folder will do; in
 * one with class folders, class and label are those of training. */
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "commands.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "weights.h"

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

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The class of each picture: the folder right below `root` that it is in; NULL if one is in none.
 */
static char **list_classes(const char *root, const RtData *data)
{
    char **classes = rt_alloc(data->count, sizeof *classes);
    for (size_t i = 0; i < data->count; i++) {
        const char *below = data->paths[i] + strlen(root);
        below += strspn(below, "/");
        const char *slash = strchr(below, '/');
        if (!slash) {
            while (i > 0) free(classes[--i]);
            free(classes);
            return NULL;
        }
        classes[i] = rt_format("%.*s", (int)(slash - below), below);
    }
    return classes;
}

/* The number of each class in the sorted list of classes. */
static int *number_classes(char *const *classes, size_t count)
{
    char **names = rt_alloc(count, sizeof *names);
    int *labels = rt_alloc(count, sizeof *labels);
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) names[i] = classes[i];
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[distinct - 1]) != 0) names[distinct++] = names[i];
    for (size_t i = 0; i < count; i++) {
        char **found = bsearch(&classes[i], names, distinct, sizeof *names, compare_names);
        labels[i] = (int)(found - names);
    }
    free(names);
    return labels;
}

/* Rows as in the array: pictures that could not be read have none. */
static void write_rows(const char *path, const char *root, const RtData *data,
                       const uint64_t *samples, size_t rows)
{
    char **classes = list_classes(root, data);
    int *labels = classes ? number_classes(classes, data->count) : NULL;
    RtOut *out = rt_out_open(path);
    FILE *file = rt_out_file(out);
    fprintf(file, classes ? "path,label,class\r\n" : "path\r\n");
    for (size_t i = 0; i < rows; i++) {
        write_field(file, data->paths[samples[i]]);
        if (classes) {
            fprintf(file, ",%d,", labels[samples[i]]);
            write_field(file, classes[samples[i]]);
        }
        fputs("\r\n", file);
    }
    rt_out_commit(out);
    for (size_t i = 0; classes && i < data->count; i++) free(classes[i]);
    free(classes);
    free(labels);
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
    rt_prepare_infer(session);
    rt_loader_start(loader, NULL, 0);
    for (size_t step = 1;; step++) {
        RtBatch batch = rt_loader_next(loader);
        if (batch.n == 0) break;
        session->run.sample = batch.sample;
        rt_infer_batch(session, batch.x, batch.n, features + rows * size);
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
        write_rows(path, session->options->data, data, samples, rows);
        printf("%s: picture and class of each row\n", path);
        free(path);
    }
    free(features);
    free(samples);
    if (saved) rt_saved_free(saved);
    rt_data_close(data);
    return RT_OK;
}
