/* error.c: the one way to fail when the world is wrong (a file, the disk, the data, the command),
 * and the two ways to speak on stderr without failing. */
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "files.h"
#include "ground.h"
#include "measures.h"

const char *rt_program = "model";

/* One write for the whole line, so that lines of several threads do not mix. */
static void print_line(const char *label, const char *format, va_list arguments)
{
    flockfile(stderr);
    rt_progress_clear();
    fprintf(stderr, "%s: %s", rt_program, label);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(stderr);
    funlockfile(stderr);
}

/* Ends by _exit: handlers of libraries must not run while other threads still use those
 * libraries, and nothing of ours is left to a handler. */
void rt_die(int code, const char *hint, const char *format, ...)
{
    static atomic_flag dying = ATOMIC_FLAG_INIT;
    while (atomic_flag_test_and_set(&dying)) pause(); /* the first to fail speaks */
    va_list arguments;
    va_start(arguments, format);
    print_line("", format, arguments);
    va_end(arguments);
    if (hint) fprintf(stderr, "  hint: %s\n", hint);
    rt_out_remove_unfinished();
    fflush(stdout);
    _exit(code);
}

void rt_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("warning: ", format, arguments);
    va_end(arguments);
}

void rt_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    flockfile(stderr);
    rt_progress_clear();
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(arguments);
}
