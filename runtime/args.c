/* args.c: args.json: the arguments of a training, its seed, what made the program, the machine it
 * runs on; and, once it is over, what it took. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "ground.h"
#include "report.h"
#include "session.h"
#include "training.h"

enum { MAX_BYTES = 1 << 24 };

/* ---- Writing --------------------------------------------------------------------------------- */

/* A member of an object; the first of them has no comma before it. */
static void write_key(FILE *out, const char *key, bool first)
{
    fputs(first ? "\n    " : ",\n    ", out);
    rt_json_write_string(out, key);
    fputs(": ", out);
}

static void write_text(FILE *out, const char *key, const char *text, bool first)
{
    write_key(out, key, first);
    if (text)
        rt_json_write_string(out, text);
    else
        fputs("null", out);
}

/* JSON's readers take integers for doubles: beyond 2^53 only a string keeps all digits. */
static void write_seed(FILE *out, uint64_t seed)
{
    write_key(out, "seed", false);
    fprintf(out, seed < (UINT64_C(1) << 53) ? "%llu" : "\"%llu\"", (unsigned long long)seed);
}

static void write_arguments(FILE *out, const RtOptions *options)
{
    fputs("  \"arguments\": [", out);
    for (int i = 1; i < options->argc; i++) {
        if (i > 1) fputs(", ", out);
        rt_json_write_string(out, options->argv[i]);
    }
    fputs("],\n", out);
}

static void write_data(FILE *out, const RtOptions *options)
{
    fputs("  \"data\": {", out);
    write_text(out, "training", options->data, true);
    write_text(out, "validation", options->validation, false);
    write_key(out, "validation_split", false);
    fprintf(out, "%.17g", options->validation_split);
    write_seed(out, options->seed);
    fputs("\n  },\n", out);
}

static const char *compiler_name(void)
{
#ifdef __clang__
    return __VERSION__; /* "Clang 14.0.6" */
#else
    return "gcc " __VERSION__;
#endif
}

static void write_versions(FILE *out, const RtModel *model)
{
    char abi[16];
    snprintf(abi, sizeof abi, "%d", RT_ABI);
    fputs("  \"model\": {", out);
    write_text(out, "name", model->name, true);
    write_text(out, "graph", model->hash, false);
    fputs("\n  },\n  \"versions\": {", out);
    write_text(out, "tlc", model->tlc, true);
    write_text(out, "library interface", abi, false);
    write_text(out, "library compiled by", compiler_name(), false);
    fputs("\n  },\n", out);
}

static double machine_memory(void)
{
    return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

static void write_machine(FILE *out, const RtSession *session)
{
    struct utsname system = {0};
    uname(&system);
    char *name = rt_format("%s %s %s", system.sysname, system.release, system.machine);
    fputs("  \"machine\": {", out);
    write_text(out, "cpu", rt_cpu_name(), true);
    write_text(out, "level", rt_level_name(session->level), false);
    write_key(out, "cpus", false);
    fprintf(out, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    write_key(out, "threads", false);
    fprintf(out, "%d", rt_pool_threads(session->run.pool));
    write_key(out, "memory_bytes", false);
    fprintf(out, "%.0f", machine_memory());
    write_text(out, "system", name, false);
    fputs("\n  },\n", out);
    free(name);
}

static void format_now(char text[32])
{
    time_t now = time(NULL);
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&now, &utc)) strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void write_run(FILE *out, const RtTook *took, bool over)
{
    char now[32];
    struct rusage usage = {0};
    format_now(now);
    getrusage(RUSAGE_SELF, &usage);
    write_text(out, "started", took->started, true);
    if (!over) return;
    write_text(out, "ended", now, false);
    write_key(out, "seconds", false);
    fprintf(out, "%.3f", took->seconds);
    write_key(out, "pictures", false);
    fprintf(out, "%zu", took->pictures);
    write_key(out, "peak_memory_bytes", false);
    fprintf(out, "%.0f", (double)usage.ru_maxrss * 1024);
    write_key(out, "signal", false);
    fprintf(out, "%d", rt_signal());
}

void rt_args_write(const RtSession *session, const char *folder, const RtTook *took, bool over)
{
    char *path = rt_format("%s/args.json", folder);
    RtOut *file = rt_out_try(path); /* a full disk ends no training */
    FILE *out = rt_out_file(file);
    fputs("{\n  \"program\": ", out);
    rt_json_write_string(out, rt_program);
    fputs(",\n", out);
    write_arguments(out, session->options);
    write_data(out, session->options);
    write_versions(out, session->model);
    write_machine(out, session);
    fputs("  \"run\": {", out);
    write_run(out, took, over);
    fputs("\n  }\n}\n", out);
    rt_out_commit(file);
    free(path);
}

/* ---- Reading --------------------------------------------------------------------------------- */

RtJson *rt_args_read(const char *folder)
{
    char *path = rt_format("%s/args.json", folder), problem[256];
    RtJson *json = NULL;
    size_t bytes;
    if (access(path, R_OK) == 0) {
        const unsigned char *text = rt_map(path, MAX_BYTES, RT_BAD_DATA, &bytes);
        json = rt_json_parse((const char *)text, bytes, problem, sizeof problem);
        rt_unmap(text, bytes);
        if (!json) rt_warn("%s: %s; passed over", path, problem);
    }
    free(path);
    return json;
}

void rt_took_begin(RtTook *took, const char *folder, bool resumed)
{
    RtJson *args = resumed ? rt_args_read(folder) : NULL;
    const RtJson *run = rt_json_get(args, "run");
    const char *started = rt_json_text(rt_json_get(run, "started"));
    int64_t pictures = 0;
    *took = (RtTook){.begin = rt_seconds()};
    format_now(took->started);
    if (started) snprintf(took->started, sizeof took->started, "%s", started);
    if (!rt_json_number(rt_json_get(run, "seconds"), &took->seconds)) took->seconds = 0;
    rt_json_integer(rt_json_get(run, "pictures"), &pictures);
    took->pictures = took->earlier = pictures > 0 ? (size_t)pictures : 0;
    rt_json_free(args);
}

static bool read_seed(const RtJson *value, uint64_t *seed)
{
    int64_t number;
    const char *text = value ? rt_json_text(value) : NULL;
    char *end;
    errno = 0;
    if (text) *seed = strtoull(text, &end, 10);
    if (text) return *text && !*end && !errno;
    if (!value || !rt_json_integer(value, &number) || number < 0) return false;
    *seed = (uint64_t)number;
    return true;
}

void rt_args_fill(const RtJson *args, RtOptions *options)
{
    const RtJson *data = args ? rt_json_get(args, "data") : NULL;
    const RtJson *training = data ? rt_json_get(data, "training") : NULL;
    const char *folder = training ? rt_json_text(training) : NULL;
    if (!folder || options->validation || options->validation_split > 0) return;
    if (options->data && !rt_json_keeps(options->data, folder)) return;
    const RtJson *validation = rt_json_get(data, "validation");
    const RtJson *split = rt_json_get(data, "validation_split");
    if (!options->data) options->data = folder;
    options->validation = validation ? rt_json_text(validation) : NULL;
    if (!split || !rt_json_number(split, &options->validation_split) ||
        options->validation_split < 0 || options->validation_split >= 1)
        options->validation_split = 0;
    if (!read_seed(rt_json_get(data, "seed"), &options->seed)) options->seed = 0;
}
