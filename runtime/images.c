/* images.c: JPEG and PNG pictures to the model's input. The only file that includes <jpeglib.h>.
 *
 * Files are hostile input: sizes, components and precision are looked at before anything is
 * allocated for them, the decoder's memory is bounded, its errors and warnings come back here by
 * longjmp, and the first of them ends the decoding, so that a truncated or damaged file is refused
 * early.
 *
 * Pixels are Keras's to the bit, with two exceptions: CMYK becomes grey (TensorFlow refuses it),
 * and 16-bit grey keeps its high byte in both modes (Pillow clips it, or leaves it 0..65535). */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>

#include "data.h"

enum {
    MAX_PIXELS = 1 << 28,
    MAX_FILE = 1 << 30,
    MAX_DECODER_MEMORY = 1 << 30, /* the coefficients of a progressive picture */
    MAX_SCANS = 500,              /* a few bytes can ask for a pass over all pixels */
};

typedef struct {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back its address */
    struct jpeg_progress_mgr progress;
    RtImageInfo *info;
    unsigned char *rows, *line;
    jmp_buf fail;
} JpegReader;

/* ---- Decoding -------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static bool set_problem(RtImageInfo *info, const char *format,
                                                              ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(info->problem, sizeof info->problem, format, arguments);
    va_end(arguments);
    return false;
}

_Noreturn static void fail_decode(j_common_ptr jpeg)
{
    JpegReader *reader = (JpegReader *)jpeg->err;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    set_problem(reader->info, "broken JPEG: %s", text);
    longjmp(reader->fail, 1);
}

static void judge_message(j_common_ptr jpeg, int level)
{
    if (level < 0) fail_decode(jpeg); /* a warning: the data are damaged; others are traces */
}

static void limit_scans(j_common_ptr jpeg)
{
    JpegReader *reader = (JpegReader *)jpeg->err;
    if (((j_decompress_ptr)jpeg)->input_scan_number <= MAX_SCANS) return;
    set_problem(reader->info, "broken JPEG: more than %d scans", MAX_SCANS);
    longjmp(reader->fail, 1);
}

/* Sets what to decode to; false if the picture is none that can be. */
static bool choose_output(j_decompress_ptr jpeg, int channels, RtInterpolation interpolation,
                          RtImageInfo *info)
{
    if ((uint64_t)jpeg->image_width * jpeg->image_height > MAX_PIXELS)
        return set_problem(info, "a JPEG of %ux%u pixels; 2^28 are the most", jpeg->image_width,
                           jpeg->image_height);
    if (jpeg->data_precision != 8)
        return set_problem(info, "a JPEG of %d bits a sample; 8 are read", jpeg->data_precision);
    int components = jpeg->num_components;
    if (components != 1 && components != 3 && components != 4)
        return set_problem(info, "a JPEG of %d components; 1, 3 or 4 are read", components);
    info->width = (int)jpeg->image_width;
    info->height = (int)jpeg->image_height;
    jpeg->dct_method = interpolation == RT_BILINEAR ? JDCT_IFAST : JDCT_ISLOW;
    if (components == 4)
        jpeg->out_color_space = JCS_CMYK;
    else if (components == 1 || (channels == 1 && interpolation == RT_BILINEAR))
        jpeg->out_color_space = JCS_GRAYSCALE;
    else
        jpeg->out_color_space = JCS_RGB;
    return true;
}

/* TensorFlow's way: the components are read as stored (inverted) only if Adobe's marker is there.
 * Pillow always takes them as inverted, and rounds. Either way this is (1 - c) * (1 - k). */
static void cmyk_to_rgb(const unsigned char *cmyk, size_t width, bool inverted, bool rounded,
                        unsigned char *rgb)
{
    unsigned flip = inverted ? 0 : 255;
    for (size_t x = 0; x < width; x++, cmyk += 4) {
        unsigned k = cmyk[3] ^ flip;
        for (int c = 0; c < 3; c++) {
            unsigned ink = cmyk[c] ^ flip;
            *rgb++ = (unsigned char)(rounded ? k - (k * (255 - ink) + 127) / 255 : k * ink / 255);
        }
    }
}

static void read_rows(j_decompress_ptr jpeg, RtInterpolation interpolation, JpegReader *reader)
{
    size_t width = jpeg->output_width, height = jpeg->output_height;
    bool cmyk = jpeg->out_color_space == JCS_CMYK;
    size_t row = width * (cmyk ? 3 : (size_t)jpeg->output_components);
    reader->rows = malloc(height * row);
    reader->line = cmyk ? malloc(width * 4) : NULL;
    if (!reader->rows || (cmyk && !reader->line)) {
        set_problem(reader->info, "not enough memory for its %zux%zu pixels", width, height);
        longjmp(reader->fail, 1);
    }
    for (size_t y = 0; y < height; y++) {
        unsigned char *to = reader->rows + y * row;
        jpeg_read_scanlines(jpeg, cmyk ? &reader->line : &to, 1);
        if (cmyk)
            cmyk_to_rgb(reader->line, width, jpeg->saw_Adobe_marker || interpolation == RT_NEAREST,
                        interpolation == RT_NEAREST, to);
    }
    jpeg_finish_decompress(jpeg); /* reads to the end mark: a file that lacks it is truncated */
}

/* False, with the problem set, after an error; what was allocated is in jpeg and reader. */
static bool run_decoder(j_decompress_ptr jpeg, const unsigned char *data, size_t bytes,
                        int channels, RtInterpolation interpolation, JpegReader *reader)
{
    if (setjmp(reader->fail)) return false;
    jpeg_create_decompress(jpeg);
    jpeg->mem->max_memory_to_use = MAX_DECODER_MEMORY;
    jpeg->progress = &reader->progress;
    jpeg_mem_src(jpeg, data, (unsigned long)bytes);
    jpeg_read_header(jpeg, TRUE);
    if (!choose_output(jpeg, channels, interpolation, reader->info)) return false;
    jpeg_start_decompress(jpeg);
    read_rows(jpeg, interpolation, reader);
    return true;
}

/* Rows of 1 or 3 channels: grey if the file is, or if libjpeg makes it so as TensorFlow asks. */
static unsigned char *decode_jpeg(const unsigned char *data, size_t bytes, int channels,
                                  RtInterpolation interpolation, int *decoded_channels,
                                  RtImageInfo *info)
{
    struct jpeg_decompress_struct jpeg;
    JpegReader reader = {.info = info, .progress.progress_monitor = limit_scans};
    memset(&jpeg, 0, sizeof jpeg); /* jpeg_destroy may come before jpeg_create is through */
    jpeg.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = fail_decode;
    reader.errors.emit_message = judge_message;
    bool ok = run_decoder(&jpeg, data, bytes, channels, interpolation, &reader);
    *decoded_channels = jpeg.out_color_space == JCS_GRAYSCALE ? 1 : 3;
    jpeg_destroy_decompress(&jpeg);
    free(reader.line);
    if (ok) return reader.rows;
    free(reader.rows);
    return NULL;
}

/* ---- Encoding -------------------------------------------------------------------------------- */

typedef struct {
    struct jpeg_error_mgr errors;
    unsigned char *data;
    unsigned long bytes;
    jmp_buf fail;
} JpegWriter;

_Noreturn static void fail_encode(j_common_ptr jpeg)
{
    longjmp(((JpegWriter *)jpeg->err)->fail, 1);
}

static bool run_encoder(struct jpeg_compress_struct *jpeg, const unsigned char *rgb, int height,
                        int width, int quality, JpegWriter *writer)
{
    if (setjmp(writer->fail)) return false;
    jpeg_create_compress(jpeg);
    jpeg_mem_dest(jpeg, &writer->data, &writer->bytes);
    jpeg->image_width = (JDIMENSION)width;
    jpeg->image_height = (JDIMENSION)height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg->optimize_coding = TRUE;
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = (JSAMPROW)rgb + (size_t)jpeg->next_scanline * (size_t)width * 3;
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
    return true;
}

unsigned char *rt_jpeg_encode(const unsigned char *rgb, int height, int width, int quality,
                              size_t *bytes)
{
    struct jpeg_compress_struct jpeg;
    JpegWriter writer = {.data = NULL};
    memset(&jpeg, 0, sizeof jpeg);
    jpeg.err = jpeg_std_error(&writer.errors);
    writer.errors.error_exit = fail_encode;
    bool ok = run_encoder(&jpeg, rgb, height, width, quality, &writer);
    jpeg_destroy_compress(&jpeg);
    *bytes = writer.bytes;
    if (ok) return writer.data;
    free(writer.data);
    return NULL;
}

/* ---- Channels
 * ------------------------------------------------------------------------------------ */

/* In place: RGB rows to grey by Pillow's 16-bit weights, of ITU-R 601. */
static void rgb_to_grey(unsigned char *rows, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        const unsigned char *rgb = rows + 3 * i;
        rows[i] =
            (unsigned char)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
    }
}

/* In the result: width x height x 1 numbers at its start become three equal channels. */
static void grey_to_rgb(real *pixels, size_t count)
{
    for (size_t i = count; i-- > 0;)
        for (size_t c = 0; c < 3; c++) pixels[3 * i + c] = pixels[i];
}

unsigned char *rt_image_rows(const unsigned char *data, size_t bytes, int channels,
                             RtInterpolation interpolation, int *decoded_channels,
                             RtImageInfo *info)
{
    static const unsigned char jpeg_mark[] = {0xff, 0xd8, 0xff};
    static const unsigned char png_mark[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char *rows = NULL;
    *info = (RtImageInfo){0};
    if (bytes >= sizeof jpeg_mark && !memcmp(data, jpeg_mark, sizeof jpeg_mark))
        return decode_jpeg(data, bytes, channels, interpolation, decoded_channels, info);
    if (bytes >= sizeof png_mark && !memcmp(data, png_mark, sizeof png_mark)) {
        *decoded_channels = interpolation == RT_BILINEAR ? channels : 3;
        return rt_png_decode(data, bytes, *decoded_channels, &rows, info) ? rows : NULL;
    }
    set_problem(info, bytes ? "neither a JPEG nor a PNG picture" : "an empty file");
    return NULL;
}

bool rt_image_decode(const unsigned char *data, size_t bytes, int height, int width, int channels,
                     RtInterpolation interpolation, real *pixels, RtImageInfo *info)
{
    int decoded = 0;
    unsigned char *rows = rt_image_rows(data, bytes, channels, interpolation, &decoded, info);
    if (!rows) return false;
    if (decoded == 3 && channels == 1) {
        rgb_to_grey(rows, (size_t)info->width * (size_t)info->height);
        decoded = 1;
    }
    rt_resize(rows, info->height, info->width, decoded, height, width, interpolation, pixels);
    if (decoded == 1 && channels == 3) grey_to_rgb(pixels, (size_t)height * (size_t)width);
    free(rows);
    return true;
}

/* ---- Files
 * ----------------------------------------------------------------------------------------- */

static bool read_bytes(int file, unsigned char *data, size_t bytes, RtImageInfo *info)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t got = read(file, data + at, bytes - at);
        if (got == 0) return set_problem(info, "the file became shorter while it was read");
        if (got < 0 && errno != EINTR)
            return set_problem(info, "cannot be read: %s", strerror(errno));
        if (got > 0) at += (size_t)got;
    }
    return true;
}

static unsigned char *read_file(int file, size_t *bytes, RtImageInfo *info)
{
    struct stat status;
    unsigned char *data = NULL;
    if (fstat(file, &status) != 0)
        set_problem(info, "cannot be read: %s", strerror(errno));
    else if (!S_ISREG(status.st_mode))
        set_problem(info, "not a regular file");
    else if (status.st_size > MAX_FILE)
        set_problem(info, "%lld bytes are too many for a picture", (long long)status.st_size);
    else if (!(data = malloc((size_t)status.st_size + 1)))
        set_problem(info, "not enough memory for its %lld bytes", (long long)status.st_size);
    else if (read_bytes(file, data, *bytes = (size_t)status.st_size, info))
        return data;
    free(data);
    return NULL;
}

unsigned char *rt_image_file(const char *path, size_t *bytes, RtImageInfo *info)
{
    *info = (RtImageInfo){0};
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (file < 0) {
        set_problem(info, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    unsigned char *data = read_file(file, bytes, info);
    close(file);
    return data;
}

bool rt_image_read(const char *path, int height, int width, int channels,
                   RtInterpolation interpolation, real *pixels, RtImageInfo *info)
{
    size_t bytes = 0;
    unsigned char *data = rt_image_file(path, &bytes, info);
    if (!data) return false;
    bool ok = rt_image_decode(data, bytes, height, width, channels, interpolation, pixels, info);
    free(data);
    return ok;
}
