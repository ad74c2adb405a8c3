/* check.c: the command that prints what an audit of the data finds. */
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "commands.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "session.h"

enum { SHOWN = 10 }; /* findings of a kind; --json lists all */

static const char *severity(const RtFindingText *text) { return text->error ? "error" : "warning"; }

/* ---- Text ------------------------------------------------------------------------------------ */

static void print_numbers(const RtAudit *audit)
{
    static const char *const sides[] = {"training", "validation"};
    for (int side = 0; side < 2; side++)
        if (audit->sides[side] && !audit->sides[side]->paths)
            printf("numbers for %s: %g to %g\n", sides[side], (double)audit->low[side],
                   (double)audit->high[side]);
}

static void print_head(const RtAudit *audit)
{
    const RtModel *model = audit->model;
    printf(
        "%zu pictures for training, %zu for validation; %.1f MiB read in %.2f s (%.0f images/s)\n",
        audit->side_counts[0], audit->side_counts[1], (double)audit->bytes / 1048576,
        audit->seconds, audit->seconds > 0 ? (double)audit->count / audit->seconds : 0.0);
    if (audit->largest[0])
        printf("sizes: %dx%d to %dx%d, median %dx%d; the model takes %dx%d\n", audit->smallest[0],
               audit->smallest[1], audit->largest[0], audit->largest[1], audit->middle[0],
               audit->middle[1], model->width, model->height);
    print_numbers(audit);
    if (audit->class_count) printf("\n%-24s %10s %10s\n", "class", "training", "validation");
    for (int i = 0; i < audit->class_count; i++)
        if (rt_audit_has(&audit->classes[i]))
            printf("%-24s %10zu %10zu\n", audit->classes[i].name, audit->classes[i].pictures[0],
                   audit->classes[i].pictures[1]);
}

static void print_findings(const RtAudit *audit)
{
    size_t shown = 0;
    for (size_t i = 0; i < audit->finding_count; i++) {
        const RtFinding *finding = &audit->findings[i];
        const RtFindingText *text = &rt_finding_texts[finding->kind];
        if (i == 0 || audit->findings[i - 1].kind != finding->kind) {
            printf("\n%s: %s (%zu) - %s\n", severity(text), text->what, audit->kinds[finding->kind],
                   text->does);
            shown = 0;
        }
        if (shown++ < SHOWN)
            printf("  %s: %s\n", finding->path, finding->fact);
        else if (shown == SHOWN + 1)
            printf("  ... and %zu more; --json lists all\n", audit->kinds[finding->kind] - SHOWN);
    }
}

static void print_table(const RtAudit *audit)
{
    if (audit->finding_count)
        printf("\n%-16s %-8s %7s  %s\n", "finding", "", "count", "in training");
    for (int kind = 0; kind < RT_FINDING_KINDS; kind++) {
        const RtFindingText *text = &rt_finding_texts[kind];
        if (audit->kinds[kind])
            printf("%-16s %-8s %7zu  %s\n", text->name, severity(text), audit->kinds[kind],
                   text->does);
    }
    printf("\n%zu error%s, %zu warning%s\n", audit->errors, audit->errors == 1 ? "" : "s",
           audit->warnings, audit->warnings == 1 ? "" : "s");
}

static void print_text(const RtAudit *audit)
{
    print_head(audit);
    print_findings(audit);
    print_table(audit);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void print_member(const char *before, const char *name, const char *value)
{
    printf("%s\"%s\": ", before, name);
    if (value)
        rt_json_write_string(stdout, value);
    else
        printf("null");
}

static void print_json_numbers(const RtAudit *audit)
{
    static const char *const sides[] = {"training", "validation"};
    bool first = true;
    for (int side = 0; side < 2; side++) {
        if (!audit->sides[side] || audit->sides[side]->paths) continue;
        printf("%s\"%s\": [%.9g, %.9g]", first ? ", \"numbers\": {" : ", ", sides[side],
               (double)audit->low[side], (double)audit->high[side]);
        first = false;
    }
    if (!first) printf("}");
}

static void print_json_classes(const RtAudit *audit)
{
    const char *before = "{";
    printf(", \"classes\": [");
    for (int i = 0; i < audit->class_count; i++) {
        const RtAuditClass *class = &audit->classes[i];
        if (!rt_audit_has(class)) continue;
        print_member(before, "class", class->name);
        printf(", \"training\": %zu, \"validation\": %zu, \"readable\": [%zu, %zu]}",
               class->pictures[0], class->pictures[1], class->readable[0], class->readable[1]);
        before = ", {";
    }
    printf("]");
}

static void print_json_findings(const RtAudit *audit)
{
    printf(", \"findings\": [");
    for (size_t i = 0; i < audit->finding_count; i++) {
        const RtFinding *finding = &audit->findings[i];
        const RtFindingText *text = &rt_finding_texts[finding->kind];
        print_member(i ? ",\n {" : "\n {", "kind", text->name);
        print_member(", ", "severity", severity(text));
        print_member(", ", "path", finding->path);
        print_member(", ", "other", finding->other);
        print_member(", ", "fact", finding->fact);
        print_member(", ", "training", text->does);
        printf("}");
    }
    printf("]");
}

static void print_json(const RtAudit *audit)
{
    printf("{\"pictures\": %zu, \"training\": %zu, \"validation\": %zu, \"bytes\": %llu, "
           "\"seconds\": %.3f",
           audit->count, audit->side_counts[0], audit->side_counts[1],
           (unsigned long long)audit->bytes, audit->seconds);
    printf(", \"sizes\": {\"least\": [%d, %d], \"median\": [%d, %d], \"most\": [%d, %d]}",
           audit->smallest[0], audit->smallest[1], audit->middle[0], audit->middle[1],
           audit->largest[0], audit->largest[1]);
    print_json_numbers(audit);
    print_json_classes(audit);
    print_json_findings(audit);
    printf(", \"errors\": %zu, \"warnings\": %zu}\n", audit->errors, audit->warnings);
}

/* ---- The command ----------------------------------------------------------------------------- */

/* With every loss that the labels must fit. */
static void check_labels(const RtModel *model, const RtOptions *options, const RtData *data,
                         void (*check)(const RtData *, const RtModel *, RtLoss))
{
    for (int i = 0; data && i < model->phase_count; i++)
        if (!options->phase || strcmp(options->phase, model->phases[i].name) == 0)
            check(data, model, model->phases[i].loss);
}

/* Labels of arrays are judged by the loss of the phase asked for, or of the first. */
static RtLoss choose_loss(const RtModel *model, const RtOptions *options)
{
    if (model->phase_count == 0) return RT_LOSS_NONE;
    return (options->phase ? rt_find_phase(model, options->phase) : &model->phases[0])->loss;
}

int rt_check(const RtModel *model, const RtOptions *options)
{
    RtData *train, *validation;
    rt_data_open_pair(options->data, options->validation, options->validation_split, options->seed,
                      model, &train, &validation);
    if (!train->paths) check_labels(model, options, train, rt_data_check_shape);
    if (validation && !validation->paths)
        check_labels(model, options, validation, rt_data_check_shape);
    RtPool *pool = rt_pool_open(options->threads);
    RtAudit *audit =
        rt_audit_open(model, choose_loss(model, options), train, validation, pool, options->quiet);
    rt_pool_close(pool);
    (options->json ? print_json : print_text)(audit);
    bool bad = audit->errors || (options->strict && audit->warnings);
    bool told = audit->kinds[RT_NO_LABEL];
    rt_audit_close(audit);
    fflush(stdout);
    if (!told) check_labels(model, options, train, rt_data_check);
    if (!told) check_labels(model, options, validation, rt_data_check);
    rt_data_close(train);
    rt_data_close(validation);
    return bad ? RT_BAD_DATA : RT_OK;
}
