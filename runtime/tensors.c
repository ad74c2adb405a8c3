/* tensors.c: named arrays: their size, and their numbers as `real`. */
#include <stdlib.h>
#include <string.h>

#include "arrays.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are little-endian, as in files");

size_t rt_type_size(RtType type)
{
    static const size_t sizes[] = {[RT_F32] = 4, [RT_F64] = 8, [RT_F16] = 2, [RT_U8] = 1,
                                   [RT_I32] = 4, [RT_I64] = 8, [RT_BOOL] = 1};
    return sizes[type];
}

int64_t rt_array_count(const RtArray *array)
{
    int64_t count = 1;
    for (int i = 0; i < array->rank; i++) count *= array->dims[i];
    return count;
}

/* IEEE binary16; the product by a power of two is exact, subnormals included. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
    bool special = (half & 0x7c00) == 0x7c00; /* infinity or NaN: the exponent is all ones */
    uint32_t bits = special ? sign | rest | 0x7f800000 : rest;
    float value;
    memcpy(&value, &bits, sizeof value);
    if (special) return value;
    value *= 0x1p112f; /* between the two biases, 127 and 15 */
    return sign ? -value : value;
}

/* values = expression of each element v. */
#define CONVERT(type, expression)                                                                  \
    for (int64_t i = 0; i < count; i++) {                                                          \
        type v = ((const type *)array->data)[i];                                                   \
        values[i] = (real)(expression);                                                            \
    }

void rt_array_to_real(const RtArray *array, real *values)
{
    int64_t count = rt_array_count(array);
    if (array->type == RT_F32) CONVERT(float, v)
    if (array->type == RT_F64) CONVERT(double, v)
    if (array->type == RT_F16) CONVERT(uint16_t, half_to_float(v))
    if (array->type == RT_U8) CONVERT(uint8_t, v)
    if (array->type == RT_I32) CONVERT(int32_t, v)
    if (array->type == RT_I64) CONVERT(int64_t, v)
    if (array->type == RT_BOOL) CONVERT(uint8_t, v != 0)
}

void rt_array_free(RtArray *array)
{
    free(array->name);
    free(array->data);
    *array = (RtArray){0};
}
