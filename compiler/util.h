/* util.h: what all of the compiler stands on: how it fails, its memory and texts, JSON. */
#ifndef UTIL_H
#define UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Layer Layer;
typedef struct Node Node;
typedef struct Graph Graph;

/* ==== error.c: nothing else calls exit or abort =============================================== */

enum { EXIT_OK, EXIT_RUN, EXIT_USAGE, EXIT_MODEL, EXIT_DATA, EXIT_WEIGHTS, EXIT_ROOM };

/* The graph is wrong: "cats.json: layers[7] "pool1" (MaxPooling2D): message", the node's inputs
 * with their shapes, and the hint (may be NULL). Exit 3. */
_Noreturn void error_node(const Node *n, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void error_layer(const Layer *layer, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The model is wrong at a JSON path: "cats.json: phases[0].freeze[1]: message". Exit 3. */
_Noreturn void error_model(const char *path, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The command is wrong. Exit 2. */
_Noreturn void usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The world is wrong: a file, the disk. */
_Noreturn void error_world(int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* We are wrong: says so, dumps g if not NULL, aborts. */
_Noreturn void bug(const Graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void set_model_file(const char *file); /* the name that messages begin with */
extern void (*exit_hook)(int code);    /* for tests: called instead of exit; must not return */

/* ==== util.c ================================================================================== */

void *alloc(size_t count, size_t size); /* zeroed, from the arena, never freed; never NULL */
void free_all(void);                    /* for tests that parse many models: empties the arena */
char *format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* into the arena */
char *copy_text(const char *text, size_t length);
/* Appends item to *array of pointers (arena, doubling). */
void append(void *array, int *count, void *item);
/* a * b, a + b; false on overflow or beyond 2^53. */
bool multiply(int64_t a, int64_t b, int64_t *product);
int64_t ceil_div(int64_t a, int64_t b); /* a / b, rounded up */
bool is_identifier(const char *text);   /* C identifier of at most 63 characters, no keyword */
int edit_distance(const char *a, const char *b);
const char *nearest(const char *word, const char *const *words,
                    int count); /* NULL if none is near */
/* A hint: "did you mean "NAME"?" for the nearest of words, or `otherwise`. */
const char *suggest(const char *word, const char *const *words, int count, const char *otherwise);
void sha256(const void *data, size_t bytes, char hex[65]); /* <sha2.h> of libmd: hash.c */
/* Text that grows. */
typedef struct {
    char *data;
    size_t length, size;
} Text;
void add_text(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void add_bytes(Text *text, const char *data, size_t length);
const char *list_text(const char *const *words, int count);            /* "a, b" */
const char *shape_text(int rank, const int64_t *dims, bool has_batch); /* "(None, 5, 5, 512)" */
const char *bytes_text(size_t bytes);                                  /* "61.8 MiB" */
const char *count_text(int64_t count);                                 /* "17,992,001" */
const char *number_text(double value);  /* the shortest text that reads back as value */
const char *real_text(double value);    /* "(real)0.5": the same as C */
const char *c_string(const char *text); /* quoted and escaped; NULL becomes "NULL" */
/* Writes a file beside its name and renames it; "-": standard output. */
void write_whole(const char *path, const Text *text);

/* ==== json.c: the only compiler file with cJSON.h ============================================= */

typedef struct cJSON Json;
/* Reads a file of at most 16 MiB, nesting at most 64. Exit 3 with line, column, the line and a
 * caret on a syntax error, on duplicate keys, on trailing text. */
const Json *read_json(const char *file);
const Json *parse_json(const char *text, const char *name); /* a NUL-terminated text, likewise */
const Json *json_get(const Json *object, const char *key);
const Json *json_first(const Json *parent); /* first child of an array or object */
const Json *json_next(const Json *child);
const char *json_key(const Json *child);
int json_count(const Json *array);
const char *json_string(const Json *json); /* NULL if it is not one */
bool json_number(const Json *json, double *value);
bool json_bool(const Json *json, bool *value);
bool json_is_null(const Json *json);
bool json_is_array(const Json *json);
bool json_is_object(const Json *json);
const char *json_text(const Json *json); /* on one line, without spaces */
const char *json_kind(const Json *json); /* "a string", "an array", … for messages */

#endif
