/* dryrun.c: train --dry-run: what a training would take of memory, disk and time, found out by
 * taking its memory and doing a few of its steps, on its own data and weights. Nothing is kept.
 *
 * An arena that does not fit has ended the program before (rt_arena_open). */
#include <math.h>
#include <stdlib.h>

#include "commands.h"
#include "dryrun.h"
#include "ground.h"
#include "session.h"

static double epoch_seconds(const RtForeseen *phase) { return phase->steps + phase->validation; }

/* Seconds of all saves of a phase: at its end, and after each epoch that is far enough from the
 * last one (results.c). */
static double saving_seconds(RtDryRun *dry, const RtForeseen *phase)
{
    double since =
        phase->decoding + phase->features[RT_TRAIN_SIDE] + phase->features[RT_EVALUATE_SIDE];
    int saves = 1;
    for (int epoch = 1; epoch < phase->course.epochs; epoch++) {
        since += epoch_seconds(phase);
        if (epoch > 1 && epoch <= phase->course.passes) since += phase->features[RT_TRAIN_SIDE];
        if (since < 9 * dry->last_save) continue;
        since = 0;
        dry->last_save = dry->save;
        saves++;
    }
    dry->last_save = dry->save;
    return saves * dry->save;
}

static double feature_seconds(const RtForeseen *phase)
{
    return phase->course.passes * phase->features[RT_TRAIN_SIDE] +
           phase->features[RT_EVALUATE_SIDE] + phase->decoding;
}

static void print_duration(double seconds)
{
    char text[40] = "-";
    long whole = lround(seconds);
    if (seconds > 0 && seconds < 1)
        snprintf(text, sizeof text, "%.4f s", seconds);
    else if (seconds > 0 && seconds < 100)
        snprintf(text, sizeof text, "%.2f s", seconds);
    else if (seconds > 0)
        snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole % 3600 / 60, whole % 60);
    printf(" %10s", text);
}

static double print_phase(RtDryRun *dry, const RtForeseen *phase)
{
    const RtCourse *course = &phase->course;
    double saving = saving_seconds(dry, phase), features = feature_seconds(phase);
    double total = features + course->epochs * epoch_seconds(phase) + saving;
    printf("%-12s %6zu %8.1f %9.1f", course->phase->name, course->steps,
           phase->steps / (double)course->steps * 1e3, (double)course->pictures / phase->steps);
    print_duration(features);
    print_duration(phase->validation);
    print_duration(epoch_seconds(phase));
    printf(" %6d", course->epochs);
    print_duration(saving);
    print_duration(total);
    printf("\n");
    fflush(stdout);
    return total;
}

static void print_times(RtDryRun *dry)
{
    double total = 0;
    printf("\n%-12s %6s %8s %9s %10s %10s %10s %6s %10s %10s\n", "phase", "steps", "ms/step",
           "images/s", "once", "validation", "epoch", "epochs", "saving", "all");
    for (int i = 0; i < dry->phase_count && !rt_signal(); i++) {
        rt_pace_take(dry, &dry->phases[i]);
        total += print_phase(dry, &dry->phases[i]);
    }
    if (dry->phase_count < 2) return;
    printf("%-89s", "all phases");
    print_duration(total);
    printf("\n");
}

int rt_dry_run(RtSession *session)
{
    RtOptions options = *session->options;
    RtDryRun dry = {.save = 0};
    const RtOptions *given = session->options;
    options.quiet = true;
    session->options = &options;
    rt_tryout_open(&dry.tryout, session);
    printf("%s on %s: %s, %d threads\n", session->model->name, rt_cpu_name(),
           rt_level_name(session->level), rt_pool_threads(session->run.pool));
    printf("%zu pictures for training, %zu for validation\n", dry.tryout.data->count,
           dry.tryout.validation ? dry.tryout.validation->count : 0);
    rt_needs_open(&dry);
    rt_needs_print_features(&dry);
    rt_needs_check_memory(&dry);
    rt_needs_print_disk(&dry);
    fflush(stdout);
    print_times(&dry);
    rt_needs_print_memory(&dry);
    free(dry.phases);
    rt_tryout_close(&dry.tryout);
    session->options = given;
    return rt_signal() ? 128 + rt_signal() : RT_OK;
}
