/* lanes.c: vectors that are not full: the end of a row, or fewer lanes than a vector has. */
#ifndef LANES_C
#define LANES_C
#include "level.c"

//% lanes
#define load_lanes NAME(load_lanes)
#define store_lanes NAME(store_lanes)
#define Mask NAME(Mask)
#define keep NAME(keep)

/* The first `count` numbers at p, then zeros. */
INLINE Vec load_lanes(const real *p, int count)
{
    if (count >= VL) return load(p);
    Vec v = {0};
    memcpy(&v, p, (size_t)count * sizeof(real));
    return v;
}

INLINE void store_lanes(real *p, Vec v, int count)
{
    if (count >= VL)
        store(p, v);
    else
        memcpy(p, &v, (size_t)count * sizeof(real));
}

/* a where the mask is set, else 0. */
typedef __typeof__((Vec){0} == (Vec){0}) Mask;
INLINE Vec keep(Mask mask, Vec a) { return (Vec)((Mask)a & mask); }
//% end
#endif
