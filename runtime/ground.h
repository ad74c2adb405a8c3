/* ground.h: what every part of the runtime stands on: how it fails, and the machine's memory,
 * cores, clock, random numbers and signals.
 *
 * What the runtime's files offer one another is in ground.h, files.h, arrays.h, weights.h, data.h,
 * measures.h, session.h and commands.h, and in a header each of the larger parts (training.h and
 * its like). Generated code sees only rt.h.
 *
 * In all of them: every *_open has its *_close; a `char *` result is malloc'ed and the caller's
 * unless it is const. Functions that can fail for reasons of the outside world end the program
 * through rt_die with place, facts and hint, unless their contract says that they return an error.
 */
#ifndef RT_GROUND_H
#define RT_GROUND_H

#include <stdbool.h>
#include <stdio.h>

#include "rt.h"

/* ---- error.c: the world is wrong ------------------------------------------------------------- */

enum { RT_OK, RT_FAILED, RT_USAGE, RT_BAD_MODEL, RT_BAD_DATA, RT_BAD_WEIGHTS, RT_NO_ROOM };

/* Prints "program: message", then "  hint: hint" unless hint is NULL, on stderr; removes unfinished
 * output files (file.c); exits with code. Safe to call from any thread. */
_Noreturn void rt_die(int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "program: warning: message" on stderr; clears a progress line first. */
void rt_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A plain line on stderr, for what is neither result nor warning. */
void rt_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern const char *rt_program; /* name for messages: the last part of argv[0] */

/* ---- memory.c: checked allocation for start-up and files; never in a step -------------------- */

void *rt_alloc(size_t count, size_t size);             /* zeroed; exit 6 on overflow or no memory */
void *rt_grow(void *array, size_t count, size_t size); /* realloc, likewise */
char *rt_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One arena, 64-byte aligned, zeroed, huge pages asked for, every page touched if so wanted. Checks
 * bytes against what the machine and its cgroup have before (exit 6 with both numbers). `what` for
 * the message. */
char *rt_arena_open(size_t bytes, const char *what, bool touched);
void rt_arena_close(char *arena, size_t bytes);
double rt_memory_available(void); /* bytes that the machine and its cgroup have left */

/* ---- cgroup.c: limits that a container sets -------------------------------------------------- */

/* The folder with the limits of this process's control group, or of its `up`-th ancestor;
 * `controller` ("memory", "cpu") is asked for where each has a hierarchy of its own (version 1).
 * False beyond the root. */
bool rt_cgroup_folder(const char *controller, int up, char *folder, size_t size);
/* `count` numbers of the first line, or of the line that begins with `key`, of folder/name. */
bool rt_read_numbers(const char *folder, const char *name, const char *key, double *values,
                     int count);

/* ---- parallel.c ------------------------------------------------------------------------------ */

/* A pool of `threads` threads, the caller among them. 0: rt_default_threads. */
RtPool *rt_pool_open(int threads);
void rt_pool_close(RtPool *pool);
int rt_pool_threads(const RtPool *pool);
int rt_default_threads(void); /* threads.c: as many as affinity and cgroup quota give */
/* While set, told of every kernel call that rt_parallel has done. */
typedef void RtProfiler(const RtCall *call, int tasks, double seconds);
extern RtProfiler *rt_profiler;

/* ---- level.c --------------------------------------------------------------------------------- */

RtLevel rt_level(void); /* the level to use; see rt.h */
const char *rt_level_name(RtLevel level);
bool rt_level_is_below(const char *name, RtLevel level);
const char *rt_cpu_name(void); /* cpu.c: "Intel(R) Xeon(R) …" */

/* ---- rng.c ----------------------------------------------------------------------------------- */

/* A permutation of 0..n-1 into order, a pure function of (seed, epoch, n): Fisher-Yates on Philox.
 */
void rt_shuffle(uint64_t seed, uint32_t epoch, uint64_t *order, size_t n);
/* Initial value of one weight: count = product of dims numbers, keyed by seed and by the weight's
 * name, so that adding a layer does not change the others. */
void rt_initialize(const RtWeight *weight, uint64_t seed, real *values);

/* ---- clock.c --------------------------------------------------------------------------------- */

double rt_seconds(void); /* monotonic */

/* ---- signals.c: SIGINT and SIGTERM ----------------------------------------------------------- */

/* A signal removes unfinished files and ends the program with 128 + its number. If graceful, the
 * first one only asks: rt_signal tells its number (0: none yet), and the command comes to a stop.
 */
void rt_signals_open(bool graceful);
int rt_signal(void);

/* ---- summary.c, which tlc is linked with too ---------------------------------------------------
 */

/* Keras's table (keras.md 7.3). trainable: per layer 'Y', 'N' or '-',
 * or NULL for no such column. width: of the terminal; 80 if not one. */
void rt_print_summary(FILE *out, const char *name, const RtLayer *layers, int count,
                      const char *trainable, int64_t trainable_params, bool expand_bases,
                      int width);

#endif
