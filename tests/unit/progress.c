/* Tests of progress.c and error.c: what stands on stderr, on a terminal and elsewhere. */
#include <pty.h>

#include "ground.h"
#include "measures.h"
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

/* A training of which this epoch is a part: 384 pictures, validation as long as 4 steps, and as
 * much as 100 steps after. */
static void show_forecast(const void *title)
{
    RtProgress *progress = rt_progress_open(title, 12);
    rt_progress_forecast(progress, 384, 4, 100);
    for (size_t step = 1; step <= 12; step++) {
        usleep(60000);
        rt_progress_step(progress, step, logs, 2);
    }
    rt_progress_close(progress, logs, 2);
}

static void test_forecast_without_a_terminal(void **state)
{
    (void)state;
    double speed;
    long left;
    Outcome outcome = run_apart(show_forecast, "Epoch 1/20");
    const char *at = strstr(outcome.text, "ms/step - ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "ms/step - %lf img/s - ETA %lds - accuracy", &speed, &left), 2);
    assert_true(speed > 50 && speed < 534); /* 32 pictures in 60 ms, or slower */
    assert_true(left >= 4);                 /* 100 of the 16 that took 0.72 s */
}

/* Columns that the widest drawing of a bar takes up, but for the closing line. */
static int widest(const char *text)
{
    int most = 0, columns = 0;
    const char *end = strrchr(text, '\r'); /* that of the last line's end */
    while (end > text && end[-1] != '\r') end--;
    for (; text < end; text++) {
        if (*text == '\033')
            text += strcspn(text, "mK");
        else if (*text == '\r')
            columns = 0;
        else if (((unsigned char)*text & 0xc0) != 0x80)
            columns++;
        if (columns > most) most = columns;
    }
    return most;
}

/* Runs a function with stderr on a terminal so many columns wide; returns what it wrote there. */
static const char *show_on(void (*show)(const void *), const char *title, int columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    static char text[65536];
    size_t length = 0;
    ssize_t got;
    int terminal, status;
    pid_t child = forkpty(&terminal, NULL, NULL, columns ? &size : NULL);
    assert_true(child >= 0);
    if (child == 0) {
        unsetenv("COLUMNS");
        show(title);
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
    const char *text = show_on(show_epoch, "Epoch 1/20", 0);
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

static void test_bars_fit_their_terminal(void **state)
{
    (void)state;
    const char *text = show_on(show_forecast, "Epoch 1/20", 200);
    assert_non_null(strstr(text, " img/s - ETA "));
    assert_non_null(strstr(text, "ms/step - "));
    int all = widest(text);
    assert_true(all > 80 && all < 200);
    for (int columns = 20; columns <= 100; columns += 20) {
        text = show_on(show_forecast, "Epoch 1/20", columns);
        assert_true(widest(text) < columns);
        if (columns >= 80) assert_non_null(strstr(text, " - loss: 1.2345e-04\033[K\r"));
        assert_non_null(strstr(text, " - loss: 1.2345e-04\033[K\r\n")); /* the closing line */
    }
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
        cmocka_unit_test(test_forecast_without_a_terminal),
        cmocka_unit_test(test_bars_fit_their_terminal),
        cmocka_unit_test(test_null_shows_nothing),
        cmocka_unit_test(test_die),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
