/* predict.c: what the model says of pictures, or of an array of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "commands.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "session.h"
#include "weights.h"

enum { TOP = 5 };

/* ---- Names of classes ------------------------------------------------------------------------ */

typedef struct {
    int count;    /* 0: only numbers are known */
    char **names; /* "tabby" */
    char **ids;   /* ImageNet: "n02123045"; NULL otherwise */
} Classes;

static const char *const index_url =
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json";
static const char *const index_md5 = "c2c37ea517e94d9795004a39431a14cb";

/* {"0": ["n01440764", "tench"], …}: as decode_predictions of Keras reads it. */
static Classes parse_index(const unsigned char *text, size_t bytes, int count, const char *path)
{
    char error[200] = "it is not what it should be";
    RtJson *index = rt_json_parse((const char *)text, bytes, error, sizeof error);
    Classes classes = {.count = count,
                       .names = rt_alloc((size_t)count, sizeof *classes.names),
                       .ids = rt_alloc((size_t)count, sizeof *classes.ids)};
    const RtJson *pair = rt_json_at(index, 0);
    for (int i = 0; i < count; i++, pair = pair ? rt_json_next(pair) : NULL) {
        char key[16]; /* mostly of the next member; to search for each takes milliseconds */
        snprintf(key, sizeof key, "%d", i);
        const char *found = pair ? rt_json_key(pair) : NULL;
        if (!found || strcmp(found, key) != 0) pair = rt_json_get(index, key);
        const char *id = pair ? rt_json_text(rt_json_at(pair, 0)) : NULL;
        const char *name = pair ? rt_json_text(rt_json_at(pair, 1)) : NULL;
        if (!id || !name) rt_die(RT_BAD_DATA, index_url, "%s: class %d: %s", path, i, error);
        classes.ids[i] = rt_format("%s", id);
        classes.names[i] = rt_format("%s", name);
    }
    rt_json_free(index);
    return classes;
}

static Classes read_imagenet_classes(int count)
{
    Classes classes = {0};
    char *path = rt_keras_file("imagenet_class_index.json");
    FILE *file = fopen(path, "rb");
    if (file) {
        fclose(file);
        size_t bytes;
        const unsigned char *text = rt_map(path, 1 << 20, RT_BAD_DATA, &bytes);
        char md5[33];
        rt_md5_mapped(text, bytes, md5);
        if (strcmp(md5, index_md5) == 0)
            classes = parse_index(text, bytes, count, path);
        else
            rt_warn("%s: md5 is %s, should be %s: class names are left out", path, md5, index_md5);
        rt_unmap(text, bytes);
    }
    if (!classes.count)
        rt_note("note: for class names put %s (md5 %s) at %s", index_url, index_md5, path);
    free(path);
    return classes;
}

static Classes find_classes(const RtModel *model, RtSaved *saved)
{
    if (saved && saved->classes)
        return (Classes){.count = saved->class_count, .names = saved->classes};
    if (model->imagenet_classes) return read_imagenet_classes(model->output_size);
    return (Classes){0};
}

static void free_classes(const RtModel *model, Classes *classes, const RtSaved *saved)
{
    if ((saved && saved->classes) || !model->imagenet_classes) return; /* not ours */
    for (int i = 0; i < classes->count; i++) {
        free(classes->names[i]);
        free(classes->ids[i]);
    }
    free(classes->names);
    free(classes->ids);
}

/* ---- Printing -------------------------------------------------------------------------------- */

typedef struct {
    RtSession *session;
    Classes classes;
    bool json;
    size_t printed;
    bool failed; /* a picture could not be read */
} Printer;

static void print_class(const Printer *printer, int class, double score)
{
    const Classes *classes = &printer->classes;
    bool known = class < classes->count;
    if (!printer->json) {
        if (known)
            printf("  %-24s %.4f\n", classes->names[class], score);
        else
            printf("  class %-18d %.4f\n", class, score);
        return;
    }
    printf("{\"index\": %d", class);
    if (known && classes->ids) printf(", \"id\": \"%s\"", classes->ids[class]);
    if (known) {
        printf(", \"class\": ");
        rt_json_write_string(stdout, classes->names[class]);
    }
    if (isfinite(score))
        printf(", \"score\": %.9g}", score);
    else
        printf(", \"score\": null}");
}

/* The `top` best classes, best first; of equal ones the first. */
static void print_best(const Printer *printer, const real *scores, int count, int top)
{
    bool *shown = rt_alloc((size_t)count, sizeof *shown);
    for (int rank = 0; rank < top && rank < count; rank++) {
        int best = -1;
        for (int i = 0; i < count; i++)
            if (!shown[i] && (best < 0 || scores[i] > scores[best])) best = i;
        shown[best] = true;
        if (rank && printer->json) printf(", ");
        print_class(printer, best, (double)scores[best]);
    }
    free(shown);
}

static void print_numbers(const Printer *printer, const real *values, int count)
{
    bool json = printer->json;
    for (int i = 0; i < count; i++) {
        if (json && i) printf(", ");
        if (json && !isfinite(values[i]))
            printf("null");
        else
            printf(json ? "%.9g" : " %.6g", (double)values[i]);
    }
    if (!json) printf("\n");
}

static void begin_item(Printer *printer, const char *title)
{
    if (!printer->json) {
        printf("%s\n", title);
        return;
    }
    printf("%s\n  {\"path\": ", printer->printed++ ? "," : "[");
    rt_json_write_string(stdout, title);
}

static void print_prediction(Printer *printer, const char *title, const real *out)
{
    const RtModel *model = printer->session->model;
    const RtOptions *options = printer->session->options;
    bool binary = model->head == RT_BINARY_CROSSENTROPY && model->output_size == 1;
    bool scores = binary || model->head == RT_CATEGORICAL_CROSSENTROPY;
    begin_item(printer, title);
    if (printer->json) printf(scores ? ", \"predictions\": [" : ", \"output\": [");
    if (binary) { /* the class it takes the picture for, with its own probability */
        int class = out[0] > (real)0.5;
        print_class(printer, class, class ? (double)out[0] : 1 - (double)out[0]);
    } else if (scores) {
        print_best(printer, out, model->output_size, options->top ? options->top : TOP);
    } else {
        print_numbers(printer, out, model->output_size);
    }
    if (printer->json) printf("]}");
}

static void print_problem(Printer *printer, const char *path, const char *problem)
{
    printer->failed = true;
    rt_warn("%s: %s", path, problem);
    if (!printer->json) return;
    begin_item(printer, path);
    printf(", \"error\": ");
    rt_json_write_string(stdout, problem);
    printf("}");
}

/* ---- Pictures -------------------------------------------------------------------------------- */

/* A batch of pictures being decoded, one a task. */
typedef struct {
    const RtModel *model;
    const char **paths;
    real *x;
    RtImageInfo *infos;
} Decoding;

static size_t picture_size(const RtModel *model)
{
    return (size_t)model->height * (size_t)model->width * (size_t)model->channels;
}

static void decode_picture(const RtCall *call, int task)
{
    const Decoding *work = call->in[0];
    const RtModel *model = work->model;
    rt_image_read(work->paths[task], model->height, model->width, model->channels,
                  model->interpolation, work->x + (size_t)task * picture_size(model),
                  &work->infos[task]);
}

/* Moves the readable pictures of a batch together; returns how many there are. */
static int close_gaps(const Decoding *work, int n)
{
    size_t size = picture_size(work->model);
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (*work->infos[i].problem) continue;
        if (kept < i)
            memcpy(work->x + (size_t)kept * size, work->x + (size_t)i * size, size * sizeof(real));
        kept++;
    }
    return kept;
}

/* Predicts pictures first…first + n - 1; rows, if not NULL, gets their outputs. Returns how many
 * could be read. */
static int predict_batch(Printer *printer, int first, int n, RtImageInfo *infos, real *rows)
{
    RtSession *session = printer->session;
    const RtModel *model = session->model;
    Decoding work = {model, session->options->images + first, (real *)session->room, infos};
    RtCall call = {.run = &session->run, .n = n, .in = {&work}};
    memset(infos, 0, (size_t)n * sizeof *infos);
    rt_parallel(decode_picture, n, &call);
    int kept = close_gaps(&work, n);
    if (kept) rt_infer_batch(session, work.x, kept, session->out);
    const real *out = session->out;
    for (int i = 0; i < n; i++) {
        if (*infos[i].problem) {
            print_problem(printer, work.paths[i], infos[i].problem);
        } else {
            if (!rows) print_prediction(printer, work.paths[i], out);
            out += model->output_size;
        }
    }
    if (rows) memcpy(rows, session->out, (size_t)kept * (size_t)model->output_size * sizeof(real));
    return kept;
}

RtArray rt_output_array(const RtModel *model, real *rows, int64_t count)
{
    RtArray array = {.type = sizeof(real) == 8 ? RT_F64 : RT_F32,
                     .rank = model->output_rank,
                     .dims = {count},
                     .data = rows};
    for (int i = 1; i < model->output_rank; i++) array.dims[i] = model->output_dims[i];
    return array;
}

static real *open_rows(const RtSession *session, size_t count)
{
    if (!session->options->output) return NULL;
    return rt_alloc(count, (size_t)session->model->output_size * sizeof(real));
}

static void write_rows(const RtSession *session, real *rows, size_t count)
{
    if (!rows) return;
    RtArray array = rt_output_array(session->model, rows, (int64_t)count);
    rt_npy_write(session->options->output, &array);
    printf("%s: %zu rows of %d numbers\n", session->options->output, count,
           session->model->output_size);
    free(rows);
}

static void predict_pictures(Printer *printer)
{
    RtSession *session = printer->session;
    int count = session->options->image_count, batch = session->batch;
    RtImageInfo *infos = rt_alloc((size_t)batch, sizeof *infos);
    real *rows = open_rows(session, (size_t)count);
    size_t kept = 0, size = (size_t)session->model->output_size;
    for (int first = 0; first < count; first += batch) {
        int n = count - first < batch ? count - first : batch;
        kept += (size_t)predict_batch(printer, first, n, infos, rows ? rows + kept * size : NULL);
    }
    write_rows(session, rows, kept);
    free(infos);
}

/* ---- Arrays ---------------------------------------------------------------------------------- */

RtArray rt_input_read(const RtModel *model, const char *path)
{
    RtArray x = rt_npy_read(path, "x", (int64_t)1 << 36, RT_BAD_DATA);
    bool fits = x.rank == 4 && x.dims[1] == model->height && x.dims[2] == model->width &&
                x.dims[3] == model->channels;
    if (fits) return x;
    char *shape = rt_format("(");
    for (int i = 0; i < x.rank; i++) {
        char *longer = rt_format("%s%s%lld", shape, i ? ", " : "", (long long)x.dims[i]);
        free(shape);
        shape = longer;
    }
    rt_die(RT_BAD_DATA, NULL, "%s: the array is %s); the model takes (N, %d, %d, %d)", path, shape,
           model->height, model->width, model->channels);
}

/* Rows first…first + n - 1 of x, without copying. */
static RtArray slice(const RtArray *x, int64_t first, int n)
{
    RtArray part = *x;
    int64_t row = x->dims[0] ? rt_array_count(x) / x->dims[0] : 0;
    part.dims[0] = n;
    part.data = (char *)x->data + (size_t)(first * row) * rt_type_size(x->type);
    return part;
}

static void predict_array(Printer *printer)
{
    RtSession *session = printer->session;
    const char *path = session->options->input;
    RtArray x = rt_input_read(session->model, path);
    real *pixels = (real *)session->room, *rows = open_rows(session, (size_t)x.dims[0]);
    size_t size = (size_t)session->model->output_size;
    for (int64_t first = 0; first < x.dims[0]; first += session->batch) {
        int64_t left = x.dims[0] - first;
        int n = left < session->batch ? (int)left : session->batch;
        RtArray part = slice(&x, first, n);
        rt_array_to_real(&part, pixels);
        real *out = rows ? rows + (size_t)first * size : session->out;
        rt_infer_batch(session, pixels, n, out);
        for (int i = 0; !rows && i < n; i++) {
            char *title = rt_format("%s[%lld]", path, (long long)first + i);
            print_prediction(printer, title, out + (size_t)i * size);
            free(title);
        }
    }
    write_rows(session, rows, (size_t)x.dims[0]);
    rt_array_free(&x);
}

int rt_predict(RtSession *session)
{
    const RtModel *model = session->model;
    RtSaved *saved = rt_session_load(session);
    bool printing = !session->options->output;
    Printer printer = {.session = session, .json = session->options->json && printing};
    if (printing) printer.classes = find_classes(model, saved);
    rt_prepare_infer(session);
    if (session->options->input)
        predict_array(&printer);
    else
        predict_pictures(&printer);
    if (printer.json) printf(printer.printed ? "\n]\n" : "[]\n");
    free_classes(model, &printer.classes, saved);
    if (saved) rt_saved_free(saved);
    return printer.failed ? RT_BAD_DATA : RT_OK;
}
