/* bias_grad.c: the gradient of a bias: the sum of dy over pictures and pixels. */
#include "tile.c"

#define $name NAME__(kernel, __LINE__)
#define $Y 14, 14, 48, 16, 1, 1, 16, 16, 3, 12288
#define $apply memcpy((real *)call->out[0] + from, g, count * sizeof(real))

//% sums
#define add_and_clear NAME(add_and_clear)
INLINE void add_and_clear(Vec *sum, Vec *part)
{
    UNROLL for (int i = 0; i < BV; i++)
    {
        sum[i] += part[i];
        part[i] = (Vec){0};
    }
}

//% bias_grad
/* A task is 16 channels. Rows, pictures and batch are summed apart, so that errors stay small. */
KERNEL($name)
{
    SHAPE(Y, $Y);
    const size_t from = (size_t)task * RT_LANES,
                 count = YC - from < RT_LANES ? YC - from : RT_LANES;
    const int filled = YV - from % YV < RT_LANES ? YV - from % YV : RT_LANES;
    Vec sum[BV] = {0}, picture[BV] = {0}, row[BV] = {0};
    for (int n = 0; n < call->n; n++) {
        for (int h = 0; h < YH; h++) {
            const real *dy = AT(Y, (const real *)call->in[0], n, from / YV, h, 0) + from % YV;
            for (int w = 0; w < YW; w++, dy += YV)
                UNROLL for (int i = 0; i < BV; i++)
                    if (i * VL < filled) row[i] += load_lanes(dy + i * VL, filled - i * VL);
            add_and_clear(picture, row);
        }
        add_and_clear(sum, picture);
    }
    const real *g = (const real *)sum;
    $apply;
}
