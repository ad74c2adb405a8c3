/* Tests of the report: the ticks of a chart's axes, text as HTML, history.csv read back. */
#include <math.h>

#include "files.h"
#include "measures.h"
#include "outcome.h"
#include "report.h"
#include "session.h"

/* ---- Ticks ----------------------------------------------------------------------------------- */

static void expect_ticks(RtTicks ticks, const char *wanted)
{
    char text[512] = "", label[32];
    for (int i = 0; i < ticks.count; i++) {
        rt_tick_label(&ticks, i, label);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", label);
    }
    assert_string_equal(text, wanted);
}

static void test_ticks(void **state)
{
    (void)state;
    expect_ticks(rt_ticks(0, 1, 6), "0 0.2 0.4 0.6 0.8 1.0");
    expect_ticks(rt_ticks(0.912, 0.974, 6), "0.90 0.92 0.94 0.96 0.98");
    expect_ticks(rt_ticks(0.03, 0.71, 6), "0 0.2 0.4 0.6 0.8");
    expect_ticks(rt_ticks(-3, 12, 6), "-5 0 5 10 15");
    expect_ticks(rt_ticks(0, 20, 9), "0 5 10 15 20");
    expect_ticks(rt_ticks(0, 123456789, 6), "0 5e+07 1e+08 1.5e+08");
    expect_ticks(rt_ticks(1e-7, 4e-7, 6), "1e-07 2e-07 3e-07 4e-07");
}

static void test_ticks_of_no_range(void **state)
{
    (void)state;
    expect_ticks(rt_ticks(0, 0, 6), "0 0.2 0.4 0.6 0.8 1.0");
    expect_ticks(rt_ticks(5, 5, 6), "4.5 5.0 5.5");
    expect_ticks(rt_ticks(NAN, NAN, 6), "0 0.2 0.4 0.6 0.8 1.0");
    expect_ticks(rt_ticks(INFINITY, -INFINITY, 6), "0 0.2 0.4 0.6 0.8 1.0");
}

static void test_logarithmic_ticks(void **state)
{
    (void)state;
    expect_ticks(rt_log_ticks(0.3, 9, 7), "0.2 0.5 1 2 5 10");
    expect_ticks(rt_log_ticks(1, 10, 7), "1 2 5 10");
    expect_ticks(rt_log_ticks(1e-5, 1e-3, 7), "1e-05 2e-05 5e-05 0.0001 0.0002 0.0005 0.001");
    expect_ticks(rt_log_ticks(0.002, 40, 7), "0.001 0.01 0.1 1 10 100");
    expect_ticks(rt_log_ticks(1e-12, 1, 7), "1e-12 1e-10 1e-08 1e-06 0.0001 0.01 1");
    expect_ticks(rt_log_ticks(2, 2, 7), "2 5");
}

/* Whatever the range: enough ticks, not too many, around it, evenly apart. */
static void test_ticks_of_any_range(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        double parts[2];
        for (int j = 0; j < 2; j++) {
            seed = seed * 1664525 + 1013904223;
            parts[j] = (seed >> 8) / 16777216.0;
        }
        double low = (parts[0] - 0.5) * pow(10, i % 13 - 6), high = low + parts[1] * fabs(low);
        int most = 3 + i % 10;
        RtTicks ticks = rt_ticks(low, high, most);
        assert_in_range(ticks.count, 2, most);
        double step = ticks.at[1] - ticks.at[0], last = ticks.at[ticks.count - 1];
        assert_true(ticks.at[0] <= low + step * 1e-6 && last >= high - step * 1e-6);
        assert_true(ticks.at[0] > low - step * (1 + 1e-6) && last < high + step * (1 + 1e-6));
        for (int j = 1; j < ticks.count; j++)
            assert_true(fabs(ticks.at[j] - ticks.at[j - 1] - step) < step * 1e-6);
    }
}

/* ---- HTML ------------------------------------------------------------------------------------ */

static char *html;
static size_t html_bytes;

static FILE *open_html(void) { return open_memstream(&html, &html_bytes); }

static void expect_html(FILE *out, const char *wanted)
{
    fclose(out);
    assert_string_equal(html, wanted);
    free(html);
}

static void test_html(void **state)
{
    (void)state;
    FILE *out = open_html();
    rt_html(out, "<p>%s</p>", "<b>&\"x'");
    expect_html(out, "<p>&lt;b&gt;&amp;&quot;x&#39;</p>");
    out = open_html();
    rt_html(out, "%s", "caf\xc3\xa9 \xff\x01\x7f\xc2\x85\xed\xa0\x80.");
    expect_html(out, "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                     "\xef\xbf\xbd\xef\xbf\xbd.");
    out = open_html();
    rt_html(out, "%d|%5.2f|%zu|%lld|%.17g|%.1f %%|%s", -3, 1.005, (size_t)7, 1LL << 40, 0.5, 99.0,
            "%s");
    expect_html(out, "-3| 1.00|7|1099511627776|0.5|99.0 %|%s");
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(rt_count_text(14714688), "14,714,688");
    assert_string_equal(rt_count_text(-1000), "-1,000");
    assert_string_equal(rt_count_text(999), "999");
    assert_string_equal(rt_bytes_text(999), "999 bytes");
    assert_string_equal(rt_bytes_text(64800358), "61.8 MiB");
    assert_string_equal(rt_amount_text(1152000), "1.15 M");
    assert_string_equal(rt_amount_text(12), "12");
    assert_string_equal(rt_duration_text(3.21), "3.2 s");
    assert_string_equal(rt_duration_text(59.4), "59 s");
    assert_string_equal(rt_duration_text(125), "2 min 05 s");
    assert_string_equal(rt_duration_text(7380), "2 h 03 min");
    assert_string_equal(rt_duration_text(NAN), "unknown");
}

static void test_base64(void **state)
{
    static const char *const wanted[] = {
        "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"}; /* RFC 4648, section 10 */
    (void)state;
    for (size_t i = 0; i <= 6; i++) {
        FILE *out = open_html();
        rt_base64(out, (const unsigned char *)"foobar", i);
        expect_html(out, wanted[i]);
    }
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void test_history(void **state)
{
    (void)state;
    RtHistory *history = rt_history_open();
    rt_history_add(history, "head", 0, (RtLog[]){{"loss", 0.5}, {"val_loss", 0.25}}, 2);
    rt_history_add(history, "head", 1, (RtLog[]){{"loss", 0.125}}, 1);
    rt_history_add(history, "tune", 2, (RtLog[]){{"acc", 1}, {"loss", NAN}}, 2);
    rt_history_write(history, scratch("history.csv"));
    rt_history_close(history);
    RtEpochs epochs = rt_epochs_read(scratch("history.csv"));
    assert_int_equal(epochs.columns, 5);
    assert_int_equal(epochs.rows, 3);
    int loss = rt_epochs_column(&epochs, "loss"),
        validation = rt_epochs_column(&epochs, "val_loss");
    assert_true(epochs.values[loss] == 0.5 && epochs.values[validation] == 0.25);
    assert_true(epochs.values[5 + loss] == 0.125 && isnan(epochs.values[5 + validation]));
    assert_true(isnan(epochs.values[10 + loss]));
    assert_int_equal(rt_epochs_find(&epochs, "head", 2), 1);
    assert_int_equal(rt_epochs_find(&epochs, "tune", 1), 2);
    assert_int_equal(rt_epochs_find(&epochs, "tune", 2), -1);
    assert_int_equal(rt_epochs_column(&epochs, "lr"), -1);
    rt_epochs_free(&epochs);
    epochs = rt_epochs_read(scratch("no such file"));
    assert_int_equal(epochs.rows, 0);
    rt_epochs_free(&epochs);
}

static void test_history_of_others(void **state)
{
    (void)state;
    FILE *file = fopen(scratch("other.csv"), "wb");
    fputs("epoch,loss\n0,1.5\n1\nx,y,z\n2,nan\n\n3,0.5", file);
    fclose(file);
    RtEpochs epochs = rt_epochs_read(scratch("other.csv"));
    assert_int_equal(epochs.rows, 3);
    assert_true(epochs.values[1] == 1.5 && isnan(epochs.values[3]) && epochs.values[5] == 0.5);
    assert_string_equal(epochs.phases[0], "");
    rt_epochs_free(&epochs);
}

static void test_args(void **state)
{
    (void)state;
    RtOptions options = {.seed = 9};
    static const char text[] = "{\"data\": {\"training\": \"pets\", \"validation\": null, "
                               "\"validation_split\": 0.25, \"seed\": \"18446744073709551615\"}}";
    char problem[64];
    RtJson *args = rt_json_parse(text, strlen(text), problem, sizeof problem);
    assert_non_null(args);
    rt_args_fill(args, &options);
    assert_string_equal(options.data, "pets");
    assert_null(options.validation);
    assert_true(options.validation_split == 0.25 && options.seed == UINT64_MAX);
    options = (RtOptions){.data = "dogs", .seed = 9};
    rt_args_fill(args, &options);
    assert_true(options.validation_split == 0 && options.seed == 9);
    rt_json_free(args);
    options = (RtOptions){.seed = 9};
    rt_args_fill(NULL, &options);
    assert_null(options.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_ticks_of_no_range),
        cmocka_unit_test(test_logarithmic_ticks),
        cmocka_unit_test(test_ticks_of_any_range),
        cmocka_unit_test(test_html),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_history_of_others),
        cmocka_unit_test(test_args),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
