/* audit.c: reads every picture of a data set once, on all threads, and keeps what findings.c judges
 * by; what arrays need is in audit_rows.c. It costs what decoding costs, and three tenths of that
 * for checksums and the look of a picture. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"

enum { AT_ONCE = 64 }; /* pictures a thread between two drawings of the progress bar */

typedef struct {
    RtAudit *audit;
    RtLook *looks; /* (count) */
    size_t first;  /* picture of task 0 */
} Reading;

/* ---- One picture ----------------------------------------------------------------------------- */

static void keep_pixels(RtAuditPicture *picture, unsigned char *rows, int channels, RtLook *look)
{
    size_t width = (size_t)picture->width, height = (size_t)picture->height;
    uint64_t shape = (uint64_t)width << 32 | (uint64_t)channels;
    picture->readable = true;
    picture->flat = memcmp(rows, rows + channels, (width * height - 1) * (size_t)channels) == 0;
    picture->pixels = rt_checksum(rows, width * height * (size_t)channels) ^
                      (shape * UINT64_C(0x9e3779b97f4a7c15));
    rt_look(rows, picture->height, picture->width, channels, look);
    free(rows);
}

static void read_picture(const RtModel *model, RtAuditPicture *picture, RtLook *look)
{
    RtImageInfo info;
    size_t bytes = 0;
    int channels = 0;
    unsigned char *rows = NULL, *data = rt_image_file(picture->path, &bytes, &info);
    if (data) {
        picture->bytes = bytes;
        picture->content = rt_checksum(data, bytes);
        picture->facts = rt_picture_facts(data, bytes);
        rows = rt_image_rows(data, bytes, model->channels, model->interpolation, &channels, &info);
        free(data);
    }
    picture->width = info.width;
    picture->height = info.height;
    if (rows)
        keep_pixels(picture, rows, channels, look);
    else
        picture->problem = rt_format("%s", info.problem);
}

static void read_task(const RtCall *call, int task)
{
    const Reading *reading = call->in[0];
    const RtAudit *audit = reading->audit;
    size_t i = reading->first + (size_t)task;
    if (audit->sides[audit->pictures[i].side]->paths)
        read_picture(audit->model, &audit->pictures[i], &reading->looks[i]);
    else
        rt_audit_row(audit, i);
}

static void look_task(const RtCall *call, int task)
{
    const Reading *reading = call->in[0];
    const RtAudit *audit = reading->audit;
    size_t i = reading->first + (size_t)task;
    if (!audit->sides[audit->pictures[i].side]->paths) rt_look_at_row(audit, i, &reading->looks[i]);
}

/* ---- All pictures ---------------------------------------------------------------------------- */

static void read_pictures(RtAudit *audit, RtLook *looks, RtPool *pool, bool quiet)
{
    Reading reading = {.audit = audit, .looks = looks};
    RtRun run = {.pool = pool};
    RtCall call = {.run = &run, .in = {&reading}, .name = "check"};
    size_t most = (size_t)rt_pool_threads(pool) * AT_ONCE;
    RtProgress *progress = quiet ? NULL : rt_progress_open("Reading pictures", audit->count);
    double start = rt_seconds();
    while (reading.first < audit->count) {
        size_t left = audit->count - reading.first, now = left < most ? left : most;
        if (reading.first == 0) now = 1; /* progress.c times what comes after the first */
        rt_parallel(read_task, (int)now, &call);
        reading.first += now;
        rt_progress_step(progress, reading.first, NULL, 0);
    }
    rt_audit_ranges(audit);
    for (reading.first = 0; reading.first < audit->count; reading.first += most) {
        size_t left = audit->count - reading.first;
        rt_parallel(look_task, (int)(left < most ? left : most), &call);
    }
    audit->seconds = rt_seconds() - start;
    rt_progress_close(progress, NULL, 0);
    for (size_t i = 0; i < audit->count; i++) audit->bytes += audit->pictures[i].bytes;
}

static uint64_t array_bytes(const RtArray *array)
{
    return (uint64_t)rt_array_count(array) * rt_type_size(array->type);
}

static void list_pictures(RtAudit *audit, int side)
{
    const RtData *data = audit->sides[side];
    for (size_t i = 0; data && i < data->count; i++)
        audit->pictures[audit->count++] =
            (RtAuditPicture){.path = rt_data_place(data, i),
                             .label = data->labels ? data->labels[i] : -1,
                             .side = side};
    audit->side_counts[side] = data ? data->count : 0;
    if (data && !data->paths) audit->bytes += array_bytes(&data->x);
}

static int find_class(const RtAudit *audit, const char *name)
{
    int i = 0;
    while (strcmp(audit->classes[i].name, name) != 0) i++; /* both sides have the same classes */
    return i;
}

/* Of arrays, classes are known by number; with another loss they have none. */
static int count_numbers(const RtAudit *audit, RtLoss loss)
{
    int units = audit->model->output_size;
    if (loss == RT_BINARY_CROSSENTROPY) return units == 1 ? 2 : 0;
    bool classes =
        loss == RT_CATEGORICAL_CROSSENTROPY || loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY;
    return classes ? units : 0;
}

/* Names are those of folders; where there are none, or too few, numbers. */
static void name_classes(RtAudit *audit, RtLoss loss)
{
    const RtData *named = audit->sides[0];
    bool arrays = !named->paths;
    if (audit->sides[1] && arrays && audit->sides[1]->paths) named = audit->sides[1];
    if (audit->sides[1] && !audit->sides[1]->paths) arrays = true;
    int count = arrays ? count_numbers(audit, loss) : 0;
    if (count < named->class_count) count = named->class_count;
    audit->class_count = count;
    audit->classes = rt_alloc((size_t)count, sizeof *audit->classes);
    for (int i = 0; i < count; i++)
        audit->classes[i].name =
            i < named->class_count ? rt_format("%s", named->classes[i]) : rt_format("%d", i);
}

static void count_classes(RtAudit *audit)
{
    for (size_t i = 0; i < audit->count; i++) {
        RtAuditPicture *picture = &audit->pictures[i];
        const RtData *data = audit->sides[picture->side];
        if (data->classes) picture->label = find_class(audit, data->classes[picture->label]);
        if (picture->label < 0) continue;
        RtAuditClass *class = &audit->classes[picture->label];
        class->pictures[picture->side]++;
        class->readable[picture->side] += picture->readable;
    }
}

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Least, median, most of the widths (which 0) or heights (1). */
static void measure_sizes(RtAudit *audit, int which)
{
    int *sizes = rt_alloc(audit->count, sizeof *sizes);
    size_t count = 0;
    for (size_t i = 0; i < audit->count; i++)
        if (audit->pictures[i].readable)
            sizes[count++] = which ? audit->pictures[i].height : audit->pictures[i].width;
    if (count) {
        qsort(sizes, count, sizeof *sizes, compare_ints);
        audit->smallest[which] = sizes[0];
        audit->middle[which] = sizes[count / 2];
        audit->largest[which] = sizes[count - 1];
    }
    free(sizes);
}

/* ---- Findings -------------------------------------------------------------------------------- */

void rt_add_finding(RtAudit *audit, RtFindingKind kind, const char *path, const char *other,
                    const char *format, ...)
{
    size_t count = audit->finding_count;
    if ((count & (count - 1)) == 0) /* full at each power of two */
        audit->findings = rt_grow(audit->findings, count ? 2 * count : 1, sizeof *audit->findings);
    char fact[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fact, sizeof fact, format, arguments);
    va_end(arguments);
    audit->findings[audit->finding_count++] =
        (RtFinding){.kind = kind,
                    .path = rt_format("%s", path),
                    .other = other ? rt_format("%s", other) : NULL,
                    .fact = rt_format("%s", fact)};
    audit->kinds[kind]++;
    *(rt_finding_texts[kind].error ? &audit->errors : &audit->warnings) += 1;
}

/* By kind; within one in the order in which they were found. */
static void sort_findings(RtAudit *audit)
{
    RtFinding *sorted = rt_alloc(audit->finding_count, sizeof *sorted);
    size_t at = 0;
    for (int kind = 0; kind < RT_FINDING_KINDS; kind++)
        for (size_t i = 0; audit->kinds[kind] && i < audit->finding_count; i++)
            if ((int)audit->findings[i].kind == kind) sorted[at++] = audit->findings[i];
    free(audit->findings);
    audit->findings = sorted;
}

static void judge_looks(RtAudit *audit, const RtLook *looks)
{
    const RtLook **places = rt_alloc(audit->count, sizeof *places);
    for (size_t i = 0; i < audit->count; i++)
        places[i] = audit->pictures[i].readable ? &looks[i] : NULL;
    rt_judge_duplicates(audit, places);
    free(places);
}

static void judge_folders(RtAudit *audit)
{
    const RtData *train = audit->sides[0], *validation = audit->sides[1];
    if (train->folder) rt_judge_folder(audit, train);
    bool same = validation && train->folder && validation->folder &&
                strcmp(validation->folder, train->folder) == 0; /* a split */
    if (validation && validation->folder && !same) rt_judge_folder(audit, validation);
}

RtAudit *rt_audit_open(const RtModel *model, RtLoss loss, const RtData *train,
                       const RtData *validation, RtPool *pool, bool quiet)
{
    RtAudit *audit = rt_alloc(1, sizeof *audit);
    size_t count = train->count + (validation ? validation->count : 0);
    RtLook *looks = rt_alloc(count, sizeof *looks);
    *audit = (RtAudit){.model = model, .sides = {train, validation}};
    audit->pictures = rt_alloc(count, sizeof *audit->pictures);
    for (int side = 0; side < 2; side++) list_pictures(audit, side);
    read_pictures(audit, looks, pool, quiet);
    for (int side = 0; side < 2; side++)
        if (audit->sides[side] && !audit->sides[side]->paths) rt_audit_labels(audit, side, loss);
    name_classes(audit, loss);
    count_classes(audit);
    for (int which = 0; which < 2; which++) measure_sizes(audit, which);
    rt_judge_pictures(audit);
    rt_judge_rows(audit);
    rt_judge_classes(audit);
    judge_looks(audit, looks);
    judge_folders(audit);
    sort_findings(audit);
    free(looks);
    return audit;
}

void rt_audit_close(RtAudit *audit)
{
    if (!audit) return;
    for (size_t i = 0; i < audit->count; i++) {
        free(audit->pictures[i].path);
        free(audit->pictures[i].problem);
    }
    for (int i = 0; i < audit->class_count; i++) free(audit->classes[i].name);
    for (size_t i = 0; i < audit->finding_count; i++) {
        free(audit->findings[i].path);
        free(audit->findings[i].other);
        free(audit->findings[i].fact);
    }
    free(audit->pictures);
    free(audit->classes);
    free(audit->findings);
    free(audit);
}
