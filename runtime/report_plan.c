/* report_plan.c: the memory as a picture: the arena's regions; and for each program its tensors, as
 * rectangles over the steps in which they are alive and the places that they have. */
#include <stdlib.h>
#include <string.h>

#include "ground.h"
#include "report.h"
#include "weights.h"

/* In units of a drawing. */
enum { WIDTH = 760, LEFT = 64, RIGHT = 8, TOP = 20, BOTTOM = 34, HEIGHT = 300, LETTER = 6 };
enum { COLORS = 6, LARGEST = 12 };

/* ---- The arena ------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    double bytes;
} Region;

enum { REGIONS = 5 };

static void list_regions(const RtModel *model, Region regions[REGIONS])
{
    double weights = 0, slots = 0;
    for (int i = 0; i < model->weight_count; i++)
        weights += (double)(rt_weight_count(&model->weights[i]) * sizeof(real));
    for (int i = 0; i < model->phase_count; i++) {
        double bytes = 0;
        for (int j = 0; j < model->phases[i].slot_count; j++)
            bytes += (double)(rt_weight_count(&model->weights[model->phases[i].slots[j].weight]) *
                              sizeof(real));
        if (bytes > slots) slots = bytes;
    }
    double packed = (double)model->plan_offset - weights - slots; /* gaps of alignment, too */
    regions[0] = (Region){"weights", weights};
    regions[1] = (Region){"optimizer state", slots};
    regions[2] = (Region){"packed weights", packed > 4096 ? packed : 0};
    regions[3] = (Region){"activations and gradients", (double)model->plan_bytes};
    regions[4] = (Region){"two batches of pictures", (double)model->batch_bytes};
}

static void write_arena(const RtReport *report)
{
    const RtModel *model = report->model;
    Region regions[REGIONS];
    list_regions(model, regions);
    rt_html(report->out,
            "<p>One arena of %s, taken at start; nothing is allocated in a step.</p>\n"
            "<div class=\"arena\" aria-hidden=\"true\">",
            rt_bytes_text((double)model->arena_bytes));
    for (int i = 0; i < REGIONS; i++)
        if (regions[i].bytes > 0)
            rt_html(report->out, "<span class=\"t%d\" style=\"flex-grow:%.4f\"></span>", i,
                    100 * regions[i].bytes / (double)model->arena_bytes);
    rt_html(report->out, "</div>\n<ul class=\"keys\">\n");
    for (int i = 0; i < REGIONS; i++)
        if (regions[i].bytes > 0)
            rt_html(report->out, "<li><span class=\"key t%d\"></span>%s <b>%s</b></li>\n", i,
                    regions[i].name, rt_bytes_text(regions[i].bytes));
    rt_html(report->out, "</ul>\n");
}

/* ---- A program ------------------------------------------------------------------------------- */

typedef struct {
    const RtProgram *program;
    FILE *out;
    size_t base; /* offset of the plan in the arena */
    double top;  /* bytes at the upper edge */
    int from;    /* the first step in which a tensor is alive */
} Picture;

static double x_of(const Picture *picture, int step)
{
    int steps = picture->program->steps - picture->from;
    return LEFT + (double)(step - picture->from) * (WIDTH - LEFT - RIGHT) / steps;
}

static double y_of(const Picture *picture, double bytes)
{
    return HEIGHT - BOTTOM - bytes / picture->top * (HEIGHT - TOP - BOTTOM);
}

static void draw_tensor(const Picture *picture, const RtPlanned *tensor, int number)
{
    double left = x_of(picture, tensor->first), right = x_of(picture, tensor->last + 1);
    double offset = (double)(tensor->offset - picture->base);
    double top = y_of(picture, offset + (double)tensor->bytes), bottom = y_of(picture, offset);
    rt_html(picture->out,
            "<g><title>%s: %s, steps %d to %d</title><rect class=\"t%d\" x=\"%.1f\" y=\"%.1f\" "
            "width=\"%.1f\" height=\"%.1f\"/>",
            tensor->name, rt_bytes_text((double)tensor->bytes), tensor->first, tensor->last,
            number % COLORS, left, top, right - left, bottom - top);
    int letters = (int)((right - left - 4) / LETTER), length = (int)strlen(tensor->name);
    if (bottom - top >= 12 && letters >= length)
        rt_html(picture->out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">%s</text>",
                (left + right) / 2, (top + bottom) / 2 + 4, tensor->name);
    else if (right - left >= 13 && (bottom - top - 4) / LETTER >= length)
        rt_html(picture->out,
                "<text class=\"name\" transform=\"translate(%.1f %.1f) rotate(-90)\">%s</text>",
                (left + right) / 2 + 4, (top + bottom) / 2, tensor->name);
    rt_html(picture->out, "</g>\n");
}

/* The unit that the numbers of an axis have, by its end. */
static double choose_unit(double bytes, const char **name)
{
    static const char *const names[] = {"bytes", "KiB", "MiB", "GiB"};
    double unit = 1;
    int i = 0;
    for (; bytes / unit >= 1024 && i < 3; i++) unit *= 1024;
    *name = names[i];
    return unit;
}

static void draw_axes(const Picture *picture)
{
    const char *name;
    double unit = choose_unit(picture->top, &name);
    RtTicks bytes = rt_ticks(0, picture->top / unit, 7);
    RtTicks steps = rt_ticks(picture->from, picture->program->steps, 12);
    for (int i = 0; i < bytes.count && bytes.at[i] * unit <= picture->top; i++) {
        char label[32];
        double y = y_of(picture, bytes.at[i] * unit);
        rt_tick_label(&bytes, i, label);
        rt_html(picture->out,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"y\" x=\"%d\" y=\"%.1f\">%s"
                "</text>\n",
                LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4, label);
    }
    rt_html(picture->out, "<text class=\"y\" x=\"%d\" y=\"12\">%s</text>\n", LEFT - 6, name);
    for (int i = 0; i < steps.count && steps.at[i] <= picture->program->steps; i++)
        if (steps.at[i] >= picture->from && steps.at[i] == (int)steps.at[i])
            rt_html(picture->out, "<text class=\"x\" x=\"%.1f\" y=\"%d\">%.0f</text>",
                    x_of(picture, (int)steps.at[i]), HEIGHT - BOTTOM + 15, steps.at[i]);
    rt_html(picture->out, "<text class=\"x\" x=\"%d\" y=\"%d\">step of the program</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4);
}

static int compare_bytes(const void *a, const void *b)
{
    const RtPlanned *x = *(const RtPlanned *const *)a, *y = *(const RtPlanned *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void write_largest(FILE *out, const RtProgram *program, int count)
{
    const RtPlanned **sorted = rt_alloc((size_t)count, sizeof *sorted);
    for (int i = 0; i < count; i++) sorted[i] = &program->tensors[i];
    qsort(sorted, (size_t)count, sizeof *sorted, compare_bytes);
    rt_html(out,
            "<details><summary>Its largest tensors</summary><div class=\"scroll\" "
            "tabindex=\"0\" role=\"region\" aria-label=\"Largest tensors of %s\"><table "
            "class=\"numbers\"><thead><tr><th>tensor</th><th>size</th><th>steps</th></tr>"
            "</thead><tbody>\n",
            program->name);
    for (int i = 0; i < count && i < LARGEST; i++)
        rt_html(out, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%d to %d</td></tr>\n",
                sorted[i]->name, rt_bytes_text((double)sorted[i]->bytes), sorted[i]->first,
                sorted[i]->last);
    rt_html(out, "</tbody></table></div></details>\n");
    free(sorted);
}

static void write_program(const RtReport *report, const RtProgram *program)
{
    FILE *out = report->out;
    int count = 0;
    while (program->tensors && program->tensors[count].name) count++;
    if (count == 0 || program->steps == 0 || program->plan_bytes == 0) return;
    Picture picture = {program, out, report->model->plan_offset, (double)program->plan_bytes,
                       program->steps - 1};
    for (int i = 0; i < count; i++)
        if (program->tensors[i].first < picture.from) picture.from = program->tensors[i].first;
    rt_html(out,
            "<h3>%s</h3>\n<p>%d tensors in %s for batches of %d; the least possible is %s.</p>\n"
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Memory plan of %s\">"
            "<svg class=\"plan\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Memory plan of "
            "%s: %d tensors over %d steps in %s\">\n",
            program->name, count, rt_bytes_text((double)program->plan_bytes), program->batch,
            rt_bytes_text((double)program->bound_bytes), program->name, WIDTH, HEIGHT,
            program->name, count, program->steps, rt_bytes_text((double)program->plan_bytes));
    draw_axes(&picture);
    for (int i = 0; i < count; i++) draw_tensor(&picture, &program->tensors[i], i);
    rt_html(out, "</svg></div>\n");
    write_largest(out, program, count);
}

void rt_report_memory(const RtReport *report)
{
    const RtModel *model = report->model;
    rt_html(report->out, "<section id=\"memory\"><h2>Memory</h2>\n");
    write_arena(report);
    rt_html(report->out, "<p>Below, each rectangle is a tensor: as long as it is alive, as high as "
                         "it is large, where it lies.</p>\n");
    for (int i = 0; i < model->program_count; i++)
        if (strncmp(model->programs[i].name, "evaluate_", 9) != 0)
            write_program(report, &model->programs[i]);
    rt_html(report->out, "</section>\n");
}
