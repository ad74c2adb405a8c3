/* alike.c: which pictures look the same, or are mirrored or cropped copies of one another.
 *
 * Pictures whose hashes (look.c) differ in few bits are candidates; they look the same if their
 * mean colours nearly agree too, measured by their contrast. Candidates are found by the eight
 * bytes of the hash: two hashes that differ in seven bits or fewer share one. */
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

/* A copy may have been cropped otherwise than the nearest of the crops that are tried; but it must
 * agree with that far better than with the whole. Where all pictures are much alike (digits, say),
 * different ones do not. */
static const float LOOSE = 1.8f, BETTER = 0.65f;

/* ---- Two pictures ---------------------------------------------------------------------------- */

/* In which two hashes differ. The builtin is a call where the CPU is not known to have it. */
static inline int count_bits(uint64_t a, uint64_t b)
{
    uint64_t bits = a ^ b;
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    return (int)(((bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56);
}

/* Sums of squared differences of a row of cells: of grey, of colours. */
static void compare_row(const unsigned char *a, const unsigned char *b, float *grey, float *colour)
{
    for (int i = 0; i < 3 * CELLS; i += 3) {
        float red = (float)(a[i] - b[i]), green = (float)(a[i + 1] - b[i + 1]);
        float blue = (float)(a[i + 2] - b[i + 2]);
        float difference = 0.299f * red + 0.587f * green + 0.114f * blue;
        *colour += (red * red + green * green + blue * blue) / 3;
        *grey += difference * difference;
    }
}

static float differ_in_grey(const unsigned char *a, const unsigned char *b)
{
    float grey = 0, colour = 0;
    for (int row = 0; row < CELLS; row++)
        compare_row(a + 3 * CELLS * row, b + 3 * CELLS * row, &grey, &colour);
    return grey;
}

/* Whether cells nearly agree. Strong compression spoils colours before it spoils brightness. */
static bool cells_agree(const unsigned char *a, const unsigned char *b, float contrast, float loose)
{
    float grey = 0, colour = 0;
    float most_grey = loose * (2 + 0.2f * contrast), most_colour = loose * (6 + 0.4f * contrast);
    most_grey *= most_grey * CELLS * CELLS; /* from root mean squares to sums */
    most_colour *= most_colour * CELLS * CELLS;
    for (int row = 0; row < CELLS && grey <= most_grey && colour <= most_colour; row++)
        compare_row(a + 3 * CELLS * row, b + 3 * CELLS * row, &grey, &colour);
    return grey <= most_grey && colour <= most_colour;
}

static bool is_same(const RtLook *a, const RtLook *b)
{
    return count_bits(a->hash, b->hash) <= MOST_BITS &&
           cells_agree(a->cells, b->cells, fminf(a->contrast, b->contrast), 1);
}

/* Where a picture is flat, its mirror image and its parts say nothing: their hashes are 0. */
static bool is_mirrored(const RtLook *a, const RtLook *b)
{
    unsigned char cells[sizeof a->cells];
    if (!a->mirrored || count_bits(a->mirrored, b->hash) > MOST_BITS) return false;
    rt_look_mirror(a, cells);
    return cells_agree(cells, b->cells, fminf(a->contrast, b->contrast), 1);
}

static bool is_crop(const RtLook *whole, int which, const RtLook *part)
{
    unsigned char cells[sizeof whole->cells];
    if (!whole->crops[which] || count_bits(whole->crops[which], part->hash) > MOST_BITS)
        return false;
    rt_look_crop(whole, which, cells);
    return cells_agree(cells, part->cells, fminf(whole->contrast, part->contrast), LOOSE) &&
           differ_in_grey(cells, part->cells) <
               BETTER * BETTER * differ_in_grey(whole->cells, part->cells);
}

RtLikeness rt_compare_looks(const RtLook *a, const RtLook *b)
{
    if (is_same(a, b)) return RT_SAME;
    if (is_mirrored(a, b)) return RT_MIRRORED;
    for (int i = 0; i < RT_LOOK_CROPS; i++) {
        if (is_crop(b, i, a)) return RT_CROPPED;
        if (is_crop(a, i, b)) return RT_WHOLE;
    }
    return RT_DIFFERENT;
}

/* ---- The search ------------------------------------------------------------------------------ */

/* Looks whose hashes have the same byte in the same place, and the hashes, side by side for speed.
 */
typedef struct {
    uint64_t *hashes;
    uint32_t *looks;
    size_t count, room;
} Bucket;

typedef struct {
    const RtLook *const *looks;
    size_t *alike;
    Bucket buckets[BANDS][BUCKETS];
} Index;

static Bucket *find_bucket(Index *index, int band, uint64_t hash)
{
    return &index->buckets[band][hash >> (8 * band) & 0xff];
}

static void add_to_index(Index *index, size_t i)
{
    uint64_t hash = index->looks[i]->hash;
    for (int band = 0; band < BANDS; band++) {
        Bucket *bucket = find_bucket(index, band, hash);
        if (bucket->count == bucket->room) {
            bucket->room = bucket->room ? 2 * bucket->room : 4;
            bucket->hashes = rt_grow(bucket->hashes, bucket->room, sizeof *bucket->hashes);
            bucket->looks = rt_grow(bucket->looks, bucket->room, sizeof *bucket->looks);
        }
        bucket->hashes[bucket->count] = hash;
        bucket->looks[bucket->count++] = (uint32_t)i;
    }
}

/* Whether two hashes share a byte below this one: then their pair has been seen. */
static bool share_byte_below(uint64_t different, int band)
{
    for (int i = 0; i < band; i++)
        if (!(different >> (8 * i) & 0xff)) return true;
    return false;
}

/* The first of the looks that look i belongs with so far. */
static size_t find_first(Index *index, size_t i)
{
    size_t *alike = index->alike;
    while (alike[i] != i) i = alike[i] = alike[alike[i]];
    return i;
}

static void join(Index *index, size_t i, size_t other)
{
    size_t a = find_first(index, i), b = find_first(index, other);
    index->alike[a < b ? b : a] = a < b ? a : b;
}

typedef bool Likeness(const RtLook *look, int which, const RtLook *other);

/* Joins look i with those whose hash is near this one and that are like it. */
static void join_alike(Index *index, size_t i, uint64_t hash, Likeness *is_like, int which)
{
    int compared = 0;
    for (int band = 0; band < BANDS; band++) {
        const Bucket *bucket = find_bucket(index, band, hash);
        for (size_t at = 0; at < bucket->count && compared < MOST_COMPARED; at++) {
            if (count_bits(hash, bucket->hashes[at]) > MOST_BITS) continue;
            size_t other = bucket->looks[at];
            if (share_byte_below(hash ^ bucket->hashes[at], band) ||
                find_first(index, i) == find_first(index, other))
                continue;
            compared++;
            if (is_like(index->looks[i], which, index->looks[other])) join(index, i, other);
        }
    }
}

static bool is_same_look(const RtLook *look, int which, const RtLook *other)
{
    (void)which;
    return is_same(look, other);
}

static bool is_mirrored_look(const RtLook *look, int which, const RtLook *other)
{
    (void)which;
    return is_mirrored(look, other);
}

static void join_same(Index *index, size_t i)
{
    const RtLook *const *looks = index->looks;
    join_alike(index, i, looks[i]->hash, is_same_look, 0);
    /* One more of the same hash would find nothing that the other does not, or hardly: a thousand
     * blank pictures must not make buckets of a thousand. */
    size_t first = find_first(index, i);
    if (first == i || looks[first]->hash != looks[i]->hash) add_to_index(index, i);
}

static void join_copies(Index *index, size_t i)
{
    const RtLook *look = index->looks[i];
    if (look->mirrored) join_alike(index, i, look->mirrored, is_mirrored_look, 0);
    for (int which = 0; which < RT_LOOK_CROPS; which++)
        if (look->crops[which]) join_alike(index, i, look->crops[which], is_crop, which);
}

static void close_index(Index *index)
{
    for (int band = 0; band < BANDS; band++)
        for (int i = 0; i < BUCKETS; i++) {
            free(index->buckets[band][i].hashes);
            free(index->buckets[band][i].looks);
        }
    free(index);
}

void rt_find_alike(const RtLook *const *looks, size_t count, size_t *alike)
{
    Index *index = rt_alloc(1, sizeof *index);
    index->looks = looks;
    index->alike = alike;
    for (size_t i = 0; i < count; i++) alike[i] = i;
    for (size_t i = 0; i < count; i++)
        if (looks[i]) join_same(index, i);
    for (size_t i = 0; i < count; i++)
        if (looks[i]) join_copies(index, i);
    for (size_t i = 0; i < count; i++) alike[i] = find_first(index, i);
    close_index(index);
}
