/* lrfind.c: the learning rate range test (Smith, "Cyclical learning rates for training neural
 * networks", WACV 2017): the learning rate rises from step to step by one factor, and the loss
 * tells where learning begins and where it breaks. Each loss is of another batch, so they are
 * smoothed: over the steps before to know when to stop, and over both sides to judge, which moves
 * nothing to the right. */
#include <math.h>
#include <stdlib.h>

#include "commands.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "tryout.h"

enum { STEPS = 100, ROWS = 25 };

static const double LEAST = 1e-7, MOST = 10; /* learning rates */
static const double MEMORY = 0.9;            /* of the running loss for the steps before */
static const double BROKEN = 4;              /* times the least running loss: no use going on */

typedef struct {
    double rate, loss, smooth;
} Point;

typedef struct {
    Point *points; /* (steps) */
    int count;
    double average, weight; /* the running loss and what it is to be divided by */
    double least_running;
    int least, steepest; /* -1: there is none */
} Curve;

/* ---- Measuring ------------------------------------------------------------------------------- */

static RtBatch next_batch(RtTryout *tryout)
{
    RtBatch batch = rt_loader_next(tryout->loader);
    if (batch.n) return batch;
    rt_tryout_start(tryout);
    return rt_loader_next(tryout->loader);
}

/* False if the loss is broken. */
static bool add_point(Curve *curve, double rate, double loss)
{
    curve->points[curve->count++] = (Point){.rate = rate, .loss = loss};
    curve->average = MEMORY * curve->average + (1 - MEMORY) * loss;
    curve->weight = MEMORY * curve->weight + (1 - MEMORY);
    double running = curve->average / curve->weight;
    if (running < curve->least_running) curve->least_running = running;
    return isfinite(loss) && running <= BROKEN * curve->least_running;
}

static void sweep(RtTryout *tryout, Curve *curve, double least, double most, int steps)
{
    double ratio = steps > 1 ? log(most / least) / (steps - 1) : 0;
    RtLog log = {.name = "loss"};
    bool going = true;
    RtProgress *progress =
        tryout->session->options->quiet ? NULL : rt_progress_open("Learning rates", (size_t)steps);
    rt_tryout_start(tryout);
    for (int i = 0; i < steps && going; i++) {
        double rate = least * exp(ratio * i);
        RtBatch batch = next_batch(tryout);
        tryout->session->run.learning_rate = (real)rate;
        going = add_point(curve, rate, rt_tryout_step(tryout, &batch));
        log.value = curve->average / curve->weight;
        rt_progress_step(progress, (size_t)i + 1, &log, 1);
    }
    rt_progress_close(progress, &log, 1);
}

/* ---- Judging --------------------------------------------------------------------------------- */

static double limited(double loss, double first)
{
    return isfinite(loss) ? fmin(loss, 2 * first) : 2 * first;
}

/* Means weighted by 1, 2, …, k + 1, …, 2, 1; a loss that breaks counts as twice the first. */
static void smooth(Curve *curve, int k)
{
    for (int i = 0; i < curve->count; i++) {
        double sum = 0, weights = 0;
        for (int j = i - k; j <= i + k; j++) {
            if (j < 0 || j >= curve->count) continue;
            double weight = k + 1 - abs(j - i);
            sum += weight * limited(curve->points[j].loss, curve->points[0].loss);
            weights += weight;
        }
        curve->points[i].smooth = sum / weights;
    }
}

/* Where the smoothed loss is least, and where before that it falls fastest. */
static void judge(Curve *curve)
{
    int k = curve->count / 20 + 1;
    double best = 0;
    smooth(curve, k);
    curve->least = 0;
    curve->steepest = -1;
    for (int i = 1; i < curve->count; i++)
        if (curve->points[i].smooth < curve->points[curve->least].smooth) curve->least = i;
    for (int i = k; i + k < curve->count && i <= curve->least; i++) {
        double slope = curve->points[i + k].smooth - curve->points[i - k].smooth;
        if (slope < best) best = slope, curve->steepest = i;
    }
}

static void print_rows(const Curve *curve)
{
    int apart = (curve->count + ROWS - 1) / ROWS;
    printf("%12s %12s %12s\n", "rate", "loss", "smoothed");
    for (int i = 0; i < curve->count; i++) {
        bool marked = i == curve->least || i == curve->steepest;
        if (i % apart && !marked && i != curve->count - 1) continue;
        const Point *point = &curve->points[i];
        printf("%12.3e %12.6g %12.6g%s\n", point->rate, point->loss, point->smooth,
               i == curve->steepest ? "  falls fastest"
               : i == curve->least  ? "  least"
                                    : "");
    }
}

static void print_text(const RtTryout *tryout, const Curve *curve)
{
    const RtPhase *phase = tryout->phase;
    print_rows(curve);
    if (curve->steepest < 0)
        printf("phase %s: the loss never falls; no learning rate to suggest\n", phase->name);
    else
        printf("phase %s: suggested learning_rate %.2g, where the loss falls fastest; it is least "
               "at %.2g (the model has %g)\n",
               phase->name, curve->points[curve->steepest].rate, curve->points[curve->least].rate,
               phase->learning_rate);
}

static void print_number(const char *before, double value)
{
    printf(isfinite(value) ? "%s%.9g" : "%snull", before, value); /* JSON has no NaN */
}

static void print_json(const RtTryout *tryout, const Curve *curve)
{
    printf("{\"phase\": ");
    rt_json_write_string(stdout, tryout->phase->name);
    print_number(", \"suggested\": ",
                 curve->steepest < 0 ? NAN : curve->points[curve->steepest].rate);
    print_number(", \"least\": ", curve->points[curve->least].rate);
    printf(", \"points\": [");
    for (int i = 0; i < curve->count; i++) {
        print_number(i ? ", {\"rate\": " : "{\"rate\": ", curve->points[i].rate);
        print_number(", \"loss\": ", curve->points[i].loss);
        print_number(", \"smoothed\": ", curve->points[i].smooth);
        printf("}");
    }
    printf("]}\n");
}

int rt_lrfind(RtSession *session)
{
    const RtOptions *options = session->options;
    double least = options->min_lr ? options->min_lr : LEAST;
    double most = options->max_lr ? options->max_lr : MOST;
    int steps = options->steps ? options->steps : STEPS;
    if (least >= most)
        rt_die(RT_USAGE, NULL, "--min-lr %g must be less than --max-lr %g", least, most);
    RtTryout tryout;
    rt_tryout_open(&tryout, session);
    Curve curve = {.points = rt_alloc((size_t)steps, sizeof *curve.points),
                   .least_running = INFINITY};
    rt_tryout_begin(&tryout, rt_tryout_first(&tryout));
    sweep(&tryout, &curve, least, most, steps);
    judge(&curve);
    (options->json ? print_json : print_text)(&tryout, &curve);
    rt_tryout_end(&tryout);
    rt_tryout_close(&tryout);
    free(curve.points);
    return RT_OK;
}
