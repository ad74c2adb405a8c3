/* Tests of resize.c: values worked out by hand, and positions recorded from Pillow. */
#include "data.h"
#include "outcome.h"

static void expect_row(const real *got, const real *want, int count)
{
    for (int i = 0; i < count; i++)
        if (got[i] != want[i]) fail_msg("[%d]: %g, wanted %g", i, (double)got[i], (double)want[i]);
}

static void bilinear_up(void **state)
{
    (void)state;
    const unsigned char row[] = {0, 100};
    const real want[] = {0, 25, 75, 100};
    real got[4];
    rt_resize(row, 1, 2, 1, 1, 4, RT_BILINEAR, got);
    expect_row(got, want, 4);
    rt_resize(row, 2, 1, 1, 4, 1, RT_BILINEAR, got);
    expect_row(got, want, 4);
}

/* Without antialias only the two nearest pixels count, however much a picture shrinks. */
static void bilinear_down(void **state)
{
    (void)state;
    const unsigned char row[] = {0, 10, 30, 255, 255, 60, 80, 0};
    const real want[] = {20, 70};
    real got[2];
    rt_resize(row, 1, 8, 1, 1, 2, RT_BILINEAR, got);
    expect_row(got, want, 2);
}

static void bilinear_both_ways(void **state)
{
    (void)state;
    const unsigned char pixels[] = {0, 3, 200, 103, 100, 203, 40, 43}; /* 2 x 2, 2 channels */
    const real want[] = {85, 88};
    real got[2];
    rt_resize(pixels, 2, 2, 2, 1, 1, RT_BILINEAR, got);
    expect_row(got, want, 2);
}

static void same_size_is_a_copy(void **state)
{
    (void)state;
    unsigned char pixels[5 * 7 * 3];
    real want[5 * 7 * 3], got[5 * 7 * 3];
    for (int i = 0; i < 5 * 7 * 3; i++) want[i] = pixels[i] = (unsigned char)(i * 37);
    rt_resize(pixels, 5, 7, 3, 5, 7, RT_BILINEAR, got);
    expect_row(got, want, 5 * 7 * 3);
    rt_resize(pixels, 5, 7, 3, 5, 7, RT_NEAREST, got);
    expect_row(got, want, 5 * 7 * 3);
}

static void nearest_takes_centres(void **state)
{
    (void)state;
    const unsigned char pixels[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}; /* 3 x 3 */
    const real want[] = {1, 3, 7, 9}, middle[] = {5};
    real got[4];
    rt_resize(pixels, 3, 3, 1, 2, 2, RT_NEAREST, got);
    expect_row(got, want, 4);
    rt_resize(pixels, 3, 3, 1, 1, 1, RT_NEAREST, got);
    expect_row(got, middle, 1);
}

/* Pillow sums its steps up: from 400 to 150, column 4 is 11, though 4.5 * 400 / 150 is 12. */
static void nearest_rounds_as_pillow(void **state)
{
    (void)state;
    unsigned char row[400];
    real got[150];
    const real want[] = {1,  4,  6,  9,  11, 14, 17, 20, 22, 25, 28, 30, 33,
                         36, 38, 41, 43, 46, 49, 51, 54, 57, 59, 62, 65, 67};
    for (int i = 0; i < 400; i++) row[i] = (unsigned char)i;
    rt_resize(row, 1, 400, 1, 1, 150, RT_NEAREST, got);
    expect_row(got, want, (int)(sizeof want / sizeof want[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bilinear_up),           cmocka_unit_test(bilinear_down),
        cmocka_unit_test(bilinear_both_ways),    cmocka_unit_test(same_size_is_a_copy),
        cmocka_unit_test(nearest_takes_centres), cmocka_unit_test(nearest_rounds_as_pillow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
