/* progress.c: how far an epoch is, on stderr, in the form that Keras's Progbar has (keras/src/
 * utils/progbar.py): on a terminal a bar drawn again and again, with the time left; elsewhere one
 * line when the epoch is over (verbose=2). */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

enum { CELLS = 20, LINE = 1024 };

static const double INTERVAL = 0.05; /* between two drawings */

struct RtProgress {
    const char *title;
    size_t steps, done, first;            /* first: `done` at the first call */
    double start, first_done, last_drawn; /* moments */
    bool terminal;
};

/* The bar that stands unfinished on the terminal's last line, for rt_progress_clear. */
static RtProgress *open_bar;

typedef struct {
    char text[LINE];
    size_t used;
} Line;

__attribute__((format(printf, 2, 3))) static void add(Line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line->text + line->used, LINE - line->used, format, arguments);
    va_end(arguments);
    if (length > 0) line->used += (size_t)length;
    if (line->used > LINE - 1) line->used = LINE - 1;
}

double rt_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The first step is left out once there are others: it pays for cold caches. */
static double step_seconds(const RtProgress *progress, double now)
{
    if (progress->done == 0) return 0;
    if (progress->done == progress->first) return now - progress->start;
    return (now - progress->first_done) / (double)(progress->done - progress->first);
}

static void add_step_time(Line *line, double seconds)
{
    if (seconds >= 1 || seconds == 0)
        add(line, " %.0fs/step", seconds);
    else if (seconds >= 1e-3)
        add(line, " %.0fms/step", seconds * 1e3);
    else
        add(line, " %.0fus/step", seconds * 1e6);
}

static void add_logs(Line *line, const RtLog *logs, int count)
{
    for (int i = 0; i < count; i++)
        add(line, fabs(logs[i].value) > 1e-3 ? " - %s: %.4f" : " - %s: %.4e", logs[i].name,
            logs[i].value);
}

static void add_time_left(Line *line, double seconds)
{
    long left = (long)seconds;
    if (left > 3600)
        add(line, "%ld:%02ld:%02ld", left / 3600, left % 3600 / 60, left % 60);
    else if (left > 60)
        add(line, "%ld:%02ld", left / 60, left % 60);
    else
        add(line, "%lds", left);
}

static int count_digits(size_t number) { return number < 10 ? 1 : 1 + count_digits(number / 10); }

static void add_cells(Line *line, int count)
{
    for (int i = 0; i < count; i++) add(line, "━");
}

static void draw_bar(RtProgress *progress, const RtLog *logs, int count, bool closing)
{
    double now = rt_seconds(), step = step_seconds(progress, now);
    size_t steps = progress->steps, done = progress->done;
    int full = steps ? (int)(CELLS * done / steps) : CELLS;
    Line line = {.used = 0};
    add(&line, "\r\033[1m%*zu/%zu\033[0m ", count_digits(steps), done, steps);
    if (full) add(&line, "\033[32m");
    add_cells(&line, full);
    add(&line, "%s\033[37m", full ? "\033[0m" : "");
    add_cells(&line, CELLS - full);
    add(&line, "\033[0m \033[1m");
    if (closing)
        add(&line, "%.0fs", now - progress->start);
    else
        add_time_left(&line, step * (double)(steps - done));
    add(&line, "\033[0m");
    add_step_time(&line, step);
    add_logs(&line, logs, count);
    add(&line, closing ? "\033[K\n" : "\033[K"); /* what a longer line before it left */
    fputs(line.text, stderr);
    open_bar = closing ? NULL : progress;
    progress->last_drawn = now;
}

static void print_closing_line(const RtProgress *progress, const RtLog *logs, int count)
{
    double now = rt_seconds();
    Line line = {.used = 0};
    if (progress->title) add(&line, "%s: ", progress->title);
    add(&line, "%zu/%zu - %.0fs -", progress->done, progress->steps, now - progress->start);
    add_step_time(&line, step_seconds(progress, now));
    add_logs(&line, logs, count);
    add(&line, "\n");
    fputs(line.text, stderr);
}

RtProgress *rt_progress_open(const char *title, size_t steps)
{
    RtProgress *progress = rt_alloc(1, sizeof *progress);
    *progress = (RtProgress){.title = title, .steps = steps, .terminal = isatty(STDERR_FILENO)};
    progress->start = rt_seconds();
    if (progress->terminal && title) fprintf(stderr, "%s\n", title);
    return progress;
}

void rt_progress_step(RtProgress *progress, size_t done, const RtLog *logs, int count)
{
    if (!progress) return;
    progress->done = done;
    double now = rt_seconds();
    if (!progress->first) progress->first = done, progress->first_done = now;
    if (!progress->terminal || now - progress->last_drawn < INTERVAL) return;
    flockfile(stderr);
    draw_bar(progress, logs, count, false);
    funlockfile(stderr);
}

void rt_progress_close(RtProgress *progress, const RtLog *logs, int count)
{
    if (!progress) return;
    flockfile(stderr);
    if (progress->terminal)
        draw_bar(progress, logs, count, true);
    else
        print_closing_line(progress, logs, count);
    funlockfile(stderr);
    free(progress);
}

void rt_progress_clear(void)
{
    if (!open_bar) return;
    fputs("\r\033[K", stderr);
    open_bar->last_drawn = 0; /* drawn again at the next step */
    open_bar = NULL;
}
