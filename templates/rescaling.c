/* rescaling.c: preprocess_input for pixels of three channels, in any layout. */
#include "level.c"

#define $name NAME__(kernel, __LINE__)
#define $X 37, 37, 3, 3, 0, 0, 37, 37, 1, 4107
#define $Y 37, 37, 3, 3, 1, 1, 39, 39, 1, 4563
#define $reverse 1
#define $divisor (real)1
#define $means (real)103.939, (real)116.779, (real)123.68
#define $deviations (real)1, (real)1, (real)1

//% preprocess
/* y = (x / divisor - mean) / deviation, in Keras's order of operations, so that the bits agree; a
 * task a band of rows. */
KERNEL($name)
{
    SHAPE(X, $X);
    SHAPE(Y, $Y);
    enum { BAND = 16, BANDS = (YH + BAND - 1) / BAND, REVERSE = $reverse };
    static const real divisor = $divisor, means[] = {$means}, deviations[] = {$deviations};
    const int n = task / BANDS, first = task % BANDS * BAND;
    const int end = first + BAND < YH ? first + BAND : YH;
    real *y = call->out[0];
    zero_halo(y + (size_t)n * YSIZE, first, end, YH, YW, YV, YT, YL, YHP, YWP);
    for (int h = first; h < end; h++) {
        const real *from = AT(X, (const real *)call->in[0], n, 0, h, 0);
        real *to = AT(Y, y, n, 0, h, 0);
        for (int w = 0; w < YW; w++, from += XV, to += YV) {
            real pixel[3];
            for (int c = 0; c < 3; c++) pixel[c] = from[REVERSE ? 2 - c : c];
            for (int c = 0; c < YV; c++)
                to[c] = c < 3 ? (pixel[c] / divisor - means[c]) / deviations[c] : 0;
        }
    }
}
