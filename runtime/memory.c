/* memory.c: allocation that cannot fail unseen, for start-up and for files; and the arena, the one
 * block in which all training and inference takes place. */
#define _GNU_SOURCE /* vasprintf, MADV_HUGEPAGE */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ground.h"

enum { PAGE = 4096, HUGE_PAGE = 2 << 20 };

static _Noreturn void die_of_memory(size_t count, size_t size)
{
    rt_die(RT_NO_ROOM, NULL, "out of memory: %zu x %zu bytes wanted", count, size);
}

void *rt_alloc(size_t count, size_t size)
{
    size_t bytes;
    bool fits = !__builtin_mul_overflow(count, size, &bytes);
    void *memory = fits ? calloc(1, bytes ? bytes : 1) : NULL;
    if (!memory) die_of_memory(count, size);
    return memory;
}

void *rt_grow(void *array, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) die_of_memory(count, size);
    void *memory = realloc(array, bytes ? bytes : 1);
    if (!memory) die_of_memory(count, size);
    return memory;
}

char *rt_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text;
    if (vasprintf(&text, format, arguments) < 0) die_of_memory(1, strlen(format));
    va_end(arguments);
    return text;
}

/* What the groups above this process leave it. Page cache counts as free: it gives way. */
static double cgroup_available(void)
{
    double least = HUGE_VAL;
    char folder[1200];
    for (int up = 0; rt_cgroup_folder("memory", up, folder, sizeof folder); up++) {
        double limit, used, inactive = 0, active = 0;
        bool known = (rt_read_numbers(folder, "memory.max", NULL, &limit, 1) &&
                      rt_read_numbers(folder, "memory.current", NULL, &used, 1)) ||
                     (rt_read_numbers(folder, "memory.limit_in_bytes", NULL, &limit, 1) &&
                      rt_read_numbers(folder, "memory.usage_in_bytes", NULL, &used, 1));
        if (!known) continue; /* "max": no limit here */
        rt_read_numbers(folder, "memory.stat", "inactive_file", &inactive, 1);
        rt_read_numbers(folder, "memory.stat", "active_file", &active, 1);
        double left = limit - used + inactive + active;
        if (left < least) least = left;
    }
    return least;
}

static double machine_available(void)
{
    double kib;
    return rt_read_numbers("/proc", "meminfo", "MemAvailable", &kib, 1) ? kib * 1024 : HUGE_VAL;
}

double rt_memory_available(void)
{
    double machine = machine_available(), group = cgroup_available();
    double least = group < machine ? group : machine;
    return least < 0 ? 0 : least < 0x1p62 ? least : 0x1p62;
}

static void check_available(size_t bytes, const char *what)
{
    double machine = machine_available(), group = cgroup_available();
    double available = group < machine ? group : machine;
    if ((double)bytes <= available) return;
    rt_die(RT_NO_ROOM, "a smaller batch_size in the model, or a machine with more memory",
           "%s needs %.1f MiB of memory; %.1f MiB are available%s", what, (double)bytes / 1048576,
           available > 0 ? available / 1048576 : 0.0,
           group < machine ? " in this control group (memory.max)" : "");
}

/* Faults every page in now, so that no step waits for one and none is missing later. */
static void touch_pages(char *memory, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
    if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
    for (size_t i = 0; i < bytes; i += PAGE) ((volatile char *)memory)[i] = 0;
}

static size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

char *rt_arena_open(size_t bytes, const char *what, bool touched)
{
    check_available(bytes, what);
    size_t size = round_up(bytes ? bytes : 1, PAGE);
    char *block = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED)
        rt_die(RT_NO_ROOM, "ulimit -v may be set", "%s: no address space for %.1f MiB: %s", what,
               (double)bytes / 1048576, strerror(errno));
    char *arena = (char *)round_up((uintptr_t)block, HUGE_PAGE);
    size_t head = (size_t)(arena - block);
    if (head) munmap(block, head);
    munmap(arena + size, HUGE_PAGE - head);
    madvise(arena, size, MADV_HUGEPAGE); /* fewer TLB misses; only advice */
    if (touched) touch_pages(arena, size);
    return arena;
}

void rt_arena_close(char *arena, size_t bytes)
{
    if (arena) munmap(arena, round_up(bytes ? bytes : 1, PAGE));
}
