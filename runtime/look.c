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
typedef float Floats __attribute__((vector_size(32)));

static inline Words load_bytes(const unsigned char *at)
{
    Bytes bytes;
    memcpy(&bytes, at, sizeof bytes);
    return __builtin_convertvector(bytes, Words);
}

/* Sums of so many rows. Most time goes here. */
static void sum_bytes(const unsigned char *rows, int height, size_t count, uint16_t *sums)
{
    enum { LANES = 8, AT_ONCE = 4 * LANES };
    size_t i = 0;
    for (; i + AT_ONCE <= count; i += AT_ONCE) {
        Words a = {0}, b = {0}, c = {0}, d = {0};
        const unsigned char *at = rows + i;
        for (int y = 0; y < height; y++, at += count) {
            a += load_bytes(at);
            b += load_bytes(at + LANES);
            c += load_bytes(at + 2 * LANES);
            d += load_bytes(at + 3 * LANES);
        }
        memcpy(sums + i, (Words[]){a, b, c, d}, AT_ONCE * sizeof *sums);
    }
    for (; i < count; i++) {
        unsigned total = 0;
        for (int y = 0; y < height; y++) total += rows[(size_t)y * count + i];
        sums[i] = (uint16_t)total;
    }
}

static void add_words(const uint16_t *sums, size_t count, float *line)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        Words words;
        Floats floats;
        memcpy(&words, sums + i, sizeof words);
        memcpy(&floats, line + i, sizeof floats);
        floats += __builtin_convertvector(words, Floats);
        memcpy(line + i, &floats, sizeof floats);
    }
    for (; i < count; i++) line[i] += (float)sums[i];
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
    memset(line, 0, count * sizeof *line);
    for (size_t i = 0; i < count && !whole; i++)
        line[i] = span->head * (float)first[i] + span->tail * (float)last[i];
    for (; y < end; y += FIT) {
        sum_bytes(rows + (size_t)y * count, end - y < FIT ? end - y : FIT, count, sums);
        add_words(sums, count, line);
    }
}

static float sum_columns(const float *at, const Span *span, int channels)
{
    float sum = span->head * at[span->first * channels];
    for (int x = span->first + 1; x < span->last; x++) sum += at[x * channels];
    return sum + span->tail * at[span->last * channels];
}

/* The same of each channel; one stands for all three. Side by side they wait less for one another.
 */
static void sum_cell(const float *at, const Span *span, int channels, float sums[3])
{
    int last = span->last * channels, green = channels > 1 ? 1 : 0, blue = 2 * green;
    const float *head = at + span->first * channels;
    float a = span->head * head[0], b = span->head * head[green], c = span->head * head[blue];
    for (int x = (span->first + 1) * channels; x < last; x += channels) {
        a += at[x];
        b += at[x + green];
        c += at[x + blue];
    }
    sums[0] = a + span->tail * at[last];
    sums[1] = b + span->tail * at[last + green];
    sums[2] = c + span->tail * at[last + blue];
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
        for (int j = 0; j < FINE; j++) {
            float *cell = &cells[i][3 * j], covered = span.covered * columns[j].covered;
            sum_cell(line, &columns[j], channels, cell);
            for (int c = 0; c < 3; c++) cell[c] /= covered;
        }
    }
    free(sums);
    free(line);
}

/* ---- Parts of a picture ---------------------------------------------------------------------- */

/* What is cut off before and after, and for each crop which of these on its breadth and height. */
static const float cuts[][2] = {{0, 0},        {0.05f, 0.05f}, {0.075f, 0.075f}, {0.1f, 0.1f},
                                {0.05f, 0.1f}, {0.1f, 0.05f},  {0.125f, 0.125f}};
enum { CUTS = sizeof cuts / sizeof *cuts };
static const int crops[RT_LOOK_CROPS][2] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {4, 5},
                                            {5, 4}, {2, 0}, {6, 0}, {0, 2}, {0, 6}};

/* The part of a line of `size` that becomes a cell. */
static Span cut_span(int cell, int cut, int size)
{
    float before = cuts[cut][0], left = (1 - before - cuts[cut][1]) * (float)size / CELLS;
    float start = before * (float)size + left * (float)cell;
    return make_span(start, start + left, size);
}

void rt_look_crop(const RtLook *look, int which, unsigned char *cells)
{
    float half[CELLS * CELLS * 3], line[CELLS];
    for (int i = 0; i < CELLS * 3; i++)
        for (int x = 0; x < CELLS; x++) {
            Span span = cut_span(x, crops[which][0], CELLS);
            for (int n = 0; n < CELLS; n++) line[n] = look->cells[(i / 3 * CELLS + n) * 3 + i % 3];
            half[(i / 3 * CELLS + x) * 3 + i % 3] = sum_columns(line, &span, 1) / span.covered;
        }
    for (int y = 0; y < CELLS; y++) {
        Span span = cut_span(y, crops[which][1], CELLS);
        for (int i = 0; i < CELLS * 3; i++)
            cells[y * CELLS * 3 + i] =
                (unsigned char)(sum_columns(half + i, &span, CELLS * 3) / span.covered + 0.5f);
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

enum { LOW = 12 }; /* the frequencies 0 to 8 of a line, and room for whole vectors */
typedef float Four __attribute__((vector_size(16)));

/* What each number of a line of FINE adds to the frequencies of the CELLS cells of a cut. */
static void make_basis(int cut, float waves[CELLS][9], float basis[FINE][LOW])
{
    memset(basis, 0, FINE * sizeof *basis);
    for (int cell = 0; cell < CELLS; cell++) {
        Span span = cut_span(cell, cut, FINE);
        for (int x = span.first; x <= span.last; x++) {
            float part = x == span.first ? span.head : x == span.last ? span.tail : 1;
            for (int u = 0; u < 9; u++) basis[x][u] += part / span.covered * waves[cell][u];
        }
    }
}

/* out (LOW) += factor * row (LOW) */
static void add_scaled(float *out, float factor, const float *row)
{
    for (int u = 0; u < LOW; u += 4) {
        Four sum, numbers;
        memcpy(&sum, out + u, sizeof sum);
        memcpy(&numbers, row + u, sizeof numbers);
        sum += factor * numbers;
        memcpy(out + u, &sum, sizeof sum);
    }
}

/* Signs of the frequencies (u, v), both 0..7; (8, 0) takes the place of (0, 0), the mean. half:
 * lines transformed. mirrored: the signs of the mirror image, or NULL. */
static uint64_t hash_lines(float half[FINE][LOW], float basis[FINE][LOW], uint64_t *mirrored)
{
    uint64_t hash = 0, other = 0;
    for (int v = 0; v < 8; v++) {
        float sums[LOW] = {0};
        for (int y = 0; y < FINE; y++) add_scaled(sums, basis[y][v], half[y]);
        for (int i = 0; i < 8; i++) {
            int u = i == 0 && v == 0 ? 8 : i;
            if (sums[u] > FAINT) hash |= (uint64_t)1 << (8 * v + i);
            if ((u & 1 ? -sums[u] : sums[u]) > FAINT) other |= (uint64_t)1 << (8 * v + i);
        }
    }
    if (mirrored) *mirrored = other;
    return hash;
}

static void hash_fine(const float *fine, RtLook *look)
{
    float bases[CUTS][FINE][LOW], halves[CUTS][FINE][LOW] = {{{0}}}, waves[CELLS][9];
    for (int i = 0; i < CELLS * 9; i++)
        waves[i / 9][i % 9] =
            cosf((float)M_PI / (2 * CELLS) * (float)((2 * (i / 9) + 1) * (i % 9)));
    for (int cut = 0; cut < CUTS; cut++) {
        make_basis(cut, waves, bases[cut]);
        for (int i = 0; i < FINE * FINE; i++)
            add_scaled(halves[cut][i / FINE], fine[i], bases[cut][i % FINE]);
    }
    look->hash = hash_lines(halves[0], bases[0], &look->mirrored);
    for (int i = 0; i < RT_LOOK_CROPS; i++)
        look->crops[i] = hash_lines(halves[crops[i][0]], bases[crops[i][1]], NULL);
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
    float fine[FINE][FINE * 3], grey[FINE * FINE], cell[3];
    average_picture(rows, height, width, channels, fine);
    for (int i = 0; i < FINE * FINE; i++) grey[i] = grey_of(&fine[i / FINE][i % FINE * 3]) - 128;
    hash_fine(grey, look);
    for (int i = 0; i < CELLS * CELLS; i++) {
        const float *above = &fine[i / CELLS * 2][i % CELLS * 6], *below = above + FINE * 3;
        for (int c = 0; c < 3; c++) {
            cell[c] = (above[c] + above[c + 3] + below[c] + below[c + 3]) / 4;
            look->cells[3 * i + c] = (unsigned char)(cell[c] + 0.5f);
        }
        grey[i] = grey_of(cell) - 128;
    }
    look->contrast = contrast_of(grey);
}
