/* accuracy.c: holds the results of generated kernels against plain loops in double.
 *
 *   cc -DNO_MAIN … accuracy.c reference.c model.c libtlcrt.a
 *   TLC_LEVEL=avx2 accuracy highest
 *
 * The model, named "shape", is a chain of layers that reference.c knows and of those that only name
 * shapes anew, with one phase that trains by SGD with learning rate 1 and the mean squared error.
 * Checked are the outputs of evaluate for several numbers of pictures, those of a training step,
 * and the gradient of the first kernel, on inputs as ReLU leaves them and on signed ones; each with
 * 1 to 4 threads, which must give the same bits. The gradient is taken where the first kernel is
 * zero; what follows then sees sums that are exact, so that no ReLU falls to the other side. Behind
 * a first dense layer with one input per picture that gradient is the dx of what follows. Prints
 * what is wrong; exits 1 if anything is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../random.h"
#include "ground.h"
#include "session.h"
#include "reference.h"

extern const RtModel shape_model;

#define MODEL shape_model

enum { SEED = 11, MOST_THREADS = 4, MOST_LAYERS = 8 };
static const double KERNEL_LIMIT = 4e-6; /* of a convolution's gradient; of results: limit_of */

static size_t count_of(int rank, const int *dims)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dims[i];
    return count;
}

/* ---- A model and what it should give --------------------------------------------------------- */

typedef struct {
    RtRun run;
    const RtPhase *phase;
    Step steps[MOST_LAYERS]; /* layers that compute */
    int count, weighted;     /* steps; those with weights */
    int most;                /* pictures that x has room for */
    float *x, *target, *out, *loss;
    float *weights[2 * MOST_LAYERS];            /* values to start from */
    double *values[MOST_LAYERS + 1], *gradient; /* values[i]: what step i reads */
} Test;

static size_t weight_size(int i) { return count_of(MODEL.weights[i].rank, MODEL.weights[i].dims); }

static size_t input_size(void)
{
    return (size_t)MODEL.height * (size_t)MODEL.width * (size_t)MODEL.channels;
}

static int first_kernel(const Test *t) { return t->steps[0].layer->first_weight; }

static Step make_step(const Test *t, const RtLayer *l, const RtLayer *below)
{
    Step s = {.layer = l, .in = {0, MODEL.height, MODEL.width, MODEL.channels}};
    if (below) memcpy(s.in, below->dims, sizeof s.in);
    memcpy(s.out, l->dims, sizeof s.out);
    s.in_size = below ? count_of(below->rank - 1, below->dims + 1) : input_size();
    s.out_size = count_of(l->rank - 1, l->dims + 1);
    if (l->weights) {
        s.kernel = t->weights[l->first_weight];
        s.kernel_dims = MODEL.weights[l->first_weight].dims;
    }
    if (l->weights > 1) s.bias = t->weights[l->first_weight + 1];
    return s;
}

static void find_steps(Test *t)
{
    for (int i = 0; i < MODEL.layer_count; i++) {
        const RtLayer *l = &MODEL.layers[i];
        if (strcmp(l->type, "Flatten") == 0 || strcmp(l->type, "Reshape") == 0) continue;
        if (!reference_of(l)) {
            fprintf(stderr, "no reference for %s\n", l->type);
            exit(2);
        }
        t->steps[t->count++] = make_step(t, l, i > 0 ? l - 1 : NULL);
        t->weighted += l->weights > 0;
    }
}

static void run_forward(Test *t)
{
    for (size_t i = 0; i < (size_t)t->most * input_size(); i++) t->values[0][i] = t->x[i];
    for (int i = 0; i < t->count; i++) {
        t->steps[i].n = t->most;
        reference_of(t->steps[i].layer)->forward(&t->steps[i], t->values[i], t->values[i + 1]);
    }
}

/* The gradient of the first kernel on n pictures, to t->gradient, after run_forward. */
static void run_backward(Test *t, int n)
{
    const size_t count = (size_t)n * (size_t)MODEL.output_size;
    double *dy = rt_alloc(count, sizeof *dy);
    for (size_t i = 0; i < count; i++)
        dy[i] = 2 * (t->values[t->count][i] - t->target[i]) / (double)count;
    for (int i = t->count - 1; i >= 0; i--) {
        Step *s = &t->steps[i];
        const int weights = s->layer->weights ? (int)weight_size(s->layer->first_weight) : 0;
        double *dx = i > 0 ? rt_alloc((size_t)n * s->in_size, sizeof *dx) : NULL;
        double *dw = rt_alloc((size_t)weights, sizeof *dw);
        s->n = n;
        reference_of(s->layer)->backward(s, t->values[i], dy, dx, dw);
        free(dy);
        dy = dx;
        if (i == 0) memcpy(t->gradient, dw, (size_t)weights * sizeof *dw);
        free(dw);
    }
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool is_near(const char *what, int n, const float *got, const double *expected, size_t count,
                    double scale, double limit)
{
    double errors = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        const double error = scale * got[i] - expected[i];
        errors += error * error;
        squares += expected[i] * expected[i];
    }
    const double error = errors > 0 ? sqrt(errors / squares) : errors;
    if (getenv("VERBOSE")) printf("%s, %d pictures: %.2g\n", what, n, error);
    if (error <= limit) return true;
    printf("%s, %d pictures: relative rms error %.2g, allowed %.2g\n", what, n, error, limit);
    return false;
}

static bool is_same(const char *what, const float *got, float **kept, size_t count)
{
    if (!*kept) *kept = memcpy(rt_alloc(count, sizeof **kept), got, count * sizeof **kept);
    if (memcmp(*kept, got, count * sizeof **kept) == 0) return true;
    printf("%s: other bits with another number of threads\n", what);
    return false;
}

/* Everything that the program must write itself is NaN. */
static void set_weights(const Test *t)
{
    memset(t->run.arena, 0xff, MODEL.arena_bytes);
    for (int i = 0; i < MODEL.weight_count; i++)
        memcpy(t->run.arena + MODEL.weights[i].offset, t->weights[i],
               weight_size(i) * sizeof(float));
}

static bool check_evaluate(Test *t, int n, double limit, float **kept)
{
    const size_t count = (size_t)n * (size_t)MODEL.output_size;
    set_weights(t);
    t->phase->prepare_evaluate(&t->run);
    t->phase->evaluate(&t->run, t->x, t->target, n, t->out, t->loss);
    return is_near("evaluate", n, t->out, t->values[t->count], count, 1, limit) &
           is_same("evaluate", t->out, kept, count);
}

static bool check_train(Test *t, int n, double limit, float **kept)
{
    const size_t count = (size_t)n * (size_t)MODEL.output_size;
    set_weights(t);
    t->phase->prepare_train(&t->run);
    t->phase->train(&t->run, t->x, t->target, n, t->out);
    return is_near("train", n, t->out, t->values[t->count], count, 1, limit) &
           is_same("train", t->out, kept, count);
}

/* One limit a layer that the gradient comes through, and that of the kernel's own sums, which are
 * longer in a convolution, and none where x is one number. */
static double gradient_limit(const Test *t, double limit)
{
    const bool is_convolution = MODEL.weights[first_kernel(t)].rank == 4;
    const double own = is_convolution ? fmax(limit, KERNEL_LIMIT) : input_size() > 1 ? limit : 0;
    return (t->weighted - 1) * limit + own;
}

/* The first kernel starts from zero: so the step leaves minus the gradient there, exactly. */
static bool check_gradient(Test *t, int n, double limit, float **kept)
{
    const int first = first_kernel(t);
    const float *after = (const float *)(t->run.arena + MODEL.weights[first].offset);
    set_weights(t);
    t->phase->prepare_train(&t->run);
    t->phase->train(&t->run, t->x, t->target, n, t->out);
    return is_near("gradient", n, after, t->gradient, weight_size(first), -1,
                   gradient_limit(t, limit)) &
           is_same("gradient", after, kept, weight_size(first));
}

/* ---- All of it ------------------------------------------------------------------------------- */

typedef bool Check(Test *t, int n, double limit, float **kept);

static bool with_threads(Test *t, Check *check, int n, double limit)
{
    bool ok = true;
    float *kept = NULL;
    RtPool *const pool = t->run.pool;
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        t->run.pool = rt_pool_open(threads);
        ok = check(t, n, limit, &kept) && ok;
        rt_pool_close(t->run.pool);
    }
    t->run.pool = pool;
    free(kept);
    return ok;
}

static int next_count(const Test *t, int n)
{
    return n < 3 || n >= t->most - 1 ? n + 1 : t->most - 1;
}

static bool check_results(Test *t, double limit)
{
    bool ok = true;
    run_forward(t);
    for (int n = 1; n <= t->most; n = next_count(t, n)) {
        if (n <= MODEL.infer_batch)
            ok = with_threads(t, check_evaluate, n, t->weighted * limit) && ok;
        ok = with_threads(t, check_train, n, t->weighted * limit) && ok;
    }
    return ok;
}

static bool check_gradients(Test *t, double limit)
{
    bool ok = true;
    const int first = first_kernel(t);
    const size_t bytes = weight_size(first) * sizeof(float);
    if (!t->phase->trainable[first]) return true;
    float *kernel = memcpy(rt_alloc(1, bytes), t->weights[first], bytes);
    memset(t->weights[first], 0, bytes);
    run_forward(t);
    for (int n = 1; n <= t->most; n = next_count(t, n)) {
        run_backward(t, n);
        ok = with_threads(t, check_gradient, n, limit) && ok;
    }
    memcpy(t->weights[first], kernel, bytes);
    free(kernel);
    return ok;
}

/* Post-ReLU: half of the numbers are zero, and some channels are zero in all pictures. One number a
 * picture is positive, so that the pictures' gradients do not cancel out. */
static void choose_input(Test *t, bool is_signed)
{
    const size_t channels = (size_t)MODEL.channels, count = (size_t)t->most * input_size();
    fill_random(t->x, count, SEED, 1);
    for (size_t i = 0; i < count; i++)
        if (input_size() == 1)
            t->x[i] = fabsf(t->x[i]);
        else if (!is_signed && (t->x[i] < 0 || (channels > 4 && i % channels * 7 % 16 < 5)))
            t->x[i] = 0;
}

static void open_test(Test *t)
{
    t->phase = &MODEL.phases[0];
    t->most = t->phase->batch;
    t->run = (RtRun){.seed = SEED, .learning_rate = 1, .kernels = MODEL.kernels[rt_level()]};
    rt_run_open(&t->run, &MODEL, MOST_THREADS);
    for (int i = 0; i < MODEL.weight_count; i++) {
        t->weights[i] = rt_alloc(weight_size(i), sizeof(float));
        fill_random(t->weights[i], weight_size(i), SEED, (uint32_t)(100 + i));
    }
    find_steps(t);
    t->x = rt_alloc((size_t)t->most * input_size(), sizeof *t->x);
    t->target = rt_alloc((size_t)t->most * (size_t)MODEL.output_size, sizeof *t->target);
    t->out = rt_alloc((size_t)t->most * (size_t)MODEL.output_size, sizeof *t->out);
    t->loss = rt_alloc((size_t)t->most, sizeof *t->loss);
    t->gradient = rt_alloc(weight_size(first_kernel(t)), sizeof *t->gradient);
    t->values[0] = rt_alloc((size_t)t->most * input_size(), sizeof **t->values);
    for (int i = 0; i < t->count; i++)
        t->values[i + 1] = rt_alloc((size_t)t->most * t->steps[i].out_size, sizeof **t->values);
    fill_random(t->target, (size_t)t->most * (size_t)MODEL.output_size, SEED, 2);
}

static void close_test(Test *t)
{
    rt_run_close(&t->run, &MODEL);
    for (int i = 0; i < MODEL.weight_count; i++) free(t->weights[i]);
    for (int i = 0; i <= t->count; i++) free(t->values[i]);
    free(t->x);
    free(t->target);
    free(t->out);
    free(t->loss);
    free(t->gradient);
}

static double limit_of(const char *precision)
{
    return strcmp(precision, "medium") == 0 ? 5e-3 : strcmp(precision, "high") == 0 ? 5e-6 : 2e-6;
}

int main(int argc, char **argv)
{
    bool ok = true;
    Test t = {0};
    const double limit = limit_of(argc > 1 ? argv[1] : "highest");
    open_test(&t);
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        choose_input(&t, is_signed);
        ok = check_results(&t, limit) && ok;
        ok = check_gradients(&t, limit) && ok;
    }
    close_test(&t);
    return ok ? 0 : 1;
}
