/* parallel.c: the pool of threads on which kernels run.
 *
 * A job is a kernel and a number of tasks; whoever is awake takes the next task from an atomic
 * counter. One word, `state`, says what workers may do: bit 63 (OPEN) that there is a job to join,
 * bits 32..62 its number, bits 0..31 how many workers are inside it. The caller opens the job,
 * works along, closes it when no task is left, and waits until nobody is inside. Workers that are
 * still asleep then have missed nothing. Idle workers spin for a moment (the next kernel is mostly
 * microseconds away), then sleep.
 *
 * All threads that compute, the caller included, flush denormal numbers to zero: they carry no
 * information here and slow some CPUs a hundredfold. TensorFlow does the same. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ground.h"

enum { SPINS = 4000 };

static const uint64_t OPEN = (uint64_t)1 << 63, JOB = (uint64_t)1 << 32;

struct RtPool {
    /* The job: written by the caller while the state is closed and nobody is inside. */
    RtKernel *kernel;
    const RtCall *call;
    int tasks;
    int threads, spins;
    pthread_t *workers;  /* (threads - 1) */
    uint64_t float_mode; /* of the opening thread, to be put back */
    atomic_flag busy;    /* a job is under way: a second caller computes alone */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) atomic_int next; /* task */
    _Alignas(64) atomic_int sleepers, waiting;
    atomic_bool stop;
    atomic_int started; /* workers */
};

static _Thread_local bool inside_task; /* a kernel that calls rt_parallel runs it itself */
static _Thread_local int thread_index; /* in its pool: 0 the caller's */

static uint64_t flush_denormals(void)
{
    uint64_t mode = 0;
#if defined __x86_64__
    uint32_t word = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(word | 0x8040); /* FTZ, DAZ */
    mode = word;
#elif defined __aarch64__
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | (uint64_t)1 << 24)); /* FZ */
#endif
    return mode;
}

static void restore_denormals(uint64_t mode)
{
#if defined __x86_64__
    __builtin_ia32_ldmxcsr((uint32_t)mode);
#elif defined __aarch64__
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#else
    (void)mode;
#endif
}

static void relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static void run_tasks(RtPool *pool)
{
    inside_task = true;
    for (int task; (task = atomic_fetch_add(&pool->next, 1)) < pool->tasks;)
        pool->kernel(pool->call, task);
    inside_task = false;
}

/* Joins the open job, if there is one that this worker has not seen, and does its share. */
static bool join_job(RtPool *pool, uint64_t *seen)
{
    uint64_t state = atomic_load(&pool->state);
    do {
        if (!(state & OPEN) || state >> 32 == *seen) return false;
    } while (!atomic_compare_exchange_weak(&pool->state, &state, state + 1));
    *seen = state >> 32;
    run_tasks(pool);
    state = atomic_fetch_sub(&pool->state, 1) - 1;
    if (!(state & OPEN) && (uint32_t)state == 0 && atomic_load(&pool->waiting)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
    return true;
}

static bool has_news(RtPool *pool, uint64_t seen)
{
    uint64_t state = atomic_load(&pool->state);
    return ((state & OPEN) && state >> 32 != seen) || atomic_load(&pool->stop);
}

static void sleep_until_news(RtPool *pool, uint64_t seen)
{
    for (int i = 0; i < pool->spins; i++) {
        if (has_news(pool, seen)) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_news(pool, seen)) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *argument)
{
    RtPool *pool = argument;
    uint64_t seen = 0;
    thread_index = atomic_fetch_add(&pool->started, 1) + 1;
    flush_denormals();
    while (!atomic_load(&pool->stop))
        if (!join_job(pool, &seen)) sleep_until_news(pool, seen);
    return NULL;
}

static void wake_workers(RtPool *pool)
{
    if (!atomic_load(&pool->sleepers)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_workers(RtPool *pool)
{
    for (int i = 0; i < pool->spins; i++) {
        if ((uint32_t)atomic_load(&pool->state) == 0) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, 1);
    while ((uint32_t)atomic_load(&pool->state) != 0) pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->waiting, 0);
    pthread_mutex_unlock(&pool->lock);
}

static void run_job(RtKernel *kernel, int tasks, const RtCall *call)
{
    RtPool *pool = call->run->pool;
    if (!pool || pool->threads == 1 || tasks == 1 || inside_task ||
        atomic_flag_test_and_set(&pool->busy)) {
        for (int task = 0; task < tasks; task++) kernel(call, task);
        return;
    }
    pool->kernel = kernel;
    pool->call = call;
    pool->tasks = tasks;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->state, ((atomic_load(&pool->state) + JOB) & ~OPEN) | OPEN);
    wake_workers(pool);
    run_tasks(pool);
    atomic_fetch_and(&pool->state, ~OPEN);
    wait_for_workers(pool);
    atomic_flag_clear(&pool->busy);
}

RtProfiler *rt_profiler;

void rt_parallel(RtKernel *kernel, int tasks, const RtCall *call)
{
    if (!rt_profiler) {
        run_job(kernel, tasks, call);
        return;
    }
    double start = rt_seconds();
    run_job(kernel, tasks, call);
    rt_profiler(call, tasks, rt_seconds() - start);
}

RtPool *rt_pool_open(int threads)
{
    int usual = rt_default_threads();
    RtPool *pool = aligned_alloc(64, sizeof *pool);
    if (!pool) rt_die(RT_NO_ROOM, NULL, "out of memory for the threads");
    *pool = (RtPool){.threads = threads ? threads : usual, .busy = ATOMIC_FLAG_INIT};
    pool->spins = pool->threads > usual ? 0 : SPINS; /* spinning would take another's CPU */
    pool->float_mode = flush_denormals();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->workers = rt_alloc((size_t)pool->threads, sizeof *pool->workers);
    sigset_t all, before; /* signals are the main thread's affair */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < pool->threads - 1; i++)
        if (pthread_create(&pool->workers[i], NULL, work, pool) != 0)
            rt_die(RT_FAILED, "--threads N with a smaller N", "cannot start thread %d of %d", i + 2,
                   pool->threads);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool;
}

void rt_pool_close(RtPool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads - 1; i++) pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    restore_denormals(pool->float_mode);
    free(pool->workers);
    free(pool);
}

int rt_pool_threads(const RtPool *pool) { return pool ? pool->threads : 1; }

void *rt_scratch(const RtRun *run)
{
    return run->scratch + (size_t)thread_index * run->scratch_bytes;
}

/* The part of the threads' time in which they work, if all tasks take equally long. */
static double use_of_threads(int tasks, int threads)
{
    return (double)tasks / ((double)threads * ((tasks + threads - 1) / threads));
}

int rt_parts(const RtRun *run, int blocks, int most)
{
    const int threads = rt_pool_threads(run->pool);
    int best = 1;
    for (int parts = 1; parts <= most && use_of_threads(blocks * best, threads) < 0.9; parts++)
        if (use_of_threads(blocks * parts, threads) > use_of_threads(blocks * best, threads))
            best = parts;
    return best;
}
