/* clip.c: sums of the squares of gradients, in an order that no number of threads changes. */
#include "optimizer.c"
#undef $name
#undef $count
#undef $part
#undef $steps

#define $name NAME__(kernel, __LINE__)
#define $count 100000
#define $part 16384
#define $steps 2
#define $parts 7
#define $before 1

//% square_sum
/* A task is a part of the gradient in in[0], of the weight in in[1] and of what is accumulated in
 * in[2]. Vectors are added up in double every so often, so that errors stay small. */
KERNEL($name)
{
    enum { COUNT = $count, PART = $part, RUN = 256 };
    const size_t from = (size_t)task * PART, left = COUNT - from;
    const size_t count = left < PART ? left : PART;
    const real *g = (const real *)call->in[0] + from, *w = (const real *)call->in[1] + from;
    const real *before = $steps > 1 ? (const real *)call->in[2] + from : NULL;
    double total = 0;
    for (size_t run = 0; run < count; run += RUN) {
        Vec sum = {0};
        for (size_t i = run; i < run + RUN && i < count; i += VL) {
            const int lanes = count - i < VL ? (int)(count - i) : VL;
            Vec gradient = NAME(with_penalty)(g + i, load_lanes(w + i, lanes), $penalty, lanes);
            if (before) gradient = (gradient + load_lanes(before + i, lanes)) / (real)$steps;
            sum += gradient * gradient;
        }
        for (int i = 0; i < VL; i++) total += sum[i];
    }
    ((real *)call->out[0])[task] = (real)total;
}

//% add_sums
/* The parts in in[0], and the sum before in in[1]; one task. */
KERNEL($name)
{
    const real *parts = call->in[0];
    double total = 0;
    if (task > 0) return;
    if ($before) total = ((const real *)call->in[1])[0];
    for (int i = 0; i < $parts; i++) total += parts[i];
    ((real *)call->out[0])[0] = (real)total;
}
