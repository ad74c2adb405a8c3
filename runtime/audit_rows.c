/* audit_rows.c: what is wrong or odd with arrays: numbers that are none, another scale than the
 * model's, labels that cannot be. Rows become pictures of bytes, so that look.c can compare them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "audit.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"

/* ---- Numbers --------------------------------------------------------------------------------- */

/* Row `index` of an array, as numbers; malloc'ed. */
static real *copy_row(const RtArray *array, size_t index, size_t *count)
{
    *count = (size_t)(rt_array_count(array) / array->dims[0]);
    RtArray row = {.type = array->type, .rank = 1, .dims = {(int64_t)*count}};
    row.data = (char *)array->data + index * *count * rt_type_size(array->type);
    real *values = rt_alloc(*count, sizeof *values);
    rt_array_to_real(&row, values);
    return values;
}

/* The row of its side that a picture is. */
static size_t row_of(const RtAudit *audit, size_t picture)
{
    return picture - (audit->pictures[picture].side ? audit->side_counts[0] : 0);
}

static real *copy_picture(const RtAudit *audit, size_t picture, size_t *count)
{
    const RtData *data = audit->sides[audit->pictures[picture].side];
    return copy_row(&data->x, row_of(audit, picture), count);
}

void rt_audit_row(const RtAudit *audit, size_t number)
{
    RtAuditPicture *picture = &audit->pictures[number];
    const RtModel *model = audit->model;
    size_t count, channels = (size_t)model->channels, seen = 0;
    real *row = copy_picture(audit, number, &count);
    picture->readable = true;
    picture->width = model->width;
    picture->height = model->height;
    picture->pixels = rt_checksum(row, count * sizeof *row);
    picture->flat = memcmp(row, row + channels, (count - channels) * sizeof *row) == 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(row[i])) continue;
        if (seen == 0 || row[i] < picture->low) picture->low = row[i];
        if (seen == 0 || row[i] > picture->high) picture->high = row[i];
        seen++;
    }
    picture->not_finite = count - seen;
    free(row);
}

/* 1 or 255 where numbers lie between 0 and that; 0 anywhere else. */
static int scale_of(real low, real high) { return low < 0 || high > 255 ? 0 : high > 1 ? 255 : 1; }

static int row_scale(const RtAuditPicture *picture)
{
    return scale_of(picture->low, picture->high);
}

/* The scale of a side is that of more than half of its rows; else 255, which black ones fit, too.
 */
static void find_range(RtAudit *audit, int side)
{
    size_t first = side ? audit->side_counts[0] : 0, count = audit->side_counts[side];
    size_t beyond = 0, small = 0;
    audit->low[side] = audit->pictures[first].low;
    audit->high[side] = audit->pictures[first].high;
    for (size_t i = first; i < first + count; i++) {
        const RtAuditPicture *picture = &audit->pictures[i];
        if (picture->low < audit->low[side]) audit->low[side] = picture->low;
        if (picture->high > audit->high[side]) audit->high[side] = picture->high;
        beyond += row_scale(picture) == 0;
        small += row_scale(picture) == 1;
    }
    audit->scale[side] = 2 * beyond > count ? 0 : 2 * small > count ? 1 : 255;
}

static bool is_arrays(const RtAudit *audit, int side)
{
    return audit->sides[side] && !audit->sides[side]->paths;
}

void rt_audit_ranges(RtAudit *audit)
{
    for (int side = 0; side < 2; side++)
        if (is_arrays(audit, side)) find_range(audit, side);
}

void rt_look_at_row(const RtAudit *audit, size_t number, RtLook *look)
{
    const RtAuditPicture *picture = &audit->pictures[number];
    const RtModel *model = audit->model;
    int scale = audit->scale[picture->side];
    real low = scale ? 0 : picture->low, high = scale ? (real)scale : picture->high;
    size_t count, channels = (size_t)model->channels, kept = channels < 3 ? 1 : 3;
    real *row = copy_picture(audit, number, &count);
    unsigned char *bytes = rt_alloc(count / channels * kept, 1);
    for (size_t i = 0; i < count / channels * kept; i++) {
        real value = row[i / kept * channels + i % kept];
        real part = high > low ? (value - low) / (high - low) : 0;
        bytes[i] = (unsigned char)(part >= 0 && part <= 1 ? part * 255 + (real)0.5 : 0);
    }
    rt_look(bytes, model->height, model->width, (int)kept, look);
    free(bytes);
    free(row);
}

/* ---- Labels ---------------------------------------------------------------------------------- */

static int class_of(const real *y, int size, RtLoss loss)
{
    if (loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY) return (int)y[0];
    if (loss == RT_BINARY_CROSSENTROPY && size == 1) return y[0] > (real)0.5;
    return loss == RT_CATEGORICAL_CROSSENTROPY ? rt_argmax(y, size) : -1;
}

static void judge_number(RtAudit *audit, const RtAuditPicture *picture, real value, RtLoss loss)
{
    int units = audit->model->output_size;
    if (loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY && value == RM(floor)(value))
        rt_add_finding(audit, RT_NO_LABEL, picture->path, NULL, "label %g; classes are 0 to %d",
                       (double)value, units - 1);
    else if (loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY)
        rt_add_finding(audit, RT_NO_LABEL, picture->path, NULL, "label %g: no number of a class",
                       (double)value);
    else if (loss == RT_MEAN_SQUARED_ERROR)
        rt_add_finding(audit, RT_NO_LABEL, picture->path, NULL, "label %g", (double)value);
    else
        rt_add_finding(audit, RT_NO_LABEL, picture->path, NULL, "label %g; 0 to 1 may be",
                       (double)value);
}

/* As float16 has them, one part in a thousand is not exact. */
static void judge_sum(RtAudit *audit, const RtAuditPicture *picture, const real *y, int size)
{
    static const double EXACT = 0.01;
    double sum = 0;
    for (int i = 0; i < size; i++) sum += y[i];
    if (fabs(sum - 1) > EXACT)
        rt_add_finding(audit, RT_LABEL_SUM, picture->path, NULL, "the %d numbers of y come to %g",
                       size, sum);
}

void rt_audit_labels(RtAudit *audit, int side, RtLoss loss)
{
    const RtModel *model = audit->model;
    const RtData *data = audit->sides[side];
    int size = rt_label_size(model, loss);
    for (size_t i = 0; i < data->count && size; i++) {
        RtAuditPicture *picture = &audit->pictures[i + (side ? audit->side_counts[0] : 0)];
        size_t count;
        real *y = copy_row(&data->y, i, &count);
        int good = 0;
        while (good < size && rt_is_label(y[good], loss, model->output_size)) good++;
        picture->label = good == size ? class_of(y, size, loss) : -1;
        if (good < size)
            judge_number(audit, picture, y[good], loss);
        else if (loss == RT_CATEGORICAL_CROSSENTROPY)
            judge_sum(audit, picture, y, size);
        if (good == size && picture->label < 0) picture->target = rt_checksum(y, count * sizeof *y);
        free(y);
    }
}

/* ---- Findings -------------------------------------------------------------------------------- */

/* Whether what comes first in the model is meant for 0 to 255. Its factor tells. */
static bool takes_bytes(const RtModel *model)
{
    static const double SMALL = 0.1;
    const char *scale = strstr(model->preprocessing, "Rescaling scale=");
    if (scale) return fabs(strtod(strchr(scale, '=') + 1, NULL)) < SMALL;
    return strstr(model->preprocessing, "preprocess_input") != NULL;
}

/* Rows of another scale than most have. */
static void judge_row_ranges(RtAudit *audit, int side)
{
    for (size_t i = 0; i < audit->count; i++) {
        const RtAuditPicture *picture = &audit->pictures[i];
        if (picture->side != side || row_scale(picture) == audit->scale[side]) continue;
        if (row_scale(picture) == 0 || !picture->flat)
            rt_add_finding(audit, RT_RANGE, picture->path, NULL,
                           "goes from %g to %g; the model takes 0 to 255", (double)picture->low,
                           (double)picture->high);
    }
}

static void judge_range(RtAudit *audit, int side)
{
    double low = (double)audit->low[side], high = (double)audit->high[side];
    const char *file = audit->sides[side]->file, *first = audit->model->preprocessing;
    if (audit->scale[side] == 255)
        judge_row_ranges(audit, side);
    else if (audit->scale[side] == 1)
        rt_add_finding(audit, RT_RANGE, file, NULL,
                       "x goes from %g to %g: scaled before; the model scales again (%s)", low,
                       high, first);
    else
        rt_add_finding(audit, RT_RANGE, file, NULL,
                       "x goes from %g to %g; the model takes 0 to 255 (%s)", low, high, first);
}

/* Both sides go through the same model. */
static void judge_sides(RtAudit *audit)
{
    const real *low = audit->low, *high = audit->high;
    if (!is_arrays(audit, 0) || !is_arrays(audit, 1) || audit->scale[0] == audit->scale[1]) return;
    rt_add_finding(audit, RT_RANGE, audit->sides[1]->file, NULL,
                   "x goes from %g to %g for validation, from %g to %g for training",
                   (double)low[1], (double)high[1], (double)low[0], (double)high[0]);
}

void rt_judge_rows(RtAudit *audit)
{
    for (size_t i = 0; i < audit->count; i++) {
        const RtAuditPicture *picture = &audit->pictures[i];
        if (picture->not_finite)
            rt_add_finding(audit, RT_NOT_FINITE, picture->path, NULL, "%zu of its numbers",
                           picture->not_finite);
    }
    for (int side = 0; side < 2; side++)
        if (is_arrays(audit, side) && takes_bytes(audit->model)) judge_range(audit, side);
    judge_sides(audit);
}
