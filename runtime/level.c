/* level.c: which of the kernels' ISA levels to use. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *const level_names[RT_LEVELS] = {"generic", "avx2", "avx512"};

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
    rt_die(RT_USAGE, NULL, "TLC_LEVEL=%s: not a level; levels are generic, avx2, avx512", wanted);
}

const char *rt_level_name(RtLevel level) { return level_names[level]; }

const char *rt_cpu_name(void)
{
    static char name[128];
    FILE *file = *name ? NULL : fopen("/proc/cpuinfo", "re");
    char line[512];
    while (file && !*name && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0)
            snprintf(name, sizeof name, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file) fclose(file);
    if (!*name) snprintf(name, sizeof name, "unknown CPU");
    return name;
}
