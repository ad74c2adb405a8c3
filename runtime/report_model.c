/* report_model.c: the layers, their sizes, and which phase trains what. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "ground.h"
#include "report.h"

enum { MOST_OPEN = 40 }; /* rows of a table that is not folded */

static void write_shape(FILE *out, const RtLayer *layer)
{
    rt_html(out, "<td>");
    for (int i = 1; i < layer->rank; i++) rt_html(out, "%s%d", i > 1 ? " × " : "", layer->dims[i]);
    rt_html(out, "</td>");
}

/* A base's own row comes before its layers and counts for them all. */
static int64_t count_params(const RtModel *model, int row)
{
    const RtLayer *layers = model->layers;
    int64_t params = layers[row].params;
    if (layers[row].base < 0)
        for (int i = row + 1; i < model->layer_count && layers[i].base >= 0; i++)
            params += layers[i].params;
    return params;
}

static void write_layer(const RtReport *report, int row, char *const *marks)
{
    const RtModel *model = report->model;
    const RtLayer *layer = &model->layers[row];
    rt_html(report->out, layer->base >= 0 ? "<tr class=\"inner\">" : "<tr>");
    rt_html(report->out, "<th scope=\"row\">%s</th><td>%s</td>", layer->name, layer->type);
    write_shape(report->out, layer);
    int64_t params = count_params(model, row);
    rt_html(report->out, "<td>%s</td>", params ? rt_count_text(params) : "–");
    for (int i = 0; i < model->phase_count; i++) {
        char mark = marks[i][row];
        rt_html(report->out, mark == 'Y'   ? "<td class=\"yes\">trained</td>"
                             : mark == 'N' ? "<td class=\"no\">frozen</td>"
                                           : "<td>–</td>");
    }
    rt_html(report->out, "</tr>\n");
}

static void write_totals(const RtReport *report, const int64_t *trained)
{
    const RtModel *model = report->model;
    int64_t params = 0;
    for (int i = 0; i < model->layer_count; i++) params += model->layers[i].params;
    rt_html(report->out,
            "</tbody><tfoot><tr><th scope=\"row\">parameters</th><td></td><td></td>"
            "<td>%s</td>",
            rt_count_text(params));
    for (int i = 0; i < model->phase_count; i++)
        rt_html(report->out, "<td>%s</td>", rt_count_text(trained[i]));
    rt_html(report->out, "</tr></tfoot></table></div>\n");
}

static void write_layers(const RtReport *report)
{
    const RtModel *model = report->model;
    size_t phases = (size_t)model->phase_count;
    char **marks = rt_alloc(phases, sizeof *marks);
    int64_t *trained = rt_alloc(phases, sizeof *trained);
    bool folded = model->layer_count > MOST_OPEN;
    if (folded)
        rt_html(report->out, "<details><summary>All %d layers</summary>", model->layer_count);
    rt_html(report->out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                         "aria-label=\"Layers\"><table class=\"numbers layers\"><thead><tr>"
                         "<th>layer</th><th>type</th><th>output</th><th>parameters</th>");
    for (size_t i = 0; i < phases; i++) {
        marks[i] = rt_mark_trainable(model, &model->phases[i], &trained[i]);
        rt_html(report->out, "<th>in %s</th>", model->phases[i].name);
    }
    rt_html(report->out, "</tr></thead><tbody>\n");
    for (int i = 0; i < model->layer_count; i++) write_layer(report, i, marks);
    write_totals(report, trained);
    if (folded) rt_html(report->out, "</details>\n");
    for (size_t i = 0; i < phases; i++) free(marks[i]);
    free(marks);
    free(trained);
}

static void write_phases(const RtReport *report)
{
    const RtModel *model = report->model;
    rt_html(report->out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                         "aria-label=\"Phases\"><table class=\"numbers phases\"><thead><tr>"
                         "<th>phase</th><th>optimizer</th><th>loss</th><th>learning rate</th>"
                         "<th>epochs</th><th>batch</th><th>multiply-adds a step</th></tr></thead>"
                         "<tbody>\n");
    for (int i = 0; i < model->phase_count; i++) {
        const RtPhase *phase = &model->phases[i];
        rt_html(report->out,
                "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td><td>%g</td><td>%d</td>"
                "<td>%d</td><td>%s</td></tr>\n",
                phase->name, phase->optimizer, phase->loss_name, phase->learning_rate,
                phase->epochs, phase->batch, rt_amount_text((double)phase->step_macs));
    }
    rt_html(report->out, "</tbody></table></div>\n");
}

void rt_report_model(const RtReport *report)
{
    const RtModel *model = report->model;
    rt_html(report->out,
            "<section id=\"model\"><h2>Model</h2>\n<p>Pictures of %d × %d × %d; "
            "preprocessing: %s; %s multiply-adds a picture.</p>\n",
            model->height, model->width, model->channels, model->preprocessing,
            rt_amount_text((double)model->infer_macs));
    if (model->phase_count) write_phases(report);
    write_layers(report);
    rt_html(report->out, "</section>\n");
}
