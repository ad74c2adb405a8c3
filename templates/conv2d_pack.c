/* conv2d_pack.c: what Conv2D reads: packed kernels, and gradients stretched by strides. */
#include "conv2d.c"
#undef $name
#undef $X
#undef $Y

#define $name NAME__(kernel, __LINE__)
#define $X 14, 14, 32, 16, 1, 1, 16, 16, 2, 8192
#define $Y 14, 14, 48, 16, 1, 1, 16, 16, 3, 12288
#define $kernel 3, 3, 32, 48
#define $lanes 16
#define $turned 0
#define $strides 2, 2

//% conv2d_pack
/* The kernel (R, S, C, K) as conv2d reads it: groups of 32 outputs, of planes of inputs, of taps,
 * of inputs, of outputs. Turned: C are the outputs, K the inputs, and the last tap is the first. A
 * task is a plane of a group. */
KERNEL($name)
{
    const int size[] = {$kernel};
    enum { TURNED = $turned, V = $lanes };
    const int taps = size[0] * size[1], inputs = size[2 + TURNED], outputs = size[3 - TURNED];
    const int planes = (inputs + V - 1) / V, plane = task % planes, group = task / planes;
    const real *from = call->in[0];
    real *to = (real *)call->out[0] + (size_t)task * taps * V * GROUP;
    for (int t = 0; t < taps; t++)
        for (int i = plane * V; i < (plane + 1) * V; i++)
            for (int o = group * GROUP; o < (group + 1) * GROUP; o++) {
                const size_t tap = TURNED ? taps - 1 - t : t;
                const size_t c = TURNED ? o : i, k = TURNED ? i : o;
                const int real_weight = i < inputs && o < outputs;
                *to++ = real_weight ? from[(tap * size[2] + c) * size[3] + k] : 0;
            }
}

//% conv2d_stretch
/* x with zeros between its rows and columns. A task is a plane. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    const int strides[] = {$strides}, n = task / YB, b = task % YB;
    real *y = call->out[0];
    memset(AT(Y, y, n, b, -YT, -YL), 0, YPLANE * sizeof(real));
    for (int h = 0; h < XH; h++)
        for (int w = 0; w < XW; w++)
            memcpy(AT(Y, y, n, b, h * strides[0], w * strides[1]),
                   AT(X, (const real *)call->in[0], n, b, h, w), XV * sizeof(real));
}
