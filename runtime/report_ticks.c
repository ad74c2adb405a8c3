/* report_ticks.c: where the axes of a chart are marked. */
#include <math.h>
#include <stdio.h>

#include "report.h"

/* The step after this one in 1, 2, 5, 10, 20, … times a power of ten. */
static double next_step(double step)
{
    double power = pow(10, floor(log10(step) + 1e-9));
    int digit = (int)lround(step / power);
    return digit == 1 ? 2 * power : digit == 2 ? 5 * power : 10 * power;
}

static int decimals_for(double step)
{
    int decimals = (int)ceil(-log10(step) - 1e-9);
    return decimals < 0 ? 0 : decimals;
}

/* A range of some width, for numbers that are all the same, or none. */
static void widen(double *low, double *high)
{
    if (!isfinite(*low) || !isfinite(*high) || *low > *high) *low = 0, *high = 1;
    if (*high - *low > 1e-12 * (fabs(*low) + fabs(*high))) return;
    double part = *low == 0 ? 1 : fabs(*low) / 10;
    *low -= *low == 0 ? 0 : part;
    *high += part;
}

RtTicks rt_ticks(double low, double high, int most)
{
    RtTicks ticks = {.count = 0};
    if (most > RT_TICKS) most = RT_TICKS;
    widen(&low, &high);
    double step = pow(10, floor(log10((high - low) / most))), first, last;
    for (;; step = next_step(step)) {
        first = floor(low / step + 1e-9);
        last = ceil(high / step - 1e-9);
        if (last - first + 1 <= most) break;
    }
    for (double i = first; i <= last; i++) ticks.at[ticks.count++] = i * step;
    double size = fmax(fabs(low), fabs(high));
    bool plain = size < 1e6 && step >= 0.99e-5;
    ticks.decimals = plain ? decimals_for(step) : -1;
    return ticks;
}

/* Adds every number of digits x 10^k from the last that is <= low to the first that is >= high;
 * false if they are too many. */
static bool add_digits(RtTicks *ticks, double low, double high, int most, const int *digits,
                       int digit_count, int power_step)
{
    ticks->count = 0;
    int power = (int)floor(log10(low) + 1e-9);
    for (;; power += power_step)
        for (int i = 0; i < digit_count; i++) {
            double tick = digits[i] * pow(10, power);
            if (ticks->count && tick <= low * (1 + 1e-9)) ticks->count = 0;
            if (ticks->count == most) return false;
            ticks->at[ticks->count++] = tick;
            if (tick >= high * (1 - 1e-9) && ticks->count > 1) return true;
        }
}

RtTicks rt_log_ticks(double low, double high, int most)
{
    static const int digits[] = {1, 2, 5};
    RtTicks ticks = {.decimals = -1};
    if (most > RT_TICKS) most = RT_TICKS;
    if (add_digits(&ticks, low, high, most, digits, 3, 1)) return ticks;
    for (int step = 1; !add_digits(&ticks, low, high, most, digits, 1, step); step++) continue;
    return ticks;
}

void rt_tick_label(const RtTicks *ticks, int index, char text[32])
{
    double tick = ticks->at[index];
    if (tick == 0)
        snprintf(text, 32, "0");
    else if (ticks->decimals < 0)
        snprintf(text, 32, "%.3g", tick);
    else
        snprintf(text, 32, "%.*f", ticks->decimals, tick);
}
