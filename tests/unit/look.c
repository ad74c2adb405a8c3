/* Tests of look.c and alike.c: what pictures look the same, that the search finds all pairs
 * that comparing each with each finds, and that it stays fast. */
#include <math.h>
#include <string.h>

#include "audit.h"
#include "ground.h"
#include "outcome.h"

static uint64_t state_of_draws = 1;

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = (state_of_draws += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A scene of waves, at any size. */
static void paint(unsigned char *rows, int height, int width, int channels, double phase)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                double u = (x + 0.5) / width, v = (y + 0.5) / height;
                double value = sin(9 * u + phase) +
                               sin(7 * v + 3 * u + 2 * phase) * cos(5 * u * v) +
                               sin(17 * v - phase) / 2;
                *rows++ = (unsigned char)(128 + 40 * value);
            }
}

static void test_mean_colours(void **state)
{
    (void)state;
    enum { H = 7, W = 45 }; /* cells that are less than a row, and parts of columns */
    unsigned char rows[H * W * 3];
    RtLook look;
    for (int i = 0; i < H * W; i++) memcpy(rows + 3 * i, (unsigned char[]){10, 200, 77}, 3);
    rt_look(rows, H, W, 3, &look);
    for (int i = 0; i < RT_LOOK_CELLS * RT_LOOK_CELLS; i++)
        assert_memory_equal(look.cells + 3 * i, ((unsigned char[]){10, 200, 77}), 3);
    assert_true(look.hash == 0 && look.contrast < 1); /* flat */
    memset(rows, 90, sizeof rows);
    rt_look(rows, 1, 1, 1, &look);
    assert_int_equal(look.cells[0], 90);
    assert_int_equal(look.cells[sizeof look.cells - 1], 90);
}

/* One black pixel in the middle of its cell, and one on the border of two. */
static void test_parts_of_pixels(void **state)
{
    (void)state;
    unsigned char rows[24] = {0};
    RtLook look;
    rows[0] = 240; /* 24 pixels: a cell covers one and a half */
    rows[4] = 240;
    rt_look(rows, 1, 24, 1, &look);
    assert_int_equal(look.cells[0], 160);    /* 1 of 1.5 */
    assert_int_equal(look.cells[3 * 1], 0);  /* 1.5 to 3 */
    assert_int_equal(look.cells[3 * 2], 80); /* 3 to 4.5: half of pixel 4 */
    assert_int_equal(look.cells[3 * 3], 80); /* 4.5 to 6: the other half */
}

static void test_other_sizes_look_the_same(void **state)
{
    (void)state;
    static const int sizes[][2] = {{300, 400}, {64, 64}, {31, 77}, {16, 16}, {500, 90}};
    static unsigned char rows[500 * 400 * 3];
    RtLook first, other;
    paint(rows, 240, 200, 3, 0.3);
    rt_look(rows, 240, 200, 3, &first);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int channels = 1; channels <= 3; channels += 2) {
            paint(rows, sizes[i][0], sizes[i][1], channels, 0.3);
            rt_look(rows, sizes[i][0], sizes[i][1], channels, &other);
            assert_int_equal(rt_compare_looks(&first, &other), RT_SAME);
        }
    paint(rows, 240, 200, 3, 1.1);
    rt_look(rows, 240, 200, 3, &other);
    assert_int_equal(rt_compare_looks(&first, &other), RT_DIFFERENT);
}

/* What is left of a picture of H x W if so much is cut off each side; or its mirror image. */
static void copy_part(const unsigned char *from, int height, int width, int cut, bool mirrored,
                      RtLook *look)
{
    static unsigned char rows[500 * 400 * 3];
    int h = height - 2 * cut, w = width - 2 * cut;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            memcpy(rows + (y * w + x) * 3,
                   from + ((y + cut) * width + cut + (mirrored ? w - 1 - x : x)) * 3, 3);
    rt_look(rows, h, w, 3, look);
}

static void test_mirrored_and_cropped(void **state)
{
    (void)state;
    enum { H = 260, W = 300 };
    static unsigned char rows[H * W * 3];
    RtLook looks[4];
    const RtLook *places[] = {&looks[0], &looks[1], &looks[2], &looks[3]};
    size_t alike[4];
    paint(rows, H, W, 3, 0.3);
    copy_part(rows, H, W, 26, false, &looks[0]);
    copy_part(rows, H, W, 0, true, &looks[2]);
    rt_look(rows, H, W, 3, &looks[3]);
    paint(rows, H, W, 3, 1.1);
    rt_look(rows, H, W, 3, &looks[1]);
    assert_int_equal(rt_compare_looks(&looks[0], &looks[3]), RT_CROPPED);
    assert_int_equal(rt_compare_looks(&looks[3], &looks[0]), RT_WHOLE);
    assert_int_equal(rt_compare_looks(&looks[2], &looks[3]), RT_MIRRORED);
    assert_int_equal(rt_compare_looks(&looks[1], &looks[3]), RT_DIFFERENT);
    rt_find_alike(places, 4, alike);
    assert_int_equal(alike[1], 1);
    assert_int_equal(alike[2], 0); /* by way of the whole */
    assert_int_equal(alike[3], 0);
}

static RtLook random_look(void)
{
    RtLook look = {.hash = draw(), .mirrored = draw(), .contrast = 50};
    for (int i = 0; i < RT_LOOK_CROPS; i++) look.crops[i] = draw();
    for (size_t i = 0; i < sizeof look.cells; i++) look.cells[i] = (unsigned char)draw();
    return look;
}

/* Pairs whose hashes differ in 0 to 7 bits are found, wherever the bits are; those that differ in
 * 11 are none. */
static void test_search_is_complete(void **state)
{
    (void)state;
    enum { N = 2000 };
    static RtLook looks[2 * N];
    const RtLook *places[2 * N];
    static size_t alike[2 * N];
    for (int i = 0; i < N; i++) {
        looks[i] = looks[N + i] = random_look();
        for (int bits = i % 12 == 8 ? 11 : i % 8; bits > 0; bits--) {
            uint64_t mask;
            do mask = (uint64_t)1 << (draw() & 63);
            while ((looks[i].hash ^ looks[N + i].hash) & mask);
            looks[N + i].hash ^= mask;
        }
    }
    for (int i = 0; i < 2 * N; i++) places[i] = i % 97 == 5 ? NULL : &looks[i];
    rt_find_alike(places, 2 * N, alike);
    for (int i = 0; i < N; i++) {
        bool pair = i % 12 != 8 && places[i] && places[N + i];
        assert_int_equal(alike[i], i);
        assert_int_equal(alike[N + i], pair ? i : N + i);
    }
}

static void time_search(const RtLook *looks, size_t count, double most)
{
    const RtLook **places = rt_alloc(count, sizeof *places);
    size_t *alike = rt_alloc(count, sizeof *alike);
    for (size_t i = 0; i < count; i++) places[i] = &looks[i];
    double start = rt_seconds();
    rt_find_alike(places, count, alike);
    double seconds = rt_seconds() - start;
    print_message("# %zu pictures: %.2f s\n", count, seconds);
    assert_true(seconds < most);
    free(places);
    free(alike);
}

/* 50,000 pictures in about a second, whether all are different or all are blank; in a few where
 * their hashes are alike and nothing else is. */
static void test_search_is_fast(void **state)
{
    (void)state;
    enum { N = 50000 };
    RtLook *looks = rt_alloc(N, sizeof *looks);
    for (int i = 0; i < N; i++) looks[i] = random_look();
    time_search(looks, N, 20);
    memset(looks, 0, N * sizeof *looks);
    time_search(looks, N, 20);
    for (int i = 0; i < N; i++) looks[i] = random_look();
    for (int i = 0; i < N; i++) looks[i].hash &= 0xff; /* chains of equal bytes */
    time_search(looks, N, 60);
    free(looks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_colours),
        cmocka_unit_test(test_parts_of_pixels),
        cmocka_unit_test(test_other_sizes_look_the_same),
        cmocka_unit_test(test_mirrored_and_cropped),
        cmocka_unit_test(test_search_is_complete),
        cmocka_unit_test(test_search_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
