/* peaks.c: what this machine can do at most: multiply-adds of fp32 at each ISA level, dot products
 * of bf16, reading of memory; with one thread and with as many as asked for. Prints JSON. */
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { CHAINS = 12, STEPS = 2000000, ROUNDS = 5, MOST_THREADS = 64 };
static const size_t BYTES = (size_t)256 << 20; /* a thread reads as much in a round */

typedef struct {
    double (*run)(const char *memory); /* what was done: operations or bytes */
    const char *name;
} Probe;

static volatile float sink; /* so that the compiler leaves the work in */

#define EACH _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)

__attribute__((target("avx512f"), noinline)) static double multiply_avx512(const char *memory)
{
    (void)memory;
    __m512 sum[CHAINS], one = _mm512_set1_ps(1.0000001f), little = _mm512_set1_ps(1e-7f);
    EACH sum[i] = _mm512_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++) EACH sum[i] = _mm512_fmadd_ps(sum[i], one, little);
    EACH sink = _mm512_reduce_add_ps(sum[i]);
    return 2.0 * 16 * CHAINS * STEPS;
}

__attribute__((target("avx2,fma"), noinline)) static double multiply_avx2(const char *memory)
{
    (void)memory;
    __m256 sum[CHAINS], one = _mm256_set1_ps(1.0000001f), little = _mm256_set1_ps(1e-7f);
    EACH sum[i] = _mm256_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++) EACH sum[i] = _mm256_fmadd_ps(sum[i], one, little);
    EACH sink = _mm256_cvtss_f32(sum[i]);
    return 2.0 * 8 * CHAINS * STEPS;
}

__attribute__((target("avx512f,avx512bf16"), noinline)) static double dot_bf16(const char *memory)
{
    (void)memory;
    __m512 sum[CHAINS];
    __m512bh one = (__m512bh)_mm512_set1_epi16(0x3f80);
    EACH sum[i] = _mm512_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++) {
        EACH sum[i] = _mm512_dpbf16_ps(sum[i], one, one);
        __asm__ volatile("" : "+v"(one)); /* another factor, for all that the compiler knows */
    }
    EACH sink = _mm512_reduce_add_ps(sum[i]);
    return 2.0 * 32 * CHAINS * STEPS;
}

__attribute__((target("avx2"), noinline)) static double read_memory(const char *memory)
{
    __m256 sum[8];
    for (int i = 0; i < 8; i++) sum[i] = _mm256_setzero_ps();
    for (const char *at = memory; at < memory + BYTES; at += sizeof sum)
        _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) sum[i] =
            _mm256_add_ps(sum[i], _mm256_load_ps((const float *)at + 8 * i));
    for (int i = 0; i < 8; i++) sink = _mm256_cvtss_f32(sum[i]);
    return (double)BYTES;
}

/* ---- Threads --------------------------------------------------------------------------------- */

typedef struct {
    const Probe *probe;
    pthread_barrier_t barrier;
    int threads;
    double best; /* per second, of all threads together */
} Team;

typedef struct {
    Team *team;
    char *memory;
    int number;
} Member;

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *work(void *argument)
{
    Member *member = argument;
    Team *team = member->team;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&team->barrier);
        double start = seconds(), amount = team->probe->run(member->memory);
        pthread_barrier_wait(&team->barrier);
        double rate = amount * team->threads / (seconds() - start);
        if (member->number == 0 && rate > team->best) team->best = rate;
    }
    return NULL;
}

static double measure(const Probe *probe, int threads, char **memory)
{
    Team team = {.probe = probe, .threads = threads};
    Member members[MOST_THREADS];
    pthread_t ids[MOST_THREADS];
    pthread_barrier_init(&team.barrier, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        members[i] = (Member){&team, memory[i], i};
        if (pthread_create(&ids[i], NULL, work, &members[i]) != 0) abort();
    }
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&team.barrier);
    return team.best * 1e-9;
}

/* The probes that this CPU can run. */
static int choose_probes(Probe *probes)
{
    int count = 0;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        probes[count++] = (Probe){multiply_avx2, "avx2"};
        probes[count++] = (Probe){read_memory, "read"};
    }
    if (__builtin_cpu_supports("avx512f")) probes[count++] = (Probe){multiply_avx512, "avx512"};
    if (__builtin_cpu_supports("avx512bf16")) probes[count++] = (Probe){dot_bf16, "bf16"};
    return count;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    if (threads < 1 || threads > MOST_THREADS) return 2;
    char *memory[MOST_THREADS];
    for (int i = 0; i < threads; i++) {
        memory[i] = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory[i] == MAP_FAILED) abort();
        madvise(memory[i], BYTES, MADV_HUGEPAGE);
        memset(memory[i], 0, BYTES);
    }
    Probe probes[4];
    int count = choose_probes(probes);
    printf("{");
    for (int i = 0; i < count; i++)
        printf("%s\"%s\": [%.1f, %.1f]", i ? ", " : "", probes[i].name,
               measure(&probes[i], 1, memory), measure(&probes[i], threads, memory));
    printf("}\n");
    return 0;
}
