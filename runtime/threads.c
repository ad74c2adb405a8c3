/* threads.c: how many threads there should be. */
#define _GNU_SOURCE /* sched_getaffinity, CPU_COUNT */
#include <math.h>
#include <sched.h>
#include <unistd.h>

#include "ground.h"

/* CPUs' worth of time that the groups above this process leave it. */
static double cgroup_cpus(void)
{
    double least = HUGE_VAL, share[2];
    char folder[1200];
    for (int up = 0; rt_cgroup_folder("cpu", up, folder, sizeof folder); up++) {
        bool known = rt_read_numbers(folder, "cpu.max", NULL, share, 2) ||
                     (rt_read_numbers(folder, "cpu.cfs_quota_us", NULL, &share[0], 1) &&
                      rt_read_numbers(folder, "cpu.cfs_period_us", NULL, &share[1], 1));
        if (known && share[0] > 0 && share[1] > 0) least = fmin(least, share[0] / share[1]);
    }
    return least;
}

int rt_default_threads(void)
{
    cpu_set_t set;
    long cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                            : sysconf(_SC_NPROCESSORS_ONLN);
    double quota = ceil(cgroup_cpus());
    if (quota < (double)cpus) cpus = (long)quota;
    return cpus < 1 ? 1 : (int)cpus;
}
