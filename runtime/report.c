/* report.c: report.html, one page that shows a training to somebody who was not there: the command
 * that writes it anew, and what is read for it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "commands.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "report.h"
#include "session.h"
#include "training.h"
#include "weights.h"

/* ---- The head of the page -------------------------------------------------------------------- */

static void write_card(FILE *out, const char *name, const char *value, const char *more)
{
    rt_html(out, "<li><span>%s</span><b>%s</b><small>%s</small></li>\n", name, value, more);
}

/* Numbers of a training: how long, how fast. */
static void write_run_cards(const RtReport *report)
{
    double seconds = NAN, pictures = 0;
    const RtJson *run = rt_json_get(report->args, "run");
    if (!rt_json_number(rt_json_get(run, "seconds"), &seconds)) return;
    rt_json_number(rt_json_get(run, "pictures"), &pictures);
    write_card(report->out, "time", rt_duration_text(seconds), "from start to end");
    if (!(pictures > 0 && seconds > 0)) return;
    write_card(report->out, "pictures a second", rt_count_text(llround(pictures / seconds)),
               "trained on, from start to end");
}

static void write_log_cards(const RtReport *report)
{
    const RtVerdict *verdict = &report->verdict;
    const char *side = verdict->data == report->validation ? "validation" : "training";
    for (int i = 0; i < verdict->log_count; i++) {
        char value[32];
        snprintf(value, sizeof value, "%.4f", verdict->logs[i].value);
        write_card(report->out, verdict->logs[i].name, value, side);
    }
}

/* Without pictures judged: what the history says of the best epoch. */
static void write_history_cards(const RtReport *report)
{
    const RtEpochs *epochs = &report->epochs;
    for (int i = 0; i < epochs->columns && report->best >= 0; i++) {
        double number = epochs->values[(size_t)report->best * (size_t)epochs->columns + (size_t)i];
        char value[32];
        if (strncmp(epochs->names[i], "val_", 4) != 0 || isnan(number)) continue;
        snprintf(value, sizeof value, "%.4f", number);
        write_card(report->out, epochs->names[i] + 4, value, "validation");
    }
}

/* Epochs are counted over all phases, as the curves do. */
static void write_epoch_card(const RtReport *report)
{
    if (!report->saved) return;
    int epoch = report->best >= 0 ? report->best + 1 : report->saved->epoch;
    char *value = rt_format("epoch %d", epoch);
    char *more = rt_format("of %zu; number %d of phase %s", report->epochs.rows,
                           report->saved->epoch, report->saved->phase);
    write_card(report->out, "best weights", value, more);
    free(value);
    free(more);
}

static void write_cards(const RtReport *report)
{
    rt_html(report->out, "<ul class=\"cards\">\n");
    if (report->verdict.count)
        write_log_cards(report);
    else
        write_history_cards(report);
    write_epoch_card(report);
    write_run_cards(report);
    rt_html(report->out, "</ul>\n");
}

/* The sentence that a hurried reader takes away. */
static void write_verdict(const RtReport *report)
{
    const RtVerdict *verdict = &report->verdict;
    const char *side = verdict->data == report->validation ? "validation" : "training";
    if (verdict->count && verdict->classes)
        rt_html(report->out,
                "<p class=\"verdict\"><b>%.1f %%</b> of the %s pictures are classified right: "
                "%s of %s.</p>\n",
                100 * (double)verdict->right / (double)verdict->count, side,
                rt_count_text((int64_t)verdict->right), rt_count_text((int64_t)verdict->count));
    if (verdict->count && verdict->data != report->validation)
        rt_html(report->out, "<p class=\"warn\">There is no validation side: these are the "
                             "pictures that the model was trained on.</p>\n");
}

/* The program as it was called: this command can be given again where that one was. */
static void write_what_is_left(const RtReport *report)
{
    const RtOptions *options = report->session->options;
    rt_html(report->out, "<p class=\"warn\">No pictures were judged for this page. To add classes, "
                         "predictions and what is odd with the data:<br><code>");
    rt_html_argument(report->out, options->argc ? options->argv[0] : rt_program);
    rt_html(report->out, " report --out ");
    rt_html_argument(report->out, report->folder);
    rt_html(report->out, "</code></p>\n");
}

static void write_state(const RtReport *report)
{
    double signal = 0;
    const RtJson *run = rt_json_get(report->args, "run");
    rt_json_number(rt_json_get(run, "signal"), &signal);
    if (report->args && !rt_json_get(run, "seconds"))
        rt_html(report->out, "<p class=\"warn\">The training is not over, or ended without a "
                             "word: this is what it left.</p>\n");
    else if (signal != 0)
        rt_html(report->out,
                "<p class=\"warn\">The training was stopped by a signal after %zu "
                "epoch%s.</p>\n",
                report->epochs.rows, report->epochs.rows == 1 ? "" : "s");
    if (report->verdict.count == 0 && report->weights)
        write_what_is_left(report);
    else if (!report->weights)
        rt_html(report->out, "<p class=\"warn\">No epoch was finished: there are no trained "
                             "weights.</p>\n");
}

static void write_links(const RtReport *report)
{
    bool judged = report->verdict.count > 0;
    rt_html(report->out, "<nav aria-label=\"Sections\">");
    if (report->epochs.rows) rt_html(report->out, "<a href=\"#curves\">Curves</a> ");
    if (judged && report->verdict.classes)
        rt_html(report->out, "<a href=\"#classes\">Classes</a> ");
    if (judged) rt_html(report->out, "<a href=\"#pictures\">Predictions</a> ");
    if (report->train) rt_html(report->out, "<a href=\"#data\">Data</a> ");
    rt_html(report->out, "<a href=\"#model\">Model</a> <a href=\"#memory\">Memory</a> "
                         "<a href=\"#facts\">How it was made</a></nav>\n");
}

static void write_head(const RtReport *report)
{
    rt_html(report->out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "img-src data:; style-src 'unsafe-inline'\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"color-scheme\" content=\"light dark\">\n"
            "<title>%s: report of a training</title>\n<style>\n",
            report->model->name);
    for (int i = 0; rt_report_style[i]; i++) fputs(rt_report_style[i], report->out);
    rt_html(report->out, "</style>\n</head>\n<body>\n<header>\n<h1>%s</h1>\n", report->model->name);
    write_verdict(report);
    write_state(report);
    write_cards(report);
    write_links(report);
    rt_html(report->out, "</header>\n<main>\n");
}

/* A full disk ends no training; the command has nothing else to do. */
static void write_page(RtReport *report, bool must)
{
    char *path = rt_format("%s/report.html", report->folder);
    RtOut *file = must ? rt_out_open(path) : rt_out_try(path);
    report->out = rt_out_file(file);
    write_head(report);
    rt_report_charts(report);
    rt_report_classes(report);
    rt_report_pictures(report);
    rt_report_data(report);
    rt_report_model(report);
    rt_report_memory(report);
    rt_report_facts(report);
    rt_html(report->out,
            "</main>\n<footer>Written by %s, a program of tlc %s.</footer>\n</body>\n"
            "</html>\n",
            rt_program, report->model->tlc);
    if (rt_out_commit(file)) printf("report: %s\n", path);
    free(path);
}

/* ---- What is read for it --------------------------------------------------------------------- */

static char *find_weights(const char *folder)
{
    static const char *const names[] = {"best", "last"};
    for (int i = 0; i < 2; i++) {
        char *path = rt_format("%s/%s.safetensors", folder, names[i]);
        if (access(path, R_OK) == 0) return path;
        free(path);
    }
    return NULL;
}

static void read_weights(RtReport *report)
{
    const RtModel *model = report->model;
    report->weights = find_weights(report->folder);
    if (!report->weights) return;
    const unsigned char *file =
        rt_map(report->weights, SIZE_MAX, RT_BAD_WEIGHTS, &report->weights_bytes);
    rt_md5_mapped(file, report->weights_bytes, report->weights_md5);
    rt_unmap(file, report->weights_bytes);
    report->saved = rt_saved_load(model, &report->session->run, report->weights);
    const RtPhase *phase = rt_find_phase(model, report->saved->phase);
    if (phase) report->phase = phase;
    report->best = rt_epochs_find(&report->epochs, report->saved->phase, report->saved->epoch);
}

static RtReport open_report(RtSession *session, const char *folder)
{
    const RtModel *model = session->model;
    RtReport report = {.session = session, .model = model, .folder = folder, .best = -1};
    report.phase = &model->phases[model->phase_count - 1];
    report.args = rt_args_read(folder);
    return report;
}

static void read_history(RtReport *report)
{
    char *path = rt_format("%s/history.csv", report->folder);
    report->epochs = rt_epochs_read(path);
    free(path);
}

static void close_report(RtReport *report)
{
    rt_verdict_free(&report->verdict);
    rt_epochs_free(&report->epochs);
    if (report->saved) rt_saved_free(report->saved);
    if (report->args) rt_json_free(report->args);
    free(report->weights);
}

/* ---- Who writes it --------------------------------------------------------------------------- */

void rt_report_begin(RtTraining *training)
{
    if (!training->folder) return;
    rt_took_begin(&training->took, training->folder, training->checkpoint != NULL);
    rt_args_write(training->session, training->folder, &training->took, false);
}

/* A training that was complete before, and its page is there. */
static bool is_done(const RtTraining *training)
{
    char *path = rt_format("%s/report.html", training->folder);
    bool there = access(path, R_OK) == 0;
    free(path);
    return there && training->took.earlier > 0 && training->took.pictures == training->took.earlier;
}

void rt_report_end(RtTraining *training)
{
    RtSession *session = training->session;
    if (!training->folder) return;
    training->took.seconds += rt_seconds() - training->took.begin;
    rt_args_write(session, training->folder, &training->took, true);
    if (is_done(training)) return;
    RtReport report = open_report(session, training->folder);
    report.train = training->data;
    report.validation = training->validation;
    report.train_read = true;
    if (rt_history_count(training->history) > 0) { /* else the files are those of another run */
        read_history(&report);
        read_weights(&report);
    }
    /* What was kept for validation serves the best weights of the same phase, too. */
    if (report.phase != training->phase || !training->validation) rt_caches_close(training);
    if (report.weights && !rt_signal())
        report.verdict = rt_judge(session, report.phase,
                                  training->validation ? training->validation : training->data);
    write_page(&report, false);
    close_report(&report);
}

/* The sides as the training had them, or as the command says. A folder without a split is judged
 * as a whole, as `evaluate` does. */
static void open_data(RtReport *report, const RtOptions *options)
{
    const RtModel *model = report->model;
    if (!options->data)
        rt_die(RT_USAGE, "--data DIR says where they are",
               "%s/args.json does not tell where the pictures are", report->folder);
    rt_data_open_pair(options->data, options->validation, options->validation_split, options->seed,
                      model, &report->train, &report->validation);
    rt_data_check(report->train, model, report->phase->loss);
    if (report->validation) rt_data_check(report->validation, model, report->phase->loss);
    report->session->run.seed = options->seed;
}

int rt_report(RtSession *session)
{
    RtOptions options = *session->options;
    char *usual = rt_format("runs/%s", session->model->name);
    RtReport report = open_report(session, options.out ? options.out : usual);
    rt_args_fill(report.args, &options);
    read_history(&report);
    read_weights(&report);
    if (!report.weights)
        rt_die(RT_BAD_WEIGHTS, rt_format("%s train --data DIR", rt_program),
               "no trained weights: %s has neither best.safetensors nor last.safetensors",
               report.folder);
    open_data(&report, &options);
    rt_classes_check(report.train, report.saved, options.data);
    report.verdict =
        rt_judge(session, report.phase, report.validation ? report.validation : report.train);
    write_page(&report, true);
    rt_data_close(report.train);
    rt_data_close(report.validation);
    close_report(&report);
    free(usual);
    return RT_OK;
}
