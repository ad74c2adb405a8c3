/* report_audit.c: what `check` finds in the pictures, as a part of the page. */
#include "audit.h"
#include "ground.h"
#include "report.h"
#include "session.h"

enum { SHOWN = 5 }; /* findings of a kind */

static void write_findings(FILE *out, const RtAudit *audit, RtFindingKind kind)
{
    size_t shown = 0;
    rt_html(out, "<ul>\n");
    for (size_t i = 0; i < audit->finding_count && shown < SHOWN; i++) {
        const RtFinding *finding = &audit->findings[i];
        if (finding->kind != kind) continue;
        rt_html(out, "<li><code>%s</code> %s</li>\n", finding->path, finding->fact);
        shown++;
    }
    if (audit->kinds[kind] > shown)
        rt_html(out, "<li>and %zu more</li>\n", audit->kinds[kind] - shown);
    rt_html(out, "</ul>\n");
}

static void write_kind(FILE *out, const RtAudit *audit, RtFindingKind kind)
{
    const RtFindingText *text = &rt_finding_texts[kind];
    rt_html(out, "<details><summary>%s: %s: %zu</summary><p>In training: %s.</p>\n",
            text->error ? "error" : "warning", text->what, audit->kinds[kind], text->does);
    write_findings(out, audit, kind);
    rt_html(out, "</details>\n");
}

static void write_errors(FILE *out, const RtAudit *audit)
{
    rt_html(out, "<h3>What is odd with them</h3>\n<p>%zu error%s, %zu warning%s.", audit->errors,
            audit->errors == 1 ? "" : "s", audit->warnings, audit->warnings == 1 ? "" : "s");
    if (audit->largest[0] && audit->sides[0]->paths)
        rt_html(out, " Sizes from %d × %d to %d × %d, the median %d × %d.", audit->smallest[0],
                audit->smallest[1], audit->largest[0], audit->largest[1], audit->middle[0],
                audit->middle[1]);
    rt_html(out, "</p>\n");
}

/* ---- Arrays ---------------------------------------------------------------------------------- */

/* Folders tell this without an audit: report_facts.c. */
static void write_classes(FILE *out, const RtAudit *audit)
{
    bool held = audit->sides[1] != NULL;
    rt_html(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Rows by "
                 "class\"><table class=\"numbers\"><thead><tr><th>class</th><th>training</th>");
    if (held) rt_html(out, "<th>validation</th>");
    rt_html(out, "</tr></thead><tbody>\n");
    for (int i = 0; i < audit->class_count; i++) {
        const RtAuditClass *class = &audit->classes[i];
        if (!rt_audit_has(class)) continue;
        rt_html(out, "<tr><th scope=\"row\">%s</th><td>%zu</td>", class->name, class->pictures[0]);
        if (held) rt_html(out, "<td>%zu</td>", class->pictures[1]);
        rt_html(out, "</tr>\n");
    }
    rt_html(out, "</tbody></table></div>\n");
}

static void write_arrays(FILE *out, const RtAudit *audit)
{
    static const char *const names[] = {"training", "validation"};
    for (int side = 0; side < 2; side++)
        if (audit->sides[side] && !audit->sides[side]->paths)
            rt_html(out, "<p>Numbers for %s: %g to %g, in <code>%s</code>.</p>\n", names[side],
                    (double)audit->low[side], (double)audit->high[side], audit->sides[side]->file);
    if (audit->class_count && !audit->sides[0]->paths) write_classes(out, audit);
}

void rt_report_audit(const RtReport *report)
{
    FILE *out = report->out;
    if (rt_signal()) return;
    RtAudit *audit = rt_audit_open(report->model, report->phase->loss, report->train,
                                   report->validation, report->session->run.pool, true);
    write_arrays(out, audit);
    write_errors(out, audit);
    for (int kind = 0; kind < RT_FINDING_KINDS; kind++)
        if (audit->kinds[kind]) write_kind(out, audit, (RtFindingKind)kind);
    rt_audit_close(audit);
}
