/* libFuzzer entry: any bytes as model.json, through parsing, shapes and, for models that are not
 * too large, all passes of every program. Seeds: examples/, tests/bad. Messages are many: run it
 * with -close_fd_mask=2. */
#define _GNU_SOURCE /* memfd_create */
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tlc.h"

enum { MOST_LAYERS = 40, MOST_PHASES = 3 };

const char *__asan_default_options(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static jmp_buf left;

const char *__asan_default_options(void) { return "detect_leaks=0"; }

static void leave(int code) { longjmp(left, code); }

static const char *make_file(const uint8_t *data, size_t bytes)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) fd = memfd_create("model", 0);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, bytes, 0) != (ssize_t)bytes) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static void compile_program(Model *m, ProgramKind kind, Phase *phase)
{
    static void (*const passes[])(Graph *) = {simplify,          add_gradients, simplify, fuse,
                                              select_algorithms, schedule,      plan};
    Graph *g = build_graph(m, kind, phase);
    if (phase && !phase->slots) make_slots(m, phase);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        passes[i](g);
        check(g, "a pass");
    }
    append(&m->programs, &m->program_count, g);
}

static void compile_model(const char *path)
{
    Model *m = parse_model(path);
    if (m->layer_count > MOST_LAYERS || m->phase_count > MOST_PHASES) return;
    compile_program(m, PROGRAM_INFER, NULL);
    for (int i = 0; i < m->phase_count; i++) {
        compile_program(m, PROGRAM_EVALUATE, m->phases[i]);
        compile_program(m, PROGRAM_TRAIN, m->phases[i]);
    }
    plan_model(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    exit_hook = leave;
    if (setjmp(left) == 0) compile_model(make_file(data, bytes));
    free_all();
    return 0;
}
