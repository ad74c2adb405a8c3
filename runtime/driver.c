/* driver.c: the main function of every generated program. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "ground.h"
#include "measures.h"
#include "session.h"
#include "weights.h"

/* Without a phase all are trainable, as in a Keras model of which nothing was frozen. */
char *rt_mark_trainable(const RtModel *model, const RtPhase *phase, int64_t *params)
{
    char *marks = rt_alloc((size_t)model->layer_count + 1, 1);
    memset(marks, '-', (size_t)model->layer_count);
    *params = 0;
    for (int i = 0; i < model->weight_count; i++) {
        bool trainable = (!phase || phase->trainable[i]) && !model->weights[i].is_statistic;
        int layer = model->weights[i].layer, base = model->layers[layer].base;
        int owner = base < 0 ? layer : model->bases[base].layer;
        if (trainable) *params += (int64_t)rt_weight_count(&model->weights[i]);
        if (marks[layer] != 'Y') marks[layer] = trainable ? 'Y' : 'N';
        if (marks[owner] != 'Y') marks[owner] = marks[layer];
    }
    return marks;
}

/* The counts are those of the phase asked for, or of the first; the column of the one asked for. */
static int print_summary(const RtModel *model, const RtOptions *options)
{
    const RtPhase *phase = model->phase_count ? &model->phases[0] : NULL;
    if (options->phase) phase = rt_find_phase(model, options->phase);
    int64_t params;
    char *marks = rt_mark_trainable(model, phase, &params);
    rt_print_summary(stdout, model->name, model->layers, model->layer_count,
                     options->phase ? marks : NULL, params, options->layers,
                     rt_terminal_width(STDOUT_FILENO));
    free(marks);
    return RT_OK;
}

static int run_command(RtSession *session)
{
    static const struct {
        const char *name;
        int (*run)(RtSession *session);
    } commands[] = {{"train", rt_train},       {"evaluate", rt_evaluate}, {"predict", rt_predict},
                    {"features", rt_features}, {"bench", rt_bench},       {"lrfind", rt_lrfind},
                    {"report", rt_report}};
    if (session->options->dry_run) return rt_dry_run(session);
    if (session->options->overfit_batch) return rt_overfit_batch(session);
    int i = 0;
    while (strcmp(commands[i].name, session->options->command) != 0) i++;
    return commands[i].run(session);
}

static void check_abi(const RtModel *model)
{
    if (model->abi == RT_ABI) return;
    rt_die(RT_FAILED, "run tlc again, and compile its file against the library of the same version",
           "%s was made for version %d of the runtime library; this one is version %d", model->name,
           model->abi, RT_ABI);
}

/* Results must not be lost in silence, as when the disk behind `> file` is full. */
static int finish_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    rt_die(RT_NO_ROOM, NULL, "cannot write the results to standard output");
}

int rt_main(const RtModel *model, int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    rt_program = slash ? slash + 1 : argc > 0 ? argv[0] : model->name;
    check_abi(model);
    RtOptions options;
    if (!rt_options_parse(model, argc, argv, &options)) return finish_output(RT_OK);
    if (options.resume) rt_resume_options(model, &options);
    int code;
    rt_signals_open(strcmp(options.command, "train") == 0);
    if (strcmp(options.command, "summary") == 0) {
        code = print_summary(model, &options);
    } else if (strcmp(options.command, "check") == 0) {
        code = rt_check(model, &options);
    } else {
        RtSession session;
        rt_session_open(&session, model, &options);
        code = run_command(&session);
        rt_session_close(&session);
    }
    free(options.images);
    return finish_output(code);
}
