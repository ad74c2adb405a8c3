/* Tests of metrics.c: Keras's meaning of "accuracy" and of the numbers of an epoch. */
#include <math.h>

#include "data.h"
#include "ground.h"
#include "measures.h"
#include "outcome.h"

#include "metric_cases.h"

static void test_binary_is_strictly_above_half(void **state)
{
    (void)state;
    RtModel model = {.output_size = 1};
    real y[] = {1, 1, 0, 0, 1}, out[] = {(real)0.51, (real)0.5, (real)0.5, (real)0.7, (real)0.2};
    assert_int_equal(rt_correct(&model, RT_BINARY_CROSSENTROPY, y, out, 5), 2);
}

static void test_sparse_takes_the_first_of_equals(void **state)
{
    (void)state;
    RtModel model = {.output_size = 3};
    real y[] = {0, 1, 2},
         out[] = {(real).4, (real).4, (real).2, (real).4, (real).4, (real).2, 0, 0, 1};
    assert_int_equal(rt_correct(&model, RT_SPARSE_CATEGORICAL_CROSSENTROPY, y, out, 3), 2);
}

static void test_categorical(void **state)
{
    (void)state;
    RtModel model = {.output_size = 3};
    real y[] = {0, 0, 1, 1, 0, 0, 0, 1, 0};
    real out[] = {0, (real).1, (real).9, (real).2, (real).7, (real).1, 0, 1, 0};
    assert_int_equal(rt_correct(&model, RT_CATEGORICAL_CROSSENTROPY, y, out, 3), 2);
}

static void test_argmax(void **state)
{
    (void)state;
    real values[] = {-1, 3, 2, 3};
    assert_int_equal(rt_argmax(values, 4), 1);
    assert_int_equal(rt_argmax(values, 1), 0);
}

/* A mean over pictures, not over batches: 4 pictures of 1.0 and 1 of 3.5 make 1.5. */
static void test_meter_weighs_by_batch_size(void **state)
{
    (void)state;
    const RtMetric metrics[] = {{.name = "acc", .kind = RT_BINARY_ACCURACY, .threshold = 0.5}};
    RtPhase phase = {.name = "head", .metrics = metrics, .metric_count = 1};
    RtModel model = {.output_rank = 2, .output_dims = {0, 1}, .output_size = 1};
    real y[] = {1, 1, 1, 1}, out[] = {1, 1, 1, 0};
    RtBatch batch = {.n = 4, .y = y}, rest = {.n = 1, .y = y};
    RtMeter meter = rt_meter_open(&phase);
    RtLogNames names = rt_log_names_open(&phase);
    RtLog logs[RT_LOGS];
    rt_meter_add(&meter, &model, &batch, out, 1.0);
    rt_meter_add(&meter, &model, &rest, out, 3.5);
    assert_int_equal(rt_meter_logs(&meter, &names, false, logs), 2);
    assert_string_equal(logs[0].name, "acc");
    assert_string_equal(logs[1].name, "loss");
    assert_true(logs[0].value == 0.8 && logs[1].value == 1.5);
    rt_meter_logs(&meter, &names, true, logs);
    assert_string_equal(logs[0].name, "val_acc");
    assert_string_equal(logs[1].name, "val_loss");
    rt_log_names_close(&names);
    rt_meter_close(&meter);
}

static void test_no_metrics(void **state)
{
    (void)state;
    RtPhase phase = {.name = "head"};
    RtMeter meter = rt_meter_open(&phase);
    RtLogNames names = rt_log_names_open(&phase);
    RtLog logs[RT_LOGS];
    assert_int_equal(rt_meter_logs(&meter, &names, false, logs), 1);
    assert_string_equal(logs[0].name, "loss");
    assert_true(logs[0].value == 0);
    rt_log_names_close(&names);
    rt_meter_close(&meter);
}

static void assert_near(const MetricCase *c, double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-6))
        fail_msg("%s of %d units is %.9g, of Keras %.9g", c->metric.name, c->units, value,
                 expected);
}

/* After one batch and after three, as Keras shows them. */
static void test_values_of_keras(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const MetricCase *c = &cases[i];
        RtModel model = {.output_rank = 2, .output_dims = {0, c->units}, .output_size = c->units};
        double *sums = rt_alloc(rt_metric_size(&c->metric), sizeof *sums);
        for (int batch = 0; batch < CASE_BATCHES; batch++) {
            const size_t row = (size_t)batch * CASE_ROWS;
            RtBatch rows = {.n = CASE_ROWS, .y = c->y + row * (size_t)c->labels};
            rt_metric_add(&c->metric, &model, &rows, c->out + row * (size_t)c->units, sums);
            if (batch == 0) assert_near(c, rt_metric_value(&c->metric, sums), c->first);
        }
        assert_near(c, rt_metric_value(&c->metric, sums), c->all);
        free(sums);
    }
}

static char *history_text(void)
{
    const char *path = scratch("history.csv");
    RtHistory *history = rt_history_open();
    RtLog head[] = {{"accuracy", 0.5}, {"loss", 0.1 + 0.2}, {"val_loss", 2}};
    RtLog tune[] = {{"acc", 1}, {"loss", 1.25e-7}};
    rt_history_add(history, "head", 0, head, 3);
    rt_history_add(history, "tune", 1, tune, 2);
    rt_history_write(history, path);
    rt_history_close(history);
    FILE *file = fopen(path, "rb");
    static char text[1024];
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void test_history_reads_like_csv_logger(void **state)
{
    (void)state;
    assert_string_equal(history_text(), "epoch,acc,accuracy,loss,phase,val_loss\r\n"
                                        "0,NA,0.5,0.30000000000000004,head,2.0\r\n"
                                        "1,1.0,NA,1.25e-07,tune,NA\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_is_strictly_above_half),
        cmocka_unit_test(test_sparse_takes_the_first_of_equals),
        cmocka_unit_test(test_categorical),
        cmocka_unit_test(test_argmax),
        cmocka_unit_test(test_meter_weighs_by_batch_size),
        cmocka_unit_test(test_no_metrics),
        cmocka_unit_test(test_values_of_keras),
        cmocka_unit_test(test_history_reads_like_csv_logger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
