/* bf16.c: 16-bit numbers with the exponent of floats: floats of which the upper half is kept. */
#ifndef BF16_C
#define BF16_C
#include "level.c"

//% bf16
#define Bf16 NAME(Bf16)
#define narrow NAME(narrow)
#define widen NAME(widen)
#define narrow_number NAME(narrow_number)
#define widen_number NAME(widen_number)

/* As many 16-bit numbers as a Vec has. */
typedef uint16_t Bf16 __attribute__((vector_size(NAME(VL_) * sizeof(uint16_t)),
                                     aligned(sizeof(uint16_t)), may_alias));

/* Rounds to nearest, to even between two; what is no number stays none. */
INLINE uint16_t narrow_number(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

INLINE float widen_number(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

INLINE Bf16 narrow(Vec v)
{
    Bf16 y;
#ifdef RT_HAS_BF16_INSTRUCTIONS
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(v));
#else
    for (int i = 0; i < VL; i++) y[i] = narrow_number(v[i]);
#endif
    return y;
}

INLINE Vec widen(Bf16 v)
{
    typedef uint32_t Wide __attribute__((vector_size(sizeof(Vec))));
    return (Vec)(__builtin_convertvector(v, Wide) << 16);
}
//% end
#endif
