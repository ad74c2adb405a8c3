/* weights.c: from any weight file into the model's arena.
 *
 * Environment: KERAS_HOME, the folder whose models/ holds Keras's official files (default
 * ~/.keras); HOME, to find that default. */
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "weights.h"

size_t rt_weight_count(const RtWeight *weight)
{
    size_t count = 1;
    for (int i = 0; i < weight->rank; i++) count *= (size_t)weight->dims[i];
    return count;
}

enum { LISTED = 10 }; /* of each sort of problem */

/* A weight file of either format; one of the two pointers is set. */
typedef struct {
    const char *path;
    RtH5 *h5;
    RtTensors *tensors;
    RtMatch *matches;
    size_t count;
    bool by_position;
} Source;

/* ---- Telling files apart --------------------------------------------------------------------- */

static _Noreturn void refuse_format(const char *path, const unsigned char *data, size_t bytes)
{
    const char *hint = "give .h5, .weights.h5 or .safetensors";
    if (bytes >= 4 && memcmp(data, "PK\3\4", 4) == 0)
        hint = "if it is a .keras archive: unzip FILE model.weights.h5, and give that";
    if (bytes >= 8 && memcmp(data, "version ", 8) == 0)
        hint = "it seems to be a pointer of Git LFS: git lfs pull fetches the file itself";
    rt_die(RT_BAD_WEIGHTS, hint, "%s: neither HDF5 nor safetensors (%zu bytes)", path, bytes);
}

static bool is_h5(const char *path)
{
    static const unsigned char h5[] = "\x89HDF\r\n\x1a\n";
    size_t bytes;
    const unsigned char *data = rt_map(path, SIZE_MAX, RT_BAD_WEIGHTS, &bytes);
    bool found = bytes >= 8 && memcmp(data, h5, 8) == 0;
    if (!found && (bytes < 9 || data[8] != '{')) refuse_format(path, data, bytes);
    rt_unmap(data, bytes);
    return found;
}

static Source open_source(const RtModel *model, const char *path, int base)
{
    Source source = {.path = path};
    if (is_h5(path)) {
        source.h5 = rt_h5_open(path);
        source.count = rt_h5_count(source.h5);
        source.matches = rt_match_h5(model, source.h5, base, &source.by_position);
    } else {
        source.tensors = rt_tensors_open(path);
        source.count = rt_tensors_count(source.tensors);
        source.matches = rt_match_tensors(model, source.tensors, base);
    }
    return source;
}

static void close_source(Source *source)
{
    free(source->matches);
    if (source->h5) rt_h5_close(source->h5);
    if (source->tensors) rt_tensors_close(source->tensors);
}

/* ---- Does it fit? ---------------------------------------------------------------------------- */

typedef struct {
    FILE *out;
    int missing, extra, misshapen, wanted;
} Report;

static void print_shape(FILE *out, int rank, const int64_t *dims)
{
    fputc('(', out);
    for (int i = 0; i < rank; i++) fprintf(out, "%s%" PRId64, i ? ", " : "", dims[i]);
    fputs(rank == 1 ? ",)" : ")", out);
}

static void print_weight(FILE *out, const RtWeight *weight)
{
    int64_t dims[4];
    for (int i = 0; i < weight->rank; i++) dims[i] = weight->dims[i];
    fprintf(out, "%s ", weight->name);
    print_shape(out, weight->rank, dims);
}

static bool same_shape(const RtWeight *weight, const RtMatch *match)
{
    bool same = weight->rank == match->rank;
    for (int i = 0; same && i < weight->rank; i++) same = weight->dims[i] == match->dims[i];
    return same;
}

static void print_more(FILE *out, const char *label, int count)
{
    if (count > LISTED) fprintf(out, "\n  %s: %d more", label, count - LISTED);
}

static bool is_wanted(const RtModel *model, int base, int weight)
{
    return base < 0 || model->layers[model->weights[weight].layer].base == base;
}

static void report_missing(Report *report, const RtModel *model, int base, const char *found)
{
    for (int i = 0; i < model->weight_count; i++) {
        if (!is_wanted(model, base, i)) continue;
        report->wanted++;
        if (found[i] || report->missing++ >= LISTED) continue;
        fputs("\n  missing: ", report->out);
        print_weight(report->out, &model->weights[i]);
    }
    print_more(report->out, "missing", report->missing);
}

/* What is in the file and has no place in the model; marks what has one. */
static void report_extra(Report *report, const Source *source, char *found)
{
    for (size_t i = 0; i < source->count; i++) {
        const RtMatch *match = &source->matches[i];
        bool twice = match->weight >= 0 && found[match->weight];
        if (match->weight >= 0) found[match->weight] = 1;
        if ((!twice && match->weight != RT_EXTRA) || report->extra++ >= LISTED) continue;
        fprintf(report->out, "\n  extra: %s ", match->place);
        print_shape(report->out, match->rank, match->dims);
        if (twice) fputs(" (this weight is in the file twice)", report->out);
    }
    print_more(report->out, "extra", report->extra);
}

static void report_shapes(Report *report, const RtModel *model, const Source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        const RtMatch *match = &source->matches[i];
        if (match->weight < 0 || same_shape(&model->weights[match->weight], match)) continue;
        if (report->misshapen++ >= LISTED) continue;
        fprintf(report->out, "\n  other shape: %s is ", match->place);
        print_shape(report->out, match->rank, match->dims);
        fputs(", the model has ", report->out);
        print_weight(report->out, &model->weights[match->weight]);
    }
    print_more(report->out, "other shape", report->misshapen);
}

static const char *choose_hint(const Report *report)
{
    if (report->missing == report->wanted) return "it seems to be of another network";
    if (report->misshapen) return "it was saved with another input size, or other units or filters";
    return report->missing ? "weights are found by the names of their layers: compare them"
                           : "it is of a larger network: is a layer left out of the model?";
}

/* Ends the program unless the file holds just what is wanted, in the right shapes. */
static void check_source(const RtModel *model, const Source *source, int base)
{
    char *text = NULL, *found = rt_alloc((size_t)model->weight_count, 1);
    size_t bytes;
    Report report = {.out = open_memstream(&text, &bytes)};
    if (!report.out) rt_die(RT_NO_ROOM, NULL, "out of memory for a message");
    report_extra(&report, source, found);
    report_missing(&report, model, base, found);
    report_shapes(&report, model, source);
    fclose(report.out);
    if (report.missing || report.extra || report.misshapen)
        rt_die(
            RT_BAD_WEIGHTS, choose_hint(&report),
            "%s: does not fit %s \"%s\": %d of %d weights missing, %d extra, %d of other shape%s",
            source->path, base < 0 ? "the model" : "the base",
            base < 0 ? model->name : model->bases[base].name, report.missing, report.wanted,
            report.extra, report.misshapen, text);
    free(text);
    free(found);
}

/* ---- Into the model -------------------------------------------------------------------------- */

/* Large weights that nothing writes to stay in the file: a run reads of them what it needs. */
enum { LEAST_MAPPED = 64 << 10, PIECE = 4 << 20 };

/* Work for any thread: a tensor to check, or bytes to copy. */
typedef struct {
    const RtTensors *checked; /* or NULL */
    size_t index, bytes;
    const char *from;
    char *to;
} Job;

typedef struct {
    Job *jobs;
    size_t count;
} Jobs;

static void add_job(Jobs *list, Job job)
{
    list->jobs = rt_grow(list->jobs, list->count + 1, sizeof job);
    list->jobs[list->count++] = job;
}

static void do_job(const RtCall *call, int task)
{
    const Job *job = (const Job *)call->in[0] + task;
    if (job->checked) {
        rt_tensors_check(job->checked, job->index);
        return;
    }
    memcpy(job->to, job->from, job->bytes);
    rt_map_forget(job->from, job->bytes);
}

/* The largest first, so that no thread waits long for the last. */
static int compare_jobs(const void *a, const void *b)
{
    size_t left = ((const Job *)a)->bytes, right = ((const Job *)b)->bytes;
    return (left < right) - (left > right);
}

static void do_jobs(const RtRun *run, Jobs *list)
{
    RtCall call = {.run = run, .in = {list->jobs}};
    if (list->count) qsort(list->jobs, list->count, sizeof *list->jobs, compare_jobs);
    rt_parallel(do_job, (int)list->count, &call);
    free(list->jobs);
}

static void keep_map(Source *source)
{
    if (source->h5)
        rt_h5_keep_map(source->h5);
    else
        rt_tensors_keep_map(source->tensors);
}

static void add_copy(Jobs *list, const void *from, void *to, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PIECE)
        add_job(list, (Job){.from = (const char *)from + at,
                            .to = (char *)to + at,
                            .bytes = bytes - at < PIECE ? bytes - at : PIECE});
}

/* Array i of the file becomes a weight: where it stands, by a job, or through the library. */
static void take(const RtModel *model, RtRun *run, Source *source, size_t i, Jobs *list)
{
    const int weight = source->matches[i].weight;
    const size_t bytes = rt_weight_count(&model->weights[weight]) * sizeof(real);
    const real *place =
        source->h5 ? rt_h5_place(source->h5, i) : rt_tensors_place(source->tensors, i);
    if (place && source->tensors)
        add_job(list, (Job){.checked = source->tensors, .index = i, .bytes = bytes});
    run->weights[weight] = (real *)(run->arena + model->weights[weight].offset);
    if (place && run->read_only && bytes >= LEAST_MAPPED) {
        run->weights[weight] = (real *)place;
        keep_map(source);
    } else if (place) {
        add_copy(list, place, run->weights[weight], bytes);
    } else if (source->h5) {
        rt_h5_read(source->h5, i, run->weights[weight]);
    } else {
        rt_tensors_read(source->tensors, i, run->weights[weight]);
    }
}

void rt_weights_read(const RtModel *model, RtRun *run, const char *file, int base)
{
    Jobs list = {0};
    Source source = open_source(model, file, base);
    check_source(model, &source, base);
    if (source.by_position)
        rt_warn("%s: no layer has a name of this model; its weights are taken in their order",
                file);
    for (size_t i = 0; i < source.count; i++)
        if (source.matches[i].weight >= 0) take(model, run, &source, i, &list);
    do_jobs(run, &list);
    close_source(&source);
}

/* ---- Keras's official files ------------------------------------------------------------------ */

char *rt_keras_file(const char *name)
{
    const char *keras = getenv("KERAS_HOME"), *home = getenv("HOME");
    if (keras && *keras) return rt_format("%s/models/%s", keras, name);
    if (!home || !*home) {
        const struct passwd *user = getpwuid(getuid());
        home = user ? user->pw_dir : "";
    }
    return rt_format("%s/.keras/models/%s", home, name);
}

static void check_md5(const RtBase *base, const char *path)
{
    size_t bytes;
    char hex[33];
    const unsigned char *data = rt_map(path, SIZE_MAX, RT_BAD_WEIGHTS, &bytes);
    rt_md5_mapped(data, bytes, hex);
    rt_unmap(data, bytes);
    if (base->md5 && strcmp(base->md5, hex) != 0)
        rt_die(RT_BAD_WEIGHTS, rt_format("fetch it again: curl -L -o %s %s", path, base->url),
               "%s: not the official file: its md5 is %s and should be %s", path, hex, base->md5);
}

static char *find_official(const RtBase *base)
{
    char *path = rt_keras_file(base->file);
    if (access(path, F_OK) != 0)
        rt_die(RT_BAD_WEIGHTS,
               rt_format("curl -L --create-dirs -o %s %s\n"
                         "  or set KERAS_HOME to the folder whose models/ has it, or give another "
                         "file with --weights",
                         path, base->url),
               "the ImageNet weights of \"%s\" are not on this machine\n  file: %s\n  from: %s\n"
               "  md5: %s",
               base->name, path, base->url, base->md5 ? base->md5 : "unknown");
    check_md5(base, path);
    return path;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static bool is_official(const RtBase *base)
{
    return base->weights && strcmp(base->weights, "imagenet") == 0;
}

/* Can the file stand in for "imagenet": does it hold weights of bases, and of no other layer? */
static bool stands_in(const RtModel *model, const char *file)
{
    bool wanted = false;
    for (int i = 0; i < model->base_count; i++) wanted |= is_official(&model->bases[i]);
    if (!wanted) return false;
    bool inside = false, outside = false;
    Source source = open_source(model, file, -1);
    for (size_t i = 0; i < source.count; i++) {
        int weight = source.by_position ? RT_EXTRA : source.matches[i].weight;
        bool of_base = weight >= 0 && model->layers[model->weights[weight].layer].base >= 0;
        inside |= of_base;
        outside |= weight >= 0 && !of_base;
    }
    close_source(&source);
    return inside && !outside;
}

/* file: what stands in for "imagenet", or NULL. */
static void load_bases(const RtModel *model, RtRun *run, const char *file)
{
    for (int i = 0; i < model->base_count; i++) {
        const RtBase *base = &model->bases[i];
        bool official = is_official(base);
        char *path = official && !file ? find_official(base) : NULL;
        if (base->weights)
            rt_weights_read(model, run, path ? path : official ? file : base->weights, i);
        free(path);
    }
}

/* Weights that no file gives. */
static void initialize(const RtModel *model, const RtRun *run)
{
    for (int i = 0; i < model->weight_count; i++) {
        int base = model->layers[model->weights[i].layer].base;
        if (base < 0 || !model->bases[base].weights)
            rt_initialize(&model->weights[i], run->seed, run->weights[i]);
    }
}

void rt_weights_load(const RtModel *model, RtRun *run, const char *file)
{
    bool for_bases = file && stands_in(model, file);
    if (for_bases)
        rt_note("%s: weights of a pretrained base; the layers around it start anew", file);
    if (file && !for_bases) {
        rt_weights_read(model, run, file, -1);
        return;
    }
    initialize(model, run);
    load_bases(model, run, file);
}
