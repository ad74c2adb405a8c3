/* outcome.h: for unit tests: a folder for scratch files, and functions that end the program, run in
 * a child so that their exit code and message can be looked at. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    int code;         /* of the exit; 128 + signal if it was killed */
    char text[16384]; /* what it said on stderr */
} Outcome;

static inline Outcome run_apart(void (*function)(const void *), const void *argument)
{
    Outcome outcome = {0};
    int ends[2], status;
    size_t length = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        function(argument);
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], outcome.text + length, sizeof outcome.text - 1 - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return outcome;
}

/* The function must end with this code, and say this among other things. */
static inline void expect_end(int code, const char *said, void (*function)(const void *),
                              const void *argument)
{
    Outcome outcome = run_apart(function, argument);
    if (outcome.code != code || !strstr(outcome.text, said))
        fail_msg("exit %d (wanted %d), saying:\n%s\nwanted: %s", outcome.code, code, outcome.text,
                 said);
}

/* A path in a folder of this test; the folder goes when the program ends. */
static char scratch_folder[200];

static inline void remove_scratch(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch_folder);
    if (system(command) != 0) fprintf(stderr, "%s is left over\n", scratch_folder);
}

static inline const char *scratch(const char *name)
{
    static char paths[8][512]; /* the last eight stay valid */
    static int next;
    if (!*scratch_folder) {
        const char *parent = getenv("TMPDIR");
        snprintf(scratch_folder, sizeof scratch_folder, "%.150s/unit-XXXXXX",
                 parent ? parent : P_tmpdir);
        assert_non_null(mkdtemp(scratch_folder));
        atexit(remove_scratch);
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

static inline void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

#endif
