/* level.c: what every kernel may use, printed once for each ISA level of the generated file.
 *
 * How templates work: a section begins with a line "//% name" and ends with the next one. Words
 * that begin with $ are placeholders, which the op's emit hook sets; $name is the kernel's name.
 * What stands before the first section is not printed: it gives the placeholders example values, so
 * that the template compiles by itself. There is no control flow in templates: the op picks a
 * section, or the C compiler folds `if (PAD)` over an enum of constants. */
#ifndef LEVEL_C
#define LEVEL_C
#include "rt.h"

#include <math.h>
#include <string.h>

#ifndef LEVEL /* templates of one level name it first */
#define LEVEL RT_GENERIC
#define LEVEL_SUFFIX generic
#define TARGET
#endif

//% level
/* A level is one compilation of the kernels: TARGET lets the compiler use the level's instructions,
 * Vec is its vector of VL numbers, and a block of RT_LANES channels is BV of them. A convolution
 * keeps a tile of TILE_PIXELS x TILE_BLOCKS blocks of results in registers. */
#define NAME_(function, suffix) function##_##suffix
#define NAME__(function, suffix) NAME_(function, suffix)
#define NAME(function) NAME__(function, LEVEL_SUFFIX)
#define KERNEL(name) TARGET static void NAME(name)(const RtCall *call, int task)
#define INLINE TARGET static inline __attribute__((always_inline, unused))

#define Vec NAME(Vec)
#if LEVEL >= 2
enum { NAME(VL_) = 16, NAME(TILE_PIXELS_) = 14, NAME(TILE_BLOCKS_) = 2 };
#elif LEVEL == 1
enum { NAME(VL_) = 8, NAME(TILE_PIXELS_) = 6, NAME(TILE_BLOCKS_) = 1 };
#else
enum { NAME(VL_) = 4, NAME(TILE_PIXELS_) = 3, NAME(TILE_BLOCKS_) = 1 };
#endif
#define VL NAME(VL_)
#define BV (RT_LANES / VL)
#define TILE_PIXELS NAME(TILE_PIXELS_)
#define TILE_BLOCKS NAME(TILE_BLOCKS_)
typedef real Vec
    __attribute__((vector_size(NAME(VL_) * sizeof(real)), aligned(sizeof(real)), may_alias));

/* Short names stand before what they name: the file is read again for each level. */
#define load NAME(load)
#define store NAME(store)
#define vmax NAME(vmax)
#define zero_halo NAME(zero_halo)

INLINE Vec load(const real *p) { return *(const Vec *)p; }
INLINE void store(real *p, Vec v) { *(Vec *)p = v; }
/* b where one of them is not a number. */
INLINE Vec vmax(Vec a, Vec b)
{
#if LEVEL > 0 && (LEVEL < 4 || RT_HAS_WIDE_VECTORS)
    Vec larger;
    __asm__("vmaxps %2, %1, %0" : "=v"(larger) : "v"(a), "v"(b));
    return larger;
#else
    const __typeof__(a > b) larger = a > b; /* no loop: clang would keep a in memory */
    return (Vec)((larger & (__typeof__(larger))a) | (~larger & (__typeof__(larger))b));
#endif
}

/* The frame of zeros around rows [first, last) of a plane: its left and right columns, and the rows
 * above and below if these rows touch them. */
INLINE void zero_halo(real *plane, int first, int last, int height, int width, int lanes,
                      int top, int left, int padded_height, int padded_width)
{
    const int right = padded_width - left - width;
    const size_t row = (size_t)padded_width * lanes;
    if (first == 0) memset(plane, 0, top * row * sizeof(real));
    if (last == height)
        memset(plane + (top + height) * row, 0,
               (padded_height - top - height) * row * sizeof(real));
    for (int h = first; h < last && left + right > 0; h++) {
        real *line = plane + (top + h) * row;
        memset(line, 0, (size_t)left * lanes * sizeof(real));
        memset(line + (size_t)(left + width) * lanes, 0, (size_t)right * lanes * sizeof(real));
    }
}

//% file_macros
/* SHAPE(X, …) names the numbers of a tensor: XH x XW pixels of XC channels, XV of them in a
 * pixel's lanes, in XB planes of XHP x XWP pixels with a halo of zeros above (XT) and to the left
 * (XL). XROW, XPLANE and XSIZE count the numbers in a row, a plane and a picture. AT is a pixel's
 * place. */
#define SHAPE_(X, h, w, c, v, t, l, hp, wp, b, size)                                               \
    enum {                                                                                         \
        X##H = h, X##W = w, X##C = c, X##V = v, X##T = t, X##L = l, X##HP = hp, X##WP = wp,        \
        X##B = b, X##ROW = wp * v, X##PLANE = hp * wp * v, X##SIZE = size                          \
    }
#define SHAPE(X, ...) SHAPE_(X, __VA_ARGS__)
#define AT(X, x, n, block, h, w)                                                                   \
    ((x) + (size_t)(n) * X##SIZE + (size_t)(block) * X##PLANE + ((h) + X##T) * X##ROW +            \
     ((w) + X##L) * X##V)
//% end
#endif
