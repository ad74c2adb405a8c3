/* cgroup.c: where the limits of this process's control group are written. A container's share of
 * memory and CPU time is often far below the machine's. */
#include <stdlib.h>
#include <string.h>

#include "ground.h"

/* Finds this process's group: "0::/path" (version 2) or "4:cpu,cpuacct:/path" (version 1). */
static bool find_group(const char *controller, char *path, size_t size, bool *unified)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return false;
    char line[1024];
    bool found = false, exact = false;
    while (!exact && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *names = strchr(line, ':');
        char *place = names ? strchr(names + 1, ':') : NULL;
        if (!place) continue;
        *names++ = *place++ = '\0';
        char *rest = names;
        for (char *name; (name = strsep(&rest, ","));) exact |= strcmp(name, controller) == 0;
        if (!exact && *names) continue; /* another controller of version 1 */
        *unified = !exact;
        found = snprintf(path, size, "%s", strcmp(place, "/") == 0 ? "" : place) < (int)size;
    }
    fclose(file);
    return found;
}

/* Removes the last `up` parts of a path; false if it has fewer. */
static bool climb(char *path, int up)
{
    for (; up > 0; up--) {
        char *slash = strrchr(path, '/');
        if (!slash) return false;
        *slash = '\0';
    }
    return true;
}

bool rt_cgroup_folder(const char *controller, int up, char *folder, size_t size)
{
    char group[1024];
    bool unified = true;
    if (!find_group(controller, group, sizeof group, &unified) || !climb(group, up)) return false;
    int length = unified ? snprintf(folder, size, "/sys/fs/cgroup%s", group)
                         : snprintf(folder, size, "/sys/fs/cgroup/%s%s", controller, group);
    return length < (int)size;
}

bool rt_read_numbers(const char *folder, const char *name, const char *key, double *values,
                     int count)
{
    char path[1400], line[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    size_t skip = key ? strlen(key) : 0;
    int read = 0;
    while (!read && fgets(line, sizeof line, file)) {
        if (key && (strncmp(line, key, skip) != 0 || !strchr(" :\t", line[skip]))) continue;
        char *at = line + skip + strspn(line + skip, " :\t"), *end = at;
        for (; read < count; read++, at = end) {
            values[read] = strtod(at, &end);
            if (end == at) break;
        }
        if (key && read == 0) break;
    }
    fclose(file);
    return read == count;
}
