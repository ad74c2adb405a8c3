/* tile.c: the inner loop of convolutions and dense layers: a tile of results held in registers. */
#ifndef TILE_C
#define TILE_C
#include "lanes.c"

//% tile
/* Loops over the numbers of a tile must be unrolled, or the tile lands in memory. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#define ROLL _Pragma("nounroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#define ROLL _Pragma("GCC unroll 1")
#endif
#define TILE_(name) NAME(name##_tile) /* functions of one kernel: TILE($name), BAND($name) */
#define TILE(name) TILE_(name)
#define BAND_(name) NAME(name##_band)
#define BAND(name) BAND_(name)
#define LINE (int)(64 / sizeof(real)) /* numbers in a line of the cache */
#define TILE_VECTORS (TILE_PIXELS * TILE_BLOCKS * BV)
#define Places NAME(Places)
#define add_products NAME(add_products)

/* Where a tile's factors lie, in numbers. Factor a of its row i is row_step * (i / columns) +
 * column_step * (i % columns) behind the first; factors b of its vectors follow one another within
 * a block of channels, block_step from one to the next. The next product's factors follow after
 * a_step and b_step. Unless `ahead` is 0, the factors b that lie so much further are fetched into
 * the cache. */
typedef struct {
    int columns;
    size_t row_step, column_step, a_step, b_step, block_step, ahead;
} Places;

/* tile[i][j] += sum over `count` of a[i] * b[j]. All but count, a and b are constants. */
INLINE void add_products(Vec *tile, const int rows, const int vectors, const Places places,
                         int count, const real *a, const real *b)
{
    ROLL for (int k = 0; k < count; k++, a += places.a_step, b += places.b_step) {
        Vec factors[TILE_VECTORS];
        __asm__("" : "+r"(a)); /* else gcc would hand numbers of x on through the stack */
        if (places.ahead)
            UNROLL for (int j = 0; j < vectors; j += LINE / VL)
                __builtin_prefetch(b + places.ahead + j * VL, 0, 2);
        UNROLL for (int j = 0; j < vectors; j++)
            factors[j] = load(b + j / BV * places.block_step + j % BV * VL);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const real x =
                a[i / places.columns * places.row_step + i % places.columns * places.column_step];
            UNROLL for (int j = 0; j < vectors; j++) tile[i * vectors + j] += x * factors[j];
        }
    }
}
//% end
#endif
