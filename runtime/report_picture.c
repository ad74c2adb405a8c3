/* report_picture.c: the pictures on which the loss is greatest, and some drawn at random, with what
 * the model said of them. Thumbnails are JPEGs inside the page. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"
#include "report.h"

enum {
    SHOWN = 12, /* of each kind */
    SIDE = 192, /* of a thumbnail, in pixels at most: twice what it has on the page */
    OVER = 4,   /* a thumbnail is the mean of squares of so many pixels a side */
    QUALITY = 80,
};
static const uint32_t RANDOM_EPOCH = UINT32_MAX - 1; /* that no training reaches */

typedef struct {
    int width, height;
    unsigned char *rgb;
} Thumbnail;

/* ---- Thumbnails ------------------------------------------------------------------------------ */

/* Means of OVER x OVER pixels: the decoder's resizing leaves pixels out where it shrinks. */
static void shrink(const real *pixels, Thumbnail *thumbnail)
{
    size_t width = (size_t)thumbnail->width, height = (size_t)thumbnail->height;
    for (size_t i = 0; i < width * height * 3; i++) {
        size_t c = i % 3, x = i / 3 % width, y = i / 3 / width;
        real sum = 0;
        for (size_t j = 0; j < OVER * OVER; j++) {
            size_t row = y * OVER + j / OVER, column = x * OVER + j % OVER;
            sum += pixels[(row * width * OVER + column) * 3 + c];
        }
        real mean = sum / (OVER * OVER);
        thumbnail->rgb[i] = (unsigned char)(mean < 0 ? 0 : mean > 255 ? 255 : mean + (real)0.5);
    }
}

static void fit(int width, int height, Thumbnail *thumbnail)
{
    int longest = width > height ? width : height;
    double scale = longest > SIDE ? (double)SIDE / longest : 1;
    thumbnail->width = (int)fmax(1, round(width * scale));
    thumbnail->height = (int)fmax(1, round(height * scale));
}

static bool read_picture(const char *path, Thumbnail *thumbnail)
{
    RtImageInfo info;
    real pixel[3];
    if (!rt_image_read(path, 1, 1, 3, RT_BILINEAR, pixel, &info)) return false;
    fit(info.width, info.height, thumbnail);
    size_t count = (size_t)thumbnail->width * (size_t)thumbnail->height * 3;
    real *pixels = rt_alloc(count * OVER * OVER, sizeof *pixels);
    bool ok = rt_image_read(path, thumbnail->height * OVER, thumbnail->width * OVER, 3, RT_BILINEAR,
                            pixels, &info);
    thumbnail->rgb = ok ? rt_alloc(count, 1) : NULL;
    if (ok) shrink(pixels, thumbnail);
    free(pixels);
    return ok;
}

/* A row of an array: in 0..255 as it is, else from its least to its greatest number. */
static bool read_row(const RtData *data, uint64_t sample, const RtModel *model,
                     Thumbnail *thumbnail)
{
    size_t channels = (size_t)model->channels;
    size_t count = (size_t)model->height * (size_t)model->width;
    real *row = rt_alloc(count * channels, sizeof *row), low = 0, high = 0;
    RtArray one = data->x;
    one.dims[0] = 1;
    one.data = (char *)data->x.data + sample * count * channels * rt_type_size(one.type);
    rt_array_to_real(&one, row);
    for (size_t i = 0; i < count * channels; i++) {
        if (row[i] < low || i == 0) low = row[i];
        if (row[i] > high || i == 0) high = row[i];
    }
    if (low >= 0 && high <= 255 && high > 1) low = 0, high = 255;
    if (low >= 0 && high <= 1) low = 0, high = 1;
    *thumbnail = (Thumbnail){model->width, model->height, rt_alloc(count, 3)};
    for (size_t i = 0; i < 3 * count; i++) {
        real value = row[i / 3 * channels + (channels >= 3 ? i % 3 : 0)];
        real part = high > low ? (value - low) / (high - low) : 0;
        thumbnail->rgb[i] = (unsigned char)(part >= 0 && part <= 1 ? part * 255 + (real)0.5 : 0);
    }
    free(row);
    return true;
}

static void write_thumbnail(const RtReport *report, const RtJudged *judged, const char *name)
{
    const RtData *data = report->verdict.data;
    Thumbnail thumbnail = {.rgb = NULL};
    unsigned char *jpeg = NULL;
    size_t bytes;
    bool ok = data->paths ? read_picture(data->paths[judged->sample], &thumbnail)
                          : read_row(data, judged->sample, report->model, &thumbnail);
    if (ok)
        jpeg = rt_jpeg_encode(thumbnail.rgb, thumbnail.height, thumbnail.width, QUALITY, &bytes);
    if (jpeg) {
        rt_html(report->out, "<img width=\"%d\" height=\"%d\" alt=\"%s\" title=\"%s\" src=\"",
                thumbnail.width, thumbnail.height, name, name);
        fputs("data:image/jpeg;base64,", report->out);
        rt_base64(report->out, jpeg, bytes);
        rt_html(report->out, "\">");
    } else {
        rt_html(report->out, "<span class=\"none\">no picture of %s</span>", name);
    }
    free(jpeg);
    free(thumbnail.rgb);
}

/* ---- Cards ----------------------------------------------------------------------------------- */

static void write_words(const RtReport *report, const RtJudged *judged)
{
    const RtVerdict *verdict = &report->verdict;
    char truth[32], guess[32];
    if (verdict->classes > 0) {
        bool right = judged->truth == judged->guess;
        rt_html(report->out, "<b class=\"%s\">%s %s</b>", right ? "right" : "wrong",
                right ? "✓" : "✗", rt_class_name(verdict, judged->guess, guess));
        if (report->model->head == RT_MEAN_SQUARED_ERROR)
            rt_html(report->out, " <span>score %.3g</span>", (double)judged->probability);
        else
            rt_html(report->out, " <span>%.1f %%</span>", 100 * (double)judged->probability);
        if (!right)
            rt_html(report->out, "<span class=\"truth\">is %s</span>",
                    rt_class_name(verdict, judged->truth, truth));
    }
    if (verdict->classes == 0 && report->model->output_size == 1)
        rt_html(report->out, "<b>%.4g</b><span class=\"truth\">is %.4g</span>",
                (double)judged->said, (double)judged->is);
    if (judged->loss < (real)0.001 && judged->loss >= 0)
        rt_html(report->out, "<small>loss below 0.001</small>");
    else
        rt_html(report->out, "<small>loss %.3g</small>", (double)judged->loss);
}

static void write_card(const RtReport *report, const RtJudged *judged)
{
    const RtData *data = report->verdict.data;
    size_t sample = judged->sample;
    char *row = rt_format("row %zu", data->rows ? data->rows[sample] : sample);
    const char *name = data->paths ? rt_base_name(data->paths[judged->sample]) : row;
    rt_html(report->out, "<li><figure>");
    write_thumbnail(report, judged, name);
    rt_html(report->out, "<figcaption>");
    write_words(report, judged);
    rt_html(report->out, "<small class=\"file\">%s</small></figcaption></figure></li>\n", name);
    free(row);
}

/* ---- Choice ---------------------------------------------------------------------------------- */

/* A loss that is no number is the worst. */
static int compare_losses(const void *a, const void *b)
{
    const RtJudged *x = *(const RtJudged *const *)a, *y = *(const RtJudged *const *)b;
    double first = isnan(x->loss) ? INFINITY : (double)x->loss;
    double second = isnan(y->loss) ? INFINITY : (double)y->loss;
    if (first != second) return first > second ? -1 : 1;
    return x->sample < y->sample ? -1 : 1;
}

static void write_worst(const RtReport *report, size_t shown)
{
    const RtVerdict *verdict = &report->verdict;
    const RtJudged **sorted = rt_alloc(verdict->count, sizeof *sorted);
    for (size_t i = 0; i < verdict->count; i++) sorted[i] = &verdict->items[i];
    qsort(sorted, verdict->count, sizeof *sorted, compare_losses);
    rt_html(report->out, "<h3>The greatest losses</h3>\n<ul class=\"pictures\">\n");
    for (size_t i = 0; i < shown; i++) write_card(report, sorted[i]);
    rt_html(report->out, "</ul>\n");
    free(sorted);
}

static void write_random(const RtReport *report, size_t shown)
{
    const RtVerdict *verdict = &report->verdict;
    uint64_t *order = rt_alloc(verdict->count, sizeof *order);
    rt_shuffle(report->session->run.seed, RANDOM_EPOCH, order, verdict->count);
    rt_html(report->out, "<h3>At random</h3>\n<ul class=\"pictures\">\n");
    for (size_t i = 0; i < shown; i++) write_card(report, &verdict->items[order[i]]);
    rt_html(report->out, "</ul>\n");
    free(order);
}

void rt_report_pictures(const RtReport *report)
{
    const RtVerdict *verdict = &report->verdict;
    if (verdict->count == 0) return;
    size_t shown = verdict->count < SHOWN ? verdict->count : SHOWN;
    rt_html(report->out,
            "<section id=\"pictures\"><h2>Predictions</h2>\n"
            "<p>%s</p>\n",
            verdict->classes > 0              ? "What the model said, and how sure it was."
            : report->model->output_size == 1 ? "What the model said, and what is right."
                                              : "By the loss of each.");
    write_worst(report, shown);
    write_random(report, shown);
    rt_html(report->out, "</section>\n");
}
