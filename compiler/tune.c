/* tune.c: `tlc tune`: times the ways to sum the model's convolutions on this machine. Each
 * candidate is the whole model with all convolutions summed that way, compiled by $CC and run by
 * its own `bench --layers --json`; the calls of that are added up by convolution, those of a packed
 * kernel or of a pool that only one candidate fuses to the convolution's. Rounds go over all
 * candidates in turn, and the least time counts. */
#define _GNU_SOURCE /* getline */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

enum { MOST_CANDIDATES = 16, ROUNDS = 3 };

/* What must be gained to leave the cost model's choice: less is noise. */
static const double margin = 0.97;

typedef struct {
    const char *name, *what; /* of its files; for messages */
    Tuning tuning;
    Choice forced;
    const Emit *e;
} Candidate;

/* One convolution, by its key. */
typedef struct {
    const char *key;
    double run_ms, ms[MOST_CANDIDATES]; /* of the run that is read now; the least */
    Choice choices[MOST_CANDIDATES];
} Sum;

typedef struct {
    Candidate candidates[MOST_CANDIDATES];
    int count;
    Sum **sums;
    int sum_count;
    int64_t batch;
    const char *level, *cpu;
    int threads;
} Tune;

/* ---- What a run of bench says ---------------------------------------------------------------- */

static Sum *find_sum(Tune *t, const char *key)
{
    for (int i = 0; i < t->sum_count; i++)
        if (strcmp(t->sums[i]->key, key) == 0) return t->sums[i];
    Sum *s = alloc(1, sizeof *s);
    s->key = key;
    for (int i = 0; i < MOST_CANDIDATES; i++) s->ms[i] = INFINITY;
    append(&t->sums, &t->sum_count, s);
    return s;
}

/* The choice that n's time depends on. */
static const Choice *choice_of(const Node *n)
{
    if (n->op->flags & OP_PACK && n->out[0]->user_count == 1) n = n->out[0]->users[0];
    if (is_halving_pool(n) && n->in[0]->producer && n->in[0]->user_count == 1)
        n = n->in[0]->producer;
    return n->choice && n->choice->key ? n->choice : NULL;
}

/* The calls of a run of g; `looped` of them, at the front, are repeated by micro-batches. */
static MadeCall **list_calls(const Candidate *c, const Graph *g, int *count, int *looped)
{
    MadeCall **calls = NULL;
    *count = *looped = 0;
    for (int i = 0; i < c->e->made_count; i++) {
        MadeCall *call = c->e->made[i];
        if (call->g != g || call->n->in_prepare) continue;
        append(&calls, count, call);
        if (g->kind == PROGRAM_INFER || call->n->in_prefix) ++*looped;
    }
    return calls;
}

static void read_calls(Tune *t, const Candidate *c, const Graph *g, const Json *list)
{
    int count, looped, total = json_count(list), i = 0;
    MadeCall **calls = list_calls(c, g, &count, &looped);
    const int rest = count - looped, loops = total - rest;
    for (const Json *item = json_first(list); item; item = json_next(item), i++) {
        const MadeCall *call = i < loops ? calls[i % looped] : calls[looped + i - loops];
        const char *kernel = json_string(json_get(item, "kernel"));
        double ms;
        if (!kernel || strcmp(kernel, call->kernel) != 0 || !json_number(json_get(item, "ms"), &ms))
            error_world(EXIT_RUN, "--batch 1: bench lists no more than 4096 calls",
                        "tune: bench does not list the calls of %s", g->name);
        const Choice *choice = choice_of(call->n);
        if (!choice) continue;
        Sum *s = find_sum(t, choice->key);
        s->run_ms += ms;
        s->choices[c - t->candidates] = *choice;
    }
}

static const Graph *find_program(const Model *m, const char *what)
{
    for (int i = 0; i < m->program_count; i++) {
        const Graph *g = m->programs[i];
        if (g->kind == PROGRAM_INFER && strcmp(what, "infer") == 0) return g;
        if (g->kind == PROGRAM_TRAIN && strcmp(what, format("train %s", g->phase->name)) == 0)
            return g;
    }
    bug(NULL, "bench measured \"%s\"", what);
}

/* A line for each program. */
static void read_bench(Tune *t, const Candidate *c)
{
    char *line = NULL;
    size_t size = 0;
    double threads;
    const char *path = format("%s/bench", scratch_directory());
    FILE *file = fopen(path, "r");
    while (file && getline(&line, &size, file) > 0) {
        const Json *json = parse_json(copy_text(line, strlen(line)), path);
        read_calls(t, c, find_program(c->e->m, json_string(json_get(json, "what"))),
                   json_get(json, "calls"));
        if (json_number(json_get(json, "threads"), &threads)) t->threads = (int)threads;
        t->cpu = plain_text(json_string(json_get(json, "cpu")));
        t->level = json_string(json_get(json, "level"));
    }
    free(line);
    if (file) fclose(file);
}

static void measure(Tune *t, Candidate *c)
{
    for (int i = 0; i < t->sum_count; i++) t->sums[i]->run_ms = 0;
    if (!run_script("\"$1/$2\" bench --layers --json --repeat 3 --batch \"$3\" >\"$1/bench\"",
                    c->name, format("%lld", (long long)t->batch)))
        error_world(EXIT_RUN, NULL, "tune: the candidate \"%s\" does not run", c->what);
    read_bench(t, c);
    for (int i = 0; i < t->sum_count; i++) {
        double *least = &t->sums[i]->ms[c - t->candidates];
        *least = fmin(*least, t->sums[i]->run_ms);
    }
}

/* ---- Candidates ------------------------------------------------------------------------------ */

static Candidate *build(Tune *t, const char *what, Compile *compile, const void *context,
                        Tuning *tuning)
{
    Candidate *c = &t->candidates[t->count];
    fprintf(stderr, "  %s\n", what);
    c->what = what;
    c->name = format("candidate%d", t->count++);
    c->e = print_model(compile(context, tuning));
    write_whole(format("%s/%s.c", scratch_directory(), c->name), &c->e->out);
    if (!run_script("${CC:-cc} ${CFLAGS:--O2} \"$1/$2.c\" $(pkg-config --cflags --libs tlcrt) -o "
                    "\"$1/$2\"",
                    c->name, ""))
        error_world(EXIT_RUN, "see its messages above; $CC and $CFLAGS are used",
                    "tune: the C compiler failed");
    return c;
}

/* Whether an earlier candidate gives the same file, as it does where pictures are small. */
static bool is_known(const Tune *t, const Emit *e)
{
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->candidates[i].e->out.data, e->out.data) == 0) return true;
    return false;
}

static void build_forced(Tune *t, Choice choice, const char *what, Compile *compile,
                         const void *context)
{
    Candidate *c = &t->candidates[t->count];
    c->forced = choice;
    c->forced.why = "a candidate of tlc tune";
    c->tuning = (Tuning){.forced = &c->forced};
    if (!is_known(t, print_model(compile(context, &c->tuning))))
        build(t, what, compile, context, &c->tuning);
}

static void build_candidates(Tune *t, Compile *compile, const void *context)
{
    fprintf(stderr, "Candidates:\n");
    build(t, "the cost model's choices", compile, context, NULL);
    build_forced(t, (Choice){.winograd = false}, "direct", compile, context);
    for (int tiles = 28; tiles <= 112; tiles *= 2)
        for (int groups = 1; groups <= 8; groups *= 2)
            build_forced(t, (Choice){.winograd = true, .tiles = tiles, .groups = groups},
                         format("Winograd, %d tiles a block, groups of %d", tiles, groups), compile,
                         context);
}

/* ---- The table ------------------------------------------------------------------------------- */

static TunedChoice *choose(const Tune *t, const Sum *s)
{
    int best = 0;
    double other = INFINITY;
    for (int i = 1; i < t->count; i++)
        if (s->ms[i] < margin * s->ms[0] && s->ms[i] < s->ms[best]) best = i;
    for (int i = 0; i < t->count; i++)
        if (s->choices[i].winograd != s->choices[best].winograd) other = fmin(other, s->ms[i]);
    TunedChoice *row = alloc(1, sizeof *row);
    *row = (TunedChoice){s->choices[best], s->ms[best], isfinite(other) ? other : 0, false};
    row->choice.key = s->key;
    printf("%-36s %10.3f %10.3f  %s\n", s->key, s->ms[0], s->ms[best], t->candidates[best].what);
    return row;
}

static Tuning *make_table(const Tune *t)
{
    const Model *m = t->candidates[0].e->m;
    Tuning *table = alloc(1, sizeof *table);
    *table = (Tuning){.model = m->name,
                      .precision = precision_names[m->precision],
                      .cpu = t->cpu,
                      .level = t->level,
                      .threads = t->threads,
                      .batch = (int)t->batch};
    printf("%-36s %10s %10s\n", "ms of all calls in a run", "cost model", "best");
    for (int i = 0; i < t->sum_count; i++)
        append(&table->rows, &table->count, choose(t, t->sums[i]));
    return table;
}

/* bench leaves out phases of smaller batches. */
static int64_t cap_batch(const Model *m, int64_t batch)
{
    for (int i = 0; i < m->phase_count; i++)
        if (m->phases[i]->batch < batch) batch = m->phases[i]->batch;
    return batch;
}

/* The table beside the cost model, measured anew: the least of many times is lucky. */
static void compare(Tune *t, Candidate *by_model, Candidate *tuned)
{
    double model_ms = 0, tuned_ms = 0;
    for (int i = 0; i < t->sum_count; i++) t->sums[i]->ms[by_model - t->candidates] = INFINITY;
    for (int i = 0; i < 2 * ROUNDS; i++) measure(t, i % 2 ? tuned : by_model);
    for (int i = 0; i < t->sum_count; i++) {
        model_ms += t->sums[i]->ms[by_model - t->candidates];
        tuned_ms += t->sums[i]->ms[tuned - t->candidates];
    }
    printf("all of them, batch %lld: %.3f ms by the table, %.3f ms by the cost model\n",
           (long long)t->batch, tuned_ms, model_ms);
    if (tuned_ms >= model_ms) printf("that is no gain: compile without the table\n");
}

void tune(Compile *compile, const void *context, const char *out, int64_t batch)
{
    Tune *t = alloc(1, sizeof *t);
    t->batch = cap_batch(compile(context, NULL), batch);
    if (!run_script("pkg-config --exists tlcrt", "", ""))
        error_world(EXIT_DATA, "install tlc, or set PKG_CONFIG_PATH to the folder of tlcrt.pc",
                    "pkg-config does not find tlcrt, the runtime that candidates are built with");
    build_candidates(t, compile, context);
    for (int i = 0; i < ROUNDS * t->count; i++) measure(t, &t->candidates[i % t->count]);
    write_tuning(make_table(t), out);
    compare(t, &t->candidates[0],
            build(t, "the table's choices", compile, context, read_tuning(out)));
}
