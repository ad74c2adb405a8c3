/* signals.c: SIGINT and SIGTERM, without a half-written file and, in training, without a lost
 * epoch. */
#include <signal.h>
#include <unistd.h>

#include "files.h"
#include "ground.h"

static volatile sig_atomic_t taken;
static volatile sig_atomic_t wait_for_step;

static void handle(int number)
{
    if (!wait_for_step || taken) {
        rt_out_remove_unfinished();
        _exit(128 + number);
    }
    static const char text[] = "\nstopping after this step; once more to stop at once\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written; /* nothing can be done about a closed stderr */
    taken = number;
}

void rt_signals_open(bool graceful)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    taken = 0;
    wait_for_step = graceful;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int rt_signal(void) { return taken; }
