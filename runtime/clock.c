/* clock.c: the clock by which everything is timed. */
#include <time.h>

#include "ground.h"

double rt_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
