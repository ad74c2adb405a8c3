/* saved.c: the weight files that a generated program writes: safetensors whose metadata tells which
 * model they are of, its classes, and how far training had come. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "weights.h"

/* ---- Writing --------------------------------------------------------------------------------- */

char *rt_class_list(char *const *classes, int count)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) rt_die(RT_NO_ROOM, NULL, "out of memory for class names");
    for (int i = 0; i < count; i++) {
        fputs(i ? "," : "[", out);
        rt_json_write_string(out, classes[i]);
    }
    fputs(count ? "]" : "[]", out);
    if (fclose(out) != 0) rt_die(RT_NO_ROOM, NULL, "out of memory for class names");
    return text;
}

static RtArray weight_array(const RtWeight *weight, real *values)
{
    RtArray array = {.name = (char *)weight->name,
                     .type = sizeof(real) == sizeof(double) ? RT_F64 : RT_F32,
                     .rank = weight->rank,
                     .data = values};
    for (int i = 0; i < weight->rank; i++) array.dims[i] = weight->dims[i];
    return array;
}

bool rt_saved_write(const RtModel *model, real *const *weights, const char *path,
                    const RtSaved *about)
{
    char *classes = rt_class_list(about->classes, about->class_count),
         *epoch = rt_format("%d", about->epoch);
    char *loss = rt_format("%.17g", about->val_loss);
    RtMeta meta[9] = {{"format", "tlc 1"},
                      {"tlc_version", (char *)model->tlc},
                      {"tlc_model", (char *)model->name},
                      {"tlc_model_hash", (char *)model->hash},
                      {"preprocessing", (char *)model->preprocessing},
                      {"phase", about->phase ? about->phase : ""},
                      {"epoch", epoch}};
    size_t meta_count = 7, count = (size_t)model->weight_count;
    if (about->classes) meta[meta_count++] = (RtMeta){"classes", classes};
    if (!isnan(about->val_loss)) meta[meta_count++] = (RtMeta){"val_loss", loss};
    RtArray *arrays = rt_alloc(count, sizeof *arrays);
    for (size_t i = 0; i < count; i++) arrays[i] = weight_array(&model->weights[i], weights[i]);
    bool good = rt_tensors_try(path, arrays, count, meta, meta_count, false);
    free(arrays);
    free(classes);
    free(epoch);
    free(loss);
    return good;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The metadata `key`, which our files always have. */
static const char *need_meta(const RtTensors *file, const char *path, const char *key)
{
    const char *value = rt_tensors_meta(file, key);
    if (!value)
        rt_die(RT_BAD_WEIGHTS,
               "weights that other programs wrote are taken by train --weights, not here",
               "%s: not written by a program of tlc: no \"%s\" in its metadata", path, key);
    return value;
}

static void check_hash(const RtModel *model, const RtTensors *file, const char *path)
{
    const char *hash = need_meta(file, path, "tlc_model_hash");
    if (strcmp(hash, model->hash) == 0) return;
    const char *name = rt_tensors_meta(file, "tlc_model");
    rt_die(
        RT_BAD_WEIGHTS,
        "use the program that trained it; train --weights takes over weights by name",
        "%s: saved by another model\n  the file:     %.64s \"%.100s\"\n  this program: %s \"%s\"",
        path, hash, name ? name : "", model->hash, model->name);
}

/* A finite number, or NaN if there is none; anything else is not ours. */
static double read_number(const RtTensors *file, const char *path, const char *key)
{
    char *end;
    const char *text = rt_tensors_meta(file, key);
    if (!text) return NAN;
    double value = strtod(text, &end);
    if (end == text || *end)
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: metadata \"%s\": \"%.40s\" is no number", path, key,
               text);
    return value;
}

static int read_epoch(const RtTensors *file, const char *path)
{
    need_meta(file, path, "epoch");
    double epoch = read_number(file, path, "epoch");
    if (!(epoch >= 0 && epoch <= INT_MAX) || epoch != trunc(epoch))
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: metadata \"epoch\" is no count", path);
    return (int)epoch;
}

static void read_classes(RtSaved *saved, const RtTensors *file, const char *path)
{
    char problem[256];
    const char *text = rt_tensors_meta(file, "classes");
    if (!text) return;
    RtJson *list = rt_json_parse(text, strlen(text), problem, sizeof problem);
    size_t count = rt_json_count(list);
    if (!rt_json_is_array(list) || count > INT_MAX)
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: metadata \"classes\" is no list", path);
    saved->classes = rt_alloc(count, sizeof *saved->classes);
    for (const RtJson *name = rt_json_at(list, 0); name; name = rt_json_next(name)) {
        if (!rt_json_text(name))
            rt_die(RT_BAD_WEIGHTS, NULL, "%s: metadata \"classes\" is no list of names", path);
        saved->classes[saved->class_count++] = rt_format("%s", rt_json_text(name));
    }
    rt_json_free(list);
}

RtSaved *rt_saved_load(const RtModel *model, RtRun *run, const char *path)
{
    RtSaved *saved = rt_alloc(1, sizeof *saved);
    RtTensors *file = rt_tensors_open(path);
    check_hash(model, file, path);
    saved->model_hash = rt_format("%s", model->hash);
    saved->phase = rt_format("%s", need_meta(file, path, "phase"));
    saved->epoch = read_epoch(file, path);
    saved->val_loss = read_number(file, path, "val_loss");
    read_classes(saved, file, path);
    rt_tensors_close(file);
    rt_weights_read(model, run, path, -1);
    return saved;
}

void rt_saved_free(RtSaved *saved)
{
    for (int i = 0; i < saved->class_count; i++) free(saved->classes[i]);
    free(saved->classes);
    free(saved->phase);
    free(saved->model_hash);
    free(saved);
}
