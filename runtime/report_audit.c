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
        rt_html(out, "<li><code>%s</code> %s", finding->path, finding->fact);
        if (finding->other) rt_html(out, " <code>%s</code>", finding->other);
        rt_html(out, "</li>\n");
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

void rt_report_audit(const RtReport *report)
{
    const RtSession *session = report->session;
    FILE *out = report->out;
    if (!report->train->paths || rt_signal()) return;
    RtAudit *audit =
        rt_audit_open(report->model, report->train, report->validation, session->run.pool, true);
    rt_html(out, "<h3>What is odd with them</h3>\n<p>%zu error%s, %zu warning%s.", audit->errors,
            audit->errors == 1 ? "" : "s", audit->warnings, audit->warnings == 1 ? "" : "s");
    if (audit->largest[0])
        rt_html(out, " Sizes from %d × %d to %d × %d, the median %d × %d.", audit->smallest[0],
                audit->smallest[1], audit->largest[0], audit->largest[1], audit->middle[0],
                audit->middle[1]);
    rt_html(out, "</p>\n");
    for (int kind = 0; kind < RT_FINDING_KINDS; kind++)
        if (audit->kinds[kind]) write_kind(out, audit, (RtFindingKind)kind);
    rt_audit_close(audit);
}
