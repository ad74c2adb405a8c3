/* program.h: for unit tests: a generated program run in a child process, in the scratch folder, and
 * what came of it. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "outcome.h"
#include "rt.h"

typedef struct {
    int code; /* of the exit; 128 + signal if it was killed */
    char *out, *err;
} Result;

static inline char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = NULL;
    size_t used = 0, got;
    do {
        text = realloc(text, used + 4097);
        used += got = fread(text + used, 1, 4096, file);
    } while (got > 0);
    text[used] = '\0';
    fclose(file);
    return text;
}

static inline bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

/* Splits at spaces: no test needs an argument with a space in it. */
static inline int split_arguments(char *line, char *argv[64])
{
    int argc = 0;
    for (char *word; (word = strsep(&line, " ")) && argc < 63;)
        if (*word) argv[argc++] = word;
    argv[argc] = NULL;
    return argc;
}

/* Runs "toy ARGUMENTS" with standard output to a file, or to `stdout_path` if not NULL. */
static inline Result run_to(const char *stdout_path, const RtModel *model, const char *arguments)
{
    char line[4096], *argv[64], *out = strdup(scratch("stdout")), *err = strdup(scratch("stderr"));
    Result result = {0};
    int status;
    snprintf(line, sizeof line, "toy %s", arguments);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int out_file = open(stdout_path ? stdout_path : out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int err_file = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (dup2(out_file, 1) < 0 || dup2(err_file, 2) < 0 || chdir(scratch_folder) < 0) _exit(99);
        int code = rt_main(model, split_arguments(line, argv), argv);
        fflush(NULL);
        _exit(code);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    result.out = read_text(out);
    result.err = read_text(err);
    free(out);
    free(err);
    return result;
}

static inline void free_result(Result *result)
{
    free(result->out);
    free(result->err);
}

/* The run must end with this code. */
static inline Result run_model(const RtModel *model, int code, const char *arguments)
{
    Result result = run_to(NULL, model, arguments);
    if (result.code != code)
        fail_msg("toy %s: exit %d, wanted %d\nstdout:\n%s\nstderr:\n%s", arguments, result.code,
                 code, result.out, result.err);
    return result;
}

static inline void assert_says(const char *text, const char *wanted)
{
    if (!strstr(text, wanted)) fail_msg("\"%s\" is missing in:\n%s", wanted, text);
}

/* The run must end with this code, and say this on stderr among other things. */
static inline void expect_failure(const RtModel *model, int code, const char *said,
                                  const char *arguments)
{
    Result result = run_model(model, code, arguments);
    assert_says(result.err, said);
    free_result(&result);
}

#endif
