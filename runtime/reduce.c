/* reduce.c: the sums that a training step reports. In a fixed order, so that the bits do not
 * depend on anything but the values. */
#include <math.h>

#include "rt.h"

double rt_mean(const real *values, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)values[i];
    return sum / n;
}

/* Four sums run side by side: one chain of additions would wait for itself. */
double rt_sum_squares(const real *values, size_t count)
{
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int j = 0; j < 4; j++) sums[j] += (double)values[i + j] * (double)values[i + j];
    for (; i < count; i++) sums[0] += (double)values[i] * (double)values[i];
    return sums[0] + sums[1] + (sums[2] + sums[3]);
}

double rt_sum_magnitudes(const real *values, size_t count)
{
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int j = 0; j < 4; j++) sums[j] += fabs((double)values[i + j]);
    for (; i < count; i++) sums[0] += fabs((double)values[i]);
    return sums[0] + sums[1] + (sums[2] + sums[3]);
}
