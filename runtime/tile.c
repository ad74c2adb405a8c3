/* tile.c: plain C in the place of AMX's tiles, for tests on machines that have none: see rt.h. It
 * does what Intel's manual says of TDPBF16PS, so the bits are the same: denormal numbers are zero,
 * products of even and of odd places are summed apart, then together, then onto C. */
#include <string.h>

#include "rt.h"

#ifdef RT_AMX_STANDIN
enum { TILES = 8, TILE_ROWS = 16, TILE_COLUMNS = 16 };

static _Thread_local uint32_t tiles[TILES][TILE_ROWS][TILE_COLUMNS];

void rt_tile_zero(int tile) { memset(tiles[tile], 0, sizeof tiles[tile]); }

void rt_tile_load(int tile, const void *from, size_t stride)
{
    for (int i = 0; i < TILE_ROWS; i++)
        memcpy(tiles[tile][i], (const char *)from + i * stride, sizeof tiles[tile][i]);
}

void rt_tile_store(int tile, void *to, size_t stride)
{
    for (int i = 0; i < TILE_ROWS; i++)
        memcpy((char *)to + i * stride, tiles[tile][i], sizeof tiles[tile][i]);
}

static float as_float(uint32_t bits)
{
    float number;
    if (!(bits & 0x7f800000)) bits &= 0x80000000;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* The 16-bit numbers of a pair, of which the first is the lower one in memory. */
static void widen(const uint32_t *pairs, float *even, float *odd)
{
    for (int i = 0; i < TILE_COLUMNS; i++) {
        even[i] = as_float(pairs[i] << 16);
        odd[i] = as_float(pairs[i] & 0xffff0000);
    }
}

void rt_tile_dp(int c, int a, int b)
{
    float b_even[TILE_ROWS][TILE_COLUMNS], b_odd[TILE_ROWS][TILE_COLUMNS];
    for (int k = 0; k < TILE_ROWS; k++) widen(tiles[b][k], b_even[k], b_odd[k]);
    for (int i = 0; i < TILE_ROWS; i++) {
        float a_even[TILE_COLUMNS], a_odd[TILE_COLUMNS], even[TILE_COLUMNS] = {0},
                                                         odd[TILE_COLUMNS] = {0};
        widen(tiles[a][i], a_even, a_odd);
        for (int k = 0; k < TILE_ROWS; k++)
            for (int j = 0; j < TILE_COLUMNS; j++) {
                even[j] += a_even[k] * b_even[k][j];
                odd[j] += a_odd[k] * b_odd[k][j];
            }
        for (int j = 0; j < TILE_COLUMNS; j++) {
            const float sum = as_float(tiles[c][i][j]) + (even[j] + odd[j]);
            memcpy(&tiles[c][i][j], &sum, sizeof sum);
        }
    }
}
#endif
