/* report_chart.c: the numbers of every epoch as line charts, a chart for each of them with its
 * validation twin, the phases as bands behind; and as a table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ground.h"
#include "report.h"

/* In units of the drawing, which is scaled to the page: large letters stay readable on a phone. */
enum {
    WIDTH = 440,
    HEIGHT = 250,
    LEFT = 52,
    RIGHT = 10,
    TOP = 26,
    BOTTOM = 36,
    LETTER = 7,       /* width of one, about */
    MOST_MARKED = 60, /* epochs: points of longer curves are not marked */
    LOG_FROM = 30,    /* times the least: a wider range has a logarithmic scale */
};

/* Of a logarithmic scale: the largest over the smallest number that it shows. A loss that comes to
 * nothing in one epoch would make a line of all others. */
static const double log_range = 1e6;

typedef struct {
    const RtEpochs *epochs;
    FILE *out;
    int column, twin; /* training's and validation's; -1: none */
    int best;
    bool log, cut; /* cut: numbers below the scale stand at its edge */
    RtTicks y;
} Chart;

/* ---- Places ---------------------------------------------------------------------------------- */

/* Neither NaN nor infinite, nor so large that the scale would be. */
static bool can_draw(double value) { return fabs(value) < 1e30; }

static double value_at(const Chart *chart, int column, size_t row)
{
    return chart->epochs->values[row * (size_t)chart->epochs->columns + (size_t)column];
}

/* Epochs stand in the middle of strips of equal width. */
static double x_of(const Chart *chart, double row)
{
    double strips = (double)chart->epochs->rows;
    return LEFT + (row + 0.5) * (WIDTH - LEFT - RIGHT) / strips;
}

static double y_of(const Chart *chart, double value)
{
    double low = chart->y.at[0], high = chart->y.at[chart->y.count - 1];
    if (value < low) value = low;
    double part = chart->log ? log(value / low) / log(high / low) : (value - low) / (high - low);
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

static void widen_range(const Chart *chart, int column, double *low, double *high)
{
    for (size_t i = 0; column >= 0 && i < chart->epochs->rows; i++) {
        double value = value_at(chart, column, i);
        if (!can_draw(value)) continue;
        if (value < *low) *low = value;
        if (value > *high) *high = value;
    }
}

static void choose_scale(Chart *chart)
{
    double low = INFINITY, high = -INFINITY;
    widen_range(chart, chart->column, &low, &high);
    widen_range(chart, chart->twin, &low, &high);
    chart->log = low > 0 && isfinite(high) && high > low * LOG_FROM;
    chart->cut = chart->log && low < high / log_range;
    if (chart->cut) low = high / log_range;
    chart->y = chart->log ? rt_log_ticks(low, high, 7) : rt_ticks(low, high, 6);
}

/* ---- Drawing --------------------------------------------------------------------------------- */

static void draw_phase(const Chart *chart, size_t from, size_t to, int number)
{
    double left = x_of(chart, (double)from - 0.5), width = x_of(chart, (double)to - 0.5) - left;
    const char *name = chart->epochs->phases[from];
    int letters = (int)(width / LETTER), length = (int)strlen(name);
    rt_html(chart->out,
            "<rect class=\"band%d\" x=\"%.1f\" y=\"4\" width=\"%.1f\" height=\"%d\">"
            "<title>phase %s</title></rect>",
            number % 2, left, width, HEIGHT - BOTTOM - 4, name);
    if (letters < 3 && letters < length) return;
    char label[64];
    bool whole = length <= letters && length < (int)sizeof label;
    int shown = letters - 1 < (int)sizeof label - 4 ? letters - 1 : (int)sizeof label - 4;
    snprintf(label, sizeof label, "%.*s%s", whole ? length : shown, name, whole ? "" : "…");
    rt_html(chart->out, "<text class=\"phase\" x=\"%.1f\" y=\"18\">%s</text>\n", left + width / 2,
            label);
}

static void draw_phases(const Chart *chart)
{
    const RtEpochs *epochs = chart->epochs;
    int number = 0;
    for (size_t from = 0, to; from < epochs->rows; from = to) {
        for (to = from + 1; to < epochs->rows; to++)
            if (strcmp(epochs->phases[to], epochs->phases[from]) != 0) break;
        draw_phase(chart, from, to, number++);
    }
}

static void draw_axes(const Chart *chart)
{
    size_t rows = chart->epochs->rows;
    for (int i = 0; i < chart->y.count; i++) {
        char label[32];
        double y = y_of(chart, chart->y.at[i]);
        rt_tick_label(&chart->y, i, label);
        rt_html(chart->out,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"y\" x=\"%d\" y=\"%.1f\">%s"
                "</text>\n",
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4, label);
    }
    RtTicks epochs = rt_ticks(0, (double)rows, 9);
    double step = epochs.at[1] - epochs.at[0];
    for (double epoch = step < 1 ? 1 : step; epoch <= (double)rows; epoch += step < 1 ? 1 : step)
        rt_html(chart->out, "<text class=\"x\" x=\"%.1f\" y=\"%d\">%.0f</text>",
                x_of(chart, epoch - 1), HEIGHT - BOTTOM + 15, epoch);
    rt_html(chart->out, "<text class=\"x\" x=\"%d\" y=\"%d\">epoch</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5);
}

static void draw_points(const Chart *chart, int column, const char *class)
{
    const RtEpochs *epochs = chart->epochs;
    for (size_t i = 0; i < epochs->rows; i++) {
        double value = value_at(chart, column, i), x = x_of(chart, (double)i);
        if (!can_draw(value)) continue;
        double y = y_of(chart, value);
        if (column == chart->twin)
            rt_html(chart->out,
                    "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"6\" height=\"6\">", class,
                    x - 3, y - 3);
        else
            rt_html(chart->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\">", class, x,
                    y);
        rt_html(chart->out, "<title>epoch %zu, %s: %.5g</title></%s>", i + 1, epochs->names[column],
                value, column == chart->twin ? "rect" : "circle");
    }
}

static void draw_series(const Chart *chart, int column, const char *class)
{
    bool pen_down = false;
    if (column < 0) return;
    rt_html(chart->out, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < chart->epochs->rows; i++) {
        double value = value_at(chart, column, i);
        if (can_draw(value))
            fprintf(chart->out, "%c%.1f %.1f", pen_down ? 'L' : 'M', x_of(chart, (double)i),
                    y_of(chart, value));
        pen_down = can_draw(value);
    }
    rt_html(chart->out, "\"/>");
    if (chart->epochs->rows <= MOST_MARKED) draw_points(chart, column, class);
    fputc('\n', chart->out);
}

/* The chart in words, for who cannot see it. */
static void describe(const Chart *chart)
{
    const RtEpochs *epochs = chart->epochs;
    rt_html(chart->out, "%s over %zu epochs", epochs->names[chart->column], epochs->rows);
    for (int i = 0; i < 2; i++) {
        int column = i ? chart->twin : chart->column;
        if (column < 0) continue;
        rt_html(chart->out, "; %s from %.4g to %.4g", i ? "validation" : "training",
                value_at(chart, column, 0), value_at(chart, column, epochs->rows - 1));
    }
}

static void draw_chart(Chart *chart)
{
    const char *name = chart->epochs->names[chart->column];
    choose_scale(chart);
    rt_html(chart->out, "<figure class=\"chart\"><figcaption>%s <small>%s%s</small></figcaption>\n",
            name, chart->log ? "logarithmic" : "", chart->cut ? ", the smallest at the edge" : "");
    rt_html(chart->out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    describe(chart);
    rt_html(chart->out, "\">\n");
    draw_phases(chart);
    draw_axes(chart);
    if (chart->best >= 0)
        rt_html(chart->out,
                "<path class=\"best\" d=\"M%.1f %dV%d\"><title>best: epoch %d</title>"
                "</path>\n",
                x_of(chart, chart->best), TOP - 2, HEIGHT - BOTTOM, chart->best + 1);
    draw_series(chart, chart->column, "training");
    draw_series(chart, chart->twin, "validation");
    rt_html(chart->out, "</svg></figure>\n");
}

/* ---- All of them ----------------------------------------------------------------------------- */

static bool is_rate(const char *name)
{
    return strcmp(name, "learning_rate") == 0 || strcmp(name, "lr") == 0;
}

/* The loss comes first, the learning rate last, what is no number of training has no chart. */
static int rank_of(const RtEpochs *epochs, int column)
{
    const char *name = epochs->names[column];
    if (strcmp(name, "epoch") == 0 || strcmp(name, "phase") == 0) return 0;
    if (strncmp(name, "val_", 4) == 0 && rt_epochs_column(epochs, name + 4) >= 0) return 0;
    return strcmp(name, "loss") == 0 ? 1 : is_rate(name) ? 3 : 2;
}

static int find_twin(const RtEpochs *epochs, int column)
{
    char *name = rt_format("val_%s", epochs->names[column]);
    int twin = rt_epochs_column(epochs, name);
    free(name);
    return twin;
}

static void write_legend(const RtReport *report)
{
    FILE *out = report->out;
    rt_html(out, "<p class=\"legend\"><span><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">"
                 "<path class=\"training\" d=\"M1 6H25\"/><circle class=\"training\" cx=\"13\" "
                 "cy=\"6\" r=\"3\"/></svg> training</span>");
    if (report->validation || rt_epochs_column(&report->epochs, "val_loss") >= 0)
        rt_html(out, " <span><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\"><path "
                     "class=\"validation\" d=\"M1 6H25\"/><rect class=\"validation\" x=\"10\" "
                     "y=\"3\" width=\"6\" height=\"6\"/></svg> validation</span>");
    if (report->best >= 0)
        rt_html(out,
                " <span><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\"><path class=\"best\" "
                "d=\"M13 0V12\"/></svg> best weights, epoch %d</span>",
                report->best + 1);
    rt_html(out, "</p>\n");
}

static void write_table(const RtReport *report)
{
    const RtEpochs *epochs = &report->epochs;
    FILE *out = report->out;
    rt_html(out, "<details><summary>The numbers of every epoch</summary><div class=\"scroll\" "
                 "tabindex=\"0\" role=\"region\" aria-label=\"Numbers of every epoch\">"
                 "<table class=\"numbers\"><thead><tr><th>epoch</th><th>phase</th>");
    for (int i = 0; i < epochs->columns; i++)
        if (strcmp(epochs->names[i], "epoch") != 0 && strcmp(epochs->names[i], "phase") != 0)
            rt_html(out, "<th>%s</th>", epochs->names[i]);
    rt_html(out, "</tr></thead><tbody>\n");
    for (size_t row = 0; row < epochs->rows; row++) {
        rt_html(out, (int)row == report->best ? "<tr class=\"chosen\">" : "<tr>");
        rt_html(out, "<td>%zu</td><td>%s</td>", row + 1, epochs->phases[row]);
        for (int i = 0; i < epochs->columns; i++) {
            if (strcmp(epochs->names[i], "epoch") == 0 || strcmp(epochs->names[i], "phase") == 0)
                continue;
            double value = epochs->values[row * (size_t)epochs->columns + (size_t)i];
            if (isnan(value))
                rt_html(out, "<td>–</td>");
            else
                rt_html(out, "<td>%.5g</td>", value);
        }
        rt_html(out, "</tr>\n");
    }
    rt_html(out, "</tbody></table></div></details>\n");
}

void rt_report_charts(const RtReport *report)
{
    const RtEpochs *epochs = &report->epochs;
    if (epochs->rows == 0) return;
    rt_html(report->out, "<section id=\"curves\"><h2>Curves</h2>\n");
    write_legend(report);
    rt_html(report->out, "<div class=\"charts\">\n");
    for (int rank = 1; rank <= 3; rank++)
        for (int i = 0; i < epochs->columns; i++) {
            if (rank_of(epochs, i) != rank) continue;
            Chart chart = {.epochs = epochs, .out = report->out, .column = i};
            chart.twin = find_twin(epochs, i);
            chart.best = report->best;
            draw_chart(&chart);
        }
    rt_html(report->out, "</div>\n");
    write_table(report);
    rt_html(report->out, "</section>\n");
}
