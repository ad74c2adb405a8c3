/* Tests of progress.c and error.c: what stands on stderr, on a terminal and elsewhere. */
#include <pty.h>

#include "internal.h"
#include "outcome.h"

static const RtLog logs[] = {{"accuracy", 0.98765}, {"loss", 0.00012345}};

static void show_epoch(const void *title)
{
    RtProgress *progress = rt_progress_open(title, 12);
    for (size_t step = 1; step <= 12; step++) {
        rt_progress_step(progress, step, logs, 2);
        if (step == 1) usleep(60000); /* past the first drawing: the next one is due */
        if (step == 6) rt_warn("cat.jpg is broken");
    }
    rt_progress_close(progress, logs, 2);
}

static void test_one_line_without_a_terminal(void **state)
{
    (void)state;
    Outcome outcome = run_apart(show_epoch, "Epoch 1/20");
    char *line = strchr(outcome.text, '\n') + 1;
    assert_memory_equal(outcome.text, "model: warning: cat.jpg is broken\n", 34);
    assert_memory_equal(line, "Epoch 1/20: 12/12 - 0s - ", 25);
    assert_non_null(strstr(line, "ms/step - accuracy: 0.9877 - loss: 1.2345e-04\n"));
    assert_string_equal(strchr(line, '\n'), "\n");
}

static void test_without_a_title(void **state)
{
    (void)state;
    Outcome outcome = run_apart(show_epoch, NULL);
    assert_non_null(strstr(outcome.text, "\n12/12 - 0s - "));
}

/* Runs show_epoch with stderr on a terminal; returns what it wrote there. */
static const char *show_on_terminal(const char *title)
{
    static char text[65536];
    size_t length = 0;
    ssize_t got;
    int terminal, status;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    assert_true(child >= 0);
    if (child == 0) {
        show_epoch(title);
        _exit(0);
    }
    while ((got = read(terminal, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    waitpid(child, &status, 0);
    close(terminal);
    return text;
}

static void test_bar_on_a_terminal(void **state)
{
    (void)state;
    const char *text = show_on_terminal("Epoch 1/20");
    assert_memory_equal(text, "Epoch 1/20\r\n", 12);
    /* the first step of 12: one cell of 20, right-aligned number, time left */
    assert_non_null(strstr(text, "\r\033[1m 1/12\033[0m \033[32m━\033[0m\033[37m━━━━━━━━━━━━━━━━━━━"
                                 "\033[0m \033[1m0s\033[0m "));
    /* a message takes the place of the bar, which is then drawn again below */
    assert_non_null(strstr(text, "\r\033[Kmodel: warning: cat.jpg is broken\r\n"));
    const char *end = strstr(text, "\033[1m12/12\033[0m \033[32m━━━━━━━━━━━━━━━━━━━━\033[0m\033[37m"
                                   "\033[0m \033[1m0s\033[0m ");
    assert_non_null(end);
    assert_non_null(strstr(end, " - accuracy: 0.9877 - loss: 1.2345e-04\033[K\r\n"));
}

static void show_nothing(const void *unused)
{
    (void)unused;
    rt_progress_step(NULL, 1, logs, 2);
    rt_progress_close(NULL, logs, 2);
    rt_progress_clear();
}

static void test_null_shows_nothing(void **state)
{
    (void)state;
    assert_string_equal(run_apart(show_nothing, NULL).text, "");
}

static void die(const void *unused)
{
    (void)unused;
    rt_program = "pets";
    rt_die(RT_BAD_DATA, "look again", "%s: %d pictures", "cats", 0);
}

static void die_without_hint(const void *unused)
{
    (void)unused;
    rt_note("plain");
    rt_die(RT_FAILED, NULL, "no");
}

static void test_die(void **state)
{
    (void)state;
    Outcome outcome = run_apart(die, NULL);
    assert_int_equal(outcome.code, RT_BAD_DATA);
    assert_string_equal(outcome.text, "pets: cats: 0 pictures\n  hint: look again\n");
    outcome = run_apart(die_without_hint, NULL);
    assert_int_equal(outcome.code, RT_FAILED);
    assert_string_equal(outcome.text, "plain\nmodel: no\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_without_a_terminal),
        cmocka_unit_test(test_without_a_title),
        cmocka_unit_test(test_bar_on_a_terminal),
        cmocka_unit_test(test_null_shows_nothing),
        cmocka_unit_test(test_die),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
