/* error.c: the four ways to fail: the model is wrong, the command is wrong, the world is wrong, we
 * are wrong. Nothing else calls exit or abort. A message names the place, the facts and a hint. */
#include <stdarg.h>
#include <stdlib.h>

#include "tlc.h"

void (*exit_hook)(int code);

static const char *model_file = "model.json";

void set_model_file(const char *file) { model_file = file; }

static _Noreturn void leave(int code)
{
    fflush(stderr);
    if (exit_hook) exit_hook(code);
    exit(code);
}

static void print_message(const char *message, va_list arguments)
{
    vfprintf(stderr, message, arguments);
    fputc('\n', stderr);
}

static void print_hint(const char *hint)
{
    if (hint) fprintf(stderr, "  hint: %s\n", hint);
}

/* A layer of a base has its name in its path already. */
static void print_place(const Layer *layer)
{
    fprintf(stderr, "%s: %s ", model_file, layer->path);
    if (!layer->base) fprintf(stderr, "\"%s\" ", layer->name);
    fprintf(stderr, "(%s): ", layer->op->name);
}

void error_node(const Node *n, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_place(n->layer);
    print_message(format, arguments);
    va_end(arguments);
    for (int i = 0; i < n->in_count; i++) {
        const Tensor *t = n->in[i];
        fprintf(stderr, "  input \"%s\": %s\n", t->name,
                shape_text(t->rank, t->dims, t->has_batch));
    }
    print_hint(hint);
    leave(EXIT_MODEL);
}

void error_layer(const Layer *layer, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_place(layer);
    print_message(format, arguments);
    va_end(arguments);
    print_hint(hint);
    leave(EXIT_MODEL);
}

void error_model(const char *path, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", model_file);
    if (*path) fprintf(stderr, "%s: ", path);
    print_message(format, arguments);
    va_end(arguments);
    print_hint(hint);
    leave(EXIT_MODEL);
}

void usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "tlc: ");
    print_message(format, arguments);
    va_end(arguments);
    leave(EXIT_USAGE);
}

void error_world(int code, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "tlc: ");
    print_message(format, arguments);
    va_end(arguments);
    print_hint(hint);
    leave(code);
}

void bug(const Graph *g, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "tlc: internal error: ");
    print_message(format, arguments);
    va_end(arguments);
    if (g) dump(g, stderr);
    print_hint("this is a fault of tlc " TLC_VERSION
               ", not of the model; please report it with the "
               "model file");
    fflush(stderr);
    abort();
}

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: warning: ", model_file);
    print_message(format, arguments);
    va_end(arguments);
}
