/* png.c: PNG pictures to rows of 8-bit grey or RGB. The only file that includes <png.h>.
 *
 * The transformations are those that TensorFlow's decoder asks of libpng: the low byte of 16 bits
 * and alpha are dropped, palettes and 1, 2, 4 bits are expanded, colour becomes grey by the ITU-R
 * 601 weights (in linear light if the file states its gamma: libpng's doing, and so TensorFlow's).
 */
#include <ctype.h>
#include <limits.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "data.h"

enum { MAX_PIXELS = 1 << 28 };

typedef struct {
    const unsigned char *data;
    size_t left;
    unsigned char *rows;
    RtImageInfo *info;
    jmp_buf fail;
} Reader;

_Noreturn static void fail_decode(png_structp png, const char *message)
{
    Reader *reader = png_get_error_ptr(png);
    snprintf(reader->info->problem, sizeof reader->info->problem, "broken PNG: %s", message);
    longjmp(reader->fail, 1);
}

/* libpng puts the chunk's name before a message. A capital letter marks the critical chunks, those
 * that the pixels depend on; what is wrong with others (profiles, dates) does not spoil a picture.
 */
static void judge_warning(png_structp png, const char *message)
{
    if (isupper((unsigned char)message[0]) && strlen(message) > 4 && message[4] == ':')
        fail_decode(png, message);
}

static void read_bytes(png_structp png, png_bytep to, size_t bytes)
{
    Reader *reader = png_get_io_ptr(png);
    if (bytes > reader->left) fail_decode(png, "the file ends too early");
    memcpy(to, reader->data, bytes);
    reader->data += bytes;
    reader->left -= bytes;
}

static void ask_transformations(png_structp png, png_infop info, bool grey)
{
    int color = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
    bool is_grey = !(color & PNG_COLOR_MASK_COLOR);
    png_set_strip_alpha(png);
    if (depth > 8) png_set_strip_16(png);
    png_set_packing(png);
    if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (is_grey && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (grey && !is_grey) png_set_rgb_to_gray(png, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
    if (!grey && is_grey) png_set_gray_to_rgb(png);
}

static void read_header(png_structp png, png_infop info, Reader *reader)
{
    png_set_user_limits(png, INT_MAX, INT_MAX); /* the number of pixels counts, below */
    png_set_read_fn(png, reader, read_bytes);
    png_read_info(png, info);
    png_uint_32 width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    if ((uint64_t)width * height > MAX_PIXELS) {
        char size[64];
        snprintf(size, sizeof size, "%ux%u pixels are too many", width, height);
        fail_decode(png, size);
    }
    reader->info->width = (int)width;
    reader->info->height = (int)height;
}

/* False, with the problem set, after an error; the rows are in reader. */
static bool decode(png_structp png, png_infop info, int channels, Reader *reader)
{
    if (setjmp(reader->fail)) return false;
    read_header(png, info, reader);
    ask_transformations(png, info, channels == 1);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);

    size_t row = (size_t)reader->info->width * (size_t)channels;
    size_t height = (size_t)reader->info->height;
    if (png_get_rowbytes(png, info) != row) fail_decode(png, "unexpected length of a row");
    reader->rows = malloc(height * row);
    if (!reader->rows) fail_decode(png, "not enough memory for its pixels");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++) png_read_row(png, reader->rows + y * row, NULL);
    png_read_end(png, NULL);
    return true;
}

bool rt_png_decode(const unsigned char *data, size_t bytes, int channels, unsigned char **rows,
                   RtImageInfo *info)
{
    Reader reader = {.data = data, .left = bytes, .info = info};
    png_structp png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, fail_decode, judge_warning);
    png_infop header = png ? png_create_info_struct(png) : NULL;
    *info = (RtImageInfo){0};
    if (!header) snprintf(info->problem, sizeof info->problem, "no memory for the PNG decoder");
    bool ok = header && decode(png, header, channels, &reader);
    png_destroy_read_struct(&png, &header, NULL);
    if (ok)
        *rows = reader.rows;
    else
        free(reader.rows);
    return ok;
}
