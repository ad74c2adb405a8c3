/* cpu.c: what this machine's CPU is called. The compiler links this file too. */
#include <stdio.h>
#include <string.h>

#include "ground.h"

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
