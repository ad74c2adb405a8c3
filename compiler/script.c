/* script.c: commands that tlc runs, one at a time, and the folder for their files. It is private
 * and gone when tlc is, whether that ends well, by an error or by a signal. */
#define _GNU_SOURCE /* environ */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tlc.h"

enum { LIMIT = 1200 /* seconds of one command */ };

static char directory[512];

static void remove_directory(void)
{
    DIR *dir = *directory ? opendir(directory) : NULL;
    if (!dir) return;
    for (const struct dirent *entry; (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0); /* not . and .. */
    closedir(dir);
    rmdir(directory);
}

/* Compilers keep their own files there too. */
static void make_directory(void)
{
    const char *parent = getenv("TMPDIR");
    const int length = snprintf(directory, sizeof directory, "%s/tlc-tune-XXXXXX",
                                parent && *parent ? parent : "/tmp");
    const bool fits = length < (int)sizeof directory;
    if (!fits || !mkdtemp(directory)) {
        *directory = '\0';
        error_world(EXIT_ROOM, "set TMPDIR", "no folder for temporary files: %s",
                    strerror(fits ? errno : ENAMETOOLONG));
    }
    atexit(remove_directory);
    setenv("TMPDIR", directory, 1);
}

const char *scratch_directory(void)
{
    if (!*directory) make_directory();
    return directory;
}

/* Those that end tlc, unless they are ignored, and the child's end. They stay blocked while tlc
 * tunes, so that it waits for them, and its child and files are gone before it is. */
static sigset_t awaited(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t set;
    struct sigaction action;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&set, signals[i]);
    return set;
}

static pid_t start(const char *script, const char *name, const char *batch)
{
    char *arguments[] = {
        "sh",          "-c", (char *)script, "tlc", (char *)scratch_directory(), (char *)name,
        (char *)batch, NULL};
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t child;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    const int failed = posix_spawn(&child, "/bin/sh", NULL, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    if (failed) error_world(EXIT_RUN, NULL, "cannot start a command: %s", strerror(failed));
    return child;
}

bool run_script(const char *script, const char *name, const char *batch)
{
    const sigset_t set = awaited();
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    const pid_t child = start(script, name, batch);
    for (int status, got;;) {
        got = sigtimedwait(&set, NULL, &(struct timespec){.tv_sec = LIMIT});
        if (waitpid(child, &status, WNOHANG) == child) {
            if (got <= 0 || got == SIGCHLD) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        } else if (got == SIGCHLD || (got < 0 && errno == EINTR)) {
            continue;
        } else {
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
        }
        if (got > 0) error_world(128 + got, NULL, "tune: ended by signal %d", got);
        error_world(EXIT_RUN, NULL, "tune: a command took longer than %d s", LIMIT);
    }
}
