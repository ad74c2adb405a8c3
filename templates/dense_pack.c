/* dense_pack.c: what stands beside Dense: chunks of its sums added up, W in 16 bits. */
#include "dense.c"
#undef $name
#undef $rows
#undef $stride

#define $name NAME__(kernel, __LINE__)
#define $rows 64
#define $stride 96

//% dense_sum
/* Adds up the chunks. A task is a row. */
KERNEL($name)
{
    enum { OUT = $out, CHUNKS = $chunks };
    const real *sums = (const real *)call->out[1] + (size_t)task * CHUNKS * OUT, *bias = $bias;
    real *y = (real *)call->out[0] + (size_t)task * OUT;
    for (int c = 0; c < OUT; c += VL) {
        const int count = OUT - c < VL ? OUT - c : VL;
        Vec v = load_lanes(sums + c, count);
        for (int i = 1; i < CHUNKS; i++) v += load_lanes(sums + i * OUT + c, count);
        if (bias) v += load_lanes(bias + c, count);
        store_lanes(y + c, $epilogue, count);
    }
}

//% dense_pack
/* W in 16 bits: the upper halves of its numbers, rounded to nearest even; zeros behind each row. A
 * task is $rows rows. */
KERNEL($name)
{
    enum { IN = $in, OUT = $out };
    const int first = task * $rows, last = first + $rows < IN ? first + $rows : IN;
    for (int k = first; k < last; k++) {
        const real *from = (const real *)call->in[0] + (size_t)k * OUT;
        uint16_t *to = (uint16_t *)call->out[0] + (size_t)k * $stride;
        for (int c = 0; c < OUT; c++) {
            const float single = (float)from[c];
            uint32_t bits;
            memcpy(&bits, &single, sizeof bits);
            to[c] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        }
        memset(to + OUT, 0, ($stride - OUT) * sizeof *to);
    }
}
