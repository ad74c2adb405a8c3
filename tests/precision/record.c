/* record.c: what a generated model computes, or how far that is from what another recorded.
 *
 *   cc -DNO_MAIN -DMODEL=name_model … record.c model.c libtlcrt.a -o record
 *   record FILE relu|signed THREADS             writes outputs and gradients as doubles
 *   record FILE relu|signed THREADS REF GATE    and says how far they are from those of REF
 *
 * Weights and pictures are the same floats in a build of doubles, which makes the reference. The
 * model's phases train by SGD without momentum: a step with a large learning rate gives the
 * gradients, with labels so large that they hardly depend on the outputs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../random.h"
#include "ground.h"
#include "session.h"
#include "weights.h"

extern const RtModel MODEL;

enum { SEED = 7, BATCH = 9 };
static const double RATE = 1 << 20;

typedef struct {
    RtRun run;
    bool is_signed;
    uint64_t sample[64];
    real *x, *y, *out;
    double *numbers; /* recorded so far */
    size_t count;
} Record;

static real *weight_at(const Record *r, int index)
{
    return (real *)(r->run.arena + MODEL.weights[index].offset);
}

/* Uniform with the deviation that keeps sums near 1; biases too, so that they count. */
static void choose_weights(const Record *r)
{
    memset(r->run.arena, 0xff, MODEL.arena_bytes);
    for (int i = 0; i < MODEL.weight_count; i++) {
        const RtWeight *w = &MODEL.weights[i];
        const size_t count = rt_weight_count(w);
        fill_random(weight_at(r, i), count, SEED, (uint32_t)(100 + i));
        if (w->rank == 1) continue;
        const float scale = sqrtf(3 / (float)w->fan_in);
        for (size_t k = 0; k < count; k++)
            weight_at(r, i)[k] = (float)weight_at(r, i)[k] * scale;
    }
}

static void note(Record *r, double number) { r->numbers[r->count++] = number; }

static void record_outputs(Record *r)
{
    const size_t pixels = (size_t)MODEL.height * (size_t)MODEL.width * (size_t)MODEL.channels;
    choose_weights(r);
    MODEL.prepare_infer(&r->run);
    for (int first = 0, n; first < BATCH; first += n) {
        n = BATCH - first < MODEL.infer_batch ? BATCH - first : MODEL.infer_batch;
        MODEL.infer(&r->run, r->x + (size_t)first * pixels, n, r->out);
        for (int i = 0; i < n * MODEL.output_size; i++) note(r, (double)r->out[i]);
    }
}

static void record_gradients(Record *r, const RtPhase *phase)
{
    choose_weights(r);
    real **before = rt_alloc((size_t)MODEL.weight_count, sizeof *before);
    for (int i = 0; i < MODEL.weight_count; i++) {
        const size_t bytes = rt_weight_count(&MODEL.weights[i]) * sizeof **before;
        before[i] = memcpy(rt_alloc(bytes, 1), weight_at(r, i), bytes);
    }
    phase->prepare_train(&r->run);
    phase->train(&r->run, r->x, r->y, phase->batch, r->out);
    for (int i = 0; i < MODEL.weight_count; i++) {
        for (size_t k = 0; k < rt_weight_count(&MODEL.weights[i]); k++)
            note(r, ((double)before[i][k] - (double)weight_at(r, i)[k]) / RATE);
        free(before[i]);
    }
    free(before);
}

static size_t numbers_of_model(void)
{
    size_t count = (size_t)BATCH * (size_t)MODEL.output_size;
    for (int i = 0; i < MODEL.weight_count && MODEL.phase_count; i++)
        count += rt_weight_count(&MODEL.weights[i]);
    return count;
}

static void record_all(Record *r)
{
    const size_t pixels = (size_t)BATCH * (size_t)MODEL.height * (size_t)MODEL.width *
                          (size_t)MODEL.channels;
    const size_t outputs = (size_t)BATCH * (size_t)MODEL.output_size;
    r->x = rt_alloc(pixels, sizeof *r->x);
    r->y = rt_alloc(outputs, sizeof *r->y);
    r->out = rt_alloc(outputs, sizeof *r->out);
    r->numbers = rt_alloc(numbers_of_model(), sizeof *r->numbers);
    fill_random(r->x, pixels, SEED, 1);
    fill_random(r->y, outputs, SEED, 2);
    for (size_t i = 0; i < pixels && !r->is_signed; i++) r->x[i] = r->x[i] < 0 ? 0 : r->x[i];
    for (size_t i = 0; i < outputs; i++) r->y[i] *= 4096;
    record_outputs(r);
    if (MODEL.phase_count) record_gradients(r, &MODEL.phases[0]);
}

/* The relative rms error of count numbers; HUGE_VAL if one is none. */
static double error_of(const double *numbers, const double *reference, size_t count)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        error += (numbers[i] - reference[i]) * (numbers[i] - reference[i]);
        size += reference[i] * reference[i];
    }
    const double relative = sqrt(error / size);
    return isnan(relative) ? HUGE_VAL : relative;
}

/* Prints the errors of the outputs and of each weight's gradient; true if all are small enough. */
static bool compare(const Record *r, const double *reference, double gate)
{
    size_t at = (size_t)BATCH * (size_t)MODEL.output_size;
    double worst = error_of(r->numbers, reference, at);
    printf("outputs %.2g", worst);
    for (int i = 0; i < MODEL.weight_count && MODEL.phase_count; i++) {
        const size_t count = rt_weight_count(&MODEL.weights[i]);
        const double error = error_of(r->numbers + at, reference + at, count);
        printf(", d %s %.2g", MODEL.weights[i].name, error);
        worst = fmax(worst, error);
        at += count;
    }
    printf("\n");
    return worst <= gate;
}

static bool compare_file(const Record *r, const char *path, double gate)
{
    double *reference = rt_alloc(r->count, sizeof *reference);
    FILE *file = fopen(path, "rb");
    if (!file || fread(reference, sizeof *reference, r->count, file) != r->count) return false;
    fclose(file);
    const bool ok = compare(r, reference, gate);
    free(reference);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    Record r = {.run = {.seed = SEED, .learning_rate = (real)RATE},
                .is_signed = strcmp(argv[2], "signed") == 0};
    int level = (int)rt_level();
    while (level > RT_GENERIC && !MODEL.kernels[level]) level--;
    r.run.kernels = MODEL.kernels[level];
    for (int i = 0; i < 64; i++) r.sample[i] = (uint64_t)i;
    r.run.sample = r.sample;
    rt_run_open(&r.run, &MODEL, atoi(argv[3]));
    record_all(&r);
    FILE *file = fopen(argv[1], "wb");
    bool ok = file && fwrite(r.numbers, sizeof *r.numbers, r.count, file) == r.count;
    ok = file && fclose(file) == 0 && ok;
    if (argc > 5) ok = compare_file(&r, argv[4], atof(argv[5])) && ok;
    rt_run_close(&r.run, &MODEL);
    free(r.x);
    free(r.y);
    free(r.out);
    free(r.numbers);
    return ok ? 0 : 1;
}
