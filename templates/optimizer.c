/* optimizer.c: what an optimizer does to weights, given gradients. Constants of type float are
 * rounded where Keras rounds them, so that small numbers such as 1 - beta_2^t agree. */
#include "lanes.c"

#define $name NAME__(kernel, __LINE__)
#define $update sgd_head
#define $rate run->learning_rate
#define $penalty (real)0.01, (real)0.02
#define $steps 2
#define $sum slot[3] + from + i
#define $sums slot[3] + from
#define $mean sgd_head
#define $clip (real)0.5
#define $scale NAME(norm_scale)(slot[3], (real)1)
#define $weight_decay (real)0.004
#define $momentum (real)0.9
#define $nesterov 1
#define $rho (real)0.9
#define $rest (real)0.1
#define $rest_1 (real)0.1
#define $rest_2 (real)0.001
#define $epsilon (real)1e-7
#define $centered 1
#define $beta_1 (real)0.9
#define $beta_2 (real)0.999
#define $amsgrad 1
#define $count 100000
#define $part 16384
#define $slots (real *)call->in[2], (real *)call->in[3], (real *)call->in[4]

//% optimizers
/* Square roots of numbers that are not negative; sqrt itself may set errno, which keeps compilers
 * from using the vector instruction. */
INLINE Vec NAME(square_root)(Vec v)
{
#if LEVEL >= 1
    typedef float Eight __attribute__((vector_size(32)));
    Eight part[sizeof(Vec) / sizeof(Eight)];
    memcpy(part, &v, sizeof v);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        part[i] = __builtin_ia32_sqrtps256(part[i]);
    memcpy(&v, part, sizeof v);
#else
    for (int i = 0; i < VL; i++) v[i] = RM(sqrt)(v[i]);
#endif
    return v;
}

/* -1, 0 or 1. */
INLINE Vec NAME(sign)(Vec w) { return __builtin_convertvector((w < 0) - (w > 0), Vec); }

/* The gradient with its regulariser: l1 times the sign, l2 (twice the factor) times the weight. */
INLINE Vec NAME(with_penalty)(const real *g, Vec w, real l1, real l2, int count)
{
    Vec gradient = load_lanes(g, count);
    if (l1 != 0) gradient += l1 * NAME(sign)(w);
    if (l2 != 0) gradient += l2 * w;
    return gradient;
}

/* The weight after its decay. */
INLINE Vec NAME(decayed)(Vec w, real decay, real rate)
{
    if (decay != 0) w -= w * decay * rate;
    return w;
}

/* Where weights change every so many steps: gradients of the others are added up in sum. */
INLINE void NAME(accumulate)(const real *w, const real *g, real *sum, size_t count, real l1,
                             real l2)
{
    for (size_t i = 0; i < count; i += VL) {
        const int left = count - i < VL ? (int)(count - i) : VL;
        const Vec gradient = NAME(with_penalty)(g + i, load_lanes(w + i, left), l1, l2, left);
        store_lanes(sum + i, load_lanes(sum + i, left) + gradient, left);
    }
}

/* The gradient as the optimizer is given it: with its regulariser; the mean with those in sum, if
 * there are any, which is then empty; clipped to [-clip, clip] and scaled to a norm. */
INLINE Vec NAME(prepared)(const real *g, Vec w, real l1, real l2, real *sum, int steps, real clip,
                          real scale, int count)
{
    Vec gradient = NAME(with_penalty)(g, w, l1, l2, count);
    if (steps > 1) {
        gradient = (gradient + load_lanes(sum, count)) / (real)steps;
        store_lanes(sum, (Vec){0}, count);
    }
    if (clip > 0) {
        const Vec bound = (Vec){0} + clip;
        gradient = -vmax(bound * -1, vmax(bound * -1, gradient) * -1);
    }
    if (scale != 1) gradient *= scale;
    return gradient;
}

/* By which gradients with this sum of squares are brought to a norm of at most `limit`; NaN, as in
 * Keras, if they have none. */
INLINE real NAME(norm_scale)(const real *squares, real limit)
{
    const real norm = RM(sqrt)(squares[0]);
    return norm > limit && norm - norm == 0 ? limit / norm : 1 + (norm - norm);
}

//% sgd
INLINE void NAME($update)(const RtRun *run, real *w, const real *g, real *const slot[], size_t from,
                          size_t count)
{
    const real rate = $rate, momentum = $momentum;
    const real scale = $scale;
    for (size_t i = 0; i < count; i += VL) {
        const int left = count - i < VL ? (int)(count - i) : VL;
        real *at = w + from + i;
        Vec x = load_lanes(at, left);
        const Vec step =
            NAME(prepared)(g + i, x, $penalty, $sum, $steps, $clip, scale, left) * rate;
        x = NAME(decayed)(x, $weight_decay, rate);
        if (momentum != 0) {
            real *m = slot[0] + from + i;
            const Vec velocity = load_lanes(m, left) * momentum - step;
            store_lanes(m, velocity, left);
            if ($nesterov)
                x += velocity * momentum - step;
            else
                x += velocity;
        } else {
            x -= step;
        }
        store_lanes(at, x, left);
    }
}

//% end
#undef $update
#define $update rmsprop_head

//% rmsprop
INLINE void NAME($update)(const RtRun *run, real *w, const real *g, real *const slot[], size_t from,
                          size_t count)
{
    enum { CENTERED = $centered };
    const real rate = $rate, momentum = $momentum;
    const real scale = $scale;
    for (size_t i = 0; i < count; i += VL) {
        const int left = count - i < VL ? (int)(count - i) : VL;
        real *at = w + from + i, *square = slot[0] + from + i;
        Vec x = load_lanes(at, left);
        const Vec gradient = NAME(prepared)(g + i, x, $penalty, $sum, $steps, $clip, scale, left);
        const Vec velocity = $rho * load_lanes(square, left) + $rest * (gradient * gradient);
        Vec denominator = velocity + $epsilon;
        store_lanes(square, velocity, left);
        if (CENTERED) {
            real *average = slot[momentum != 0 ? 2 : 1] + from + i;
            const Vec mean = $rho * load_lanes(average, left) + $rest * gradient;
            store_lanes(average, mean, left);
            denominator = velocity - mean * mean + $epsilon;
        }
        Vec step = rate * gradient / NAME(square_root)(denominator);
        if (momentum != 0) {
            real *m = slot[1] + from + i;
            step += momentum * load_lanes(m, left);
            store_lanes(m, step, left);
        }
        store_lanes(at, NAME(decayed)(x, $weight_decay, rate) - step, left);
    }
}

//% end
#undef $update
#define $update adam_head

//% adam
INLINE void NAME($update)(const RtRun *run, real *w, const real *g, real *const slot[], size_t from,
                          size_t count)
{
    enum { AMSGRAD = $amsgrad, STEPS = $steps };
    const real rate = $rate, t = (real)(run->step / STEPS + 1);
    const real scale = $scale;
    const real alpha = rate * RM(sqrt)(1 - RM(pow)($beta_2, t)) / (1 - RM(pow)($beta_1, t));
    for (size_t i = 0; i < count; i += VL) {
        const int left = count - i < VL ? (int)(count - i) : VL;
        real *at = w + from + i, *mean = slot[0] + from + i, *square = slot[1] + from + i;
        Vec x = load_lanes(at, left), m = load_lanes(mean, left), v = load_lanes(square, left);
        const Vec gradient = NAME(prepared)(g + i, x, $penalty, $sum, STEPS, $clip, scale, left);
        m += (gradient - m) * $rest_1;
        v += (gradient * gradient - v) * $rest_2;
        store_lanes(mean, m, left);
        store_lanes(square, v, left);
        if (AMSGRAD) {
            real *largest = slot[2] + from + i;
            v = vmax(load_lanes(largest, left), v);
            store_lanes(largest, v, left);
        }
        const Vec step = m * alpha / (NAME(square_root)(v) + $epsilon);
        store_lanes(at, NAME(decayed)(x, $weight_decay, rate) - step, left);
    }
}
//% end
#undef $update
#define $update sgd_head_each

//% accumulated
/* Weights change every so many steps, by the mean gradient of these. */
INLINE void NAME($update)(const RtRun *run, real *w, const real *g, real *const slot[], size_t from,
                          size_t count)
{
    if ((run->step + 1) % $steps == 0)
        NAME($mean)(run, w, g, slot, from, count);
    else
        NAME(accumulate)(w + from, g, $sums, count, $penalty);
}
//% end

//% update
KERNEL($name)
{
    enum { COUNT = $count, PART = $part };
    const size_t from = (size_t)task * PART, left = COUNT - from;
    real *const slot[] = {$slots};
    const size_t count = left < PART ? left : PART;
    const real *gradient = (const real *)call->in[1] + from;
    NAME($update)(call->run, (real *)call->in[0], gradient, slot, from, count);
}
