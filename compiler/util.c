/* util.c: the arena from which all memory of tlc comes, and what is done with text, up to writing
 * it to a file. */
#define _GNU_SOURCE /* vasprintf */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

/* ---- Memory: chunks of zeros, cut from front to back, never freed but all at once (tests) ---- */

typedef struct Chunk Chunk;
struct Chunk {
    Chunk *previous;
    size_t size, used;
    _Alignas(16) char data[];
};

static Chunk *arena;

static void add_chunk(size_t bytes)
{
    const size_t least = (size_t)1 << 20;
    size_t size = bytes > least ? bytes : least;
    Chunk *chunk = calloc(1, sizeof *chunk + size);
    if (!chunk) error_world(EXIT_ROOM, NULL, "out of memory: no further %s", bytes_text(size));
    chunk->previous = arena;
    chunk->size = size;
    arena = chunk;
}

void *alloc(size_t count, size_t size)
{
    if (size && count > ((size_t)1 << 46) / size)
        error_world(EXIT_ROOM, NULL, "out of memory: %zu items of %zu bytes", count, size);
    size_t bytes = (count * size + 15) & ~(size_t)15;
    if (!arena || arena->size - arena->used < bytes) add_chunk(bytes);
    void *result = arena->data + arena->used;
    arena->used += bytes;
    return result;
}

void free_all(void)
{
    while (arena) {
        Chunk *previous = arena->previous;
        free(arena);
        arena = previous;
    }
}

/* The array is full whenever count is a power of two. */
void append(void *array, int *count, void *item)
{
    void **items;
    memcpy(&items, array, sizeof items);
    int n = *count;
    if ((n & (n - 1)) == 0) {
        void **larger = alloc(n ? 2 * (size_t)n : 1, sizeof *larger);
        if (n) memcpy(larger, items, n * sizeof *larger);
        items = larger;
        memcpy(array, &items, sizeof items);
    }
    items[n] = item;
    *count = n + 1;
}

/* ---- Text ------------------------------------------------------------------------------------ */

static char *format_list(const char *pattern, va_list arguments)
{
    char *made;
    int length = vasprintf(&made, pattern, arguments);
    if (length < 0) error_world(EXIT_ROOM, NULL, "out of memory");
    char *text = copy_text(made, (size_t)length);
    free(made);
    return text;
}

char *format(const char *pattern, ...)
{
    va_list arguments;
    va_start(arguments, pattern);
    char *text = format_list(pattern, arguments);
    va_end(arguments);
    return text;
}

char *copy_text(const char *text, size_t length)
{
    char *copy = alloc(length + 1, 1);
    memcpy(copy, text, length);
    return copy;
}

void add_bytes(Text *text, const char *data, size_t length)
{
    if (text->length + length >= text->size) {
        text->size = 2 * (text->length + length) + 64;
        char *larger = alloc(text->size, 1);
        if (text->length) memcpy(larger, text->data, text->length);
        text->data = larger;
    }
    memcpy(text->data + text->length, data, length);
    text->length += length;
    text->data[text->length] = 0;
}

void add_text(Text *text, const char *pattern, ...)
{
    va_list arguments;
    va_start(arguments, pattern);
    const char *more = format_list(pattern, arguments);
    va_end(arguments);
    add_bytes(text, more, strlen(more));
}

const char *shape_text(int rank, const int64_t *dims, bool has_batch)
{
    Text text = {0};
    add_text(&text, "(");
    for (int i = 0; i < rank; i++) {
        if (i) add_text(&text, ", ");
        if (i == 0 && has_batch)
            add_text(&text, "None");
        else
            add_text(&text, "%" PRId64, dims[i]);
    }
    add_text(&text, rank == 1 ? ",)" : ")");
    return text.data;
}

const char *bytes_text(size_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return format("%zu bytes", bytes);
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1024 && unit < 6) value /= 1024, unit++;
    return format("%.1f %s", value, units[unit]);
}

const char *count_text(int64_t count)
{
    char digits[32], *out = alloc(48, 1), *end = out;
    int length = snprintf(digits, sizeof digits, "%" PRId64, count);
    for (int i = 0; i < length; i++) {
        *end++ = digits[i];
        if (isdigit((unsigned char)digits[i]) && i + 1 < length && (length - i - 1) % 3 == 0)
            *end++ = ',';
    }
    return out;
}

const char *number_text(double value)
{
    const char *text = format("%.15g", value);
    return strtod(text, NULL) == value ? text : format("%.17g", value);
}

const char *real_text(double value) { return format("(real)%s", number_text(value)); }

/* ---- Numbers and names ----------------------------------------------------------------------- */

bool multiply(int64_t a, int64_t b, int64_t *product)
{
    const int64_t limit = (int64_t)1 << 53;
    return !__builtin_mul_overflow(a, b, product) && *product <= limit && *product >= -limit;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool is_identifier(const char *text)
{
    static const char *const keywords[] = {
        "auto",     "break",  "case",     "char",   "const",    "continue", "default", "do",
        "double",   "else",   "enum",     "extern", "float",    "for",      "goto",    "if",
        "inline",   "int",    "long",     "main",   "register", "restrict", "return",  "short",
        "signed",   "sizeof", "static",   "struct", "switch",   "typedef",  "typeof",  "union",
        "unsigned", "void",   "volatile", "while",  "asm"};
    size_t length = 0;
    for (; text[length]; length++) {
        char c = text[length];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(length > 0 && c >= '0' && c <= '9')) return false;
    }
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (!strcmp(text, keywords[i])) return false;
    return length > 0 && length <= 63;
}

/* Levenshtein's distance, letters' case aside; words beyond 63 characters are cut. */
int edit_distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    int row[MOST], m = (int)strnlen(a, MOST - 1), n = (int)strnlen(b, MOST - 1);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            int least = diagonal + !same;
            if (row[j] + 1 < least) least = row[j] + 1;
            if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = least;
        }
    }
    return row[n];
}

/* Near: at most a third of the longer word's letters differ. */
const char *nearest(const char *word, const char *const *words, int count)
{
    const char *best = NULL;
    int least = 0;
    for (int i = 0; i < count; i++) {
        size_t a = strlen(word), b = strlen(words[i]);
        int distance = edit_distance(word, words[i]);
        if ((size_t)distance * 3 > (a > b ? a : b)) continue;
        if (!best || distance < least) best = words[i], least = distance;
    }
    return best;
}

const char *suggest(const char *word, const char *const *words, int count, const char *otherwise)
{
    const char *near = nearest(word, words, count);
    return near ? format("did you mean \"%s\"?", near) : otherwise;
}

const char *list_text(const char *const *words, int count)
{
    Text list = {0};
    for (int i = 0; i < count; i++) add_text(&list, "%s%s", i ? ", " : "", words[i]);
    return list.data;
}

const char *c_string(const char *text)
{
    if (!text) return "NULL";
    Text out = {0};
    add_text(&out, "\"");
    for (const char *c = text; *c; c++) {
        const unsigned char u = (unsigned char)*c;
        if (u < 32 || u > 126 || u == '"' || u == '\\' || u == '?')
            add_text(&out, "\\%03o", u);
        else
            add_bytes(&out, c, 1);
    }
    add_text(&out, "\"");
    return out.data;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* A device or a pipe must not be renamed over: those are written to directly. */
static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

void write_whole(const char *path, const Text *text)
{
    if (strcmp(path, "-") == 0) {
        if (fwrite(text->data, 1, text->length, stdout) != text->length || fflush(stdout) != 0)
            error_world(EXIT_ROOM, NULL, "standard output: %s", strerror(errno));
        return;
    }
    const bool special = is_special(path);
    const char *temporary = special ? path : format("%s.tmp.%d", path, (int)getpid());
    FILE *file = fopen(temporary, "wb");
    bool ok = file && fwrite(text->data, 1, text->length, file) == text->length;
    ok = file && fflush(file) == 0 && (special || fsync(fileno(file)) == 0) && ok;
    int reason = errno;
    if (file && fclose(file) != 0) ok = false;
    if (ok && (special || rename(temporary, path) == 0)) return;
    if (ok) reason = errno;
    if (!special) unlink(temporary);
    error_world(EXIT_ROOM, NULL, "%s: cannot write: %s", path, strerror(reason));
}
