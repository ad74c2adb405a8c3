/* files.h: files as bytes: written whole or not at all, mapped, hashed, and JSON in them. */
#ifndef RT_FILES_H
#define RT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- file.c: whole or not at all ------------------------------------------------------------- */

typedef struct RtOut RtOut;
/* Opens path.tmp.PID beside path. Parent folders are made. */
RtOut *rt_out_open(const char *path);
/* The same, but what fails does not end the program: nothing more is written, and the commit says
 * so. */
RtOut *rt_out_try(const char *path);
void rt_out_write(RtOut *out, const void *data, size_t bytes); /* exit 6 on a full disk */
FILE *rt_out_file(RtOut *out); /* the same stream, for fprintf; errors show at commit */
/* Flush, fsync, rename to its name, fsync of the folder. If any of them fails, the old file is
 * still in place (or the new one, if only the last did) and the unfinished one is gone: exit 6 or,
 * of rt_out_try, a warning and false. */
bool rt_out_commit(RtOut *out);
void rt_out_remove_unfinished(void); /* async-signal-safe: called by rt_die and signal handlers */
/* Removes what killed processes left half-written in a folder that this one has the lock of. */
void rt_out_remove_abandoned(const char *folder);
void rt_make_folders(const char *path); /* like mkdir -p */
bool rt_try_folders(const char *path);  /* the same; a warning and false if it cannot be done */
/* Whole file in memory (mapped, private). Fails (exit code) if missing, not a regular file, or
 * larger than limit. */
const unsigned char *rt_map(const char *path, size_t limit, int code, size_t *bytes);
void rt_unmap(const unsigned char *data, size_t bytes);
/* Gives back the memory of the whole pages in a part of a mapped file, which come back when they
 * are read, or of other mapped memory, which is zero then. */
void rt_map_forget(const void *mapped, size_t bytes);

/* ---- hash.c: <md5.h> of libmd and <xxhash.h> ------------------------------------------------- */

/* Of mapped files, whose pages are forgotten behind the reading. */
void rt_md5_mapped(const void *mapped, size_t bytes, char hex[33]);
uint64_t rt_checksum_mapped(const void *mapped, size_t bytes); /* XXH3-64 */
uint64_t rt_checksum(const void *data, size_t bytes);          /* the same, of any memory */
/* The same, of parts: open, add each, close for the sum. */
typedef struct RtChecksum RtChecksum;
RtChecksum *rt_checksum_open(void);
void rt_checksum_add(RtChecksum *hash, const void *data, size_t bytes);
uint64_t rt_checksum_close(RtChecksum *hash);
/* XXH3-128, by which contents are known. */
typedef struct {
    uint64_t low, high;
} RtHash;
RtHash rt_hash(const void *data, size_t bytes);
bool rt_hash_file(const char *path, RtHash *hash); /* false if it cannot be read as a whole */

/* ---- json.c: the only runtime file with cJSON.h ---------------------------------------------- */

/* A strict reader (length-checked, depth limit 64, no duplicate keys, no trailing bytes) and a
 * writer. Readers return NULL/false on a wrong shape, so the caller can name its own place. */
typedef struct cJSON RtJson;
RtJson *rt_json_parse(const char *text, size_t bytes, char *error, size_t error_size);
void rt_json_free(RtJson *json);
const RtJson *rt_json_get(const RtJson *object, const char *key);
const RtJson *rt_json_at(const RtJson *array, size_t index); /* in an object: the index-th member */
const RtJson *rt_json_next(const RtJson *member);            /* the one after it, or NULL */
const char *rt_json_key(const RtJson *member);
size_t rt_json_count(const RtJson *array_or_object);
bool rt_json_is_array(const RtJson *json);
const char *rt_json_text(const RtJson *string);             /* NULL if not a string */
bool rt_json_integer(const RtJson *number, int64_t *value); /* exact integers only */
bool rt_json_number(const RtJson *number, double *value);
void rt_json_write_string(FILE *out, const char *text); /* quoted and escaped */
/* Whether text, written so, reads as `kept`: bytes that are not UTF-8 are U+FFFD then. */
bool rt_json_keeps(const char *text, const char *kept);
/* Length of the well-formed UTF-8 character at text; 0 if none. */
size_t rt_utf8_length(const unsigned char *text, size_t left);

#endif
