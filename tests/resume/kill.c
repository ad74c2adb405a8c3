/* kill.c: kills a training again and again at random moments, starts it again each time, and holds
 * what it comes to against a training that was left alone.
 *
 *   kill KILLS SEED REFERENCE FOLDER PROGRAM ARGUMENT...
 *
 * REFERENCE is the folder of the finished training; FOLDER is made anew for every trial. Each start
 * is given another number of threads and another cache, and saves after every step or only after
 * epochs. Most are ended by SIGKILL, until KILLS of them were; the others by SIGINT or SIGTERM,
 * which must end with 130 or 143. FEATURES=1 in the environment: features are kept on disk, and
 * starts are ended early, while they are computed. Exit 1 at the first difference. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 60 };

static const char *folder, *reference;
static char **command; /* program and arguments, NULL at the end */
static uint64_t seed;
static double whole; /* seconds that a start takes if it is left alone */
static bool at_features;
static int kills, saves_hit, features_hit, asked, starts, trials;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Vigna's splitmix64. */
static uint64_t draw(uint64_t bound)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % bound;
}

static _Noreturn void fail(const char *what)
{
    printf("FAIL resume/kill: %s (trial %d, start %d)\n", what, trials, starts);
    exit(1);
}

static pid_t start(void)
{
    static const char *const caches[] = {"--cache=auto", "--cache=disk", "--cache=memory",
                                         "--cache=off"};
    static char threads[] = "--threads=N", every[64];
    char *argv[MOST_ARGUMENTS + 8];
    int n = 0;
    for (; command[n]; n++) argv[n] = command[n];
    threads[sizeof threads - 2] = (char)('1' + draw(4));
    snprintf(every, sizeof every, "--checkpoint-every=%s", draw(2) ? "1e-9" : "1000");
    argv[n++] = threads, argv[n++] = every, argv[n++] = (char *)caches[draw(at_features ? 2 : 4)];
    argv[n++] = "--out", argv[n++] = (char *)folder;
    argv[n] = NULL;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) fail("cannot fork");
    if (child > 0) return child;
    int log = open("kill.log", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(log, 1);
    dup2(log, 2);
    execv(argv[0], argv);
    _exit(127);
}

/* Whether a half-written file lies in one of the run's folders: the kill hit a save. */
static bool has_unfinished(const char *path)
{
    bool found = false;
    DIR *entries = opendir(path);
    if (!entries) return false;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strstr(entry->d_name, ".tmp.")) found = true;
    closedir(entries);
    return found;
}

/* Features are computed before the first checkpoint. */
static void count_kill(void)
{
    char checkpoints[512], cache[512];
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder);
    snprintf(cache, sizeof cache, "%s/cache", folder);
    kills++;
    saves_hit += has_unfinished(folder) || has_unfinished(checkpoints);
    features_hit += access(cache, F_OK) == 0 && access(checkpoints, F_OK) != 0;
}

/* Starts the training and ends it at a random moment; true if it came to its end. */
static bool start_and_end(bool let_finish)
{
    int status, signals[] = {SIGKILL, SIGKILL, SIGKILL, SIGKILL, SIGINT, SIGTERM};
    int number = signals[draw(6)];
    double wait = (at_features ? 0.6 : 1) * whole * (double)draw(1000000) / 1e6;
    pid_t child = start();
    starts++;
    if (!let_finish) {
        struct timespec time = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
        while (nanosleep(&time, &time) < 0 && errno == EINTR) continue;
        kill(child, number);
    }
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        count_kill();
    } else if (WIFEXITED(status) && number != SIGKILL && WEXITSTATUS(status) == 128 + number) {
        asked++;
    } else if (!WIFSIGNALED(status) || WTERMSIG(status) != number) { /* before it listened */
        char text[100];
        snprintf(text, sizeof text, "ended with status 0x%x after signal %d; see kill.log", status,
                 let_finish ? 0 : number);
        fail(text);
    }
    return false;
}

static char *read_all(const char *from, const char *name, size_t *bytes)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", from, name);
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    char *data = malloc(1 << 24);
    *bytes = fread(data, 1, 1 << 24, file);
    fclose(file);
    return data;
}

static void compare(const char *name)
{
    size_t expected, found;
    char *a = read_all(reference, name, &expected), *b = read_all(folder, name, &found);
    if (expected != found || memcmp(a, b, expected) != 0) {
        char text[100];
        snprintf(text, sizeof text, "%s differs from that of the run that was left alone", name);
        fail(text);
    }
    free(a);
    free(b);
}

static void remove_folder(void)
{
    char line[600];
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    if (system(line) != 0) fail("rm");
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > MOST_ARGUMENTS) return 2;
    int wanted = atoi(argv[1]);
    seed = strtoull(argv[2], NULL, 10);
    reference = argv[3], folder = argv[4], command = argv + 5;
    at_features = getenv("FEATURES") != NULL;
    whole = 1e9;
    for (int i = 0; i < 3; i++) {
        remove_folder();
        double begin = seconds();
        if (!start_and_end(true)) fail("a run that was left alone did not end well");
        if (seconds() - begin < whole) whole = seconds() - begin;
    }
    double begin = seconds();
    while (kills < wanted) {
        remove_folder();
        trials++;
        int before = starts;
        while (!start_and_end(starts - before > (at_features ? 4 : 30))) continue;
        compare("last.safetensors");
        compare("best.safetensors");
        compare("history.csv");
    }
    printf("ok resume/kill: %d SIGKILLs (%d of them in a save, %d before a first step, with "
           "features), %d SIGINTs and SIGTERMs in %d trainings, %d starts, each at most %.0f ms: "
           "the same bytes; %.0f s\n",
           kills, saves_hit, features_hit, asked, trials, starts, whole * 1e3, seconds() - begin);
    return 0;
}
