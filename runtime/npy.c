/* npy.c: arrays in numpy's .npy files and .npz archives. The only file that includes <zip.h>.
 *
 * Format: numpy's "NEP 1", versions 1 to 3: a magic string, the length of a header, the header (a
 * Python dictionary of descr, fortran_order and shape), then the numbers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zip.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"

enum { MAX_HEADER = 1 << 16, MAX_DESCR = 16, ALIGNMENT = 64 };

static const char *const descriptions[] = {
    [RT_F32] = "<f4", [RT_F64] = "<f8", [RT_F16] = "<f2",  [RT_U8] = "|u1",
    [RT_I32] = "<i4", [RT_I64] = "<i8", [RT_BOOL] = "|b1",
};

/* ---- A file, or a member of an archive, as a stream
 * ---------------------------------------------- */

typedef struct {
    char *place; /* for messages: "x.npy" or "d.npz, array x" */
    int code;    /* exit code */
    FILE *file;
    zip_t *archive;
    zip_file_t *entry;
    uint64_t left;
} Stream;

static bool is_archive(const char *path)
{
    char mark[4] = "";
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(mark, 1, sizeof mark, file) : 0;
    if (file) fclose(file);
    return got == sizeof mark && (!memcmp(mark, "PK\3\4", 4) || !memcmp(mark, "PK\5\6", 4));
}

static zip_t *open_archive(const char *path, int code)
{
    int error = 0;
    zip_t *archive = zip_open(path, ZIP_RDONLY, &error);
    if (archive) return archive;
    zip_error_t reason;
    zip_error_init_with_code(&reason, error);
    rt_die(code, NULL, "%s: cannot be read as an .npz archive: %s", path,
           zip_error_strerror(&reason));
}

static zip_int64_t find_member(zip_t *archive, const char *member)
{
    char *name = rt_format("%s.npy", member);
    zip_int64_t index = zip_name_locate(archive, name, 0);
    free(name);
    return index;
}

static Stream open_member(const char *path, const char *member, int code)
{
    Stream stream = {.code = code, .archive = open_archive(path, code)};
    stream.place = rt_format("%s, array \"%s\"", path, member);
    zip_int64_t index = find_member(stream.archive, member);
    if (index < 0) rt_die(code, NULL, "%s: there is none of that name", stream.place);
    zip_stat_t status;
    zip_stat_init(&status);
    if (zip_stat_index(stream.archive, (zip_uint64_t)index, 0, &status) == 0)
        stream.entry = zip_fopen_index(stream.archive, (zip_uint64_t)index, 0);
    if (!stream.entry || !(status.valid & ZIP_STAT_SIZE))
        rt_die(code, NULL, "%s: %s", stream.place, zip_strerror(stream.archive));
    stream.left = status.size;
    return stream;
}

static Stream open_file(const char *path, int code)
{
    struct stat status;
    Stream stream = {.code = code, .place = rt_format("%s", path), .file = fopen(path, "rb")};
    if (!stream.file || fstat(fileno(stream.file), &status) != 0)
        rt_die(code, NULL, "%s: cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode)) rt_die(code, NULL, "%s: not a regular file", path);
    stream.left = (uint64_t)status.st_size;
    return stream;
}

/* As much as there is up to bytes. */
static size_t read_some(Stream *stream, char *data, size_t bytes)
{
    if (stream->file) {
        size_t got = fread(data, 1, bytes, stream->file);
        if (ferror(stream->file))
            rt_die(stream->code, NULL, "%s: cannot be read: %s", stream->place, strerror(errno));
        return got;
    }
    zip_int64_t got = zip_fread(stream->entry, data, bytes);
    if (got < 0)
        rt_die(stream->code, "the archive is damaged; write it anew", "%s: %s", stream->place,
               zip_file_strerror(stream->entry));
    return (size_t)got;
}

static void read_exactly(Stream *stream, void *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        size_t got = read_some(stream, (char *)data + at, bytes - at);
        if (got == 0) rt_die(stream->code, NULL, "%s: ends too early", stream->place);
        at += got;
    }
    stream->left -= bytes < stream->left ? bytes : stream->left;
}

static void close_stream(Stream *stream)
{
    char end;
    if (read_some(stream, &end, 1)) /* at the end of a member libzip compares its checksum */
        rt_die(stream->code, NULL, "%s: is longer than it says", stream->place);
    if (stream->file) fclose(stream->file);
    if (stream->entry) zip_fclose(stream->entry);
    if (stream->archive) zip_discard(stream->archive);
    free(stream->place);
}

/* ---- The header
 * -------------------------------------------------------------------------------------- */

typedef struct {
    char descr[MAX_DESCR];
    bool has_shape, has_order, fortran;
    int rank;
    int64_t dims[RT_MAX_RANK];
} Header;

static bool accept(const char **at, const char *token)
{
    size_t length = strlen(token);
    while (**at == ' ') ++*at;
    if (strncmp(*at, token, length) != 0) return false;
    *at += length;
    return true;
}

static bool parse_descr(const char **at, Header *header)
{
    if (!accept(at, "'")) return false;
    size_t length = strcspn(*at, "'");
    if (length >= MAX_DESCR || (*at)[length] != '\'') return false;
    memcpy(header->descr, *at, length);
    header->descr[length] = 0;
    *at += length + 1;
    return true;
}

static bool parse_shape(const char **at, Header *header)
{
    header->has_shape = true;
    if (!accept(at, "(")) return false;
    while (!accept(at, ")")) {
        char *end;
        if (**at < '0' || **at > '9' || header->rank == RT_MAX_RANK) return false;
        errno = 0;
        header->dims[header->rank++] = strtoll(*at, &end, 10);
        if (errno) return false;
        *at = end;
        if (!accept(at, ",") && **at != ')') return false;
    }
    return true;
}

static bool parse_order(const char **at, Header *header)
{
    header->has_order = true;
    header->fortran = accept(at, "True");
    return header->fortran || accept(at, "False");
}

static bool parse_header(const char *text, Header *header)
{
    *header = (Header){0};
    if (!accept(&text, "{")) return false;
    while (!accept(&text, "}")) {
        bool ok = accept(&text, "'descr':")           ? parse_descr(&text, header)
                  : accept(&text, "'fortran_order':") ? parse_order(&text, header)
                  : accept(&text, "'shape':")         ? parse_shape(&text, header)
                                                      : false;
        if (!ok) return false;
        accept(&text, ",");
    }
    return header->descr[0] && header->has_shape && header->has_order;
}

static void read_header(Stream *stream, Header *header)
{
    unsigned char start[8], length[4] = {0};
    read_exactly(stream, start, sizeof start);
    if (memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3)
        rt_die(stream->code, "write it with numpy.save or numpy.savez",
               "%s: is not a numpy array (.npy version 1 to 3)", stream->place);
    read_exactly(stream, length, start[6] == 1 ? 2 : 4);
    size_t bytes =
        length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    if (bytes > MAX_HEADER)
        rt_die(stream->code, NULL, "%s: a header of %zu bytes; %d are the most", stream->place,
               bytes, MAX_HEADER);
    char *text = rt_alloc(bytes + 1, 1);
    read_exactly(stream, text, bytes);
    if (!parse_header(text, header))
        rt_die(stream->code, "plain arrays of numbers of rank 8 or less are read",
               "%s: cannot make out its header: %.100s", stream->place, text);
    free(text);
}

static RtType find_type(const Header *header, const Stream *stream)
{
    size_t types = sizeof descriptions / sizeof descriptions[0];
    for (size_t type = 0; type < types; type++)
        if (!strcmp(header->descr, descriptions[type])) return (RtType)type;
    rt_die(stream->code, "convert it, for instance with x.astype('float32')",
           "%s: numbers of type %s are not read; float16, float32, float64, uint8, int32, int64 "
           "and bool, little-endian, are",
           stream->place, header->descr);
}

/* ---- Reading
 * --------------------------------------------------------------------------------------------- */

/* The number of bytes, checked against the limit and against what the file holds. */
static size_t check_size(const RtArray *array, int64_t limit, const Stream *stream)
{
    int64_t count = 1, bytes;
    bool overflow = false;
    for (int i = 0; i < array->rank; i++)
        overflow |= __builtin_mul_overflow(count, array->dims[i], &count);
    overflow |= __builtin_mul_overflow(count, (int64_t)rt_type_size(array->type), &bytes);
    if (overflow || count > limit)
        rt_die(stream->code, NULL, "%s: more numbers than the %lld that may be", stream->place,
               (long long)limit);
    if ((uint64_t)bytes != stream->left)
        rt_die(stream->code, "the file is damaged or was cut off",
               "%s: its shape wants %lld bytes, %llu are there", stream->place, (long long)bytes,
               (unsigned long long)stream->left);
    return (size_t)bytes;
}

RtArray rt_npy_read(const char *path, const char *member, int64_t limit, int code)
{
    bool archive = is_archive(path);
    Stream stream = archive ? open_member(path, member, code) : open_file(path, code);
    Header header;
    read_header(&stream, &header);
    RtArray array = {.type = find_type(&header, &stream), .rank = header.rank};
    memcpy(array.dims, header.dims, sizeof array.dims);
    if (header.fortran && header.rank > 1)
        rt_die(code, "numpy.ascontiguousarray(x) puts it in C order", "%s: is in Fortran order",
               stream.place);
    size_t bytes = check_size(&array, limit, &stream);
    array.name = rt_format("%s", archive ? member : path);
    array.data = rt_alloc(bytes, 1);
    read_exactly(&stream, array.data, bytes);
    close_stream(&stream);
    return array;
}

bool rt_npz_has(const char *path, const char *member)
{
    if (!is_archive(path)) return false;
    zip_t *archive = open_archive(path, RT_BAD_DATA);
    bool has = find_member(archive, member) >= 0;
    zip_discard(archive);
    return has;
}

char **rt_npz_names(const char *path)
{
    zip_t *archive = open_archive(path, RT_BAD_DATA);
    zip_int64_t entries = zip_get_num_entries(archive, 0);
    char **names = rt_alloc((size_t)entries + 1, sizeof *names);
    size_t count = 0;
    for (zip_int64_t i = 0; i < entries; i++) {
        const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
        size_t length = name ? strlen(name) : 0;
        if (length > 4 && !strcmp(name + length - 4, ".npy"))
            names[count++] = rt_format("%.*s", (int)length - 4, name);
    }
    zip_discard(archive);
    return names;
}

/* ---- Writing
 * --------------------------------------------------------------------------------------------- */

/* Magic, length and dictionary, padded so that the numbers begin at a multiple of 64. */
static char *make_header(const RtArray *array, size_t *bytes)
{
    enum { PREFIX = 10 };
    char shape[RT_MAX_RANK * 24] = "";
    size_t at = 0;
    for (int i = 0; i < array->rank; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%lld%s", i ? ", " : "",
                               (long long)array->dims[i], array->rank == 1 ? "," : "");
    char *text = rt_format("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                           descriptions[array->type], shape);
    size_t length = strlen(text);
    *bytes = (PREFIX + length + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *header = rt_alloc(*bytes, 1);
    memset(header, ' ', *bytes);
    memcpy(header, "\x93NUMPY\1\0", 8);
    header[8] = (char)((*bytes - PREFIX) & 255);
    header[9] = (char)((*bytes - PREFIX) >> 8);
    memcpy(header + PREFIX, text, length);
    header[*bytes - 1] = '\n';
    free(text);
    return header;
}

static size_t data_bytes(const RtArray *array)
{
    return (size_t)rt_array_count(array) * rt_type_size(array->type);
}

void rt_npy_write(const char *path, const RtArray *array)
{
    size_t bytes;
    char *header = make_header(array, &bytes);
    RtOut *out = rt_out_open(path);
    rt_out_write(out, header, bytes);
    rt_out_write(out, array->data, data_bytes(array));
    rt_out_commit(out);
    free(header);
}

/* Adds one stored member with a fixed date, so that the same arrays give the same file. Its header
 * must live until the archive is closed. */
static bool add_member(zip_t *archive, const RtArray *array, char **header)
{
    enum { DOS_1980_01_01 = 1 << 5 | 1 };
    size_t bytes;
    *header = make_header(array, &bytes);
    zip_buffer_fragment_t parts[] = {{(zip_uint8_t *)*header, bytes},
                                     {array->data, data_bytes(array)}};
    zip_source_t *source = zip_source_buffer_fragment(archive, parts, 2, 0);
    char *name = rt_format("%s.npy", array->name);
    zip_int64_t index = source ? zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8) : -1;
    free(name);
    return index >= 0 &&
           zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_dostime(archive, (zip_uint64_t)index, 0, DOS_1980_01_01, 0) == 0;
}

static void copy_source(zip_source_t *source, RtOut *out, const char *path)
{
    char block[1 << 16];
    zip_int64_t got = zip_source_open(source);
    while (got >= 0 && (got = zip_source_read(source, block, sizeof block)) > 0)
        rt_out_write(out, block, (size_t)got);
    if (got < 0)
        rt_die(RT_NO_ROOM, NULL, "%s: %s", path, zip_error_strerror(zip_source_error(source)));
    zip_source_close(source);
}

/* The archive is made in memory and then written like every other file: libzip's own writing does
 * not sync, and knows nothing of our unfinished files. */
void rt_npz_write(const char *path, const RtArray *arrays, size_t count)
{
    char **headers = rt_alloc(count, sizeof *headers);
    zip_source_t *memory = zip_source_buffer_create(NULL, 0, 0, NULL);
    zip_t *archive = memory ? zip_open_from_source(memory, ZIP_TRUNCATE, NULL) : NULL;
    if (!archive) rt_die(RT_NO_ROOM, NULL, "%s: no memory for the archive", path);
    zip_source_keep(memory);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) ok = add_member(archive, &arrays[i], &headers[i]);
    if (!ok || zip_close(archive) != 0)
        rt_die(RT_NO_ROOM, NULL, "%s: %s", path, zip_strerror(archive));
    RtOut *out = rt_out_open(path);
    copy_source(memory, out, path);
    rt_out_commit(out);
    zip_source_free(memory);
    for (size_t i = 0; i < count; i++) free(headers[i]);
    free(headers);
}
