/* level.c: which of the kernels' ISA levels to use. */
#define _GNU_SOURCE /* syscall */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "ground.h"

static const char *const level_names[RT_LEVELS] = {"generic", "avx2", "avx512", "avx512_bf16",
                                                   "amx"};

#if defined RT_HAS_X86_LEVELS && !defined RT_AMX_STANDIN
/* Linux gives tiles only to those who ask, before threads start, and knows whether it saves them
 * when threads are switched: Documentation/arch/x86/xstate.rst. */
static bool has_tiles(void)
{
    enum { BF16 = 1 << 22, TILE = 1 << 24, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & BF16 && d & TILE &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

/* __builtin_cpu_supports asks the OS too (XGETBV): a level counts only if its registers are saved
 * when threads are switched. */
static bool has_level(RtLevel level)
{
#ifdef RT_HAS_X86_LEVELS
    if (level == RT_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (level == RT_AVX512)
        return has_level(RT_AVX2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw");
    if (level == RT_AVX512_BF16)
        return has_level(RT_AVX512) && __builtin_cpu_supports("avx512bf16");
#ifdef RT_AMX_STANDIN
    if (level == RT_AMX) return has_level(RT_AMX_STANDIN ? RT_AVX512_BF16 : RT_AVX2);
#else
    if (level == RT_AMX) return has_level(RT_AVX512_BF16) && has_tiles();
#endif
#endif
    return level == RT_GENERIC;
}

RtLevel rt_level(void)
{
    RtLevel best = RT_GENERIC;
    for (int level = RT_GENERIC; level < RT_LEVELS; level++)
        if (has_level((RtLevel)level)) best = (RtLevel)level;
    const char *wanted = getenv("TLC_LEVEL");
    if (!wanted || !*wanted) return best;
    for (int level = RT_GENERIC; level < RT_LEVELS; level++) {
        if (strcmp(wanted, level_names[level]) != 0) continue;
        if (!has_level((RtLevel)level))
            rt_die(RT_USAGE, "unset TLC_LEVEL", "TLC_LEVEL=%s: this machine offers no more than %s",
                   wanted, level_names[best]);
        return (RtLevel)level;
    }
    rt_die(RT_USAGE, NULL,
           "TLC_LEVEL=%s: not a level; levels are generic, avx2, avx512, avx512_bf16, amx", wanted);
}

const char *rt_level_name(RtLevel level) { return level_names[level]; }

bool rt_level_is_below(const char *name, RtLevel level)
{
    for (int i = RT_GENERIC; i < (int)level; i++)
        if (strcmp(name, level_names[i]) == 0) return true;
    return false;
}
