/* json.c: JSON from files that others may have made, read strictly, and strings written.
 *
 * cJSON is lenient (trailing bytes, control characters, "01", "\u0000" that cuts a name short), so
 * the text is first checked against RFC 8259 with a bound on depth; what passes is given to cJSON,
 * and its tree is then searched for keys that occur twice. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "ground.h"

enum { MAX_DEPTH = 64 };

typedef struct {
    const unsigned char *start, *at, *end;
    int depth;
    const char *problem;
} Scan;

static bool fail(Scan *scan, const char *problem)
{
    if (!scan->problem) scan->problem = problem;
    return false;
}

/* By the table of RFC 3629, section 4. */
size_t rt_utf8_length(const unsigned char *text, size_t left)
{
    unsigned char first = text[0];
    if (first < 0x80) return 1;
    size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (!length || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    bool overlong = (first == 0xE0 && text[1] < 0xA0) || (first == 0xF0 && text[1] < 0x90);
    bool surrogate = first == 0xED && text[1] > 0x9F, beyond = first == 0xF4 && text[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : length;
}

static void skip_space(Scan *scan)
{
    while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4)) scan->at++;
}

static bool take(Scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c) return false;
    scan->at++;
    return true;
}

static bool take_word(Scan *scan, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length)) return false;
    scan->at += length;
    return true;
}

static size_t take_digits(Scan *scan)
{
    const unsigned char *first = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') scan->at++;
    return (size_t)(scan->at - first);
}

static bool scan_number(Scan *scan)
{
    take(scan, '-');
    if (!take(scan, '0') && !take_digits(scan)) return fail(scan, "a value is expected here");
    if (take(scan, '.') && !take_digits(scan)) return fail(scan, "digits must follow the point");
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+')) take(scan, '-');
        if (!take_digits(scan)) return fail(scan, "the exponent lacks its digits");
    }
    return true;
}

/* After the backslash. */
static bool scan_escape(Scan *scan)
{
    if (scan->at < scan->end && *scan->at != 'u' && *scan->at && strchr("\"\\/bfnrt", *scan->at)) {
        scan->at++;
        return true;
    }
    if (!take(scan, 'u')) return fail(scan, "no such escape");
    for (int i = 0; i < 4; i++)
        if (scan->end - scan->at <= i || !strchr("0123456789abcdefABCDEF", scan->at[i]) ||
            !scan->at[i])
            return fail(scan, "\\u needs four hexadecimal digits");
    if (take_word(scan, "0000")) return fail(scan, "\\u0000 is not allowed");
    scan->at += 4;
    return true;
}

static bool scan_string(Scan *scan)
{
    if (!take(scan, '"')) return fail(scan, "a string is expected here");
    while (scan->at < scan->end) {
        if (take(scan, '"')) return true;
        if (*scan->at < 0x20) return fail(scan, "a control character in a string");
        if (take(scan, '\\')) {
            if (!scan_escape(scan)) return false;
            continue;
        }
        size_t length = rt_utf8_length(scan->at, (size_t)(scan->end - scan->at));
        if (!length) return fail(scan, "not UTF-8");
        scan->at += length;
    }
    return fail(scan, "a string does not end");
}

static bool scan_value(Scan *scan);

static bool scan_member(Scan *scan, bool keyed)
{
    skip_space(scan);
    if (keyed) {
        if (!scan_string(scan)) return false;
        skip_space(scan);
        if (!take(scan, ':')) return fail(scan, "':' is expected here");
    }
    return scan_value(scan);
}

/* After the opening bracket. */
static bool scan_members(Scan *scan, char close)
{
    if (++scan->depth > MAX_DEPTH) return fail(scan, "nested more than 64 deep");
    skip_space(scan);
    if (!take(scan, close)) {
        do
            if (!scan_member(scan, close == '}')) return false;
        while (take(scan, ','));
        if (!take(scan, close))
            return fail(scan, close == '}' ? "',' or '}' is expected here"
                                           : "',' or ']' is expected here");
    }
    scan->depth--;
    return true;
}

/* One value and the space around it. */
static bool scan_value(Scan *scan)
{
    bool whole;
    skip_space(scan);
    if (take(scan, '{'))
        whole = scan_members(scan, '}');
    else if (take(scan, '['))
        whole = scan_members(scan, ']');
    else if (scan->at < scan->end && *scan->at == '"')
        whole = scan_string(scan);
    else
        whole = take_word(scan, "true") || take_word(scan, "false") || take_word(scan, "null") ||
                scan_number(scan);
    if (whole) skip_space(scan);
    return whole;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key that occurs twice in an object, here or below; NULL if there is none. */
static const char *duplicate_key(const RtJson *json)
{
    size_t count = rt_json_count(json);
    const char *found = NULL;
    for (const RtJson *item = json->child; item && !found; item = item->next)
        if (item->child) found = duplicate_key(item);
    if (found || !cJSON_IsObject(json) || count < 2) return found;
    const char **keys = rt_alloc(count, sizeof *keys);
    size_t n = 0;
    for (const RtJson *item = json->child; item; item = item->next) keys[n++] = item->string;
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count && !found; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0) found = keys[i];
    free(keys);
    return found;
}

static void report(const Scan *scan, char *error, size_t error_size)
{
    int line = 1;
    const unsigned char *start = scan->start;
    for (const unsigned char *at = start; at < scan->at; at++)
        if (*at == '\n') line++, start = at + 1;
    snprintf(error, error_size, "line %d, column %lld: %s", line, (long long)(scan->at - start) + 1,
             scan->problem);
}

RtJson *rt_json_parse(const char *text, size_t bytes, char *error, size_t error_size)
{
    const unsigned char *start = (const unsigned char *)text;
    Scan scan = {.start = start, .at = start, .end = start + bytes};
    if (!scan_value(&scan) || (scan.at < scan.end && !fail(&scan, "nothing may follow here"))) {
        report(&scan, error, error_size);
        return NULL;
    }
    RtJson *json = cJSON_ParseWithLength(text, bytes);
    if (!json) { /* older versions take numbers of at most 63 characters */
        const char *place = cJSON_GetErrorPtr();
        if (place && place >= text && place <= text + bytes) scan.at = start + (place - text);
        scan.problem = "half a surrogate pair, or a number that cannot be read";
        report(&scan, error, error_size);
        return NULL;
    }
    const char *key = duplicate_key(json);
    if (!key) return json;
    snprintf(error, error_size, "the key \"%.100s\" occurs twice in an object", key);
    cJSON_Delete(json);
    return NULL;
}

void rt_json_free(RtJson *json) { cJSON_Delete(json); }

const RtJson *rt_json_get(const RtJson *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const RtJson *rt_json_at(const RtJson *array, size_t index)
{
    const RtJson *item = array ? array->child : NULL;
    while (item && index--) item = item->next;
    return item;
}

const RtJson *rt_json_next(const RtJson *member) { return member->next; }

const char *rt_json_key(const RtJson *member) { return member->string; }

size_t rt_json_count(const RtJson *array_or_object)
{
    size_t count = 0;
    for (const RtJson *item = rt_json_at(array_or_object, 0); item; item = item->next) count++;
    return count;
}

bool rt_json_is_array(const RtJson *json) { return cJSON_IsArray(json); }

const char *rt_json_text(const RtJson *string) { return cJSON_GetStringValue(string); }

bool rt_json_number(const RtJson *number, double *value)
{
    if (!cJSON_IsNumber(number) || !isfinite(number->valuedouble)) return false;
    *value = number->valuedouble;
    return true;
}

/* Beyond 2^53 doubles skip integers, so what was written is no longer known. */
bool rt_json_integer(const RtJson *number, int64_t *value)
{
    double exact;
    if (!rt_json_number(number, &exact) || exact != trunc(exact) || fabs(exact) >= 0x1p53)
        return false;
    *value = (int64_t)exact;
    return true;
}

/* Bytes that are not UTF-8 (a file name may hold any) are written as U+FFFD. */
void rt_json_write_string(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + strlen(text);
    fputc('"', out);
    while (at < end) {
        size_t length = rt_utf8_length(at, (size_t)(end - at));
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7F)
            fprintf(out, "\\u%04x", *at);
        else if (length)
            fwrite(at, 1, length, out);
        else
            fputs("\\ufffd", out);
        at += length ? length : 1;
    }
    fputc('"', out);
}

bool rt_json_keeps(const char *text, const char *kept)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + strlen(text);
    while (at < end) {
        size_t length = rt_utf8_length(at, (size_t)(end - at)), written = length ? length : 3;
        if (strncmp(kept, length ? (const char *)at : "\xef\xbf\xbd", written) != 0) return false;
        at += length ? length : 1;
        kept += written;
    }
    return *kept == '\0';
}
