/* store.c: rows on disk, found by hash, shared by processes.
 *
 * A folder holds segments, 00000000.features and on, each written once, beside its name, synced and
 * renamed; so what is mapped never changes. A segment is its rows, an index (hash and checksum of
 * each row) and a trailer, which says what it is. One process at a time adds segments: the one that
 * holds the lock of the file `lock`, which the system takes back from a process that dies. All that
 * have the store open share the lock of the file `used`, without which nobody removes the folder
 * (evict.c); its time tells when that was last. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "files.h"
#include "ground.h"

static const char magic[16] = "tlc features 1\n";
static const size_t SEGMENT_BYTES = (size_t)256 << 20; /* what a killed process may lose, */
static const double SEGMENT_SECONDS = 60;              /* and how much of its work */

typedef struct {
    RtHash hash;
    uint64_t checksum;
} Entry; /* of the index, in a file */

typedef struct {
    char magic[16];
    RtHash key;
    uint64_t row_bytes, count, index_checksum, checksum;
} Trailer;

_Static_assert(sizeof(Entry) == 24 && sizeof(Trailer) == 64, "as in files");

typedef struct {
    Entry entry;
    const unsigned char *data;
} Row;

typedef struct {
    const unsigned char *data;
    size_t bytes;
} Segment;

struct RtStore {
    char *folder;
    RtHash key;
    size_t row_bytes;
    Segment *segments;
    int segment_count;
    Row *rows; /* by hash */
    size_t row_count;
    int used, lock;        /* their files; -1: not ours */
    bool may_fail, failed; /* failed: nothing more is written */
    double pace, begun;    /* seconds: that a segment may take; when it was begun */
    RtOut *out;            /* the segment being written, or NULL */
    Entry *index;          /* of it */
    size_t count;
};

/* ---- Reading --------------------------------------------------------------------------------- */

static char *segment_path(const RtStore *store, int number)
{
    return rt_format("%s/%08d.features", store->folder, number);
}

static uint64_t trailer_checksum(const Trailer *trailer)
{
    return rt_checksum(trailer, offsetof(Trailer, checksum));
}

/* The trailer of a segment that is whole, and of this store. */
static bool read_trailer(const RtStore *store, const Segment *segment, Trailer *trailer)
{
    if (segment->bytes < sizeof *trailer) return false;
    memcpy(trailer, segment->data + segment->bytes - sizeof *trailer, sizeof *trailer);
    if (memcmp(trailer->magic, magic, sizeof magic) != 0) return false;
    if (trailer->checksum != trailer_checksum(trailer)) return false;
    if (memcmp(&trailer->key, &store->key, sizeof store->key) != 0) return false;
    if (trailer->row_bytes != store->row_bytes) return false;
    size_t row = store->row_bytes + sizeof(Entry), rest = segment->bytes - sizeof *trailer;
    if (trailer->count != rest / row || rest % row != 0) return false;
    const unsigned char *index = segment->data + trailer->count * store->row_bytes;
    return rt_checksum(index, trailer->count * sizeof(Entry)) == trailer->index_checksum;
}

static bool add_rows(RtStore *store, const Segment *segment)
{
    Trailer trailer;
    if (!read_trailer(store, segment, &trailer)) return false;
    store->rows = rt_grow(store->rows, store->row_count + trailer.count, sizeof *store->rows);
    const unsigned char *index = segment->data + trailer.count * store->row_bytes;
    for (size_t i = 0; i < trailer.count; i++) {
        Row *row = &store->rows[store->row_count++];
        memcpy(&row->entry, index + i * sizeof row->entry, sizeof row->entry);
        row->data = segment->data + i * store->row_bytes;
    }
    return true;
}

static int compare_rows(const void *first, const void *second)
{
    const RtHash *a = &((const Row *)first)->entry.hash, *b = &((const Row *)second)->entry.hash;
    if (a->high != b->high) return a->high < b->high ? -1 : 1;
    return a->low < b->low ? -1 : a->low > b->low;
}

/* Maps the segments that came since the last look. */
static void look(RtStore *store)
{
    for (;; store->segment_count++) {
        char *path = segment_path(store, store->segment_count);
        if (access(path, F_OK) != 0) {
            free(path);
            break;
        }
        store->segments =
            rt_grow(store->segments, (size_t)store->segment_count + 1, sizeof *store->segments);
        Segment *segment = &store->segments[store->segment_count];
        segment->data = rt_map(path, SIZE_MAX, RT_NO_ROOM, &segment->bytes);
        if (!add_rows(store, segment)) rt_warn("%s: damaged; it is not used", path);
        free(path);
    }
    if (store->row_count) qsort(store->rows, store->row_count, sizeof *store->rows, compare_rows);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* False if the folder was removed meanwhile. Where locks cannot be had nobody removes anything. */
static bool hold(RtStore *store, const char *path)
{
    struct stat held, named;
    store->used = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (store->used < 0 && errno == ENOENT) return false;
    if (store->used < 0) store->used = open(path, O_RDONLY | O_CLOEXEC);
    if (store->used < 0 || flock(store->used, LOCK_SH) != 0) return true;
    futimens(store->used, NULL);
    if (fstat(store->used, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino)
        return true;
    close(store->used);
    return false;
}

static RtStore *open_store(const char *folder, RtHash key, size_t row_bytes, bool may_fail)
{
    RtStore *store = rt_alloc(1, sizeof *store);
    *store = (RtStore){.folder = rt_format("%s", folder), .key = key, .row_bytes = row_bytes};
    store->may_fail = may_fail;
    store->pace = SEGMENT_SECONDS;
    store->used = store->lock = -1;
    char *path = rt_format("%s/used", folder);
    do {
        if (!may_fail)
            rt_make_folders(folder);
        else if ((store->failed = !rt_try_folders(folder)))
            break;
    } while (!hold(store, path));
    free(path);
    look(store);
    return store;
}

RtStore *rt_store_open(const char *folder, RtHash key, size_t row_bytes)
{
    return open_store(folder, key, row_bytes, false);
}

RtStore *rt_store_try(const char *folder, RtHash key, size_t row_bytes)
{
    return open_store(folder, key, row_bytes, true);
}

void rt_store_pace(RtStore *store, double seconds) { store->pace = seconds; }

bool rt_store_failed(const RtStore *store) { return store->failed; }

/* Of several rows with the hash the first that is whole; what is damaged is forgotten. */
const void *rt_store_find(RtStore *store, RtHash hash)
{
    const Row wanted = {.entry.hash = hash};
    size_t from = 0, to = store->row_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (compare_rows(&store->rows[middle], &wanted) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    for (; from < store->row_count; from++) {
        Row *row = &store->rows[from];
        if (compare_rows(row, &wanted) != 0) break;
        if (!row->data) continue;
        if (rt_checksum(row->data, store->row_bytes) == row->entry.checksum) return row->data;
        rt_warn("%s: a damaged row is computed again", store->folder);
        row->data = NULL;
    }
    return NULL;
}

/* ---- The lock -------------------------------------------------------------------------------- */

static void refuse(RtStore *store, const char *path, const char *what)
{
    if (!store->may_fail)
        rt_die(RT_NO_ROOM, "a cache needs a file system with locks", "%s: cannot %s: %s", path,
               what, strerror(errno));
    rt_warn("%s: cannot %s: %s", path, what, strerror(errno));
    store->failed = true;
}

static void take_lock(RtStore *store, const char *path)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    bool said = false;
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (store->lock < 0) refuse(store, path, "open");
    while (!store->failed && !rt_signal() && flock(store->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            refuse(store, path, "lock");
            break;
        }
        if (!said) rt_note("waiting for another run, which computes the same");
        said = true;
        nanosleep(&pause, NULL);
    }
}

bool rt_store_lock(RtStore *store)
{
    char *path = rt_format("%s/lock", store->folder);
    if (!store->failed) take_lock(store, path);
    free(path);
    if (rt_signal()) {
        rt_store_unlock(store);
        return false;
    }
    if (!store->failed) rt_out_remove_abandoned(store->folder);
    look(store);
    return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void finish_segment(RtStore *store)
{
    if (!store->out) return;
    Trailer trailer = {.key = store->key, .row_bytes = store->row_bytes, .count = store->count};
    memcpy(trailer.magic, magic, sizeof magic);
    trailer.index_checksum = rt_checksum(store->index, store->count * sizeof *store->index);
    trailer.checksum = trailer_checksum(&trailer);
    rt_out_write(store->out, store->index, store->count * sizeof *store->index);
    rt_out_write(store->out, &trailer, sizeof trailer);
    store->failed |= !rt_out_commit(store->out);
    store->out = NULL;
    store->count = 0;
    look(store);
}

static void begin_segment(RtStore *store)
{
    char *path = segment_path(store, store->segment_count);
    store->out = store->may_fail ? rt_out_try(path) : rt_out_open(path);
    store->begun = rt_seconds();
    free(path);
}

void rt_store_add(RtStore *store, RtHash hash, const void *row)
{
    if (store->failed) return;
    if (!store->out) begin_segment(store);
    store->index = rt_grow(store->index, store->count + 1, sizeof *store->index);
    store->index[store->count++] = (Entry){hash, rt_checksum(row, store->row_bytes)};
    rt_out_write(store->out, row, store->row_bytes);
    if (store->count * store->row_bytes >= SEGMENT_BYTES ||
        rt_seconds() - store->begun >= store->pace)
        finish_segment(store);
}

size_t rt_store_bytes(size_t row_bytes, size_t rows)
{
    size_t in_segment = (SEGMENT_BYTES + row_bytes - 1) / row_bytes;
    size_t segments = (rows + in_segment - 1) / in_segment;
    return rows * (row_bytes + sizeof(Entry)) + segments * sizeof(Trailer);
}

void rt_store_unlock(RtStore *store)
{
    finish_segment(store);
    if (store->lock >= 0) close(store->lock);
    store->lock = -1;
}

void rt_store_close(RtStore *store)
{
    if (!store) return;
    rt_store_unlock(store);
    for (int i = 0; i < store->segment_count; i++)
        rt_unmap(store->segments[i].data, store->segments[i].bytes);
    if (store->used >= 0) close(store->used);
    free(store->segments);
    free(store->rows);
    free(store->index);
    free(store->folder);
    free(store);
}
