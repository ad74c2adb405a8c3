/* half.c: numbers kept in 16 bits, by integer arithmetic, so that it does not matter whether the
 * thread flushes denormal numbers. */
#include <string.h>

#include "cache.h"

static uint16_t to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00); /* NaN */
    if (size >= 0x477fe000) return (uint16_t)(sign | 0x7bff);
    if (size < 0x33000001) return (uint16_t)sign; /* at most half of the least number */
    uint32_t shift = 13, mantissa = size;
    if (size < 0x38800000) { /* a subnormal half */
        shift = 126 - (size >> 23);
        mantissa = (size & 0x7fffff) | 0x800000;
    } else {
        mantissa -= 0x38000000; /* the exponent's bias: 127 to 15 */
    }
    const uint32_t rest = mantissa & ((1u << shift) - 1), tie = 1u << (shift - 1);
    uint32_t half = mantissa >> shift;
    if (rest > tie || (rest == tie && half & 1)) half++;
    return (uint16_t)(sign | half);
}

static float from_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
    const uint32_t mantissa = half & 0x3ff;
    if (exponent == 0) {
        const float value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    const uint32_t bits =
        sign | (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | mantissa << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void rt_to_halves(const real *values, uint16_t *halves, size_t count)
{
    for (size_t i = 0; i < count; i++) halves[i] = to_half((float)values[i]);
}

void rt_from_halves(const uint16_t *halves, real *values, size_t count)
{
    for (size_t i = 0; i < count; i++) values[i] = (real)from_half(halves[i]);
}
