/* die.c: stands in for runtime/error.c in fuzzers. A message is built, for its arguments may be the
 * bug, and thrown away; rt_die then returns to the fuzzer. What was allocated until then is lost,
 * so leaks are not looked for. Libraries may ask for absurd amounts of memory, and get none. */
#include "die.h"

#include <stdarg.h>

#include "files.h"
#include "ground.h"

const char *__asan_default_options(void);

const char *rt_program = "fuzz";
jmp_buf fuzz_exit;

const char *__asan_default_options(void) { return "detect_leaks=0:allocator_may_return_null=1"; }

static void print_nowhere(const char *format, va_list arguments)
{
    static char text[1 << 16];
    vsnprintf(text, sizeof text, format, arguments);
}

void rt_die(int code, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_nowhere(format, arguments);
    va_end(arguments);
    (void)hint;
    rt_out_remove_unfinished();
    longjmp(fuzz_exit, code);
}

void rt_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_nowhere(format, arguments);
    va_end(arguments);
}

void rt_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_nowhere(format, arguments);
    va_end(arguments);
}
