/* options.c: the command line of a generated program. Two tables, of commands and of options, are
 * all there is to know: parsing, --help and the messages come from them. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "ground.h"
#include "measures.h"
#include "session.h"

enum {
    TRAIN = 1,
    EVALUATE = 2,
    PREDICT = 4,
    FEATURES = 8,
    SUMMARY = 16,
    BENCH = 32,
    REPORT = 64,
    CHECK = 128,
    LRFIND = 256,
};

typedef struct {
    const char *name, *operands, *help;
    int bit;
} Command;

static const Command commands[] = {
    {"train", "--data DIR", "train on a folder of pictures, or on arrays, through all phases",
     TRAIN},
    {"check", "--data DIR", "look for what is wrong with the pictures; exit 4 if something is",
     CHECK},
    {"lrfind", "--data DIR", "try rising learning rates and suggest one; keeps nothing", LRFIND},
    {"evaluate", "--data DIR", "print loss and metrics of trained weights", EVALUATE},
    {"predict", "IMAGE...", "print the classes of pictures", PREDICT},
    {"features", "--data DIR -o FILE", "write the model's output for every picture", FEATURES},
    {"summary", "", "print the layers and their sizes", SUMMARY},
    {"bench", "", "measure the speed of inference and of training steps", BENCH},
    {"report", "[--data DIR]", "write report.html anew, with the best weights of a training",
     REPORT},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

typedef enum { TEXT, INTEGER, SEED, FRACTION, POSITIVE, FLAG, NO_FLAG } Type;

typedef struct {
    const char *name, *argument; /* NULL for flags */
    int commands;
    Type type;
    size_t offset; /* in RtOptions */
    int most;      /* INTEGER: 1..most */
    const char *help;
} Option;

enum { MANY = 1000000000 };

#define AT(member) offsetof(RtOptions, member)
static const Option options_table[] = {
    {"--data", "DIR", TRAIN | EVALUATE | FEATURES | REPORT | CHECK | LRFIND, TEXT, AT(data), 0,
     "pictures, one folder a class, or arrays x and y in an .npz file"},
    {"--validation", "DIR", TRAIN | REPORT | CHECK | LRFIND, TEXT, AT(validation), 0,
     "pictures or arrays to validate on"},
    {"--validation-split", "F", TRAIN | REPORT | CHECK | LRFIND, FRACTION, AT(validation_split), 0,
     "or: validate on this fraction of --data"},
    {"--weights", "FILE", TRAIN | EVALUATE | PREDICT | FEATURES | BENCH | LRFIND, TEXT, AT(weights),
     0, ".h5, .weights.h5 or .safetensors"},
    {"--out", "DIR", TRAIN | REPORT, TEXT, AT(out), 0, "the run folder (default runs/NAME)"},
    {"--phase", "NAME", TRAIN | EVALUATE | SUMMARY | BENCH | CHECK | LRFIND, TEXT, AT(phase), 0,
     "this phase only; summary: show what it trains; lrfind: the first by default"},
    {"--until", "NAME", TRAIN, TEXT, AT(until), 0, "stop after this phase"},
    {"--epochs", "N", TRAIN, INTEGER, AT(epochs), MANY, "epochs of each phase"},
    {"--steps", "N", TRAIN, INTEGER, AT(steps), MANY, "stop after N steps in all"},
    {"--steps", "N", LRFIND, INTEGER, AT(steps), MANY, "learning rates to try (default 100)"},
    {"--min-lr", "X", LRFIND, POSITIVE, AT(min_lr), 0, "first learning rate (default 1e-7)"},
    {"--max-lr", "X", LRFIND, POSITIVE, AT(max_lr), 0, "last learning rate (default 10)"},
    {"--dry-run", NULL, TRAIN, FLAG, AT(dry_run), 0,
     "print what training needs of memory, disk and time; keep nothing"},
    {"--overfit-batch", NULL, TRAIN, FLAG, AT(overfit_batch), 0,
     "train on the first batch alone and say whether it is learned; keep nothing"},
    {"--seed", "N", TRAIN | REPORT | CHECK | LRFIND, SEED, AT(seed), 0,
     "of all random numbers (default 0)"},
    {"--no-shuffle", NULL, TRAIN | LRFIND, NO_FLAG, AT(shuffle), 0, "keep the order of the data"},
    {"--resume", NULL, TRAIN, FLAG, AT(resume), 0,
     "go on from the newest checkpoint, with its options where none are given"},
    {"--fresh", NULL, TRAIN, FLAG, AT(fresh), 0, "remove the checkpoints of --out and start anew"},
    {"--checkpoint-every", "MIN", TRAIN, POSITIVE, AT(checkpoint_every), 0,
     "save also within epochs, after so many minutes (default 10)"},
    {"--keep", "N", TRAIN, INTEGER, AT(keep), MANY, "newest checkpoints to keep (default 2)"},
    {"--trace", "FILE.npz", TRAIN, TEXT, AT(trace), 0,
     "write losses, weights and optimizer state to an .npz file"},
    {"--cache", "MODE", TRAIN, TEXT, AT(cache), 0,
     "features of the frozen part, or decoded pictures: auto, off, memory, disk (default: as the "
     "phase says)"},
    {"--cache-memory", "MIB", TRAIN, INTEGER, AT(cache_memory), MANY,
     "auto: up to so much in memory (default: half of what is free)"},
    {"--cache-disk", "MIB", TRAIN, INTEGER, AT(cache_disk), MANY,
     "all features on disk: the oldest make way (default: half of what is free)"},
    {"--strict", NULL, TRAIN | EVALUATE | FEATURES | LRFIND, FLAG, AT(strict), 0,
     "stop at a picture that cannot be read"},
    {"--strict", NULL, CHECK, FLAG, AT(strict), 0, "exit 4 on warnings too"},
    {"--input", "FILE.npy", PREDICT | BENCH, TEXT, AT(input), 0, "an array of pictures (N,H,W,C)"},
    {"--output", "FILE.npy", PREDICT | FEATURES, TEXT, AT(output), 0,
     "array to write, one row a picture; also -o"},
    {"--top", "K", PREDICT, INTEGER, AT(top), MANY, "classes to print (default 5)"},
    {"--json", NULL, EVALUATE | PREDICT | BENCH | CHECK | LRFIND, FLAG, AT(json), 0,
     "results as JSON"},
    {"--batch", "N", BENCH, INTEGER, AT(batch), MANY, "pictures at once"},
    {"--repeat", "N", BENCH, INTEGER, AT(repeat), MANY, "measurements of each (default 10)"},
    {"--layers", NULL, SUMMARY | BENCH, FLAG, AT(layers), 0,
     "summary: the layers of bases too; bench: each kernel"},
    {"--threads", "N", TRAIN | EVALUATE | PREDICT | FEATURES | BENCH | REPORT | CHECK | LRFIND,
     INTEGER, AT(threads), 1024, "threads that compute (default: all CPUs)"},
    {"--quiet", NULL, TRAIN | EVALUATE | FEATURES | REPORT | CHECK | LRFIND, FLAG, AT(quiet), 0,
     "show no progress"},
};
enum { OPTIONS = sizeof options_table / sizeof *options_table };

/* ---- Help ------------------------------------------------------------------------------------ */

static void print_general_help(const RtModel *model)
{
    printf("usage: %s COMMAND [OPTION...]\n\n%s: input %d x %d x %d\n\ncommands:\n", rt_program,
           model->name, model->height, model->width, model->channels);
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-10s %-20s %s\n", commands[i].name, commands[i].operands, commands[i].help);
    printf("\n%s COMMAND --help lists the options of a command.\n", rt_program);
    printf("%s --version tells what the program was made from.\n", rt_program);
    if (model->phase_count) printf("\nphases:\n");
    for (int i = 0; i < model->phase_count; i++) {
        const RtPhase *phase = &model->phases[i];
        char text[RT_NUMBER];
        printf("  %-10s %d epochs, batches of %d, %s(%s), %s\n", phase->name, phase->epochs,
               phase->batch, phase->optimizer, rt_rate_text(phase, text), phase->loss_name);
    }
}

static void print_command_help(const Command *command)
{
    printf("usage: %s %s %s%s[OPTION...]\n%s\n\noptions:\n", rt_program, command->name,
           command->operands, *command->operands ? " " : "", command->help);
    for (int i = 0; i < OPTIONS; i++) {
        const Option *option = &options_table[i];
        if (!(option->commands & command->bit)) continue;
        printf("  %s %-*s %s\n", option->name, 26 - (int)strlen(option->name),
               option->argument ? option->argument : "", option->help);
    }
}

static void print_version(const RtModel *model)
{
    printf("%s, graph %s, by tlc %s\n", model->name, model->hash, model->tlc);
}

/* ---- Unknown names ----------------------------------------------------------------------------
 */

static _Noreturn void die_unknown_command(const char *given)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) names[i] = commands[i].name;
    rt_die(RT_USAGE,
           rt_suggest(given, names, COMMANDS, rt_format("%s --help lists commands", rt_program)),
           "unknown command \"%s\"", given);
}

static _Noreturn void die_unknown_option(const char *given, const Command *command)
{
    const char *names[OPTIONS];
    int count = 0;
    for (int i = 0; i < OPTIONS; i++) {
        if (options_table[i].commands & command->bit)
            names[count++] = options_table[i].name;
        else if (strcmp(given, options_table[i].name) == 0)
            rt_die(RT_USAGE, rt_format("%s %s --help lists its options", rt_program, command->name),
                   "%s has no option %s", command->name, given);
    }
    rt_die(RT_USAGE,
           rt_suggest(given, names, count,
                      rt_format("%s %s --help lists its options", rt_program, command->name)),
           "%s: unknown option %s", command->name, given);
}

/* ---- Parsing --------------------------------------------------------------------------------- */

static int64_t parse_integer(const Option *option, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < 1 || value > option->most)
        rt_die(RT_USAGE, NULL, "%s %s: must be a whole number from 1 to %d", option->name, text,
               option->most);
    return value;
}

static uint64_t parse_seed(const Option *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || errno || *text == '-')
        rt_die(RT_USAGE, NULL, "%s %s: must be a whole number from 0 to 2^64 - 1", option->name,
               text);
    return value;
}

static double parse_fraction(const Option *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value < 1))
        rt_die(RT_USAGE, NULL, "%s %s: must lie between 0 and 1", option->name, text);
    return value;
}

static double parse_positive(const Option *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 1e30))
        rt_die(RT_USAGE, NULL, "%s %s: must be a number above 0", option->name, text);
    return value;
}

static void set_option(RtOptions *options, const Option *option, const char *value)
{
    void *place = (char *)options + option->offset;
    switch (option->type) {
    case TEXT:
        *(const char **)place = value;
        break;
    case INTEGER:
        *(int *)place = (int)parse_integer(option, value);
        break;
    case SEED:
        *(uint64_t *)place = parse_seed(option, value);
        break;
    case FRACTION:
        *(double *)place = parse_fraction(option, value);
        break;
    case POSITIVE:
        *(double *)place = parse_positive(option, value);
        break;
    case FLAG:
        *(bool *)place = true;
        break;
    case NO_FLAG:
        *(bool *)place = false;
        break;
    }
}

static const Option *find_option(const char *given, size_t length, const Command *command)
{
    for (int i = 0; i < OPTIONS; i++) {
        const Option *option = &options_table[i];
        if ((option->commands & command->bit) && strlen(option->name) == length &&
            strncmp(option->name, given, length) == 0)
            return option;
    }
    return NULL;
}

/* Takes the option at argv[i], "--name value", "--name=value" or "--flag"; returns the index of
 * the last argument it used. */
static int take_option(RtOptions *options, const Command *command, int argc, char **argv, int i)
{
    const char *given = strcmp(argv[i], "-o") == 0 ? "--output" : argv[i];
    const char *equals = strchr(given, '=');
    size_t length = equals ? (size_t)(equals - given) : strlen(given);
    const Option *option = find_option(given, length, command);
    if (!option) die_unknown_option(rt_format("%.*s", (int)length, given), command);
    const char *value = equals ? equals + 1 : NULL;
    if (!option->argument && value) rt_die(RT_USAGE, NULL, "%s takes no value", option->name);
    if (option->argument && !value) {
        if (i + 1 == argc)
            rt_die(RT_USAGE, NULL, "%s needs a value: %s %s", option->name, option->name,
                   option->argument);
        value = argv[++i];
    }
    set_option(options, option, value);
    return i;
}

/* ---- What must be there, and what excludes what ---------------------------------------------- */

static void check_phase(const RtModel *model, const char *option, const char *name)
{
    if (!name || rt_find_phase(model, name)) return;
    const char **names = rt_alloc((size_t)model->phase_count, sizeof *names);
    char *all = rt_format(model->phase_count ? "its phases:" : "it has none");
    for (int i = 0; i < model->phase_count; i++) {
        names[i] = model->phases[i].name;
        all = rt_format("%s %s", all, names[i]); /* the program ends here: nothing is freed */
    }
    rt_die(RT_USAGE, rt_suggest(name, names, model->phase_count, all),
           "%s %s: the model has no such phase", option, name);
}

static void check_predict(const RtOptions *options)
{
    if (!options->image_count && !options->input)
        rt_die(RT_USAGE, rt_format("%s predict cat.jpg", rt_program), "predict: no picture given");
    if (options->image_count && options->input)
        rt_die(RT_USAGE, NULL, "predict: either pictures or --input, not both");
}

static bool is_word_of(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; length && (at = strstr(at, word)); at++)
        if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' ')) return true;
    return false;
}

static void check_options(const RtModel *model, const RtOptions *options, const Command *command)
{
    if ((command->bit & (TRAIN | EVALUATE | REPORT | LRFIND)) && model->phase_count == 0)
        rt_die(RT_USAGE, "add \"phases\" to the model's JSON, with an optimizer and a loss",
               "%s: the model has no phases: it can predict, but neither train nor evaluate",
               command->name);
    check_phase(model, "--phase", options->phase);
    check_phase(model, "--until", options->until);
    if (options->phase && options->until)
        rt_die(RT_USAGE, NULL, "either --phase or --until, not both");
    if (options->resume && (options->fresh || options->trace))
        rt_die(RT_USAGE, NULL, "either --resume or %s, not both",
               options->fresh ? "--fresh" : "--trace");
    if (command->bit == PREDICT)
        check_predict(options);
    else if (options->image_count)
        rt_die(RT_USAGE, NULL, "%s: unexpected argument \"%s\"", command->name, options->images[0]);
    if ((command->bit & (TRAIN | EVALUATE | FEATURES | CHECK | LRFIND)) && !options->data &&
        !options->resume)
        rt_die(RT_USAGE, "a folder with one folder of pictures a class, or an .npz file",
               "%s needs --data DIR", command->name);
    if (command->bit == FEATURES && !options->output)
        rt_die(RT_USAGE, NULL, "features needs -o FILE.npy");
    if (options->cache && !is_word_of("auto off memory disk", options->cache))
        rt_die(RT_USAGE, NULL, "--cache %s: must be auto, off, memory or disk", options->cache);
    if (options->validation && options->validation_split > 0)
        rt_die(RT_USAGE, NULL, "either --validation or --validation-split, not both");
    if (options->dry_run && options->overfit_batch)
        rt_die(RT_USAGE, NULL, "either --dry-run or --overfit-batch, not both");
}

static const Command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0) return &commands[i];
    die_unknown_command(name);
}

/* ---- What a training that goes on may change ------------------------------------------------- */

/* All options of train that are not here must be as they were. `kept`: a checkpoint keeps it for
 * --resume. Of --data and --validation the content is compared, of --epochs what it comes to. */
static const struct {
    const char *name;
    bool kept;
} loose[] = {
    {"--data", true},
    {"--validation", true},
    {"--epochs", true},
    {"--until", true},
    {"--strict", true},
    {"--keep", true},
    {"--checkpoint-every", true},
    {"--steps", false},
    {"--out", false},
    {"--threads", false},
    {"--quiet", false},
    {"--trace", false},
    {"--resume", false},
    {"--fresh", false},
    {"--cache", true},
    {"--cache-memory", true},
    {"--cache-disk", true},
    {"--dry-run", false},
    {"--overfit-batch", false},
};
enum { LOOSE = sizeof loose / sizeof *loose };

bool rt_option_is_loose(const char *name)
{
    for (int i = 0; i < LOOSE; i++)
        if (strcmp(loose[i].name, name) == 0) return true;
    return false;
}

static bool is_kept(const Option *option)
{
    if (!(option->commands & TRAIN)) return false; /* another command's of the same name */
    for (int i = 0; i < LOOSE; i++)
        if (strcmp(loose[i].name, option->name) == 0) return loose[i].kept;
    return true;
}

static const char not_given[] = "not given";

/* What was given, in words; NULL if it was not. */
static char *option_text(const RtOptions *options, const Option *option)
{
    const void *place = (const char *)options + option->offset;
    switch (option->type) {
    case TEXT:
        return *(const char *const *)place ? rt_format("%s", *(const char *const *)place) : NULL;
    case INTEGER:
        return *(const int *)place ? rt_format("%d", *(const int *)place) : NULL;
    case SEED:
        if (*(const uint64_t *)place == 0) return NULL;
        return rt_format("%llu", (unsigned long long)*(const uint64_t *)place);
    case FRACTION:
    case POSITIVE:
        return *(const double *)place != 0 ? rt_format("%.17g", *(const double *)place) : NULL;
    case FLAG:
    case NO_FLAG:
        break;
    }
    return *(const bool *)place == (option->type == FLAG) ? rt_format("given") : NULL;
}

size_t rt_options_list(const RtOptions *options, RtMeta **list)
{
    size_t count = 0;
    *list = rt_alloc(OPTIONS, sizeof **list);
    for (int i = 0; i < OPTIONS; i++) {
        if (!is_kept(&options_table[i])) continue;
        char *text = option_text(options, &options_table[i]);
        if (!text) text = rt_format("%s", not_given);
        (*list)[count++] = (RtMeta){(char *)options_table[i].name, text};
    }
    return count;
}

void rt_options_restore(const RtModel *model, RtOptions *options, const RtTensors *file)
{
    static char *values[OPTIONS]; /* options point to them as long as the program runs */
    for (int i = 0; i < OPTIONS; i++) {
        const Option *option = &options_table[i];
        char *given = is_kept(option) ? option_text(options, option) : NULL;
        char *key = rt_format("option:%s", option->name);
        const char *old = rt_tensors_meta(file, key);
        if (is_kept(option) && !given && old && strcmp(old, not_given) != 0) {
            values[i] = rt_format("%s", old);
            set_option(options, option, values[i]);
        }
        free(given);
        free(key);
    }
    options->resume = false; /* now all must be there */
    check_options(model, options, find_command("train"));
    options->resume = true;
}

/* Answers a program called with --help, --version or nothing at all. */
static bool answer_general(const RtModel *model, const char *first)
{
    if (!first) {
        rt_die(RT_USAGE, rt_format("%s --help lists commands", rt_program), "no command given");
    } else if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        print_general_help(model);
    } else if (strcmp(first, "--version") == 0) {
        print_version(model);
    } else {
        return false;
    }
    return true;
}

bool rt_options_parse(const RtModel *model, int argc, char **argv, RtOptions *options)
{
    if (answer_general(model, argc > 1 ? argv[1] : NULL)) return false;
    const Command *command = find_command(argv[1]);
    *options = (RtOptions){.command = command->name, .shuffle = true, .argc = argc, .argv = argv};
    options->images = rt_alloc((size_t)argc, sizeof *options->images);
    bool only_operands = false;
    for (int i = 2; i < argc; i++) {
        if (only_operands || argv[i][0] != '-' || !argv[i][1]) {
            options->images[options->image_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_command_help(command);
            free(options->images);
            return false;
        } else {
            i = take_option(options, command, argc, argv, i);
        }
    }
    check_options(model, options, command);
    return true;
}
