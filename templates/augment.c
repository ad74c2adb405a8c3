/* augment.c: random changes of pictures, one draw a picture; tasks are bands of rows, or planes. */
#include "level.c"

#define $name NAME__(kernel, __LINE__)
#define $X 37, 37, 3, 3, 0, 0, 37, 37, 1, 4107
#define $Y 37, 37, 3, 3, 1, 1, 39, 39, 1, 4563
#define $stream 1
#define $random 1
#define $horizontal 1
#define $vertical 0
#define $map rotation
#define $first (real)-0.1, (real)0.1
#define $second (real)-0.1, (real)0.1
#define $together 1
#define $fill_mode FILL_REFLECT
#define $bilinear 1
#define $fill_value (real)0
#define $factor (real)0.8, (real)1.2
#define $limits (real)0, (real)255

//% flip
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { BAND = 16, BANDS = (YH + BAND - 1) / BAND };
    const int plane = task / BANDS, n = plane / YB, block = plane % YB;
    const int first = task % BANDS * BAND, end = first + BAND < YH ? first + BAND : YH;
    real *y = call->out[0];
    uint32_t words[4];
    rt_random4(call->run, $stream, call->run->sample[call->first + n], 0, words);
    const int flip = rt_unit(words[0]) <= (real)0.5;
    zero_halo(y + (size_t)plane * YPLANE, first, end, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = first; h < end; h++) {
        const int row = flip && $vertical ? YH - 1 - h : h;
        const real *from = AT(X, (const real *)call->in[0], n, block, row, 0);
        real *to = AT(Y, y, n, block, h, 0);
        if (flip && $horizontal)
            for (int w = 0; w < YW; w++)
                memcpy(to + w * YV, from + (YW - 1 - w) * XV, YV * sizeof(real));
        else
            memcpy(to, from, (size_t)YW * YV * sizeof(real));
    }
}

//% crop
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { BAND = 16, BANDS = (YH + BAND - 1) / BAND };
    const int plane = task / BANDS, n = plane / YB, block = plane % YB;
    const int first = task % BANDS * BAND, end = first + BAND < YH ? first + BAND : YH;
    int top = (XH - YH) / 2, left = (XW - YW) / 2;
    real *y = call->out[0];
    if ($random) {
        uint32_t words[4];
        rt_random4(call->run, $stream, call->run->sample[call->first + n], 0, words);
        top = (int)(rt_unit(words[0]) * (XH - YH + 1));
        left = (int)(rt_unit(words[1]) * (XW - YW + 1));
    }
    zero_halo(y + (size_t)plane * YPLANE, first, end, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = first; h < end; h++)
        memcpy(AT(Y, y, n, block, h, 0), AT(X, (const real *)call->in[0], n, block, h + top, left),
               (size_t)YW * YV * sizeof(real));
}

//% affine_maps
/* An affine map says from which point (x, y) of the input a pixel of the output comes:
 * x = m[0] w + m[1] h + m[2], y = m[3] w + m[4] h + m[5]. The centre stays where it is in all but
 * translations. `first` and `second` were drawn for height (or angle) and width. */
INLINE void NAME(rotation)(real m[6], real first, real second, int height, int width)
{
    const real angle = first * (real)6.283185307179586, c = RM(cos)(angle), s = RM(sin)(angle);
    const real x = (width - 1) * (real)0.5, y = (height - 1) * (real)0.5;
    (void)second;
    memcpy(m, (real[6]){c, -s, x - x * c + y * s, s, c, y - x * s - y * c}, 6 * sizeof(real));
}

INLINE void NAME(zoom)(real m[6], real first, real second, int height, int width)
{
    const real x = (width - 1) * (real)0.5, y = (height - 1) * (real)0.5;
    memcpy(m, (real[6]){1 + second, 0, -x * second, 0, 1 + first, -y * first}, 6 * sizeof(real));
}

INLINE void NAME(translation)(real m[6], real first, real second, int height, int width)
{
    memcpy(m, (real[6]){1, 0, -second * width, 0, 1, -first * height}, 6 * sizeof(real));
}

enum {
    NAME(FILL_REFLECT_), /* d c b a | a b c d | d c b a */
    NAME(FILL_CONSTANT_),
    NAME(FILL_WRAP_),    /* a b c d | a b c d | a b c d */
    NAME(FILL_NEAREST_), /* a a a a | a b c d | d d d d */
};
#define FILL_REFLECT NAME(FILL_REFLECT_)
#define FILL_CONSTANT NAME(FILL_CONSTANT_)
#define FILL_WRAP NAME(FILL_WRAP_)
#define FILL_NEAREST NAME(FILL_NEAREST_)

/* A coordinate beyond 0..size - 1, brought inside as TensorFlow's projective transform does. */
INLINE real NAME(fill)(real x, int size, int mode)
{
    const real last = (real)(size - 1);
    if (mode == FILL_CONSTANT || (x >= 0 && x <= last)) return x;
    if (mode == FILL_REFLECT) {
        const real period = (real)(2 * size);
        if (x < 0) x = -x - 1;
        x -= period * (real)(int)(x / period);
        if (x >= size) x = period - x - 1;
    }
    if (mode == FILL_WRAP && size > 1)
        x += (real)size * (real)(x < 0 ? (int)(-x / last) + 1 : -(int)(x / last));
    return x < 0 ? 0 : x > last ? last : x;
}

/* Pixel (row, column) of plane (n, block) of x, or the one that stands for all beyond the edge. */
#define PIXEL(row, column)                                                                         \
    ((row) < 0 || (row) >= XH || (column) < 0 || (column) >= XW                                    \
         ? beyond                                                                                  \
         : AT(X, x, n, block, row, column))

//% affine
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { BAND = 16, BANDS = (YH + BAND - 1) / BAND };
    static const real first_range[] = {$first}, second_range[] = {$second};
    const int plane = task / BANDS, n = plane / YB, block = plane % YB;
    const int begin = task % BANDS * BAND, end = begin + BAND < YH ? begin + BAND : YH;
    const real *x = call->in[0];
    real *y = call->out[0], m[6], beyond[YV];
    uint32_t words[4];
    rt_random4(call->run, $stream, call->run->sample[call->first + n], 0, words);
    const real first = first_range[0] + rt_unit(words[0]) * (first_range[1] - first_range[0]);
    const real second = second_range[0] + rt_unit(words[1]) * (second_range[1] - second_range[0]);
    for (int v = 0; v < YV; v++) beyond[v] = $fill_value;
    NAME($map)(m, first, $together ? first : second, YH, YW);
    zero_halo(y + (size_t)plane * YPLANE, begin, end, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = begin; h < end; h++)
        for (int w = 0; w < YW; w++) {
            const real at_x = NAME(fill)(m[0] * w + m[1] * h + m[2], XW, $fill_mode);
            const real at_y = NAME(fill)(m[3] * w + m[4] * h + m[5], XH, $fill_mode);
            const int near = at_x > -1 && at_x < XW && at_y > -1 && at_y < XH;
            real *to = AT(Y, y, n, block, h, w);
            if (!near || !$bilinear) {
                const int row = near ? (int)RM(round)(at_y) : -1;
                const int column = near ? (int)RM(round)(at_x) : -1;
                memcpy(to, PIXEL(row, column), sizeof beyond);
                continue;
            }
            const int row = (int)RM(floor)(at_y), column = (int)RM(floor)(at_x);
            const real down = at_y - (real)row, across = at_x - (real)column;
            const real *a = PIXEL(row, column), *b = PIXEL(row, column + 1);
            const real *c = PIXEL(row + 1, column), *d = PIXEL(row + 1, column + 1);
            for (int v = 0; v < YV; v++) {
                const real top = (1 - across) * a[v] + across * b[v];
                const real bottom = (1 - across) * c[v] + across * d[v];
                to[v] = (1 - down) * top + down * bottom;
            }
        }
}

//% contrast
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    static const real range[] = {$factor}, limits[] = {$limits};
    const int n = task / YB, block = task % YB;
    const real *x = call->in[0];
    real *y = call->out[0];
    uint32_t words[4];
    rt_random4(call->run, $stream, call->run->sample[call->first + n], 0, words);
    const real factor = range[0] + rt_unit(words[0]) * (range[1] - range[0]);
    zero_halo(y + (size_t)task * YPLANE, 0, YH, YH, YW, YV, YT, YL, YHP, YWP);
    for (int v = 0; v < YV; v++) {
        real total = 0;
        for (int h = 0; h < YH; h++) {
            real sum = 0;
            for (int w = 0; w < YW; w++) sum += AT(X, x, n, block, h, w)[v];
            total += sum;
        }
        const real mean = total / (YH * YW);
        for (int pixel = 0; pixel < YH * YW; pixel++) {
            const int h = pixel / YW, w = pixel % YW;
            const real value = (AT(X, x, n, block, h, w)[v] - mean) * factor + mean;
            real *to = AT(Y, y, n, block, h, w);
            to[v] = value < limits[0] ? limits[0] : value > limits[1] ? limits[1] : value;
        }
    }
}

//% brightness
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { BAND = 16, BANDS = (YH + BAND - 1) / BAND };
    static const real range[] = {$factor}, limits[] = {$limits};
    const int plane = task / BANDS, n = plane / YB, block = plane % YB;
    const int first = task % BANDS * BAND, end = first + BAND < YH ? first + BAND : YH;
    real *y = call->out[0];
    uint32_t words[4];
    rt_random4(call->run, $stream, call->run->sample[call->first + n], 0, words);
    const real factor = range[0] + rt_unit(words[0]) * (range[1] - range[0]);
    const real added = factor * (limits[1] - limits[0]);
    zero_halo(y + (size_t)plane * YPLANE, first, end, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = first; h < end; h++) {
        const real *from = AT(X, (const real *)call->in[0], n, block, h, 0);
        real *to = AT(Y, y, n, block, h, 0);
        for (int i = 0; i < YW * YV; i++) {
            const real value = from[i] + added;
            to[i] = value < limits[0] ? limits[0] : value > limits[1] ? limits[1] : value;
        }
    }
}
