/* facts.c: what a picture file says of itself: its format, how colours are stored, and the EXIF
 * orientation that training passes over. Read by hand: decoders do not tell all of it. The bytes
 * are hostile; a reader that meets their end knows nothing more. */
#include <string.h>

#include "audit.h"

const char *rt_format_name(RtFormat format)
{
    static const char *const names[RT_FORMATS] = {
        "file of no known format", "JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF", "HEIF or AVIF"};
    return names[format];
}

/* A part of a file. */
typedef struct {
    const unsigned char *data;
    size_t bytes;
} Part;

static bool has(Part part, size_t at, const char *text, size_t length)
{
    return at <= part.bytes && length <= part.bytes - at &&
           memcmp(part.data + at, text, length) == 0;
}

static bool can_read(Part part, size_t at, size_t length)
{
    return at <= part.bytes && length <= part.bytes - at;
}

static uint32_t big_endian(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

static uint32_t little_endian(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

/* ---- EXIF ------------------------------------------------------------------------------------ */

/* The orientation in a TIFF structure: tag 0x0112 of the first directory, one SHORT. 0: none. */
static int read_orientation(Part tiff)
{
    enum { ENTRY = 12, ORIENTATION = 0x0112, SHORT = 3 };
    bool big = has(tiff, 0, "MM\0*", 4);
    uint32_t (*number)(const unsigned char *, int) = big ? big_endian : little_endian;
    if (!big && !has(tiff, 0, "II*\0", 4)) return 0;
    if (!can_read(tiff, 4, 4)) return 0;
    size_t at = number(tiff.data + 4, 4);
    if (!can_read(tiff, at, 2)) return 0;
    uint32_t entries = number(tiff.data + at, 2);
    at += 2;
    for (uint32_t i = 0; i < entries && can_read(tiff, at, ENTRY); i++, at += ENTRY) {
        const unsigned char *entry = tiff.data + at;
        if (number(entry, 2) != ORIENTATION) continue;
        uint32_t value = number(entry + 8, 2);
        return number(entry + 2, 2) == SHORT && value >= 1 && value <= 8 ? (int)value : 0;
    }
    return 0;
}

/* ---- JPEG ------------------------------------------------------------------------------------ */

static bool is_frame(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static void read_segment(int marker, Part segment, RtFacts *facts)
{
    if (marker == 0xe1 && has(segment, 0, "Exif\0\0", 6) && !facts->orientation)
        facts->orientation = read_orientation((Part){segment.data + 6, segment.bytes - 6});
    if (is_frame(marker) && can_read(segment, 0, 6)) {
        facts->bits = segment.data[0];
        facts->components = segment.data[5];
    }
}

/* Segments up to the first scan. */
static void read_jpeg(Part file, RtFacts *facts)
{
    size_t at = 2;
    while (can_read(file, at, 2) && file.data[at] == 0xff) {
        int marker = file.data[at + 1];
        if (marker == 0xff) { /* a fill byte */
            at++;
            continue;
        }
        at += 2;
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue; /* no contents */
        if (marker == 0xda || marker == 0xd9 || !can_read(file, at, 2)) return;
        size_t length = big_endian(file.data + at, 2);
        if (length < 2 || !can_read(file, at, length)) return;
        read_segment(marker, (Part){file.data + at + 2, length - 2}, facts);
        at += length;
    }
}

/* ---- PNG ------------------------------------------------------------------------------------- */

static void read_chunk(const unsigned char *type, Part chunk, RtFacts *facts)
{
    enum { PALETTE = 1, COLOUR = 2, ALPHA = 4 };
    if (memcmp(type, "IHDR", 4) == 0 && can_read(chunk, 0, 13)) {
        int colour = chunk.data[9];
        facts->bits = chunk.data[8];
        facts->alpha = colour & ALPHA;
        facts->components = colour & (COLOUR | PALETTE) ? 3 : 1;
    } else if (memcmp(type, "tRNS", 4) == 0) {
        facts->alpha = true;
    } else if (memcmp(type, "acTL", 4) == 0 && can_read(chunk, 0, 4)) {
        facts->animated = big_endian(chunk.data, 4) > 1;
    } else if (memcmp(type, "eXIf", 4) == 0) {
        facts->orientation = read_orientation(chunk);
    }
}

static void read_png(Part file, RtFacts *facts)
{
    enum { HEAD = 8, CRC = 4 };
    for (size_t at = 8; can_read(file, at, HEAD);) {
        size_t length = big_endian(file.data + at, 4);
        if (!can_read(file, at + HEAD, length)) return;
        read_chunk(file.data + at + 4, (Part){file.data + at + HEAD, length}, facts);
        at += HEAD + length + CRC;
    }
}

/* ---- Any file -------------------------------------------------------------------------------- */

static RtFormat find_format(Part file)
{
    if (has(file, 0, "\xff\xd8\xff", 3)) return RT_JPEG;
    if (has(file, 0, "\x89PNG\r\n\x1a\n", 8)) return RT_PNG;
    if (has(file, 0, "GIF87a", 6) || has(file, 0, "GIF89a", 6)) return RT_GIF;
    if (has(file, 0, "BM", 2) && has(file, 6, "\0\0\0\0", 4)) return RT_BMP;
    if (has(file, 0, "RIFF", 4) && has(file, 8, "WEBP", 4)) return RT_WEBP;
    if (has(file, 0, "II*\0", 4) || has(file, 0, "MM\0*", 4)) return RT_TIFF;
    if (has(file, 4, "ftyphei", 7) || has(file, 4, "ftypmif1", 8) || has(file, 4, "ftypavif", 8))
        return RT_HEIF;
    return RT_UNKNOWN_FORMAT;
}

RtFacts rt_picture_facts(const unsigned char *data, size_t bytes)
{
    Part file = {data, bytes};
    RtFacts facts = {.format = find_format(file)};
    if (facts.format == RT_JPEG) read_jpeg(file, &facts);
    if (facts.format == RT_PNG) read_png(file, &facts);
    return facts;
}
