/* digits.c: from a table of 8x8 grey pictures to a folder of JPEGs that a classifier can learn
 * from:
 *
 *   digits OUT <digits.csv
 *
 * A line of the table is 64 numbers from 0 (paper) to 16 (ink), then the class, separated by
 * commas: the form of the scanned digits that scikit-learn ships. Each picture is enlarged to 64x64
 * and written to OUT/train/CLASS/NUMBER.jpg, every fifth one to OUT/validation/CLASS/NUMBER.jpg. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>

enum { SMALL = 8, LARGE = 64, INK = 16, HELD_BACK = 5, QUALITY = 95, CLASSES = 1000 };

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "digits: %s: %s\n", what, why);
    exit(1);
}

/* Half-way pixel centres: where the middle of large pixel `at` lies among the small ones. */
static double small_place(int at)
{
    const double place = (at + 0.5) * SMALL / LARGE - 0.5;
    return place < 0 ? 0 : place > SMALL - 1 ? SMALL - 1 : place;
}

static double between(double a, double b, double part) { return a + (b - a) * part; }

static void enlarge(const int *small, unsigned char *large)
{
    for (int y = 0; y < LARGE; y++)
        for (int x = 0; x < LARGE; x++) {
            const double v = small_place(y), u = small_place(x);
            const int top = (int)v, left = (int)u;
            const int *above = small + top * SMALL + left;
            const int *below = top < SMALL - 1 ? above + SMALL : above;
            const int right = left < SMALL - 1;
            const double ink = between(between(above[0], above[right], u - left),
                                       between(below[0], below[right], u - left), v - top);
            large[y * LARGE + x] = (unsigned char)(ink * 255 / INK + 0.5);
        }
}

static void write_jpeg(const char *path, unsigned char *pixels)
{
    FILE *file = fopen(path, "wb");
    if (!file) fail(path, strerror(errno));
    struct jpeg_error_mgr errors;
    struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&errors)};
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = jpeg.image_height = LARGE;
    jpeg.input_components = 1;
    jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, QUALITY, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (JSAMPROW row = pixels; jpeg.next_scanline < LARGE; row += LARGE)
        jpeg_write_scanlines(&jpeg, &row, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    if (fclose(file) != 0) fail(path, strerror(errno));
}

static void make_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) fail(path, strerror(errno));
}

static void write_picture(const char *out, const int *small, int class, int number)
{
    char path[4096];
    unsigned char large[LARGE * LARGE];
    const char *side = number % HELD_BACK == HELD_BACK - 1 ? "validation" : "train";
    if (snprintf(path, sizeof path, "%s/%s/%d/%04d.jpg", out, side, class, number) >=
        (int)sizeof path)
        fail(out, "too long a name");
    for (char *slash = path + strlen(out); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        make_folder(path);
        *slash = '/';
    }
    enlarge(small, large);
    write_jpeg(path, large);
}

/* The number at *text, from 0 to `most`, and what follows it. */
static int read_number(char **text, int most, const char *after, const char *place)
{
    char *end;
    const double value = strtod(*text, &end);
    if (end == *text || !(value >= 0 && value <= most) || !strchr(after, *end))
        fail(place, "not 64 numbers from 0 to 16 and a class");
    *text = end + 1;
    return (int)value;
}

int main(int argc, char **argv)
{
    char line[4096], place[32];
    if (argc != 2 || strlen(argv[1]) == 0) fail("usage", "digits OUT <digits.csv");
    int number = 0;
    for (; fgets(line, sizeof line, stdin); number++) {
        int small[SMALL * SMALL];
        char *at = line;
        snprintf(place, sizeof place, "line %d", number + 1);
        for (int i = 0; i < SMALL * SMALL; i++) small[i] = read_number(&at, INK, ",", place);
        write_picture(argv[1], small, read_number(&at, CLASSES - 1, "\r\n", place), number);
    }
    if (number == 0) fail("standard input", "no pictures");
    return 0;
}
