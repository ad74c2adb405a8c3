/* overfit.c: train --overfit-batch: one batch again and again, with the same dropout and the same
 * augmentation each time. A model, a loss and labels that fit together learn it by heart; if they
 * do not, no amount of data will help. */
#include <math.h>
#include <stdlib.h>

#include "commands.h"
#include "data.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "tryout.h"

enum { STEPS = 300 };

static const double LEARNED = 0.05; /* of the first loss: learned by heart */
static const double HALVED = 0.5;   /* enough where all answers are right: smoothed labels have
                                     * a loss that cannot vanish */

typedef struct {
    int step, right, n;
    double loss; /* without regularization */
} Point;

static Point run_step(RtTryout *tryout, const RtBatch *batch, int step)
{
    RtSession *session = tryout->session;
    const RtPhase *phase = tryout->phase;
    double penalty = phase->regularization ? phase->regularization(&session->run) : 0;
    Point point = {.step = step, .n = batch->n};
    point.loss = rt_tryout_step(tryout, batch) - penalty;
    point.right = rt_correct(session->model, phase->loss, batch->y, session->out, batch->n);
    return point;
}

static bool has_answers(const RtTryout *tryout)
{
    return tryout->phase->loss != RT_MEAN_SQUARED_ERROR;
}

static void print_point(const RtTryout *tryout, const Point *point)
{
    printf("%6d %12.6g", point->step, point->loss);
    if (has_answers(tryout)) printf("  %d of %d right", point->right, point->n);
    printf("\n");
    fflush(stdout);
}

/* Steps 1, 2, 5, 10, 20, 50, 100, … */
static bool is_shown(int step)
{
    while (step % 10 == 0) step /= 10;
    return step == 1 || step == 2 || step == 5;
}

static bool is_learned(const Point *first, const Point *last)
{
    return last->loss <= LEARNED * first->loss || last->loss < 1e-3;
}

/* Trains on; false if the batch could not be learned. */
static bool learn(RtTryout *tryout, const RtBatch *batch, int steps)
{
    Point first = {0}, last = {0};
    printf("%6s %12s\n", "step", "loss");
    for (int step = 1; step <= steps && !rt_signal(); step++) {
        last = run_step(tryout, batch, step);
        if (step == 1) first = last;
        bool over = step == steps || !isfinite(last.loss) || is_learned(&first, &last);
        if (over || is_shown(step)) print_point(tryout, &last);
        if (over) break;
    }
    bool all_right = has_answers(tryout) && last.right == last.n;
    bool learned = is_learned(&first, &last) || (all_right && last.loss <= HALVED * first.loss);
    if (rt_signal()) return false;
    printf("phase %s %s: loss %.4g before, %.4g after %d steps on %d pictures\n",
           tryout->phase->name, learned ? "learns" : "does not learn", first.loss, last.loss,
           last.step, last.n);
    return learned;
}

int rt_overfit_batch(RtSession *session)
{
    RtTryout tryout;
    int steps = session->options->steps ? session->options->steps : STEPS;
    rt_tryout_open(&tryout, session);
    rt_tryout_begin(&tryout, rt_tryout_first(&tryout));
    rt_tryout_start(&tryout);
    RtBatch batch = rt_loader_next(tryout.loader);
    rt_note("Phase %s: %s, learning rate %g, the first %d pictures again and again",
            tryout.phase->name, tryout.phase->optimizer, tryout.phase->learning_rate, batch.n);
    bool learned = learn(&tryout, &batch, steps);
    rt_tryout_end(&tryout);
    rt_tryout_close(&tryout);
    if (rt_signal()) return 128 + rt_signal();
    if (!learned)
        rt_warn("look at the labels, at what the model does to pixels, at the loss beside the last "
                "activation, and try another learning_rate (lrfind)");
    return learned ? RT_OK : RT_FAILED;
}
