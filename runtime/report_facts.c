/* report_facts.c: what the pictures are, and what must be known to have the same result again: the
 * command, the machine, versions, hashes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "files.h"
#include "ground.h"
#include "report.h"

enum { MOST_OPEN = 40, MOST_UNREADABLE = 20 };

/* ---- Pictures -------------------------------------------------------------------------------- */

static size_t *count_labels(const RtData *data, int classes)
{
    size_t *counts = rt_alloc((size_t)classes, sizeof *counts);
    for (size_t i = 0; data && data->labels && i < data->count; i++)
        if (data->labels[i] < classes) counts[data->labels[i]]++;
    return counts;
}

static void write_share(FILE *out, size_t count, size_t all)
{
    rt_html(out, "<td>%zu</td><td class=\"minor\">%.1f %%</td>", count,
            all ? 100 * (double)count / (double)all : 0.0);
}

static void write_class_rows(const RtReport *report)
{
    const RtData *train = report->train, *validation = report->validation;
    size_t *counts = count_labels(train, train->class_count);
    size_t *held = count_labels(validation, train->class_count);
    for (int i = 0; i < train->class_count; i++) {
        rt_html(report->out, "<tr><th scope=\"row\">%s</th>", train->classes[i]);
        write_share(report->out, counts[i], train->count);
        if (validation) write_share(report->out, held[i], validation->count);
        rt_html(report->out, "</tr>\n");
    }
    free(counts);
    free(held);
}

static void write_class_counts(const RtReport *report)
{
    const RtData *train = report->train, *validation = report->validation;
    bool folded = train->class_count > MOST_OPEN;
    if (folded) rt_html(report->out, "<details><summary>Pictures of every class</summary>");
    rt_html(report->out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                         "aria-label=\"Pictures by class\"><table class=\"numbers\"><thead><tr>"
                         "<th>class</th><th colspan=\"2\">training</th>");
    if (validation) rt_html(report->out, "<th colspan=\"2\">validation</th>");
    rt_html(report->out, "</tr></thead><tbody>\n");
    write_class_rows(report);
    rt_html(report->out, "</tbody><tfoot><tr><th scope=\"row\">all</th><td>%zu</td><td></td>",
            train->count);
    if (validation) rt_html(report->out, "<td>%zu</td><td></td>", validation->count);
    rt_html(report->out, "</tr></tfoot></table></div>\n");
    if (folded) rt_html(report->out, "</details>\n");
}

/* The loader keeps which pictures could not be read, not why once it has said so: that is asked for
 * again. */
static size_t write_unreadable(const RtReport *report, const RtData *data, size_t shown)
{
    for (size_t i = 0; data && data->problems && data->paths && i < data->count; i++) {
        if (!data->problems[i] || shown >= MOST_UNREADABLE) continue;
        RtImageInfo info;
        real pixel[3];
        rt_image_read(data->paths[i], 1, 1, 3, RT_BILINEAR, pixel, &info);
        rt_html(report->out, "<li><code>%s</code>: %s</li>\n", data->paths[i],
                info.problem[0] ? info.problem : "can be read now");
        shown++;
    }
    return shown;
}

static void write_problems(const RtReport *report)
{
    size_t skipped = report->validation ? report->validation->skipped : 0;
    if (report->train) skipped += report->train->skipped;
    if (skipped == 0) {
        rt_html(report->out, "<p>Every picture that was read%s could be read.</p>\n",
                report->train_read ? "" : " for this page");
        return;
    }
    rt_html(report->out,
            "<p class=\"warn\">%zu picture%s could not be read and %s left out:</p>"
            "<ul>\n",
            skipped, skipped == 1 ? "" : "s", skipped == 1 ? "was" : "were");
    size_t shown = write_unreadable(report, report->train, 0);
    shown = write_unreadable(report, report->validation, shown);
    if (shown < skipped) rt_html(report->out, "<li>and %zu more</li>\n", skipped - shown);
    rt_html(report->out, "</ul>\n");
}

void rt_report_data(const RtReport *report)
{
    const RtData *train = report->train, *validation = report->validation;
    if (!train) return;
    rt_html(report->out, "<section id=\"data\"><h2>Data</h2>\n<p>%zu pictures for training",
            train->count);
    if (validation) rt_html(report->out, ", %zu for validation", validation->count);
    if (train->classes) rt_html(report->out, ", in %d classes", train->class_count);
    rt_html(report->out, ".</p>\n");
    write_problems(report);
    if (train->classes) write_class_counts(report);
    rt_report_audit(report);
    rt_html(report->out, "</section>\n");
}

/* ---- Facts ----------------------------------------------------------------------------------- */

static void write_command(const RtReport *report)
{
    const char *program = rt_json_text(rt_json_get(report->args, "program"));
    const RtJson *arguments = rt_json_get(report->args, "arguments");
    if (!program) return;
    rt_html(report->out, "<dt>command</dt><dd><code>%s", program);
    for (const RtJson *one = rt_json_at(arguments, 0); one; one = rt_json_next(one))
        if (rt_json_text(one)) {
            rt_html(report->out, " ");
            rt_html_argument(report->out, rt_json_text(one));
        }
    rt_html(report->out, "</code></dd>\n");
}

/* What a member of args.json is called here. */
static const char *label_of(const char *key)
{
    static const char *const labels[][2] = {
        {"training", "pictures for training"},
        {"validation", "pictures for validation"},
        {"validation_split", "split for validation"},
        {"cpu", "CPU"},
        {"level", "level of instructions"},
        {"cpus", "CPUs"},
        {"memory_bytes", "memory"},
        {"seconds", "time"},
        {"pictures", "pictures trained on"},
        {"peak_memory_bytes", "peak memory"},
        {"signal", "ended by signal"},
    };
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strcmp(labels[i][0], key) == 0) return labels[i][1];
    return key;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), part = strlen(end);
    return length >= part && strcmp(text + length - part, end) == 0;
}

/* Of signal and split zero means that there was none. */
static void write_member(FILE *out, const RtJson *member)
{
    const char *key = rt_json_key(member), *text = rt_json_text(member);
    bool zero_is_none = strcmp(key, "signal") == 0 || strcmp(key, "validation_split") == 0;
    double number = NAN;
    if (!text && !rt_json_number(member, &number)) return;
    if (zero_is_none && number == 0) return;
    rt_html(out, "<dt>%s</dt><dd>", label_of(key));
    if (text)
        rt_html(out, "%s", text);
    else if (ends_in(key, "_bytes"))
        rt_html(out, "%s", rt_bytes_text(number));
    else if (strcmp(key, "seconds") == 0)
        rt_html(out, "%s", rt_duration_text(number));
    else
        rt_html(out, "%.17g", number);
    rt_html(out, "</dd>\n");
}

static void write_object(const RtReport *report, const char *key)
{
    const RtJson *object = rt_json_get(report->args, key);
    for (const RtJson *one = rt_json_at(object, 0); one; one = rt_json_next(one))
        if (rt_json_key(one)) write_member(report->out, one);
}

static void write_group(const RtReport *report, const char *title)
{
    rt_html(report->out, "<div><h3>%s</h3><dl>\n", title);
}

static void write_hashes(const RtReport *report)
{
    rt_html(report->out, "<dt>model's graph (SHA-256)</dt><dd><code>%s</code></dd>\n",
            report->model->hash);
    if (!report->weights) return;
    rt_html(report->out,
            "<dt>weights</dt><dd>%s, %s</dd>\n<dt>weights (MD5)</dt><dd><code>%s</code></dd>\n",
            report->weights, rt_bytes_text((double)report->weights_bytes), report->weights_md5);
}

void rt_report_facts(const RtReport *report)
{
    rt_html(report->out, "<section id=\"facts\"><h2>How it was made</h2>\n<div class=\"facts\">\n");
    write_group(report, "Run");
    write_command(report);
    write_object(report, "data");
    write_object(report, "run");
    rt_html(report->out, "</dl></div>\n");
    write_group(report, "Machine");
    write_object(report, "machine");
    rt_html(report->out, "</dl></div>\n");
    write_group(report, "Versions and hashes");
    if (!rt_json_get(report->args, "versions"))
        rt_html(report->out, "<dt>tlc</dt><dd>%s</dd>\n", report->model->tlc);
    write_object(report, "versions");
    write_hashes(report);
    rt_html(report->out, "</dl></div>\n");
    rt_html(report->out, "</div></section>\n");
}
