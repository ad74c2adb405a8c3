/* json.c: model.json as a tree, read as hostile input. cJSON builds the tree; what it is lenient or
 * silent about is checked here: before it, on the bytes (size, NUL, UTF-8, nesting, numbers), and
 * after it, on the tree (keys used twice, numbers without end, control characters). */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

enum { MOST_BYTES = 16 << 20, MOST_NESTING = 64, WINDOW = 100 };

typedef struct {
    const char *name, *text, *end; /* of the file; end points to the NUL behind it */
} Source;

/* ---- Messages about a place in the text ------------------------------------------------------ */

static bool is_continuation(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

/* Length of the UTF-8 sequence at p: 1 to 4; 0 if it is not valid (RFC 3629). */
static int utf8_length(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    int length = u[0] < 0x80 ? 1 : u[0] < 0xC2 ? 0 : u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
    if (u[0] > 0xF4 || length > end - p) return 0;
    for (int i = 1; i < length; i++)
        if (!is_continuation(p[i])) return 0;
    bool overlong = (u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xF0 && u[1] < 0x90);
    bool surrogate = u[0] == 0xED && u[1] > 0x9F;
    return overlong || surrogate || (u[0] == 0xF4 && u[1] > 0x8F) ? 0 : length;
}

/* The part of the line around `at` that fits a terminal, with a caret below `at`. */
static const char *show_line(const char *begin, const char *at, const char *end)
{
    Text line = {0}, caret = {0};
    const char *p = at - begin > WINDOW / 2 ? at - WINDOW / 2 : begin;
    while (p < at && is_continuation(*p)) p++;
    for (int shown = 0; p < end && *p != '\n' && shown < WINDOW; shown++) {
        int length = utf8_length(p, end);
        bool plain = length > 1 || (length == 1 && (unsigned char)*p >= ' ' && *p != 127);
        if (p < at) add_text(&caret, " ");
        if (plain)
            add_bytes(&line, p, (size_t)length);
        else
            add_text(&line, *p == '\t' || *p == '\r' ? " " : "?");
        p += length ? length : 1;
    }
    return format("\n    %s\n    %s^", line.data ? line.data : "", caret.data ? caret.data : "");
}

static _Noreturn void error_at(const Source *source, const char *at, const char *hint,
                               const char *message)
{
    int line = 1, column = 1;
    const char *begin = source->text;
    for (const char *p = source->text; p < at; p++)
        if (*p == '\n') line++, begin = p + 1;
    for (const char *p = begin; p < at; p++) column += !is_continuation(*p);
    error_model("", hint, "line %d, column %d: %s%s", line, column, message,
                show_line(begin, at, source->end));
}

/* ---- Before the tree: the bytes -------------------------------------------------------------- */

/* Past the number at p, by JSON's grammar; NULL if it breaks it. */
static const char *skip_number(const char *p)
{
    if (*p == '-') p++;
    if (*p == '0')
        p++;
    else {
        if (*p < '1' || *p > '9') return NULL;
        p += strspn(p, "0123456789");
    }
    if (*p == '.') {
        size_t digits = strspn(++p, "0123456789");
        if (!digits) return NULL;
        p += digits;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-') p++;
        size_t digits = strspn(p, "0123456789");
        if (!digits) return NULL;
        p += digits;
    }
    return strchr("0123456789.eE+-", *p) && *p ? NULL : p;
}

/* Past the string that begins at p. */
static const char *skip_string(const Source *source, const char *p)
{
    const char *begin = p++;
    while (p < source->end && *p != '"') {
        if (*p == '\n') break;
        if ((unsigned char)*p < ' ')
            error_at(source, p, NULL, "a control character inside a string");
        if (*p == '\\' && !strncmp(p, "\\u0000", 6))
            error_at(source, p, NULL, "the character \\u0000 inside a string");
        if (*p == '\\' && !strchr("\"\\/bfnrtu", p[1]))
            error_at(source, p, "JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX",
                     "an escape that JSON does not know");
        p += *p == '\\' && p[1] ? 2 : 1;
    }
    if (p >= source->end || *p != '"')
        error_at(source, begin, NULL, "this string has no closing quote on its line");
    return p + 1;
}

static void check_bytes(const Source *source)
{
    for (const char *p = source->text; p < source->end;) {
        int length = utf8_length(p, source->end);
        if (!length) error_at(source, p, "save the file as UTF-8", "a byte that is not UTF-8");
        if (!*p) error_at(source, p, "is this a text file?", "a NUL byte");
        p += length;
    }
    int depth = 0;
    for (const char *p = source->text; p < source->end;) {
        if (*p == '[' || *p == '{') depth++;
        if (*p == ']' || *p == '}') depth--;
        if (depth > MOST_NESTING)
            error_at(source, p, NULL, format("brackets nested deeper than %d", MOST_NESTING));
        if (*p == '"') {
            p = skip_string(source, p);
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            const char *after = skip_number(p);
            if (!after) error_at(source, p, NULL, "this is not a number as JSON writes it");
            p = after;
        } else {
            p++;
        }
    }
}

/* ---- The tree -------------------------------------------------------------------------------- */

static void *allocate(size_t bytes) { return alloc(bytes, 1); }

static void keep(void *memory) { (void)memory; }

static bool is_space(char c) { return c && strchr(" \t\r\n", c); }

/* The last character before p that is not a space; NUL if there is none. */
static char last_before(const Source *source, const char *p)
{
    while (p > source->text && is_space(p[-1])) p--;
    return p > source->text ? p[-1] : 0;
}

/* Where the fault that cJSON met at `at` begins. In a place for a key cJSON is one character ahead.
 */
static const char *find_fault(const Source *source, const char *at)
{
    if (at == source->text || is_space(at[-1]) || strchr("\"{[,:", at[-1])) return at;
    char before = last_before(source, at - 1);
    bool at_key = before == '{' || (before == ',' && (at[-1] < '0' || at[-1] > '9'));
    return at_key ? at - 1 : at;
}

static const char *syntax_hint(const Source *source, const char *at)
{
    static const struct {
        const char *word, *hint;
    } mistakes[] = {{"/", "JSON has no comments"},       {"#", "JSON has no comments"},
                    {"None", "JSON writes null"},        {"True", "JSON writes true"},
                    {"False", "JSON writes false"},      {"NaN", "JSON has no NaN"},
                    {"Infinity", "JSON has no infinity"}};
    char last = last_before(source, at);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        if (!strncmp(at, mistakes[i].word, strlen(mistakes[i].word))) return mistakes[i].hint;
    if (last == ',' && (*at == ']' || *at == '}')) return "no comma behind the last item";
    if (*at == '"' && last && strchr("\"]}0123456789el", last))
        return "is a comma or colon missing before this?";
    if (*at == '\'' || (last && strchr("{[,:", last) && ((*at | 32) >= 'a' && (*at | 32) <= 'z')))
        return "keys and strings stand in double quotes";
    return NULL;
}

static _Noreturn void error_syntax(const Source *source, const char *at)
{
    if (!last_before(source, source->end)) error_model("", NULL, "the file is empty");
    while (at < source->end && is_space(*at)) at++;
    if (at == source->end) {
        while (is_space(at[-1])) at--;
        error_at(source, at, NULL, "the file ends in the middle of the model");
    }
    at = find_fault(source, at);
    bool trailing = last_before(source, at) == '}' && !strchr(",]}", *at);
    error_at(source, at, syntax_hint(source, at),
             trailing ? "syntax error, or text behind the model" : "syntax error");
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_keys(const Json *object, const char *path)
{
    int count = json_count(object), n = 0;
    const char **keys = alloc((size_t)count, sizeof *keys);
    for (const Json *child = object->child; child; child = child->next) keys[n++] = child->string;
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (int i = 1; i < n; i++)
        if (!strcmp(keys[i - 1], keys[i]))
            error_model(path, NULL, "the key \"%s\" stands here twice", keys[i]);
}

static void check_string(const char *text, const char *path)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < ' ' || *p == 127 || (*p == 0xC2 && p[1] < 0xA0))
            error_model(path, NULL, "a control character inside a string or key");
}

/* Nesting is at most MOST_NESTING here, so the recursion is shallow. */
static void check_tree(const Json *json, const char *path)
{
    if (cJSON_IsNumber(json) && !isfinite(json->valuedouble))
        error_model(path, NULL, "this number is too large");
    if (cJSON_IsString(json)) check_string(json->valuestring, path);
    int index = 0;
    for (const Json *child = json->child; child; child = child->next, index++) {
        if (child->string) check_string(child->string, path);
        if (!child->child && !cJSON_IsNumber(child) && !cJSON_IsString(child)) continue;
        check_tree(child, child->string ? format("%s%s%s", path, *path ? "." : "", child->string)
                                        : format("%s[%d]", path, index));
    }
    if (cJSON_IsObject(json)) check_keys(json, path);
}

static const Json *parse_bytes(const Source *source)
{
    static cJSON_Hooks hooks = {allocate, keep};
    cJSON_InitHooks(&hooks);
    check_bytes(source);
    const char *at = source->text;
    const Json *json = cJSON_ParseWithOpts(source->text, &at, true);
    if (!json) error_syntax(source, at);
    check_tree(json, "");
    return json;
}

const Json *parse_json(const char *text, const char *name)
{
    return parse_bytes(&(Source){name, text, text + strlen(text)});
}

static Text read_text(const char *file)
{
    static char block[1 << 16];
    Text text = {0};
    struct stat status;
    FILE *in = fopen(file, "rb");
    if (!in || fstat(fileno(in), &status))
        error_model("", NULL, "cannot be read: %s", strerror(errno));
    if (S_ISDIR(status.st_mode)) error_model("", NULL, "this is a folder, not a model file");
    if (S_ISREG(status.st_mode) && status.st_size > MOST_BYTES)
        error_model("", "weights and pictures do not belong into it",
                    "the file has %s; a model file may have %s at most",
                    bytes_text((size_t)status.st_size), bytes_text(MOST_BYTES));
    for (size_t n; text.length <= MOST_BYTES && (n = fread(block, 1, sizeof block, in)) > 0;)
        add_bytes(&text, block, n);
    if (ferror(in)) error_model("", NULL, "cannot be read: %s", strerror(errno));
    if (text.length > MOST_BYTES)
        error_model("", NULL, "a model file may have %s at most", bytes_text(MOST_BYTES));
    fclose(in);
    add_bytes(&text, "", 0);
    return text;
}

const Json *read_json(const char *file)
{
    const Text text = read_text(file);
    return parse_bytes(&(Source){file, text.data, text.data + text.length});
}

/* ---- Looking into it ------------------------------------------------------------------------- */

const Json *json_get(const Json *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const Json *json_first(const Json *parent) { return parent->child; }

const Json *json_next(const Json *child) { return child->next; }

const char *json_key(const Json *child) { return child->string; }

int json_count(const Json *array) { return cJSON_GetArraySize(array); }

const char *json_string(const Json *json) { return cJSON_GetStringValue(json); }

bool json_number(const Json *json, double *value)
{
    if (!cJSON_IsNumber(json)) return false;
    *value = json->valuedouble == 0 ? 0 : json->valuedouble; /* -0 is 0 */
    return true;
}

bool json_bool(const Json *json, bool *value)
{
    *value = cJSON_IsTrue(json);
    return cJSON_IsBool(json);
}

bool json_is_null(const Json *json) { return cJSON_IsNull(json); }

bool json_is_array(const Json *json) { return cJSON_IsArray(json); }

bool json_is_object(const Json *json) { return cJSON_IsObject(json); }

const char *json_kind(const Json *json)
{
    if (cJSON_IsNull(json)) return "null";
    if (cJSON_IsBool(json)) return cJSON_IsTrue(json) ? "true" : "false";
    if (cJSON_IsNumber(json)) return format("the number %s", number_text(json->valuedouble));
    if (cJSON_IsArray(json)) return json->child ? "an array" : "an empty array";
    if (cJSON_IsObject(json)) return "an object";
    return format("the string \"%.60s\"%s", json->valuestring,
                  strlen(json->valuestring) > 60 ? "…" : "");
}

const char *json_text(const Json *json)
{
    char *text = cJSON_PrintUnformatted(json);
    if (!text) bug(NULL, "out of memory for JSON");
    const char *copy = format("%s", text);
    cJSON_free(text);
    return copy;
}
