/* plant.c: makes pictures for tests of `check`, and faults in them:
 *
 *   plant faults DIR    a data set with faults of every kind; prints "KIND PATH" for each
 *   plant clean DIR     one without any
 *   plant copies DIR N  N pictures and a resized or recompressed copy of each, "copy…"
 *   plant parts DIR N   N pictures and a mirrored or cropped copy of each, likewise
 *
 * A picture is a made-up scene of soft blobs, stripes and grain, a function of its number. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

static const char *root;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- Scenes ---------------------------------------------------------------------------------- */

typedef struct {
    int width, height;
    unsigned char *rgb;
} Picture;

static uint64_t state;

static double draw(void) /* splitmix64, 0..1 */
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

enum { BLOBS = 14 };

typedef struct {
    double x, y, size, rgb[3];
} Blob;

static Picture paint(int number, int width, int height)
{
    Picture picture = {width, height, malloc((size_t)width * (size_t)height * 3)};
    Blob blobs[BLOBS];
    state = (uint64_t)number * 7919 + 1;
    double angle = 3.14 * draw(), waves = 10 + 30 * draw(), base[3];
    for (int c = 0; c < 3; c++) base[c] = 60 + 130 * draw();
    for (int i = 0; i < BLOBS; i++) {
        blobs[i] = (Blob){.x = draw(), .y = draw(), .size = 0.05 + 0.25 * draw()};
        for (int c = 0; c < 3; c++) blobs[i].rgb[c] = 200 * draw() - 100;
    }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double u = (x + 0.5) / width, v = (y + 0.5) / height, sums[3];
            double wave = 12 * sin(waves * (u * cos(angle) + v * sin(angle)));
            for (int c = 0; c < 3; c++) sums[c] = base[c] + wave + 16 * draw() - 8;
            for (int i = 0; i < BLOBS; i++) {
                double dx = (u - blobs[i].x) / blobs[i].size, dy = (v - blobs[i].y) / blobs[i].size;
                double weight = exp(-dx * dx - dy * dy);
                for (int c = 0; c < 3; c++) sums[c] += weight * blobs[i].rgb[c];
            }
            for (int c = 0; c < 3; c++)
                picture.rgb[(y * width + x) * 3 + c] = (unsigned char)(sums[c] < 0     ? 0
                                                                       : sums[c] > 255 ? 255
                                                                                       : sums[c]);
        }
    return picture;
}

/* Bilinear of 3 x 3 points of each new pixel: smooth enough, as picture programs are. */
static Picture resize(const Picture *from, int width, int height)
{
    Picture to = {width, height, malloc((size_t)width * (size_t)height * 3)};
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                double sum = 0;
                for (int i = 0; i < 9; i++) {
                    double v = (y + (i / 3 + 0.5) / 3) * from->height / height;
                    double u = (x + (i % 3 + 0.5) / 3) * from->width / width;
                    sum += from->rgb[((int)v * from->width + (int)u) * 3 + c];
                }
                to.rgb[(y * width + x) * 3 + c] = (unsigned char)(sum / 9 + 0.5);
            }
    return to;
}

/* What is left if these parts of it are cut off left, right, top and bottom. */
static Picture crop(const Picture *from, const double cut[4])
{
    int left = (int)(cut[0] * from->width), top = (int)(cut[2] * from->height);
    int width = from->width - left - (int)(cut[1] * from->width);
    int height = from->height - top - (int)(cut[3] * from->height);
    Picture to = {width, height, malloc((size_t)width * (size_t)height * 3)};
    for (int y = 0; y < height; y++)
        memcpy(to.rgb + y * width * 3, from->rgb + ((top + y) * from->width + left) * 3,
               (size_t)width * 3);
    return to;
}

static Picture mirror(const Picture *from)
{
    Picture to = {from->width, from->height,
                  malloc((size_t)from->width * (size_t)from->height * 3)};
    for (int y = 0; y < to.height; y++)
        for (int x = 0; x < to.width; x++)
            memcpy(to.rgb + (y * to.width + x) * 3,
                   from->rgb + (y * to.width + to.width - 1 - x) * 3, 3);
    return to;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* root/name, with its folders made. */
static const char *place(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    return path;
}

static void write_bytes(const char *name, const void *data, size_t bytes)
{
    FILE *file = fopen(place(name), "wb");
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0) fail(name);
}

static unsigned char *read_bytes(const char *name, size_t *bytes)
{
    static unsigned char data[1 << 23];
    FILE *file = fopen(place(name), "rb");
    if (!file) fail(name);
    *bytes = fread(data, 1, sizeof data, file);
    fclose(file);
    return data;
}

static void copy(const char *from, const char *to)
{
    size_t bytes;
    unsigned char *data = read_bytes(from, &bytes);
    write_bytes(to, data, bytes);
}

typedef struct {
    int quality, components;   /* 3, 1: grey, 4: CMYK */
    const unsigned char *exif; /* contents of APP1, or NULL */
    unsigned exif_bytes;
    int progressive;
} JpegHow;

static void write_jpeg(const char *name, const Picture *picture, JpegHow how)
{
    FILE *file = fopen(place(name), "wb");
    struct jpeg_error_mgr errors;
    struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&errors)};
    unsigned char *row = malloc((size_t)picture->width * 4);
    if (!file) fail(name);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = (unsigned)picture->width;
    jpeg.image_height = (unsigned)picture->height;
    jpeg.input_components = how.components;
    jpeg.in_color_space = how.components == 1   ? JCS_GRAYSCALE
                          : how.components == 3 ? JCS_RGB
                                                : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, how.quality, TRUE);
    if (how.progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (how.exif) jpeg_write_marker(&jpeg, JPEG_APP0 + 1, how.exif, how.exif_bytes);
    for (int y = 0; y < picture->height; y++) {
        for (int x = 0; x < picture->width; x++)
            for (int c = 0; c < how.components; c++)
                row[x * how.components + c] =
                    c == 3 ? 255 : picture->rgb[(y * picture->width + x) * 3 + c];
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    if (fclose(file) != 0) fail(name);
}

typedef struct {
    int bits, alpha, level, interlaced;
    const char *chunk; /* type of one more, or NULL */
    const unsigned char *data;
    size_t bytes;
} PngHow;

static void write_png(const char *name, const Picture *picture, PngHow how)
{
    FILE *file = fopen(place(name), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    int channels = how.alpha ? 4 : 3, wide = how.bits == 16 ? 2 : 1;
    unsigned char *row = malloc((size_t)(picture->width * channels * wide));
    if (!file) fail(name);
    png_init_io(png, file);
    png_set_compression_level(png, how.level);
    png_set_IHDR(png, info, (unsigned)picture->width, (unsigned)picture->height, how.bits,
                 how.alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB,
                 how.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    if (how.chunk) png_write_chunk(png, (png_const_bytep)how.chunk, how.data, how.bytes);
    int rows = picture->height * png_set_interlace_handling(png);
    for (int n = 0; n < rows; n++) {
        int y = n % picture->height;
        for (int i = 0; i < picture->width * channels; i++) {
            int x = i / channels, c = i % channels;
            int value = c == 3 ? 128 : picture->rgb[(y * picture->width + x) * 3 + c];
            row[i * wide] = (unsigned char)value;
            if (wide == 2) row[2 * i + 1] = 7;
        }
        png_write_row(png, row);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(row);
    if (fclose(file) != 0) fail(name);
}

/* ---- Data sets ------------------------------------------------------------------------------- */

static const JpegHow plain = {.quality = 92, .components = 3};
static const PngHow plain_png = {.bits = 8, .level = 6};

static void paint_jpeg(const char *name, int number, int width, int height, JpegHow how)
{
    Picture picture = paint(number, width, height);
    write_jpeg(name, &picture, how);
    free(picture.rgb);
}

static void paint_png(const char *name, int number, PngHow how)
{
    Picture picture = paint(number, 120, 100);
    write_png(name, &picture, how);
    free(picture.rgb);
}

/* Pictures "0000.jpg", … of a class, numbered from `first` on. */
static void paint_class(const char *folder, int first, int count)
{
    for (int i = 0; i < count; i++) {
        char name[200];
        snprintf(name, sizeof name, "%s/%04d.jpg", folder, i);
        paint_jpeg(name, first + i, 110 + (first + i) * 7 % 60, 100 + (first + i) * 5 % 50, plain);
    }
}

static void expect(const char *kind, const char *name)
{
    if (strcmp(kind, "imbalance") == 0 || strcmp(kind, "few") == 0)
        printf("%s %s\n", kind, name);
    else
        printf("%s %s/%s\n", kind, root, name);
}

static void plant_broken(void)
{
    size_t bytes;
    unsigned char *data = read_bytes("train/cat/0000.jpg", &bytes);
    write_bytes("train/cat/cut.jpg", data, bytes / 2);
    expect("unreadable", "train/cat/cut.jpg");
    write_bytes("train/cat/cut_by_one.jpg", data, bytes - 1);
    expect("unreadable", "train/cat/cut_by_one.jpg");
    memset(data + bytes / 2, 0xff, 40);
    write_bytes("validation/cat/scribbled.jpg", data, bytes);
    expect("unreadable", "validation/cat/scribbled.jpg");
    write_bytes("train/cat/empty.jpg", "", 0);
    expect("unreadable", "train/cat/empty.jpg");
    write_bytes("train/dog/animation.jpg", "GIF89a\1\0\1\0\0\0\0;", 14);
    expect("unreadable", "train/dog/animation.jpg");
    write_bytes("train/dog/text.png", "no picture\n", 11);
    expect("unreadable", "train/dog/text.png");
    paint_png("train/dog/damaged.png", 900, plain_png);
    data = read_bytes("train/dog/damaged.png", &bytes);
    data[bytes / 2] ^= 0x10;
    write_bytes("train/dog/damaged.png", data, bytes);
    expect("unreadable", "train/dog/damaged.png");
    write_bytes("train/dog/cut.png", data, bytes / 3);
    expect("unreadable", "train/dog/cut.png");
}

/* Sizes that no memory is taken for: in the head of a JPEG, and of a PNG that is whole otherwise.
 */
static void plant_huge(void)
{
    size_t bytes;
    unsigned char *data = read_bytes("train/cat/0000.jpg", &bytes);
    size_t frame = 2;
    while (data[frame + 1] != 0xc0) frame += 2 + (size_t)(data[frame + 2] << 8 | data[frame + 3]);
    memcpy(data + frame + 5, "\xfd\xe8\xfd\xe8", 4); /* 65000 x 65000 */
    write_bytes("train/cat/huge.jpg", data, bytes);
    expect("unreadable", "train/cat/huge.jpg");
    paint_png("train/dog/huge.png", 941, plain_png);
    data = read_bytes("train/dog/huge.png", &bytes);
    memcpy(data + 16, "\0\1\x86\xa0\0\1\x86\xa0", 8); /* 100000 x 100000 */
    uint32_t crc = (uint32_t)crc32(0, data + 12, 17);
    for (int i = 0; i < 4; i++) data[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    write_bytes("train/dog/huge.png", data, bytes);
    expect("unreadable", "train/dog/huge.png");
}

/* What is rare, and no fault. */
static void plant_rarities(void)
{
    size_t bytes;
    paint_jpeg("train/cat/SHOUTED.JPEG", 960, 120, 100,
               (JpegHow){.quality = 90, .components = 3, .progressive = 1});
    paint_png("train/cat/Woven.PnG", 961, (PngHow){.bits = 8, .interlaced = 1});
    paint_jpeg("train/cat/folder.jpg/in_a_folder.jpg", 962, 120, 100, plain);
    paint_jpeg("train/cat/with_a_tail.jpg", 963, 120, 100, plain);
    unsigned char *data = read_bytes("train/cat/with_a_tail.jpg", &bytes);
    memset(data + bytes, 'x', 3000);
    write_bytes("train/cat/with_a_tail.jpg", data, bytes + 3000);
    paint_jpeg("train/cat/\xff.jpg", 964, 120, 100, plain);
}

static void plant_copies(void)
{
    static const PngHow other = {.bits = 8, .level = 1};
    copy("train/cat/0003.jpg", "validation/cat/leak.jpg");
    expect("leak", "validation/cat/leak.jpg");
    paint_png("train/dog/shot.png", 910, plain_png);
    paint_png("validation/dog/shot.png", 910, other);
    expect("leak", "validation/dog/shot.png");
    copy("train/cat/0005.jpg", "train/dog/cat.jpg");
    expect("two-labels", "train/dog/cat.jpg");
    copy("train/cat/0007.jpg", "train/cat/copy.jpg");
    expect("duplicate", "train/cat/copy.jpg");
    Picture picture = paint(920, 160, 120), small = resize(&picture, 80, 60);
    write_jpeg("train/dog/large.jpg", &picture, plain);
    write_jpeg("validation/dog/small.jpg", &small, (JpegHow){.quality = 60, .components = 3});
    expect("near-leak", "validation/dog/small.jpg");
    picture = paint(921, 150, 130), small = resize(&picture, 100, 100);
    write_jpeg("train/bird/large.jpg", &picture, plain);
    write_jpeg("train/dog/small.jpg", &small, (JpegHow){.quality = 70, .components = 3});
    expect("near-two-labels", "train/dog/small.jpg");
    picture = paint(922, 150, 130);
    write_jpeg("train/cat/good.jpg", &picture, plain);
    write_jpeg("train/cat/worse.jpg", &picture, (JpegHow){.quality = 30, .components = 3});
    expect("near-duplicate", "train/cat/worse.jpg");
    picture = paint(923, 150, 130), small = mirror(&picture);
    write_jpeg("train/cat/left.jpg", &picture, plain);
    write_jpeg("validation/cat/right.jpg", &small, (JpegHow){.quality = 70, .components = 3});
    expect("near-leak", "validation/cat/right.jpg");
    picture = paint(924, 170, 150), small = crop(&picture, (double[]){0.1, 0.06, 0.05, 0.09});
    write_jpeg("train/bird/part.jpg", &small, plain);
    write_jpeg("train/bird/whole.jpg", &picture, (JpegHow){.quality = 70, .components = 3});
    expect("near-duplicate", "train/bird/whole.jpg");
}

static void plant_formats(void)
{
    static const unsigned char little[] =
        "Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0";
    static const unsigned char big[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\3\0\0\0\0\0";
    static const unsigned char frames[] = {0, 0, 0, 2, 0, 0, 0, 0};
    paint_jpeg("train/cat/on_its_side.jpg", 930, 120, 100,
               (JpegHow){.quality = 90, .components = 3, .exif = little, .exif_bytes = 30});
    expect("turned", "train/cat/on_its_side.jpg");
    paint_jpeg("train/cat/upside_down.jpg", 931, 120, 100,
               (JpegHow){.quality = 90, .components = 3, .exif = big, .exif_bytes = 30});
    expect("turned", "train/cat/upside_down.jpg");
    paint_png("train/cat/on_its_side.png", 932,
              (PngHow){.bits = 8, .chunk = "eXIf", .data = little + 6, .bytes = 24});
    expect("turned", "train/cat/on_its_side.png");
    paint_jpeg("train/cat/upright.jpg", 933, 120, 100,
               (JpegHow){.quality = 90, .components = 3, .exif = big, .exif_bytes = 20});
    paint_jpeg("train/dog/print.jpg", 934, 120, 100, (JpegHow){.quality = 90, .components = 4});
    expect("cmyk", "train/dog/print.jpg");
    paint_jpeg("train/dog/grey.jpg", 935, 120, 100, (JpegHow){.quality = 90, .components = 1});
    expect("grey", "train/dog/grey.jpg");
    paint_png("train/dog/really_png.jpg", 936, plain_png);
    expect("misnamed", "train/dog/really_png.jpg");
    paint_jpeg("train/dog/really_jpeg.PNG", 937, 120, 100, plain);
    expect("misnamed", "train/dog/really_jpeg.PNG");
    paint_png("train/dog/moves.png", 938,
              (PngHow){.bits = 8, .chunk = "acTL", .data = frames, .bytes = 8});
    expect("animated", "train/dog/moves.png");
    paint_png("train/dog/glass.png", 939, (PngHow){.bits = 8, .alpha = 1});
    expect("alpha", "train/dog/glass.png");
    paint_png("train/dog/deep.png", 940, (PngHow){.bits = 16});
    expect("deep", "train/dog/deep.png");
}

static void plant_sizes(void)
{
    paint_jpeg("train/cat/poster.jpg", 950, 800, 700, plain);
    expect("size", "train/cat/poster.jpg");
    paint_jpeg("train/cat/stamp.jpg", 951, 24, 20, plain);
    expect("size", "train/cat/stamp.jpg");
    paint_jpeg("train/cat/dot.jpg", 952, 14, 15, plain);
    expect("size", "train/cat/dot.jpg");
    expect("enlarged", "train/cat/dot.jpg");
    paint_jpeg("train/cat/panorama.jpg", 953, 400, 60, plain);
    expect("shape", "train/cat/panorama.jpg");
}

static void plant_other_files(void)
{
    write_bytes("train/cat/notes.txt", "remember", 8);
    expect("ignored", "train/cat/notes.txt");
    copy("train/cat/0001.jpg", "train/cat/photo.jfif");
    expect("ignored", "train/cat/photo.jfif");
    write_bytes("train/dog/deep/er/x.webp", "RIFF\0\0\0\0WEBPVP8 ", 16);
    expect("ignored", "train/dog/deep/er/x.webp");
    copy("train/cat/0001.jpg", "train/beside.jpg");
    expect("ignored", "train/beside.jpg");
    write_bytes("train/dog/.hidden.txt", "", 0);
    if (symlink("nowhere", place("validation/dog/link")) != 0) fail("link");
    expect("ignored", "validation/dog/link");
    if (symlink("..", place("train/dog/deep/loop")) != 0) fail("loop");
    expect("ignored", "train/dog/deep/loop");
    if (symlink("self.jpg", place("train/dog/self.jpg")) != 0) fail("self");
    expect("ignored", "train/dog/self.jpg");
    if (mkfifo(place("train/dog/pipe.jpg"), 0666) != 0) fail("pipe");
    expect("ignored", "train/dog/pipe.jpg");
    Picture flat = paint(970, 120, 100);
    memset(flat.rgb, 90, (size_t)(flat.width * flat.height * 3));
    write_jpeg("train/cat/flat.jpg", &flat, plain);
    expect("flat", "train/cat/flat.jpg");
}

static void plant_faults(void)
{
    paint_class("train/cat", 0, 40);
    paint_class("train/dog", 100, 40);
    paint_class("train/bird", 200, 9);
    paint_class("train/fish", 300, 1);
    paint_class("validation/cat", 400, 8);
    paint_class("validation/dog", 500, 8);
    paint_class("validation/bird", 600, 4);
    write_bytes("validation/fish/empty.png", "", 0);
    expect("unreadable", "validation/fish/empty.png");
    expect("imbalance", "bird");
    expect("few", "fish");
    expect("few", "fish"); /* and none for validation */
    plant_broken();
    plant_huge();
    plant_rarities();
    plant_copies();
    plant_formats();
    plant_sizes();
    plant_other_files();
}

static void plant_clean(void)
{
    paint_class("train/cat", 0, 12);
    paint_class("train/dog", 100, 12);
    paint_class("validation/cat", 400, 6);
    paint_class("validation/dog", 500, 6);
}

static Picture copy_resized(const Picture *picture, int number)
{
    int percent = 100 - 15 * (number % 5); /* 100, 85, … 40 */
    return resize(picture, picture->width * percent / 100, picture->height * percent / 100);
}

static Picture copy_part(const Picture *picture, int number)
{
    double cut[4];
    if (number % 3 == 0) return mirror(picture);
    for (int i = 0; i < 4; i++) cut[i] = 0.05 + 0.05 * draw();
    return crop(picture, cut);
}

static void plant_pairs(int count, Picture (*make_copy)(const Picture *, int))
{
    static const int qualities[] = {85, 60, 40, 25};
    for (int i = 0; i < count; i++) {
        char name[200];
        Picture picture = paint(i, 150 + i * 7 % 90, 130 + i * 11 % 70);
        Picture other = make_copy(&picture, i);
        snprintf(name, sizeof name, "%s/%04d.jpg", i % 2 ? "one" : "two", i);
        write_jpeg(name, &picture, plain);
        snprintf(name, sizeof name, "%s/copy%04d.jpg", i % 2 ? "one" : "two", i);
        write_jpeg(name, &other, (JpegHow){.quality = qualities[i % 4], .components = 3});
        free(picture.rgb);
        free(other.rgb);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    root = argv[2];
    if (strcmp(argv[1], "faults") == 0) plant_faults();
    if (strcmp(argv[1], "clean") == 0) plant_clean();
    if (strcmp(argv[1], "copies") == 0) plant_pairs(argc > 3 ? atoi(argv[3]) : 100, copy_resized);
    if (strcmp(argv[1], "parts") == 0) plant_pairs(argc > 3 ? atoi(argv[3]) : 100, copy_part);
    return 0;
}
