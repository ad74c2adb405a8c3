/* Tests of classes.c: class weights as Keras's fit takes them, epochs with as many of each class.
 */
#include "arrays.h"
#include "data.h"
#include "ground.h"
#include "outcome.h"
#include "session.h"

enum { PICTURES = 23 };

static const RtModel model = {
    .output_rank = 2, .output_dims = {0, 3}, .output_size = 3, .name = "toy"};
static const RtPhase sparse = {.name = "head",
                               .loss = RT_SPARSE_CATEGORICAL_CROSSENTROPY,
                               .weighs_classes = 1,
                               .balanced_sampling = 1};

/* 15 of class a, 6 of b, 2 of c. */
static RtData make_data(void)
{
    static int labels[PICTURES];
    static char *names[] = {"a", "b", "c"};
    for (int i = 0; i < PICTURES; i++) labels[i] = i % 11 == 10 ? 2 : i % 4 == 3 ? 1 : 0;
    labels[3] = labels[7] = 1;
    labels[10] = labels[21] = 2;
    return (RtData){.count = PICTURES, .labels = labels, .classes = names, .class_count = 3};
}

static void count(const RtData *data, size_t sizes[3])
{
    memset(sizes, 0, 3 * sizeof *sizes);
    for (size_t i = 0; i < data->count; i++) sizes[data->labels[i]]++;
}

static void test_balanced_weights(void **state)
{
    (void)state;
    RtSession session = {.model = &model, .sample_weights = rt_alloc(4, sizeof(real))};
    RtData data = make_data();
    size_t sizes[3];
    real y[] = {2, 0, 1, 2};
    count(&data, sizes);
    rt_class_weights_open(&session, &sparse, &data);
    rt_weigh_batch(&session, &sparse, y, 4);
    for (int i = 0; i < 4; i++) {
        const double expected = PICTURES / (3.0 * (double)sizes[(int)y[i]]);
        assert_true(session.run.sample_weight[i] == (real)expected);
    }
    free(session.class_weights);
    free(session.sample_weights);
}

/* By name, by number; a class that is not listed counts as ever. One-hot labels. */
static void test_listed_weights(void **state)
{
    (void)state;
    const RtClassWeight weights[] = {{"b", 2.5}, {"2", 0.25}};
    RtPhase phase = {.name = "head",
                     .loss = RT_CATEGORICAL_CROSSENTROPY,
                     .weighs_classes = 1,
                     .class_weights = weights,
                     .class_weight_count = 2};
    RtSession session = {.model = &model, .sample_weights = rt_alloc(3, sizeof(real))};
    RtData data = make_data();
    real y[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    rt_class_weights_open(&session, &phase, &data);
    rt_weigh_batch(&session, &phase, y, 3);
    assert_true(session.run.sample_weight[0] == 1);
    assert_true(session.run.sample_weight[1] == (real)2.5);
    assert_true(session.run.sample_weight[2] == (real)0.25);
    free(session.class_weights);
    free(session.sample_weights);
}

static void open_unknown(const void *argument)
{
    const RtClassWeight weights[] = {{"cat", 2}};
    RtPhase phase = {.name = "head",
                     .loss = RT_SPARSE_CATEGORICAL_CROSSENTROPY,
                     .weighs_classes = 1,
                     .class_weights = weights,
                     .class_weight_count = 1};
    RtSession session = {.model = &model};
    rt_class_weights_open(&session, &phase, argument);
}

static void test_unknown_class(void **state)
{
    (void)state;
    RtData data = make_data();
    expect_end(RT_BAD_DATA, "the data have no class \"cat\"", open_unknown, &data);
}

static void draw(const RtData *data, uint64_t seed, uint32_t epoch, bool shuffle, uint64_t *order)
{
    RtRun run = {.seed = seed, .epoch = epoch};
    rt_epoch_order(&run, &model, &sparse, data, shuffle, order);
}

/* 7 of each class; of a different ones, of b all and one twice, of c each three or four times. */
static void test_an_epoch_has_as_many_of_each(void **state)
{
    (void)state;
    RtData data = make_data();
    uint64_t order[PICTURES];
    int drawn[PICTURES] = {0}, each[3] = {0};
    size_t sizes[3];
    count(&data, sizes);
    assert_int_equal(rt_epoch_pictures(&model, &sparse, &data), 21);
    draw(&data, 5, 2, true, order);
    for (int i = 0; i < 21; i++) {
        drawn[order[i]]++;
        each[data.labels[order[i]]]++;
    }
    for (int class = 0; class < 3; class ++) assert_int_equal(each[class], 7);
    for (int i = 0; i < PICTURES; i++) {
        const int size = (int)sizes[data.labels[i]];
        assert_true(drawn[i] >= 7 / size && drawn[i] <= (7 + size - 1) / size);
    }
}

/* The same for one seed and epoch; another for others; all classes mixed. */
static void test_an_epoch_is_a_function_of_seed_and_epoch(void **state)
{
    (void)state;
    RtData data = make_data();
    uint64_t first[PICTURES] = {0}, again[PICTURES] = {0}, other[PICTURES] = {0};
    draw(&data, 5, 2, true, first);
    draw(&data, 5, 2, true, again);
    assert_memory_equal(first, again, sizeof first);
    draw(&data, 5, 3, true, other);
    assert_memory_not_equal(first, other, sizeof first);
    draw(&data, 6, 2, true, other);
    assert_memory_not_equal(first, other, sizeof first);
    int changes = 0;
    for (int i = 1; i < 21; i++) changes += data.labels[first[i]] != data.labels[first[i - 1]];
    assert_true(changes > 5);
    draw(&data, 5, 2, false, other);
    for (int i = 0; i < 21; i++) assert_int_equal(data.labels[other[i]], i / 7);
}

static void test_arrays(void **state)
{
    (void)state;
    float y[] = {1, 1, 1, 0, 1, 1};
    const RtModel binary = {.output_rank = 2, .output_dims = {0, 1}, .output_size = 1};
    RtPhase phase = {.name = "head", .loss = RT_BINARY_CROSSENTROPY, .balanced_sampling = 1};
    RtData data = {.count = 6, .y = {.type = RT_F32, .rank = 2, .dims = {6, 1}, .data = y}};
    RtRun run = {.seed = 1};
    uint64_t order[6];
    int zeros = 0;
    assert_int_equal(rt_epoch_pictures(&binary, &phase, &data), 6);
    rt_epoch_order(&run, &binary, &phase, &data, true, order);
    for (int i = 0; i < 6; i++) zeros += y[order[i]] == 0;
    assert_int_equal(zeros, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balanced_weights),
        cmocka_unit_test(test_listed_weights),
        cmocka_unit_test(test_unknown_class),
        cmocka_unit_test(test_an_epoch_has_as_many_of_each),
        cmocka_unit_test(test_an_epoch_is_a_function_of_seed_and_epoch),
        cmocka_unit_test(test_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
