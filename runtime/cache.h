/* cache.h: the feature cache: what the frozen part of a phase gives for each picture, computed
 * once.
 *
 * store.c keeps rows of bytes in files, cache.c the features of one data set, caching.c decides
 * what a phase keeps and where. */
#ifndef RT_CACHE_H
#define RT_CACHE_H

#include "data.h"
#include "files.h"
#include "pictures.h"
#include "session.h"
#include "training.h"

/* ---- store.c: rows on disk, found by hash, shared by processes ------------------------------- */

typedef struct RtStore RtStore;
/* The rows of `row_bytes` bytes in a folder, which is made; all of them belong to `key`. Files that
 * are damaged, or of another key, count as absent, with a warning. */
RtStore *rt_store_open(const char *folder, RtHash key, size_t row_bytes);
/* The same for who can do without: where the disk refuses, a warning says so, and nothing more is
 * added. */
RtStore *rt_store_try(const char *folder, RtHash key, size_t row_bytes);
bool rt_store_failed(const RtStore *store);
/* What is added is safe after so many seconds at the latest (60), even if the process is killed. */
void rt_store_pace(RtStore *store, double seconds);
/* The row, in a mapped file, until rt_store_close; NULL if there is none that is whole. */
const void *rt_store_find(RtStore *store, RtHash hash);
/* Waits until no other process adds rows, and finds what it added. False if a signal came. */
bool rt_store_lock(RtStore *store);
/* With the lock: adds a row. Exit 6 if the disk is full; what was written before stays. A row may
 * be lost that way in a store that may fail: look for it after rt_store_unlock. */
void rt_store_add(RtStore *store, RtHash hash, const void *row);
size_t rt_store_bytes(size_t row_bytes, size_t rows); /* that adding so many takes of the disk */
void rt_store_unlock(RtStore *store); /* what was added is safe on disk, and can be found */
void rt_store_close(RtStore *store);

/* ---- evict.c: the folder of folders ---------------------------------------------------------- */

/* Bytes of all stores in a folder, and free ones on the disk where it is or will be. */
uint64_t rt_stores_bytes(const char *root);
uint64_t rt_disk_room(const char *root);
/* Removes stores that no process has open, the least recently used first, until those that are left
 * and `planned` bytes in place of those that are open come to `limit` at most. Says so on stderr.
 */
void rt_stores_evict(const char *root, uint64_t limit, uint64_t planned);

/* ---- cache.c --------------------------------------------------------------------------------- */

typedef struct RtCache RtCache;

/* What a cache is opened for. */
typedef struct {
    RtSession *session;
    const RtPhase *phase;
    const RtCut *cut;
    RtData *data;
    const char *name;        /* "training", for messages */
    int batch;               /* pictures that cut->below takes at once */
    bool in_memory, on_disk; /* either, or both: the disk for the next run */
    bool may_fail;           /* where the disk refuses: goes on without it */
} RtCacheUse;

size_t rt_cache_row_bytes(const RtPhase *phase, const RtCut *cut);
int rt_cache_variants(const RtPhase *phase, const RtCut *cut); /* rows of a picture */
size_t rt_cache_bytes(const RtCacheUse *use);                  /* of all rows */
size_t rt_cache_found(const RtCacheUse *use); /* rows on disk already; leaves no trace */
char *rt_cache_folder(const RtModel *model);  /* $TLC_CACHE, or runs/NAME/cache; malloc'ed */
/* Empty, but for what is on disk. `old`, which may be NULL, is used on if it holds the same, and
 * closed if not. */
RtCache *rt_cache_open(const RtCacheUse *use, RtCache *old);
/* Computes what is missing of the rows of run->epoch. False if a signal broke it off. Takes the
 * loader's room meanwhile. */
bool rt_cache_fill(RtCache *cache);
bool rt_cache_is_whole(const RtCache *cache); /* false: the disk refused, and memory has no room */
/* Puts the rows of pictures run->sample[0..n-1] where the cut's upper part reads them. */
void rt_cache_load(const RtCache *cache, int n);
void rt_cache_close(RtCache *cache); /* NULL is no cache */

/* ---- caching.c: the caches of a training ----------------------------------------------------- */

enum { RT_TRAIN_SIDE, RT_EVALUATE_SIDE, RT_SIDES };

/* What a phase keeps of a side. */
typedef struct {
    RtCacheUse use;
    bool keeps;
    RtPlace pictures; /* where decoded pictures are kept, if features are not */
} RtCachePlan;

/* What rt_caches_open would do for training->phase if `held` bytes of memory were taken by then;
 * says nothing and takes nothing. */
void rt_caches_plan(const RtTraining *training, size_t held, RtCachePlan sides[RT_SIDES]);
void rt_caches_open(RtTraining *training); /* of training->phase */
/* Before an epoch; false if a signal broke it off. Loaders leave out pictures that are not needed.
 */
bool rt_caches_fill(RtTraining *training);
void rt_caches_close(RtTraining *training); /* of all phases */

/* ---- half.c: IEEE binary16 ------------------------------------------------------------------- */

/* Rounded to the nearest, ties to even; what is too large becomes 65504. */
void rt_to_halves(const real *values, uint16_t *halves, size_t count);
void rt_from_halves(const uint16_t *halves, real *values, size_t count);

#endif
