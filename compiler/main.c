/* main.c: the command line of tlc, and the list of passes. A reader starts here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

typedef struct {
    const char *name;
    void (*run)(Graph *g);
} Pass;

/* What happens to the graph of each program, in this order. */
static const Pass passes[] = {
    {"simplify", simplify},        /* drop what is the identity in this program */
    {"grad", add_gradients},       /* gradients and updates as ordinary nodes */
    {"simplify2", simplify},       /* and what became needless by them */
    {"fuse", fuse},                /* activations and updates into their producers */
    {"select", select_algorithms}, /* algorithms, layouts, conversions, packed weights */
    {"schedule", schedule},        /* order of running */
    {"plan", plan},                /* places in the arena */
};

enum { PASS_COUNT = sizeof passes / sizeof *passes };

typedef struct {
    const char *command; /* "compile", "plan", "summary", … */
    const char *file, *out, *dump;
    int64_t max_memory, batch;
    const char *precision; /* NULL: as the model says */
    const char *tuned;     /* NULL: the cost model chooses algorithms */
    bool trainable, expand;
} Options;

static const char help[] =
    "tlc: an ahead-of-time compiler for transfer learning\n"
    "\n"
    "  tlc model.json -o model.c   compile a model to one C file\n"
    "  tlc plan model.json         print tensors, memory plan and totals, per phase\n"
    "  tlc tune model.json         time the kernels' algorithms here, write model.tuned.json\n"
    "  tlc summary model.json      print the layers as Keras's model.summary() does\n"
    "  tlc schema                  print the JSON Schema of model.json\n"
    "  tlc format-tables           print the attribute tables of the documentation\n"
    "\n"
    "  -o FILE              the C file (tune: the table) to write; - for standard output\n"
    "  --tuned FILE         choose algorithms by the table that tlc tune wrote\n"
    "  --batch N            tune: pictures of a run (default 8)\n"
    "  --max-memory SIZE    refuse a model whose arena is larger (512MiB, 2GiB, bytes)\n"
    "  --precision P        highest, high or medium, instead of what the model says\n"
    "  --dump=PASS          print each program's graph after a pass on stderr:\n"
    "                       build simplify grad simplify2 fuse select schedule plan\n"
    "  --trainable          summary: a column for each phase that says what it trains\n"
    "  --expand             summary: list the layers of a base\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 ok, 1 a candidate of tune fails, 2 usage, 3 bad model, 4 cannot read, 6 memory "
    "or disk.\n"
    "The language of model.json is described in docs/model-format.md.\n";

static bool is_pass(const char *name)
{
    if (strcmp(name, "build") == 0) return true;
    for (int i = 0; i < PASS_COUNT; i++)
        if (strcmp(passes[i].name, name) == 0) return true;
    return false;
}

static void show(const Graph *g, const char *pass, const char *wanted)
{
    check(g, pass);
    if (!wanted || strcmp(wanted, pass) != 0) return;
    fprintf(stderr, "; after %s\n", pass);
    dump(g, stderr);
}

static void compile_program(Model *m, ProgramKind kind, Phase *phase, const char *wanted)
{
    Graph *g = build_graph(m, kind, phase);
    if (phase && !phase->slots) make_slots(m, phase);
    show(g, "build", wanted);
    for (int i = 0; i < PASS_COUNT; i++) {
        passes[i].run(g);
        show(g, passes[i].name, wanted);
    }
    append(&m->programs, &m->program_count, g);
}

/* Batches are capped at most_rows pictures, unless that is 0. */
static Model *compile_model(const Options *o, Tuning *tuning, const char *dump_pass,
                            int64_t most_rows)
{
    Model *m = parse_model(o->file);
    m->tuning = tuning;
    if (o->precision) find_precision(o->precision, &m->precision);
    m->hash = hash_model(m);
    for (int i = 0; i < m->phase_count && most_rows; i++)
        if (m->phases[i]->batch > most_rows) m->phases[i]->batch = most_rows;
    compile_program(m, PROGRAM_INFER, NULL, dump_pass);
    for (int i = 0; i < m->phase_count; i++) {
        compile_program(m, PROGRAM_EVALUATE, m->phases[i], dump_pass);
        compile_program(m, PROGRAM_TRAIN, m->phases[i], dump_pass);
    }
    plan_model(m);
    find_cuts(m);
    return m;
}

static int64_t largest_batch(const Model *m)
{
    int64_t most = 0;
    for (int i = 0; i < m->phase_count; i++)
        if (m->phases[i]->batch > most) most = m->phases[i]->batch;
    return most;
}

/* --max-memory: refuses, with the largest batch that fits, found by bisection. */
static void check_memory(const Options *o, Model *m)
{
    if (!o->max_memory || m->arena_bytes <= (size_t)o->max_memory) return;
    int64_t fits = 0, too_large = largest_batch(m);
    while (fits + 1 < too_large) {
        const int64_t batch = fits + (too_large - fits) / 2;
        if (compile_model(o, m->tuning, NULL, batch)->arena_bytes <= (size_t)o->max_memory)
            fits = batch;
        else
            too_large = batch;
    }
    const char *hint = fits > 0 ? format("\"batch_size\": %lld fits", (long long)fits)
                                : "no batch size fits: smaller pictures or layers";
    error_world(EXIT_ROOM, hint, "%s: needs %s, more than --max-memory %s", o->file,
                bytes_text(m->arena_bytes), bytes_text((size_t)o->max_memory));
}

static int64_t parse_size(const char *text)
{
    static const struct {
        const char *unit;
        int shift;
    } units[] = {{"", 0},   {"B", 0},    {"K", 10}, {"KiB", 10},
                 {"M", 20}, {"MiB", 20}, {"G", 30}, {"GiB", 30}};
    char *end;
    errno = 0;
    const double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end != text && strcmp(end, units[i].unit) == 0 && number > 0 && number < 1e9)
            return (int64_t)(number * (double)(INT64_C(1) << units[i].shift));
    usage("--max-memory: \"%s\" is no size; write 512MiB, 2GiB or a number of bytes", text);
}

static const char *parse_precision(const char *name)
{
    Precision precision;
    if (find_precision(name, &precision)) return name;
    usage("--precision: \"%s\" is none; write highest, high or medium", name);
}

static int64_t parse_batch(const char *text)
{
    char *end;
    const long batch = strtol(text, &end, 10);
    if (end != text && *end == '\0' && batch > 0 && batch <= 256) return batch;
    usage("--batch: \"%s\" is no number of pictures from 1 to 256", text);
}

/* The value of an option, as --name=value, or the next argument. */
static const char *option_value(const char *name, int argc, char **argv, int *i)
{
    const size_t length = strlen(name);
    if (strncmp(argv[*i], name, length) != 0) return NULL;
    if (argv[*i][length] == '=') return argv[*i] + length + 1;
    if (argv[*i][length] != '\0') return NULL;
    if (*i + 1 >= argc) usage("%s wants a value", name);
    return argv[++*i];
}

static bool parse_option(Options *o, int argc, char **argv, int *i)
{
    const char *value;
    if (strcmp(argv[*i], "--trainable") == 0) return o->trainable = true;
    if (strcmp(argv[*i], "--expand") == 0) return o->expand = true;
    if ((value = option_value("-o", argc, argv, i))) {
        o->out = value;
    } else if ((value = option_value("--max-memory", argc, argv, i))) {
        o->max_memory = parse_size(value);
    } else if ((value = option_value("--batch", argc, argv, i))) {
        o->batch = parse_batch(value);
    } else if ((value = option_value("--tuned", argc, argv, i))) {
        o->tuned = value;
    } else if ((value = option_value("--precision", argc, argv, i))) {
        o->precision = parse_precision(value);
    } else if ((value = option_value("--dump", argc, argv, i))) {
        if (!is_pass(value)) usage("--dump: there is no pass \"%s\"; see tlc --help", value);
        o->dump = value;
    } else {
        return false;
    }
    return true;
}

static bool is_command(const char *word)
{
    static const char *const commands[] = {"plan", "tune", "summary", "schema", "format-tables"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(word, commands[i]) == 0) return true;
    return false;
}

static Options parse_options(int argc, char **argv)
{
    Options o = {.command = "compile"};
    for (int i = 1; i < argc; i++) {
        if (i == 1 && is_command(argv[i]))
            o.command = argv[i];
        else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!parse_option(&o, argc, argv, &i))
                usage("there is no option \"%s\"; see tlc --help", argv[i]);
        } else if (!o.file)
            o.file = argv[i];
        else
            usage("one model at a time: \"%s\" and \"%s\"", o.file, argv[i]);
    }
    return o;
}

/* The line that makes a program of the file that was just written. */
static void print_next_step(const Model *m, const char *out)
{
    fprintf(stderr, "%s: %s of arena, %d layer%s\n", out, bytes_text(m->arena_bytes),
            m->layer_count, m->layer_count == 1 ? "" : "s");
    fprintf(stderr, "  cc -O2 %s $(pkg-config --cflags --libs tlcrt) -o %s\n", out, m->name);
}

static Model *compile_again(const void *options, Tuning *tuning)
{
    return compile_model(options, tuning, NULL, 0);
}

/* Beside the model, unless -o says where. */
static void run_tune(const Options *o)
{
    const char *dot = strrchr(o->file, '.');
    const int stem = dot && !strchr(dot, '/') ? (int)(dot - o->file) : (int)strlen(o->file);
    const char *out = o->out ? o->out : format("%.*s.tuned.json", stem, o->file);
    if (strcmp(out, "-") == 0) usage("tune reads the table again: -o wants a file");
    tune(compile_again, o, out, o->batch ? o->batch : 8);
    fprintf(stderr, "%s\n  tlc %s --tuned %s -o %.*s.c\n", out, o->file, out, stem, o->file);
}

static int run_command(const Options *o)
{
    if (strcmp(o->command, "schema") == 0) return print_schema(stdout), EXIT_OK;
    if (strcmp(o->command, "format-tables") == 0) return print_format_tables(stdout), EXIT_OK;
    if (!o->file) usage("which model? tlc model.json -o model.c; see tlc --help");
    const bool compile = strcmp(o->command, "compile") == 0;
    if (compile && !o->out) usage("where to? tlc %s -o model.c", o->file);
    if (strcmp(o->command, "tune") == 0) return run_tune(o), EXIT_OK;
    Tuning *tuning = o->tuned ? read_tuning(o->tuned) : NULL;
    Model *m = compile_model(o, tuning, o->dump, 0);
    if (tuning) check_tuning(tuning, o->tuned, m);
    check_memory(o, m);
    if (strcmp(o->command, "plan") == 0) print_plan(m, stdout);
    if (strcmp(o->command, "summary") == 0) print_summary(m, stdout, o->trainable, o->expand);
    if (!compile) return EXIT_OK;
    write_whole(o->out, &print_model(m)->out);
    if (strcmp(o->out, "-") != 0) print_next_step(m, o->out);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) return puts("tlc " TLC_VERSION), EXIT_OK;
    const Options o = parse_options(argc, argv);
    return run_command(&o);
}
