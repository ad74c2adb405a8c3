/* dropout.c: numbers that become 0 at random. */
#include "level.c"

#define $name NAME__(kernel, __LINE__)
#define $X 7, 7, 20, 16, 0, 0, 7, 7, 2, 1568
#define $Y 7, 7, 20, 16, 1, 1, 9, 9, 2, 2592
#define $stream 3
#define $rate (real)0.25
#define $scale (real)1.3333333333333333

//% dropout
/* Number i of a picture, counted in the order H, W, C whatever the layout, is decided by word i % 4
 * of draw i / 4. A task a plane. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int n = task / YB, block = task % YB;
    const uint64_t sample = call->run->sample[call->first + n];
    real *y = call->out[0];
    uint32_t words[4] = {0}, drawn = UINT32_MAX;
    zero_halo(y + (size_t)task * YPLANE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    for (int pixel = 0; pixel < YH * YW; pixel++) {
        const real *from = AT(X, (const real *)call->in[0], n, block, pixel / YW, pixel % YW);
        real *to = AT(Y, y, n, block, pixel / YW, pixel % YW);
        for (int v = 0; v < YV; v++) {
            const int c = block * YV + v;
            const uint32_t i = (uint32_t)pixel * YC + (uint32_t)c;
            if (c < YC && i / 4 != drawn) {
                drawn = i / 4;
                rt_random4(call->run, $stream, sample, drawn, words);
            }
            to[v] = c < YC && rt_unit(words[i % 4]) >= $rate ? from[v] * $scale : 0;
        }
    }
}
