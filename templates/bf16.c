/* bf16.c: 16-bit numbers with the exponent of floats: floats of which the upper half is kept. */
#ifndef BF16_C
#define BF16_C
#include "level.c"

//% bf16
#define Bf16 NAME(Bf16)
#define to_bf16 NAME(to_bf16)
#define from_bf16 NAME(from_bf16)
#define bf16_of NAME(bf16_of)
#define float_of NAME(float_of)

/* As many 16-bit numbers as a Vec has. */
typedef uint16_t Bf16 __attribute__((vector_size(NAME(VL_) * sizeof(uint16_t)),
                                     aligned(sizeof(uint16_t)), may_alias));

/* Rounds to nearest, to even between two; what is no number stays none. */
INLINE uint16_t bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

INLINE float float_of(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

INLINE Bf16 to_bf16(Vec v)
{
    Bf16 y;
#if RT_HAS_WIDE_VECTORS
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(v));
#else
    for (int i = 0; i < VL; i++) y[i] = bf16_of(v[i]);
#endif
    return y;
}

INLINE Vec from_bf16(Bf16 v)
{
    typedef uint32_t Wide __attribute__((vector_size(sizeof(Vec))));
    return (Vec)(__builtin_convertvector(v, Wide) << 16);
}
//% end
#endif
