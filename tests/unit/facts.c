/* Tests of facts.c: formats, EXIF orientation in both byte orders, and bytes that lie. */
#include <string.h>

#include "audit.h"
#include "files.h"
#include "ground.h"
#include "outcome.h"

enum { EXIF_BYTES = 32 };

/* APP1 with a TIFF structure of one entry, in one byte order or the other. */
static void make_exif(unsigned char *exif, bool big, int tag, int type, int value)
{
    unsigned char tiff[26] = {[8] = 0};
    int numbers[][3] = {/* place, bytes, number */
                        {2, 2, 42},    {4, 4, 8},  {8, 2, 1},      {10, 2, tag},
                        {12, 2, type}, {14, 4, 1}, {18, 2, value}, {22, 4, 0}};
    memcpy(exif, "Exif\0\0", 6);
    memcpy(tiff, big ? "MM" : "II", 2);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int j = 0; j < numbers[i][1]; j++) {
            int shift = 8 * (big ? numbers[i][1] - 1 - j : j);
            tiff[numbers[i][0] + j] = (unsigned char)((unsigned)numbers[i][2] >> shift);
        }
    memcpy(exif + 6, tiff, sizeof tiff);
}

/* A JPEG's markers up to its frame, with APP1 before it. */
static size_t make_jpeg(unsigned char *data, const unsigned char *app1, size_t bytes, int length)
{
    static const unsigned char frame[] = {0xff, 0xc2, 0, 11, 8, 0, 5, 0, 7, 4, 1, 0x11, 0};
    size_t at = 0;
    data[at++] = 0xff, data[at++] = 0xd8;
    data[at++] = 0xff, data[at++] = 0xff; /* a fill byte */
    data[at++] = 0xe1, data[at++] = (unsigned char)(length >> 8);
    data[at++] = (unsigned char)length;
    memcpy(data + at, app1, bytes);
    memcpy(data + at + bytes, frame, sizeof frame);
    return at + bytes + sizeof frame;
}

static RtFacts facts_of(bool big, int tag, int type, int value)
{
    unsigned char exif[EXIF_BYTES], data[128];
    make_exif(exif, big, tag, type, value);
    size_t bytes = make_jpeg(data, exif, sizeof exif, sizeof exif + 2);
    return rt_picture_facts(data, bytes);
}

static void test_orientation(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        for (int value = 1; value <= 8; value++)
            assert_int_equal(facts_of(big, 0x0112, 3, value).orientation, value);
        assert_int_equal(facts_of(big, 0x0112, 3, 0).orientation, 0);
        assert_int_equal(facts_of(big, 0x0112, 3, 9).orientation, 0);
        assert_int_equal(facts_of(big, 0x0112, 4, 6).orientation, 0); /* not a SHORT */
        assert_int_equal(facts_of(big, 0x0113, 3, 6).orientation, 0);
    }
    RtFacts facts = facts_of(true, 0x0112, 3, 6);
    assert_true(facts.format == RT_JPEG && facts.components == 4 && facts.bits == 8);
}

/* A whole file of exactly so many bytes at the end of its memory: a read beyond is seen by the
 * address sanitizer. */
static RtFacts facts_of_part(const unsigned char *data, size_t bytes)
{
    unsigned char *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, data, bytes);
    RtFacts facts = rt_picture_facts(copy, bytes);
    free(copy);
    return facts;
}

static void test_cut_at_every_length(void **state)
{
    (void)state;
    unsigned char exif[EXIF_BYTES], data[128];
    make_exif(exif, true, 0x0112, 3, 6);
    size_t bytes = make_jpeg(data, exif, sizeof exif, sizeof exif + 2);
    for (size_t i = 0; i < bytes; i++) {
        RtFacts facts = facts_of_part(data, i);
        assert_int_equal(facts.components, 0);
        assert_int_equal(facts.format, i < 3 ? RT_UNKNOWN_FORMAT : RT_JPEG);
    }
}

static void test_lying_numbers(void **state)
{
    (void)state;
    unsigned char exif[EXIF_BYTES], data[128];
    make_exif(exif, false, 0x0112, 3, 6);
    for (int length = 0; length < 2; length++) /* a segment shorter than its length */
        assert_int_equal(
            facts_of_part(data, make_jpeg(data, exif, sizeof exif, length)).orientation, 0);
    for (int at = 6; at < EXIF_BYTES; at++) /* any byte of the structure */
        for (int value = 0; value < 256; value++) {
            make_exif(exif, false, 0x0112, 3, 6);
            exif[at] = (unsigned char)value;
            size_t bytes = make_jpeg(data, exif, sizeof exif, sizeof exif + 2);
            int orientation = facts_of_part(data, bytes).orientation;
            assert_true(orientation >= 0 && orientation <= 8);
        }
}

static void expect_file(const char *name, RtFormat format, int components, int bits, bool alpha)
{
    char path[300];
    size_t bytes;
    snprintf(path, sizeof path, "tests/unit/pictures/%s", name);
    const unsigned char *data = rt_map(path, 1 << 20, RT_BAD_DATA, &bytes);
    RtFacts facts = rt_picture_facts(data, bytes);
    if (facts.format != format || facts.components != components || facts.bits != bits ||
        facts.alpha != alpha || facts.animated || facts.orientation > 1)
        fail_msg("%s: %s of %d components, %d bits%s", name, rt_format_name(facts.format),
                 facts.components, facts.bits, facts.alpha ? ", alpha" : "");
    rt_unmap(data, bytes);
}

static void test_files(void **state)
{
    (void)state;
    expect_file("cmyk.jpg", RT_JPEG, 4, 8, false);
    expect_file("grey.jpg", RT_JPEG, 1, 8, false);
    expect_file("progressive.jpg", RT_JPEG, 3, 8, false);
    expect_file("rgb.png", RT_PNG, 3, 8, false);
    expect_file("rgb16.png", RT_PNG, 3, 16, false);
    expect_file("alpha.png", RT_PNG, 3, 8, true);
    expect_file("grey_alpha.png", RT_PNG, 1, 8, true);
    expect_file("palette_4bit.png", RT_PNG, 3, 4, false);
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *start;
        RtFormat format;
    } cases[] = {{"GIF89a......", RT_GIF},
                 {"RIFF....WEBP", RT_WEBP},
                 {"BM....\0\0\0\0", RT_BMP},
                 {"II*\0....", RT_TIFF},
                 {"MM\0*....", RT_TIFF},
                 {"\0\0\0\x18"
                  "ftypheic",
                  RT_HEIF},
                 {"plain text..", RT_UNKNOWN_FORMAT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char start[12] = {0};
        memcpy(start, cases[i].start, i == 2 ? 10 : i == 3 || i == 4 ? 8 : 12);
        assert_int_equal(rt_picture_facts(start, 12).format, cases[i].format);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orientation),   cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_lying_numbers), cmocka_unit_test(test_files),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
