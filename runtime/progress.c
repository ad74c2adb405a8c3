/* progress.c: how far an epoch is, on stderr, in the form that Keras's Progbar has (keras/src/
 * utils/progbar.py): on a terminal a bar drawn again and again, with the time left; elsewhere one
 * line when the epoch is over (verbose=2). Training adds images/s and the time left of all its
 * epochs and phases. A bar must fit into a line, or the terminal would keep each drawing of it. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ground.h"
#include "measures.h"

enum { LINE = 1024 };

static const double INTERVAL = 0.05; /* between two drawings */

struct RtProgress {
    const char *title;
    size_t steps, done, first;                       /* first: `done` at the first call */
    double start, first_done, last_done, last_drawn; /* moments */
    bool terminal;
    double images;            /* of a step; 0: not told */
    double validation, after; /* work behind the steps, in steps: of this epoch, of all others */
};

/* What a bar shows beside count, time left and logs, from wide terminals to narrow ones. */
typedef struct {
    int cells;
    bool step_time, speed, forecast;
} Style;

static const Style styles[] = {{20, true, true, true},  {10, true, true, true},
                               {10, false, true, true}, {5, false, true, true},
                               {5, false, false, true}, {0, false, false, true},
                               {0, false, false, false}};
enum { STYLES = sizeof styles / sizeof *styles };

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

static void add_bar(Line *line, const RtProgress *progress, int cells)
{
    int full = progress->steps ? (int)((size_t)cells * progress->done / progress->steps) : cells;
    if (full) add(line, "\033[32m");
    add_cells(line, full);
    add(line, "%s\033[37m", full ? "\033[0m" : "");
    add_cells(line, cells - full);
    add(line, "\033[0m ");
}

static void add_speed(Line *line, const RtProgress *progress)
{
    size_t later = progress->done - progress->first;
    double seconds =
        later ? progress->last_done - progress->first_done : progress->last_done - progress->start;
    double images = progress->images * (double)(later ? later : 1);
    if (seconds > 0)
        add(line, images < 10 * seconds ? " - %.1f img/s" : " - %.0f img/s", images / seconds);
}

/* The time left of the whole training. An epoch that is over tells best what others will take. */
static void add_forecast(Line *line, const RtProgress *progress, double now, bool closing)
{
    double left = step_seconds(progress, now) * ((double)(progress->steps - progress->done) +
                                                 progress->validation + progress->after);
    if (closing)
        left = (now - progress->start) / ((double)progress->done + progress->validation) *
               progress->after;
    if (closing && progress->after <= 0) return;
    add(line, " - ETA ");
    add_time_left(line, left);
}

static void add_rates(Line *line, const RtProgress *progress, const Style *style, double now,
                      bool closing)
{
    if (style->step_time) add_step_time(line, step_seconds(progress, now));
    if (progress->images <= 0 || progress->done == 0) return;
    if (style->speed) add_speed(line, progress);
    if (style->forecast) add_forecast(line, progress, now, closing);
}

/* Columns that a line takes up: escape sequences none, a character of UTF-8 one. */
static int count_columns(const char *text)
{
    int columns = 0;
    for (; *text; text++) {
        if (*text == '\033')
            text += strcspn(text, "mK");
        else if ((unsigned char)*text >= ' ' && ((unsigned char)*text & 0xc0) != 0x80)
            columns++;
    }
    return columns;
}

static Line build_bar(const RtProgress *progress, const Style *style, const RtLog *logs, int count,
                      bool closing)
{
    double now = rt_seconds();
    size_t steps = progress->steps, done = progress->done;
    Line line = {.used = 0};
    add(&line, "\r\033[1m%*zu/%zu\033[0m ", count_digits(steps), done, steps);
    if (style->cells) add_bar(&line, progress, style->cells);
    add(&line, "\033[1m");
    if (closing)
        add(&line, "%.0fs", now - progress->start);
    else
        add_time_left(&line, step_seconds(progress, now) * (double)(steps - done));
    add(&line, "\033[0m");
    add_rates(&line, progress, style, now, closing);
    add_logs(&line, logs, count);
    add(&line, closing ? "\033[K\n" : "\033[K"); /* what a longer line before it left */
    return line;
}

/* The last one may be as long as it likes: nothing is drawn over it. */
static void draw_bar(RtProgress *progress, const RtLog *logs, int count, bool closing)
{
    int width = rt_terminal_width(STDERR_FILENO), style = 0;
    Line line = build_bar(progress, &styles[0], logs, count, closing);
    while (!closing && count_columns(line.text) >= width && (style < STYLES - 1 || count > 0)) {
        if (style < STYLES - 1)
            style++;
        else
            count--;
        line = build_bar(progress, &styles[style], logs, count, closing);
    }
    fputs(line.text, stderr);
    open_bar = closing ? NULL : progress;
    progress->last_drawn = rt_seconds();
}

static void print_closing_line(const RtProgress *progress, const RtLog *logs, int count)
{
    double now = rt_seconds();
    Line line = {.used = 0};
    if (progress->title) add(&line, "%s: ", progress->title);
    add(&line, "%zu/%zu - %.0fs -", progress->done, progress->steps, now - progress->start);
    add_rates(&line, progress, &styles[0], now, true);
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

void rt_progress_forecast(RtProgress *progress, size_t images, double validation, double after)
{
    if (!progress || progress->steps == 0) return;
    progress->images = (double)images / (double)progress->steps;
    progress->validation = validation;
    progress->after = after;
}

void rt_progress_step(RtProgress *progress, size_t done, const RtLog *logs, int count)
{
    if (!progress) return;
    progress->done = done;
    double now = progress->last_done = rt_seconds();
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

int rt_terminal_width(int file)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    if (columns && atoi(columns) > 0) return atoi(columns);
    bool known = ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}
