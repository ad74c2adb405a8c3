/* conv2d_amx_pack.c: kernels of Conv2D as conv2d_amx reads them. */
#include "conv2d_amx.c"
#undef $name

#define $name conv2d_amx_pack_example
#define $kernel 3, 3, 48, 48
#define $lanes 16
#define $turned 0
#define $terms 2

//% conv2d_amx_pack
/* The kernel (R, S, C, K) as conv2d_amx reads it: groups of 32 outputs, of 32 inputs, of taps, of
 * terms, of 16 outputs, of pairs of inputs, of outputs. Turned as in conv2d_pack. A task is 32
 * inputs of a group. */
KERNEL($name)
{
    const int size[] = {$kernel};
    enum { TURNED = $turned, V = $lanes, FEW = V < RT_LANES, TERMS = $terms };
    const int all_taps = size[0] * size[1], inputs = size[2 + TURNED], outputs = size[3 - TURNED];
    const int steps = ((FEW ? all_taps * V : inputs) + TILE_DEPTH - 1) / TILE_DEPTH;
    const int taps = FEW ? 1 : all_taps, step = task % steps, group = task / steps;
    const real *from = call->in[0];
    uint16_t *to = (uint16_t *)call->out[0] + (size_t)task * taps * TERMS * 2 * TILE_SIZE;
    for (int t = 0; t < taps; t++, to += TERMS * 2 * TILE_SIZE)
        for (int i = 0; i < TILE_DEPTH; i++)
            for (int j = 0; j < GROUP; j++) {
                const int place = step * TILE_DEPTH + i, o = group * GROUP + j;
                const int tap = FEW ? place / V : TURNED ? all_taps - 1 - t : t;
                const int input = FEW ? place % V : place;
                const size_t c = TURNED ? o : input, k = TURNED ? input : o;
                const int real_weight = tap < all_taps && input < inputs && o < outputs;
                float rest = real_weight ? from[(tap * size[2] + c) * size[3] + k] : 0;
                for (int term = 0; term < TERMS; term++) {
                    const uint16_t bits = bf16_of(rest);
                    to[(term * 2 + j / 16) * TILE_SIZE + i / 2 * TILE_DEPTH + j % 16 * 2 + i % 2] =
                        bits;
                    rest -= float_of(bits);
                }
            }
}
