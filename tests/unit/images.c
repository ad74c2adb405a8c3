/* Tests of images.c and png.c: against pixels recorded from Keras (tests/parity/pictures.py), and
 * against damaged and hostile files. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include <jpeglib.h>
#include <png.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"
#include "outcome.h"

#define FOLDER "tests/unit/pictures/"
enum { H = 6, W = 9 }; /* of the recordings */

static RtImageInfo info;

static unsigned char *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s: cannot be opened; the tests run in the project's folder", path);
    unsigned char *data = malloc(1 << 16);
    *bytes = fread(data, 1, 1 << 16, file);
    fclose(file);
    return data;
}

static bool decode(const unsigned char *data, size_t bytes, int channels, RtInterpolation how,
                   real *pixels)
{
    return rt_image_decode(data, bytes, H, W, channels, how, pixels, &info);
}

static void expect_problem(const unsigned char *data, size_t bytes, const char *problem)
{
    real pixels[H * W * 3];
    for (int how = RT_BILINEAR; how <= RT_NEAREST; how++) {
        assert_false(decode(data, bytes, 3, (RtInterpolation)how, pixels));
        if (!strstr(info.problem, problem))
            fail_msg("\"%s\", wanted \"%s\"", info.problem, problem);
    }
}

/* ---- Keras's pixels ---------------------------------------------------------------------------
 */

static void compare_recording(const char *name)
{
    char file[100], path[200];
    real got[H * W * 3], want[H * W * 3];
    sscanf(name, "%99[^/]", file);
    snprintf(path, sizeof path, FOLDER "%s", file);
    RtArray array = rt_npy_read(FOLDER "keras.npz", name, H * W * 3, RT_BAD_DATA);
    rt_array_to_real(&array, want);
    int channels = (int)array.dims[2], count = H * W * channels;
    rt_array_free(&array);
    RtInterpolation how = strstr(name, "/bilinear/") ? RT_BILINEAR : RT_NEAREST;
    if (!rt_image_read(path, H, W, channels, how, got, &info))
        fail_msg("%s: %s", name, info.problem);
    assert_int_equal(info.width, 23);
    assert_int_equal(info.height, 17);
    /* Float rounding of numbers up to 255 where the compiler fuses products and sums. */
    for (int i = 0; i < count; i++)
        if (!(fabs((double)(got[i] - want[i])) <= 5e-5))
            fail_msg("%s, number %d: %g, Keras %g", name, i, (double)got[i], (double)want[i]);
}

static void pixels_are_those_of_keras(void **state)
{
    (void)state;
    char **names = rt_npz_names(FOLDER "keras.npz");
    int count = 0;
    for (; names[count]; count++) {
        compare_recording(names[count]);
        free(names[count]);
    }
    free(names);
    assert_int_equal(count, 15 * 4 - 1);
}

/* TensorFlow cannot: through RGB then. */
static void cmyk_becomes_grey(void **state)
{
    (void)state;
    real grey[H * W], rgb[H * W * 3];
    assert_true(rt_image_read(FOLDER "cmyk.jpg", H, W, 1, RT_NEAREST, grey, &info));
    assert_true(rt_image_read(FOLDER "cmyk.jpg", H, W, 3, RT_NEAREST, rgb, &info));
    for (int i = 0; i < H * W; i++) {
        double y = 0.299 * (double)rgb[3 * i] + 0.587 * (double)rgb[3 * i + 1] +
                   0.114 * (double)rgb[3 * i + 2];
        assert_true(fabs(y - (double)grey[i]) <= 0.51);
    }
    assert_true(rt_image_read(FOLDER "cmyk.jpg", H, W, 1, RT_BILINEAR, grey, &info));
}

static void read_tree(const char *folder, int *pictures)
{
    struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir) return;
    while ((entry = readdir(dir))) {
        char path[4096];
        real pixels[32 * 32 * 3];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_DIR) {
            read_tree(path, pictures);
        } else if (strstr(path, ".jpg") || strstr(path, ".png")) {
            ++*pictures;
            if (!rt_image_read(path, 32, 32, 3, RT_BILINEAR, pixels, &info))
                fail_msg("%s: %s", path, info.problem);
        }
    }
    closedir(dir);
}

static void real_photos_are_read(void **state)
{
    (void)state;
    char folder[4096];
    int pictures = 0;
    const char *data = getenv("TLC_DATA");
    snprintf(folder, sizeof folder, "%s/pets", data ? data : "");
    if (data) read_tree(folder, &pictures);
    if (pictures == 0) {
        print_message("skipped: TLC_DATA names no folder with pets/\n");
        skip();
    }
}

/* ---- Pictures made here ------------------------------------------------------------------------
 */

typedef struct {
    unsigned char *data;
    size_t bytes;
} Bytes;

static void append(png_structp png, png_bytep data, png_size_t bytes)
{
    Bytes *to = png_get_io_ptr(png);
    to->data = realloc(to->data, to->bytes + bytes);
    memcpy(to->data + to->bytes, data, bytes);
    to->bytes += bytes;
}

static Bytes encode_png(int width, int height, int interlace)
{
    Bytes out = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop header = png_create_info_struct(png);
    unsigned char row[64 * 3];
    png_set_write_fn(png, &out, append, NULL);
    png_set_IHDR(png, header, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
                 interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, header);
    int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < height; y++) {
            for (int i = 0; i < width * 3; i++) row[i] = (unsigned char)(y * 31 + i * 7);
            png_write_row(png, row);
        }
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &header);
    return out;
}

static Bytes encode_jpeg(int components, const jpeg_scan_info *scans, int scan_count)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    Bytes out = {0};
    unsigned long bytes = 0;
    unsigned char row[16 * 4], *rows = row;
    memset(row, 90, sizeof row);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &out.data, &bytes);
    jpeg.image_width = jpeg.image_height = 16;
    jpeg.input_components = components;
    jpeg.in_color_space = components == 1 ? JCS_GRAYSCALE : JCS_UNKNOWN;
    jpeg_set_defaults(&jpeg);
    jpeg.scan_info = scans;
    jpeg.num_scans = scan_count;
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < 16; y++) jpeg_write_scanlines(&jpeg, &rows, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    out.bytes = bytes;
    return out;
}

static void interlaced_png(void **state)
{
    (void)state;
    real want[H * W * 3], got[H * W * 3];
    Bytes plain = encode_png(21, 13, PNG_INTERLACE_NONE);
    Bytes interlaced = encode_png(21, 13, PNG_INTERLACE_ADAM7);
    assert_true(decode(plain.data, plain.bytes, 3, RT_BILINEAR, want));
    assert_true(decode(interlaced.data, interlaced.bytes, 3, RT_BILINEAR, got));
    assert_memory_equal(got, want, sizeof got);
    free(plain.data);
    free(interlaced.data);
}

static void odd_number_of_components(void **state)
{
    (void)state;
    Bytes two = encode_jpeg(2, NULL, 0);
    expect_problem(two.data, two.bytes, "a JPEG of 2 components; 1, 3 or 4 are read");
    free(two.data);
}

/* Each coefficient by itself, bit by bit: valid, and a way to keep a decoder busy. */
static void too_many_scans(void **state)
{
    (void)state;
    static jpeg_scan_info scans[600];
    int count = 0;
    for (int k = 0; k < 64; k++)
        for (int bit = 8; bit >= 0; bit--)
            scans[count++] = (jpeg_scan_info){1, {0}, k, k, bit == 8 ? 0 : bit + 1, bit};
    Bytes many = encode_jpeg(1, scans, count), few = encode_jpeg(1, NULL, 0);
    real pixels[H * W * 3];
    expect_problem(many.data, many.bytes, "broken JPEG: more than 500 scans");
    assert_true(decode(few.data, few.bytes, 3, RT_BILINEAR, pixels));
    free(many.data);
    free(few.data);
}

/* ---- Damage -------------------------------------------------------------------------------------
 */

static void not_a_picture(void **state)
{
    (void)state;
    const unsigned char gif[] = "GIF89a\1\0\1\0", start[] = {0xff, 0xd8};
    expect_problem(gif, 0, "an empty file");
    expect_problem(gif, sizeof gif, "neither a JPEG nor a PNG picture");
    expect_problem(start, sizeof start, "neither a JPEG nor a PNG picture");
}

static const char *const damaged[] = {FOLDER "rgb_420.jpg", FOLDER "progressive.jpg",
                                      FOLDER "cmyk.jpg", FOLDER "alpha.png",
                                      FOLDER "palette_4bit.png"};

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        size_t bytes;
        unsigned char *data = read_file(damaged[i], &bytes);
        for (size_t length = 3; length < bytes; length++) {
            unsigned char *part = malloc(length); /* exact, for the sanitizer */
            memcpy(part, data, length);
            expect_problem(part, length, i < 3 ? "JPEG" : "PNG");
            free(part);
        }
        free(data);
    }
}

static void no_flipped_byte_does_harm(void **state)
{
    (void)state;
    real pixels[H * W * 3];
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        size_t bytes;
        unsigned char *data = read_file(damaged[i], &bytes);
        for (size_t at = 0; at < bytes; at++) {
            data[at] ^= 0xff;
            bool ok = decode(data, bytes, 3, RT_BILINEAR, pixels);
            assert_int_equal(ok, info.problem[0] == 0);
            data[at] ^= 0xff;
        }
        free(data);
    }
}

static uint32_t crc32_of(const unsigned char *data, size_t bytes)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void put_big_endian(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (24 - 8 * i));
}

static void huge_sizes_are_refused_unread(void **state)
{
    (void)state;
    size_t bytes;
    unsigned char *png = read_file(FOLDER "rgb.png", &bytes);
    put_big_endian(png + 16, 16385);
    put_big_endian(png + 20, 16384);
    put_big_endian(png + 29, crc32_of(png + 12, 17));
    expect_problem(png, bytes, "16385x16384 pixels are too many");
    free(png);

    unsigned char *jpeg = read_file(FOLDER "rgb_444.jpg", &bytes), *frame = jpeg;
    while (memcmp(frame, "\xff\xc0", 2) != 0) frame++;
    memcpy(frame + 5, "\x40\x00\x40\x01", 4);
    expect_problem(jpeg, bytes, "a JPEG of 16385x16384 pixels; 2^28 are the most");
    frame[4] = 12;
    expect_problem(jpeg, bytes, "12");
    free(jpeg);
}

/* A chunk of text with a wrong checksum spoils no pixel; one of pixels does. */
static void only_critical_chunks_count(void **state)
{
    (void)state;
    enum { HEADER = 33 };
    static const unsigned char text[] = "\0\0\0\3tEXta\0b????";
    size_t bytes;
    real want[H * W * 3], got[H * W * 3];
    unsigned char *png = read_file(FOLDER "rgb.png", &bytes), with_text[4096];
    memcpy(with_text, png, HEADER);
    memcpy(with_text + HEADER, text, sizeof text - 1);
    memcpy(with_text + HEADER + sizeof text - 1, png + HEADER, bytes - HEADER);
    assert_true(decode(png, bytes, 3, RT_BILINEAR, want));
    assert_true(decode(with_text, bytes + sizeof text - 1, 3, RT_BILINEAR, got));
    assert_memory_equal(got, want, sizeof got);
    png[bytes - 14] ^= 1; /* of the checksum of IDAT */
    expect_problem(png, bytes, "broken PNG: IDAT: CRC error");
    free(png);
}

static void paths_that_are_no_files(void **state)
{
    (void)state;
    real pixels[H * W * 3];
    const char *fifo = scratch("fifo.jpg");
    assert_false(rt_image_read("no/such.jpg", H, W, 3, RT_BILINEAR, pixels, &info));
    assert_string_equal(info.problem, "cannot be opened: No such file or directory");
    assert_false(rt_image_read("tests", H, W, 3, RT_BILINEAR, pixels, &info));
    assert_string_equal(info.problem, "not a regular file");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_false(rt_image_read(fifo, H, W, 3, RT_BILINEAR, pixels, &info));
    assert_string_equal(info.problem, "not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_those_of_keras),
        cmocka_unit_test(cmyk_becomes_grey),
        cmocka_unit_test(real_photos_are_read),
        cmocka_unit_test(interlaced_png),
        cmocka_unit_test(odd_number_of_components),
        cmocka_unit_test(too_many_scans),
        cmocka_unit_test(not_a_picture),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(no_flipped_byte_does_harm),
        cmocka_unit_test(huge_sizes_are_refused_unread),
        cmocka_unit_test(only_critical_chunks_count),
        cmocka_unit_test(paths_that_are_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
