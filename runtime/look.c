/* look.c: which pictures look the same, after resizing, recompressing or saving in another format.
 *
 * Each picture becomes 16 x 16 mean colours, and the signs of 64 low frequencies of their cosine
 * transform one word, its hash: noise leaves most of them as they are. Pictures whose hashes differ
 * in few bits are candidates; they look the same if their mean colours nearly agree too, measured
 * by their contrast. Candidates are found by the eight bytes of the hash: two hashes that differ in
 * seven bits or fewer share one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "ground.h"

enum {
    CELLS = RT_LOOK_CELLS,
    BANDS = 8,
    BUCKETS = 256,
    MOST_BITS = 10,
    MOST_COMPARED =
        1000, /* candidates of a picture: where all hashes are alike, they tell little */
};

static const float FAINT = 32; /* a coefficient that noise alone may bring about */

/* ---- Mean colours ---------------------------------------------------------------------------- */

/* The pixels of a line of `size` that a cell covers, of those at its ends only a part. */
typedef struct {
    int first, last;
    float head, tail, covered;
} Span;

/* Where a cell covers many pixels, its ends are rounded to whole ones: less work. */
static Span find_span(int cell, int size)
{
    enum { MANY = 16 };
    float from = (float)cell * (float)size / CELLS, to = (float)(cell + 1) * (float)size / CELLS;
    if (size >= MANY * CELLS) from = floorf(from + 0.5f), to = floorf(to + 0.5f);
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
                            float cells[CELLS][CELLS * 3])
{
    size_t count = (size_t)width * (size_t)channels;
    uint16_t *sums = rt_alloc(count, sizeof *sums);
    float *line = rt_alloc(count, sizeof *line);
    Span columns[CELLS];
    for (int i = 0; i < CELLS; i++) columns[i] = find_span(i, width);
    for (int i = 0; i < CELLS; i++) {
        Span span = find_span(i, height);
        sum_rows(rows, &span, count, sums, line);
        for (int j = 0; j < CELLS; j++)
            for (int c = 0; c < 3; c++) /* one channel stands for all three */
                cells[i][3 * j + c] = c > 0 && channels == 1
                                          ? cells[i][3 * j]
                                          : sum_columns(line + c, &columns[j], channels) /
                                                (span.covered * columns[j].covered);
    }
    free(sums);
    free(line);
}

/* ---- The hash -------------------------------------------------------------------------------- */

static float grey_of(const float *rgb)
{
    return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
}

/* Along one line of `grey`, the frequencies 0..8. */
static void transform(const float *grey, size_t stride, float basis[9][CELLS], float *out)
{
    for (int u = 0; u < 9; u++) {
        out[u] = 0;
        for (size_t x = 0; x < CELLS; x++) out[u] += grey[x * stride] * basis[u][x];
    }
}

/* Signs of the frequencies (u, v), both 0..7; (8, 0) takes the place of (0, 0), the mean. */
static uint64_t hash_grey(const float *grey)
{
    float basis[9][CELLS], half[CELLS * 9], column[9];
    uint64_t hash = 0;
    for (int u = 0; u < 9; u++)
        for (int x = 0; x < CELLS; x++)
            basis[u][x] = cosf((float)M_PI / (2 * CELLS) * (float)((2 * x + 1) * u));
    for (size_t y = 0; y < CELLS; y++) transform(grey + y * CELLS, 1, basis, half + y * 9);
    for (int u = 0; u < 9; u++) {
        transform(half + u, 9, basis, column);
        for (int v = 0; v < 8 && u < 8; v++)
            if ((u || v) && column[v] > FAINT) hash |= (uint64_t)1 << (8 * v + u);
        if (u == 8 && column[0] > FAINT) hash |= 1;
    }
    return hash;
}

void rt_look(const unsigned char *rows, int height, int width, int channels, RtLook *look)
{
    float cells[CELLS][CELLS * 3], grey[CELLS * CELLS], sum = 0, squares = 0;
    average_picture(rows, height, width, channels, cells);
    for (int i = 0; i < CELLS * CELLS; i++) {
        const float *rgb = &cells[i / CELLS][i % CELLS * 3];
        for (int c = 0; c < 3; c++) look->cells[3 * i + c] = (unsigned char)(rgb[c] + 0.5f);
        grey[i] = grey_of(rgb) - 128;
        sum += grey[i];
        squares += grey[i] * grey[i];
    }
    float mean = sum / (CELLS * CELLS), variance = squares / (CELLS * CELLS) - mean * mean;
    look->contrast = variance > 0 ? sqrtf(variance) : 0;
    look->hash = hash_grey(grey);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* Sums of squared differences of a row of cells: of grey, of colours. */
static void compare_row(const unsigned char *a, const unsigned char *b, float *grey, float *colour)
{
    for (int i = 0; i < 3 * CELLS; i += 3) {
        float difference[3];
        for (int c = 0; c < 3; c++) {
            difference[c] = (float)(a[i + c] - b[i + c]);
            *colour += difference[c] * difference[c] / 3;
        }
        *grey += grey_of(difference) * grey_of(difference);
    }
}

/* Strong compression spoils colours before it spoils brightness. */
bool rt_looks_same(const RtLook *a, const RtLook *b)
{
    if (__builtin_popcountll(a->hash ^ b->hash) > MOST_BITS) return false;
    float grey = 0, colour = 0, contrast = fminf(a->contrast, b->contrast);
    float most_grey = 2 + 0.2f * contrast, most_colour = 6 + 0.4f * contrast; /* rms */
    most_grey *= most_grey * CELLS * CELLS;
    most_colour *= most_colour * CELLS * CELLS;
    for (int row = 0; row < CELLS && grey <= most_grey && colour <= most_colour; row++)
        compare_row(a->cells + 3 * CELLS * row, b->cells + 3 * CELLS * row, &grey, &colour);
    return grey <= most_grey && colour <= most_colour;
}

/* For each byte of the hash and each of its values, a chain of looks. */
typedef struct {
    const RtLook *const *looks;
    uint64_t *hashes;               /* (count): side by side, for speed */
    uint32_t heads[BANDS][BUCKETS]; /* number of the chain's first + 1; 0: it is empty */
    uint32_t *next;                 /* (count, BANDS) */
} Index;

static void add_to_index(Index *index, size_t i)
{
    for (int band = 0; band < BANDS; band++) {
        uint32_t *head = &index->heads[band][index->hashes[i] >> (8 * band) & 0xff];
        index->next[i * BANDS + (size_t)band] = *head;
        *head = (uint32_t)i + 1;
    }
}

/* Whether two hashes share a byte below this one: then their pair has been seen. */
static bool share_byte_below(uint64_t different, int band)
{
    for (int i = 0; i < band; i++)
        if (!(different >> (8 * i) & 0xff)) return true;
    return false;
}

/* The look of the least number that looks the same as look i; i if there is none. */
static size_t find_match(const Index *index, size_t i)
{
    size_t best = i;
    int compared = 0;
    for (int band = 0; band < BANDS; band++) {
        uint32_t at = index->heads[band][index->hashes[i] >> (8 * band) & 0xff];
        for (; at && compared < MOST_COMPARED;
             at = index->next[(at - 1) * (size_t)BANDS + (size_t)band]) {
            size_t other = at - 1;
            uint64_t different = index->hashes[i] ^ index->hashes[other];
            if (other >= best || __builtin_popcountll(different) > MOST_BITS ||
                share_byte_below(different, band))
                continue;
            compared++;
            if (rt_looks_same(index->looks[i], index->looks[other])) best = other;
        }
    }
    return best;
}

void rt_find_alike(const RtLook *const *looks, size_t count, size_t *alike)
{
    Index *index = rt_alloc(1, sizeof *index);
    index->looks = looks;
    index->hashes = rt_alloc(count, sizeof *index->hashes);
    index->next = rt_alloc(count, BANDS * sizeof *index->next);
    for (size_t i = 0; i < count; i++) {
        alike[i] = i;
        if (!looks[i]) continue;
        index->hashes[i] = looks[i]->hash;
        size_t match = find_match(index, i);
        alike[i] = alike[match];
        /* One more of the same hash would find nothing that the other does not, or hardly: a
         * thousand blank pictures must not make chains of a thousand. */
        if (match == i || index->hashes[match] != index->hashes[i]) add_to_index(index, i);
    }
    free(index->next);
    free(index->hashes);
    free(index);
}
