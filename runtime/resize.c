/* resize.c: bring a decoded picture to the model's input size, as Keras does. */
#include <math.h>
#include <stdlib.h>

#include "data.h"
#include "ground.h"

/* Where an output row or column comes from: two source indices and the way between them. */
typedef struct {
    size_t lower, upper;
    float lerp;
} Tap;

/* TensorFlow's bilinear kernel with half-pixel centres and no antialias, its float arithmetic
 * included: the weight is measured from the unclamped floor, so that what lies outside the picture
 * has the colour of its edge. */
static Tap bilinear_tap(int out, int in_size, float scale)
{
    float in = ((float)out + 0.5f) * scale - 0.5f;
    float floor_in = floorf(in);
    long lower = (long)floor_in, upper = (long)ceilf(in);
    return (Tap){.lower = lower > 0 ? (size_t)lower : 0,
                 .upper = (size_t)(upper < in_size - 1 ? upper : in_size - 1),
                 .lerp = in - floor_in};
}

static void bilinear_row(const unsigned char *top, const unsigned char *bottom, const Tap *columns,
                         int width, int channels, float y_lerp, real *out)
{
    for (int x = 0; x < width; x++) {
        Tap tap = columns[x];
        for (int c = 0; c < channels; c++) {
            size_t left = tap.lower * (size_t)channels + (size_t)c;
            size_t right = tap.upper * (size_t)channels + (size_t)c;
            float t = (float)top[left] + ((float)top[right] - (float)top[left]) * tap.lerp;
            float b = (float)bottom[left] + ((float)bottom[right] - (float)bottom[left]) * tap.lerp;
            *out++ = (real)(t + (b - t) * y_lerp);
        }
    }
}

static void resize_bilinear(const unsigned char *rows, int h, int w, int channels, int height,
                            int width, Tap *columns, real *pixels)
{
    size_t row = (size_t)w * (size_t)channels, out_row = (size_t)width * (size_t)channels;
    float x_scale = (float)w / (float)width, y_scale = (float)h / (float)height;
    for (int x = 0; x < width; x++) columns[x] = bilinear_tap(x, w, x_scale);
    for (int y = 0; y < height; y++) {
        Tap tap = bilinear_tap(y, h, y_scale);
        bilinear_row(rows + tap.lower * row, rows + tap.upper * row, columns, width, channels,
                     tap.lerp, pixels + (size_t)y * out_row);
    }
}

/* floor((out + 0.5) * in_size / out_size) for all of 0..out_size-1. The steps are summed up, as
 * Pillow does, because where the product is a whole number the two roundings differ. */
static void nearest_taps(int in_size, int out_size, Tap *taps)
{
    double step = (double)in_size / (double)out_size, in = step * 0.5;
    for (int i = 0; i < out_size; i++, in += step) {
        size_t at = (size_t)in;
        taps[i].lower = at < (size_t)in_size ? at : (size_t)in_size - 1;
    }
}

static void resize_nearest(const unsigned char *rows, int h, int w, int channels, int height,
                           int width, Tap *columns, Tap *lines, real *pixels)
{
    nearest_taps(w, width, columns);
    nearest_taps(h, height, lines);
    for (int y = 0; y < height; y++) {
        const unsigned char *row = rows + lines[y].lower * (size_t)w * (size_t)channels;
        for (int x = 0; x < width; x++) {
            const unsigned char *from = row + columns[x].lower * (size_t)channels;
            for (int c = 0; c < channels; c++) *pixels++ = (real)from[c];
        }
    }
}

void rt_resize(const unsigned char *rows, int h, int w, int channels, int height, int width,
               RtInterpolation interpolation, real *pixels)
{
    Tap *taps = rt_alloc((size_t)width + (size_t)height, sizeof *taps);
    if (interpolation == RT_BILINEAR)
        resize_bilinear(rows, h, w, channels, height, width, taps, pixels);
    else
        resize_nearest(rows, h, w, channels, height, width, taps, taps + width, pixels);
    free(taps);
}
