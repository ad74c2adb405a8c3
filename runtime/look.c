/* look.c: what a picture looks like, told in so few numbers that resizing, recompressing or saving
 * in another format changes them little; alike.c compares them.
 *
 * Each picture becomes 16 x 16 mean colours, and the signs of 64 low frequencies of their cosine
 * transform one word, its hash: noise leaves most of them as they are. Mirroring changes the sign
 * of every other frequency. The hashes of what is left if so much is cut off each side are made
 * from 32 x 32 means, so that a copy that was cropped in some such way can be found. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "ground.h"

enum { CELLS = RT_LOOK_CELLS, FINE = 2 * CELLS };

static const float FAINT = 32; /* a coefficient that noise alone may bring about */

/* ---- Mean colours ---------------------------------------------------------------------------- */

/* The pixels of a line of `size` that a cell covers, of those at its ends only a part. */
typedef struct {
    int first, last;
    float head, tail, covered;
} Span;

/* From one place of a line of `size` pixels to another. */
static Span make_span(float from, float to, int size)
{
    Span span = {.first = (int)from, .last = (int)ceilf(to) - 1, .covered = to - from};
    if (span.last >= size) span.last = size - 1;
    if (span.last <= span.first) {
        span.last = span.first;
        span.head = to - from;
    } else {
        span.head = (float)(span.first + 1) - from;
        span.tail = to - (float)span.last;
    }
    return span;
}

/* Where a cell covers many pixels, its ends are rounded to whole ones: less work. */
static Span find_span(int cell, int size)
{
    enum { MANY = 8 };
    float from = (float)cell * (float)size / FINE, to = (float)(cell + 1) * (float)size / FINE;
    if (size >= MANY * FINE) from = floorf(from + 0.5f), to = floorf(to + 0.5f);
    return make_span(from, to, size);
}

typedef uint8_t Bytes __attribute__((vector_size(8)));
typedef uint16_t Words __attribute__((vector_size(16))); /* what any x86-64 has */

/* Adds a row to sums. Nearly all time goes here. */
static void add_bytes(const unsigned char *row, size_t count, uint16_t *sums)
{
    size_t i = 0;
    for (; i + sizeof(Bytes) <= count; i += sizeof(Bytes)) {
        Bytes bytes;
        Words words;
        memcpy(&bytes, row + i, sizeof bytes);
        memcpy(&words, sums + i, sizeof words);
        words += __builtin_convertvector(bytes, Words);
        memcpy(sums + i, &words, sizeof words);
    }
    for (; i < count; i++) sums[i] = (uint16_t)(sums[i] + row[i]);
}

/* The sum of the rows that a line of cells covers. sums: (count), for use here. */
static void sum_rows(const unsigned char *rows, const Span *span, size_t count, uint16_t *sums,
                     float *line)
{
    enum { FIT = 257 }; /* bytes in 16 bits */
    bool whole = span->head == 1 && span->tail == 1;
    int y = whole ? span->first : span->first + 1, end = whole ? span->last + 1 : span->last;
    const unsigned char *first = rows + (size_t)span->first * count;
    const unsigned char *last = rows + (size_t)span->last * count;
    for (size_t i = 0; i < count; i++)
        line[i] = whole ? 0 : span->head * (float)first[i] + span->tail * (float)last[i];
    while (y < end) {
        memset(sums, 0, count * sizeof *sums);
        for (int n = 0; n < FIT && y < end; n++, y++)
            add_bytes(rows + (size_t)y * count, count, sums);
        for (size_t i = 0; i < count; i++) line[i] += (float)sums[i];
    }
}

static float sum_columns(const float *at, const Span *span, int channels)
{
    float sum = span->head * at[span->first * channels];
    for (int x = span->first + 1; x < span->last; x++) sum += at[x * channels];
    return sum + span->tail * at[span->last * channels];
}

static void average_picture(const unsigned char *rows, int height, int width, int channels,
                            float cells[FINE][FINE * 3])
{
    size_t count = (size_t)width * (size_t)channels;
    uint16_t *sums = rt_alloc(count, sizeof *sums);
    float *line = rt_alloc(count, sizeof *line);
    Span columns[FINE];
    for (int i = 0; i < FINE; i++) columns[i] = find_span(i, width);
    for (int i = 0; i < FINE; i++) {
        Span span = find_span(i, height);
        sum_rows(rows, &span, count, sums, line);
        for (int j = 0; j < FINE; j++)
            for (int c = 0; c < 3; c++) /* one channel stands for all three */
                cells[i][3 * j + c] = c > 0 && channels == 1
                                          ? cells[i][3 * j]
                                          : sum_columns(line + c, &columns[j], channels) /
                                                (span.covered * columns[j].covered);
    }
    free(sums);
    free(line);
}

/* ---- Parts of a picture ---------------------------------------------------------------------- */

/* What is cut off left, right, top and bottom. */
static const float crops[RT_LOOK_CROPS][4] = {
    {0.05f, 0.05f, 0.05f, 0.05f}, {0.075f, 0.075f, 0.075f, 0.075f}, {0.1f, 0.1f, 0.1f, 0.1f},
    {0.05f, 0.1f, 0.05f, 0.1f},   {0.1f, 0.05f, 0.1f, 0.05f},       {0.05f, 0.1f, 0.1f, 0.05f},
    {0.1f, 0.05f, 0.05f, 0.1f},   {0.075f, 0.075f, 0, 0},           {0.125f, 0.125f, 0, 0},
    {0, 0, 0.075f, 0.075f},       {0, 0, 0.125f, 0.125f},
};

static Span crop_span(int cell, float before, float after, int size)
{
    float left = (1 - before - after) * (float)size / CELLS, start = before * (float)size;
    return make_span(start + left * (float)cell, start + left * (float)(cell + 1), size);
}

/* CELLS x CELLS means of what the crop leaves of size x size numbers `channels` apart. */
static void crop_plane(const float *plane, int size, int channels, const float crop[4], float *out)
{
    float half[FINE * CELLS]; /* (size, CELLS) */
    for (int i = 0; i < CELLS; i++) {
        Span span = crop_span(i, crop[0], crop[1], size);
        for (int y = 0; y < size; y++)
            half[y * CELLS + i] =
                sum_columns(plane + y * size * channels, &span, channels) / span.covered;
    }
    for (int i = 0; i < CELLS; i++) {
        Span span = crop_span(i, crop[2], crop[3], size);
        for (int x = 0; x < CELLS; x++)
            out[i * CELLS + x] = sum_columns(half + x, &span, CELLS) / span.covered;
    }
}

void rt_look_crop(const RtLook *look, int which, unsigned char *cells)
{
    float plane[CELLS * CELLS], cropped[CELLS * CELLS];
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < CELLS * CELLS; i++) plane[i] = look->cells[3 * i + c];
        crop_plane(plane, CELLS, 1, crops[which], cropped);
        for (int i = 0; i < CELLS * CELLS; i++)
            cells[3 * i + c] = (unsigned char)(cropped[i] + 0.5f);
    }
}

void rt_look_mirror(const RtLook *look, unsigned char *cells)
{
    for (int i = 0; i < CELLS * CELLS; i++)
        memcpy(cells + 3 * i, look->cells + 3 * (i / CELLS * CELLS + CELLS - 1 - i % CELLS), 3);
}

/* ---- The hash -------------------------------------------------------------------------------- */

static float grey_of(const float *rgb)
{
    return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
}

/* Along one line of `grey`, the frequencies 0..8. */
static void transform(const float *grey, size_t stride, const float basis[9][CELLS], float *out)
{
    for (int u = 0; u < 9; u++) {
        out[u] = 0;
        for (size_t x = 0; x < CELLS; x++) out[u] += grey[x * stride] * basis[u][x];
    }
}

static void make_basis(float basis[9][CELLS])
{
    for (int u = 0; u < 9; u++)
        for (int x = 0; x < CELLS; x++)
            basis[u][x] = cosf((float)M_PI / (2 * CELLS) * (float)((2 * x + 1) * u));
}

/* Signs of the frequencies (u, v), both 0..7; (8, 0) takes the place of (0, 0), the mean. mirrored:
 * those of the mirror image, or NULL. */
static uint64_t hash_grey(const float *grey, const float basis[9][CELLS], uint64_t *mirrored)
{
    float half[CELLS * 9], column[9];
    uint64_t hash = 0, other = 0;
    for (size_t y = 0; y < CELLS; y++) transform(grey + y * CELLS, 1, basis, half + y * 9);
    for (int u = 0; u < 9; u++) {
        transform(half + u, 9, basis, column);
        for (int v = 0; v < 8; v++) {
            if (u == 8 ? v : !u && !v) continue;
            uint64_t bit = u == 8 ? 1 : (uint64_t)1 << (8 * v + u);
            if (column[v] > FAINT) hash |= bit;
            if ((u & 1 ? -column[v] : column[v]) > FAINT) other |= bit;
        }
    }
    if (mirrored) *mirrored = other;
    return hash;
}

static float contrast_of(const float *grey)
{
    float sum = 0, squares = 0;
    for (int i = 0; i < CELLS * CELLS; i++) {
        sum += grey[i];
        squares += grey[i] * grey[i];
    }
    float mean = sum / (CELLS * CELLS), variance = squares / (CELLS * CELLS) - mean * mean;
    return variance > 0 ? sqrtf(variance) : 0;
}

void rt_look(const unsigned char *rows, int height, int width, int channels, RtLook *look)
{
    static const float whole[4] = {0};
    float cells[FINE][FINE * 3], fine[FINE * FINE], grey[CELLS * CELLS], basis[9][CELLS];
    average_picture(rows, height, width, channels, cells);
    for (int c = 0; c < 3; c++) {
        crop_plane(cells[0] + c, FINE, 3, whole, grey);
        for (int i = 0; i < CELLS * CELLS; i++)
            look->cells[3 * i + c] = (unsigned char)(grey[i] + 0.5f);
    }
    for (int i = 0; i < FINE * FINE; i++) fine[i] = grey_of(&cells[i / FINE][i % FINE * 3]) - 128;
    make_basis(basis);
    crop_plane(fine, FINE, 1, whole, grey);
    look->contrast = contrast_of(grey);
    look->hash = hash_grey(grey, basis, &look->mirrored);
    for (int i = 0; i < RT_LOOK_CROPS; i++) {
        crop_plane(fine, FINE, 1, crops[i], grey);
        look->crops[i] = hash_grey(grey, basis, NULL);
    }
}
