/* accuracy.c: holds the results of generated kernels against plain loops in double.
 *
 *   cc -DNO_MAIN -DMODEL=name_model … accuracy.c model.c libtlcrt.a
 *   TLC_LEVEL=avx2 accuracy highest
 *
 * The model is a chain of layers without activations of the types below, with one phase that trains
 * by SGD with learning rate 1 and the mean squared error. Checked are the outputs of evaluate for
 * every number of pictures, those of a training step, and the gradient of the first kernel, on
 * inputs as ReLU leaves them and on signed ones; each with 1 to 4 threads, which must give the same
 * bits. A layer type more is a pair of functions more. Prints what is wrong; exits 1 if anything
 * is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

extern const RtModel MODEL;

enum { SEED = 11, MOST_THREADS = 4, MOST_LAYERS = 8 };
static const double GRADIENT_LIMIT = 4e-6; /* relative rms error; of results: limit_of */

static size_t count_of(int rank, const int *dims)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dims[i];
    return count;
}

static size_t picture_size(const RtLayer *l) { return count_of(l->rank - 1, l->dims + 1); }

/* Numbers in [-1, 1), the same on every run. */
static void fill_random(float *values, size_t count, uint32_t purpose)
{
    const RtRun run = {.seed = SEED};
    uint32_t words[4];
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0) rt_random4(&run, purpose, 0, (uint32_t)(i / 4), words);
        values[i] = 2 * rt_unit(words[i % 4]) - 1;
    }
}

/* ---- The layers, in double ------------------------------------------------------------------- */

/* One layer on n pictures: what it reads and gives. */
typedef struct {
    const RtLayer *layer;
    const float *kernel, *bias; /* bias may be NULL */
    int n;
    const RtLayer *below; /* NULL: x is the model's input */
} Step;

typedef void Forward(const Step *s, const double *x, double *y);
typedef void Backward(const Step *s, const double *x, const double *dy, double *dx, double *dw);

static const int *kernel_dims(const Step *s) { return MODEL.weights[s->layer->first_weight].dims; }

static void dense(const Step *s, const double *x, double *y)
{
    const size_t in = (size_t)kernel_dims(s)[0], out = (size_t)kernel_dims(s)[1];
    const size_t rows = (size_t)s->n * picture_size(s->layer) / out;
    for (size_t r = 0; r < rows; r++, x += in, y += out) {
        for (size_t o = 0; o < out; o++) y[o] = s->bias ? s->bias[o] : 0;
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++) y[o] += x[i] * s->kernel[i * out + o];
    }
}

static void dense_back(const Step *s, const double *x, const double *dy, double *dx, double *dw)
{
    const size_t in = (size_t)kernel_dims(s)[0], out = (size_t)kernel_dims(s)[1];
    const size_t rows = (size_t)s->n * picture_size(s->layer) / out;
    for (size_t r = 0; r < rows; r++, x += in, dx += in, dy += out)
        for (size_t i = 0; i < in; i++) {
            dx[i] = 0;
            for (size_t o = 0; o < out; o++) {
                dx[i] += dy[o] * s->kernel[i * out + o];
                dw[i * out + o] += x[i] * dy[o];
            }
        }
}

static const struct {
    const char *type;
    Forward *forward;
    Backward *backward;
} kinds[] = {{"Dense", dense, dense_back}};

static size_t kind_of(const RtLayer *layer)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, layer->type) == 0) return i;
    fprintf(stderr, "no reference for %s\n", layer->type);
    exit(2);
}

/* ---- A model and what it should give --------------------------------------------------------- */

typedef struct {
    RtRun run;
    const RtPhase *phase;
    Step steps[MOST_LAYERS]; /* layers with weights */
    int count, most;         /* steps; pictures that x has room for */
    float *x, *target, *out, *loss;
    float *weights[2 * MOST_LAYERS];            /* values to start from */
    double *values[MOST_LAYERS + 1], *gradient; /* values[i]: what step i reads */
} Test;

static size_t weight_size(int i) { return count_of(MODEL.weights[i].rank, MODEL.weights[i].dims); }

static void find_steps(Test *t)
{
    for (int i = 0; i < MODEL.layer_count; i++) {
        const RtLayer *l = &MODEL.layers[i];
        if (l->weights == 0) continue;
        t->steps[t->count++] =
            (Step){.layer = l,
                   .kernel = t->weights[l->first_weight],
                   .bias = l->weights > 1 ? t->weights[l->first_weight + 1] : NULL,
                   .below = i > 0 ? l - 1 : NULL};
    }
}

static void run_forward(Test *t, int n)
{
    const size_t pixels = (size_t)MODEL.height * (size_t)MODEL.width * (size_t)MODEL.channels;
    for (size_t i = 0; i < (size_t)n * pixels; i++) t->values[0][i] = t->x[i];
    for (int i = 0; i < t->count; i++) {
        t->steps[i].n = n;
        kinds[kind_of(t->steps[i].layer)].forward(&t->steps[i], t->values[i], t->values[i + 1]);
    }
}

/* The gradient of the first kernel, to t->gradient, after run_forward. */
static void run_backward(Test *t, int n)
{
    const size_t size = (size_t)MODEL.output_size, count = (size_t)n * size;
    double *dy = rt_alloc(count, sizeof *dy);
    for (size_t i = 0; i < count; i++)
        dy[i] = 2 * (t->values[t->count][i] - t->target[i]) / (double)count;
    for (int i = t->count - 1; i >= 0; i--) {
        const size_t below =
            i > 0 ? (size_t)n * picture_size(t->steps[i - 1].layer)
                  : (size_t)n * (size_t)MODEL.height * (size_t)MODEL.width * (size_t)MODEL.channels;
        const size_t weights = weight_size(t->steps[i].layer->first_weight);
        double *dx = rt_alloc(below, sizeof *dx), *dw = rt_alloc(weights, sizeof *dw);
        kinds[kind_of(t->steps[i].layer)].backward(&t->steps[i], t->values[i], dy, dx, dw);
        free(dy);
        dy = dx;
        if (i == 0) memcpy(t->gradient, dw, weights * sizeof *dw);
        free(dw);
    }
    free(dy);
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
    const double error = sqrt(errors / squares);
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

/* Below layers whose results may be off by `limit`, the gradient is too. */
static double gradient_limit(double limit) { return limit > 1e-3 ? limit : GRADIENT_LIMIT; }

/* The first kernel starts from zero: so the step leaves minus the gradient there, exactly. */
static bool check_gradient(Test *t, int n, double limit, float **kept)
{
    const int first = t->steps[0].layer->first_weight;
    const float *after = (const float *)(t->run.arena + MODEL.weights[first].offset);
    set_weights(t);
    t->phase->prepare_train(&t->run);
    t->phase->train(&t->run, t->x, t->target, n, t->out);
    return is_near("gradient", n, after, t->gradient, weight_size(first), -1,
                   gradient_limit(limit)) &
           is_same("gradient", after, kept, weight_size(first));
}

/* ---- All of it ------------------------------------------------------------------------------- */

static bool check_pictures(Test *t, int n, double limit)
{
    bool ok = true;
    float *evaluated = NULL, *trained = NULL, *gradient = NULL;
    const int first = t->steps[0].layer->first_weight;
    const size_t bytes = weight_size(first) * sizeof(float);
    float *kernel = memcpy(rt_alloc(1, bytes), t->weights[first], bytes);
    RtPool *const pool = t->run.pool;
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        t->run.pool = rt_pool_open(threads);
        run_forward(t, n);
        if (n <= MODEL.infer_batch) ok = check_evaluate(t, n, limit, &evaluated) && ok;
        ok = check_train(t, n, limit, &trained) && ok;
        memset(t->weights[first], 0, bytes);
        run_forward(t, n);
        run_backward(t, n);
        if (t->phase->trainable[first]) ok = check_gradient(t, n, limit, &gradient) && ok;
        memcpy(t->weights[first], kernel, bytes);
        rt_pool_close(t->run.pool);
    }
    t->run.pool = pool;
    free(evaluated);
    free(trained);
    free(gradient);
    free(kernel);
    return ok;
}

/* Post-ReLU: half of the numbers are zero, and some channels are zero in all pictures. */
static void choose_input(Test *t, size_t pixels, bool is_signed)
{
    const size_t channels = (size_t)MODEL.channels;
    fill_random(t->x, (size_t)t->most * pixels, 1);
    for (size_t i = 0; i < (size_t)t->most * pixels && !is_signed; i++)
        if (t->x[i] < 0 || i % channels * 7 % 16 < 5) t->x[i] = 0;
}

static void open_test(Test *t)
{
    const size_t pixels = (size_t)MODEL.height * (size_t)MODEL.width * (size_t)MODEL.channels;
    t->phase = &MODEL.phases[0];
    t->most = t->phase->batch;
    t->run = (RtRun){.seed = SEED, .learning_rate = 1, .kernels = MODEL.kernels[rt_level()]};
    rt_run_open(&t->run, &MODEL, MOST_THREADS);
    for (int i = 0; i < MODEL.weight_count; i++) {
        t->weights[i] = rt_alloc(weight_size(i), sizeof(float));
        fill_random(t->weights[i], weight_size(i), (uint32_t)(100 + i));
    }
    find_steps(t);
    t->x = rt_alloc((size_t)t->most * pixels, sizeof *t->x);
    t->target = rt_alloc((size_t)t->most * (size_t)MODEL.output_size, sizeof *t->target);
    t->out = rt_alloc((size_t)t->most * (size_t)MODEL.output_size, sizeof *t->out);
    t->loss = rt_alloc((size_t)t->most, sizeof *t->loss);
    t->gradient = rt_alloc(weight_size(t->steps[0].layer->first_weight), sizeof *t->gradient);
    t->values[0] = rt_alloc((size_t)t->most * pixels, sizeof **t->values);
    for (int i = 0; i < t->count; i++)
        t->values[i + 1] =
            rt_alloc((size_t)t->most * picture_size(t->steps[i].layer), sizeof **t->values);
    fill_random(t->target, (size_t)t->most * (size_t)MODEL.output_size, 2);
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
    const size_t pixels = (size_t)MODEL.height * (size_t)MODEL.width * (size_t)MODEL.channels;
    open_test(&t);
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        choose_input(&t, pixels, is_signed);
        for (int n = 1; n <= t.most; n = n < 4 || n >= t.most - 1 ? n + 1 : t.most - 1)
            ok = check_pictures(&t, n, t.count * limit) && ok;
    }
    close_test(&t);
    return ok ? 0 : 1;
}
