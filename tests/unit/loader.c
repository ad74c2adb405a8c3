/* Tests of loader.c: what the batches hold, whatever the threads do and whatever cannot be read. */
#include <stdio.h>

#include <png.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"
#include "outcome.h"

enum { H = 3, W = 5, PIXELS = H * W, BATCH = 4, MAX = 64 };

static const RtModel model = {
    .height = H, .width = W, .channels = 1, .interpolation = RT_NEAREST, .output_size = 3};

/* Stands in for that of threads.c, which this program needs nothing else of: four decoding threads
 * on any machine. */
int rt_default_threads(void) { return 5; }

static void write_png(const char *path, int value)
{
    unsigned char pixels[PIXELS];
    png_image image = {.version = PNG_IMAGE_VERSION, .width = W, .height = H};
    memset(pixels, value, sizeof pixels);
    image.format = PNG_FORMAT_GRAY;
    assert_true(png_image_write_to_file(&image, path, 0, pixels, 0, NULL));
}

/* Picture i is grey of value i, of class i % 3; those in bad are no pictures. */
static RtData *make_data(int count, const char *bad)
{
    RtData *data = rt_alloc(1, sizeof *data);
    data->count = (size_t)count;
    data->paths = rt_alloc((size_t)count, sizeof *data->paths);
    data->labels = rt_alloc((size_t)count, sizeof *data->labels);
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.png", i);
        data->paths[i] = rt_format("%s", scratch(name));
        data->labels[i] = i % 3;
        if (bad && bad[i] == 'x')
            write_file(data->paths[i], "x", 1);
        else
            write_png(data->paths[i], i);
    }
    return data;
}

static char room[1 << 14] __attribute__((aligned(64)));

static RtLoader *open_loader(RtData *data, RtLoss loss, bool strict)
{
    memset(room, 0xff, sizeof room); /* NaNs */
    return rt_loader_open(&model, data, BATCH, loss, room, sizeof room, strict);
}

/* One epoch: the samples served, with pictures and labels checked, in rows; returns their number.
 * sizes: of the batches, 0 at the end. */
static int run_epoch(RtLoader *loader, const uint64_t *order, size_t from, uint64_t *rows,
                     int *sizes)
{
    int count = 0;
    rt_loader_start(loader, order, from);
    for (;;) {
        RtBatch batch = rt_loader_next(loader);
        *sizes++ = batch.n;
        if (batch.n == 0) return count;
        for (int i = 0; i < batch.n; i++) {
            for (int j = 0; j < PIXELS; j++)
                assert_int_equal(batch.x[i * PIXELS + j], batch.sample[i]);
            assert_int_equal(batch.y[i], batch.sample[i] % 3);
            rows[count++] = batch.sample[i];
        }
    }
}

static void expect_rows(const uint64_t *got, int got_count, const int *want)
{
    for (int i = 0; want[i] >= 0; i++) {
        assert_true(i < got_count);
        assert_int_equal(got[i], want[i]);
        if (want[i + 1] < 0) assert_int_equal(got_count, i + 1);
    }
}

#define EXPECT_ROWS(rows, count, ...) expect_rows(rows, count, (const int[]){__VA_ARGS__, -1})
#define EXPECT_SIZES(sizes, ...)                                                                   \
    assert_memory_equal(sizes, ((const int[]){__VA_ARGS__, 0}), sizeof((int[]){__VA_ARGS__, 0}))

static void an_epoch_in_order(void **state)
{
    (void)state;
    RtData *data = make_data(10, NULL);
    RtLoader *loader = open_loader(data, RT_SPARSE_CATEGORICAL_CROSSENTROPY, true);
    const uint64_t order[] = {9, 3, 1, 0, 2, 8, 7, 6, 5, 4};
    uint64_t rows[MAX];
    int sizes[MAX];
    for (int epoch = 0; epoch < 3; epoch++) {
        int count = run_epoch(loader, NULL, 0, rows, sizes);
        EXPECT_ROWS(rows, count, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        EXPECT_SIZES(sizes, 4, 4, 2);
        assert_int_equal(rt_loader_next(loader).n, 0); /* and stays over */
        count = run_epoch(loader, order, 0, rows, sizes);
        EXPECT_ROWS(rows, count, 9, 3, 1, 0, 2, 8, 7, 6, 5, 4);
    }
    int count = run_epoch(loader, order, 6, rows, sizes);
    EXPECT_ROWS(rows, count, 7, 6, 5, 4);
    EXPECT_SIZES(sizes, 4);
    assert_int_equal(run_epoch(loader, order, 10, rows, sizes), 0);
    rt_loader_close(loader);
    rt_data_close(data);
}

/* The batch in use must keep still while the next one is made, and a new epoch may begin at any
 * time. */
static void halves_do_not_mix(void **state)
{
    (void)state;
    RtData *data = make_data(40, NULL);
    RtLoader *loader = open_loader(data, RT_SPARSE_CATEGORICAL_CROSSENTROPY, false);
    uint64_t order[40];
    for (uint32_t epoch = 0; epoch < 50; epoch++) {
        rt_shuffle(1, epoch, order, 40);
        rt_loader_start(loader, order, 0);
        for (uint32_t step = 0; step < epoch % 11; step++) {
            RtBatch batch = rt_loader_next(loader);
            if (step == 5) usleep(1000);
            for (int i = 0; i < batch.n; i++) {
                assert_int_equal(batch.sample[i], order[step * BATCH + (uint32_t)i]);
                assert_int_equal(batch.x[i * PIXELS], batch.sample[i]);
                assert_int_equal(batch.y[i], batch.sample[i] % 3);
            }
        }
        memset(order, 0xff, sizeof order); /* the loader has its own */
    }
    rt_loader_close(loader);
    rt_data_close(data);
}

/* In the first epoch, when they are found, as in later ones, when they are known. */
static void unreadable_pictures_are_replaced(void **state)
{
    (void)state;
    const char *bad = "x.xxxxx..xx..x..";
    RtData *data = make_data(16, bad);
    RtLoader *loader = open_loader(data, RT_SPARSE_CATEGORICAL_CROSSENTROPY, false);
    uint64_t rows[MAX];
    int sizes[MAX];
    for (int epoch = 0; epoch < 3; epoch++) {
        int count = run_epoch(loader, NULL, 0, rows, sizes);
        EXPECT_ROWS(rows, count, 1, 7, 8, 11, 12, 14, 15);
        EXPECT_SIZES(sizes, 4, 3);
        assert_int_equal(data->skipped, 9);
    }
    rt_loader_close(loader);
    rt_data_close(data);
}

static void the_order_decides_not_the_threads(void **state)
{
    (void)state;
    char bad[41] = "";
    uint64_t order[40], rows[MAX], want[MAX];
    int sizes[MAX], total = 0;
    for (uint32_t round = 0; round < 30; round++) {
        total = 0;
        rt_shuffle(2, round, order, 40);
        for (int i = 0; i < 40; i++) bad[i] = order[i] % 3 ? '.' : 'x';
        for (int i = 0; i < 40; i++)
            if (bad[order[i]] != 'x') want[total++] = order[i];
        RtData *data = make_data(40, bad);
        RtLoader *loader = open_loader(data, RT_SPARSE_CATEGORICAL_CROSSENTROPY, false);
        for (int epoch = 0; epoch < 2; epoch++) {
            assert_int_equal(run_epoch(loader, order, 0, rows, sizes), total);
            assert_memory_equal(rows, want, (size_t)total * sizeof *rows);
        }
        rt_loader_close(loader);
        rt_data_close(data);
    }
}

/* ---- What is said
 * ---------------------------------------------------------------------------------- */

typedef struct {
    const char *bad;
    bool strict;
} Case;

/* Three epochs, two loaders: a data set outlives its loaders. */
static void load_it(const void *argument)
{
    const Case *c = argument;
    uint64_t rows[MAX];
    int sizes[MAX];
    RtData *data = make_data((int)strlen(c->bad), c->bad);
    RtLoader *loader = open_loader(data, RT_SPARSE_CATEGORICAL_CROSSENTROPY, c->strict);
    run_epoch(loader, NULL, 0, rows, sizes);
    run_epoch(loader, NULL, 0, rows, sizes);
    rt_loader_close(loader);
    loader = open_loader(data, RT_SPARSE_CATEGORICAL_CROSSENTROPY, c->strict);
    run_epoch(loader, NULL, 0, rows, sizes);
    rt_loader_close(loader);
    rt_data_close(data);
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    while ((text = strstr(text, part))) count++, text++;
    return count;
}

static void each_is_named_once_and_in_order(void **state)
{
    (void)state;
    Outcome outcome = run_apart(load_it, &(Case){"..x..xx....x", false});
    assert_int_equal(outcome.code, 0);
    const char *at = outcome.text;
    const char *const want[] = {"2.png", "5.png", "6.png", "11.png"};
    for (int i = 0; i < 4; i++) {
        char *message = rt_format(
            "model: warning: %s: neither a JPEG nor a PNG picture; left out\n", scratch(want[i]));
        assert_int_equal(strncmp(at, message, strlen(message)), 0);
        at += strlen(message);
        free(message);
    }
    assert_string_equal(at, "");
}

static void strict_ends_at_the_first(void **state)
{
    (void)state;
    Outcome outcome = run_apart(load_it, &(Case){"......x.xx", true});
    assert_int_equal(outcome.code, RT_BAD_DATA);
    assert_int_equal(count_of(outcome.text, ".png: neither"), 1);
    assert_non_null(strstr(outcome.text, "/6.png: neither a JPEG nor a PNG picture\n  hint: "
                                         "without --strict such pictures are left out\n"));
    assert_int_equal(run_apart(load_it, &(Case){"......", true}).code, 0);
}

static void nothing_to_learn_from(void **state)
{
    (void)state;
    Outcome outcome = run_apart(load_it, &(Case){"xxxxxxxxx", false});
    assert_int_equal(outcome.code, RT_BAD_DATA);
    assert_int_equal(count_of(outcome.text, "left out"), 9);
    assert_non_null(strstr(outcome.text, "model: none of the 9 pictures can be read\n"));
}

static void open_too_small(const void *argument)
{
    (void)argument;
    rt_loader_open(&model, make_data(2, NULL), BATCH, RT_LOSS_NONE, room, 64, false);
}

static void room_is_checked(void **state)
{
    (void)state;
    assert_int_equal(rt_loader_bytes(&model, BATCH, 3) % 64, 0);
    expect_end(RT_FAILED, "does not fit into the loader's room", open_too_small, NULL);
}

/* ---- Labels and arrays
 * ------------------------------------------------------------------------------ */

static void one_hot_labels(void **state)
{
    (void)state;
    RtData *data = make_data(3, NULL);
    RtLoader *loader = open_loader(data, RT_CATEGORICAL_CROSSENTROPY, true);
    rt_loader_start(loader, NULL, 0);
    RtBatch batch = rt_loader_next(loader);
    assert_int_equal(batch.n, 3);
    for (int i = 0; i < 9; i++) assert_true(batch.y[i] == (i % 4 == 0));
    rt_loader_close(loader);
    rt_data_close(data);
}

static void pictures_without_labels(void **state)
{
    (void)state;
    RtData *data = make_data(3, NULL);
    free(data->labels);
    data->labels = NULL;
    RtLoader *loader = open_loader(data, RT_LOSS_NONE, true);
    rt_loader_start(loader, NULL, 0);
    RtBatch batch = rt_loader_next(loader);
    assert_int_equal(batch.n, 3);
    assert_int_equal(batch.x[2 * PIXELS], 2);
    rt_loader_close(loader);
    rt_data_close(data);
}

static void arrays(void **state)
{
    (void)state;
    enum { N = 7 };
    RtData *data = rt_alloc(1, sizeof *data);
    uint8_t *x = rt_alloc(N, PIXELS);
    double *y = rt_alloc(N * 3, sizeof *y);
    for (int i = 0; i < N * PIXELS; i++) x[i] = (uint8_t)i;
    for (int i = 0; i < N * 3; i++) y[i] = i + 0.5;
    data->count = N;
    data->x = (RtArray){.type = RT_U8, .rank = 4, .dims = {N, H, W, 1}, .data = x};
    data->y = (RtArray){.type = RT_F64, .rank = 2, .dims = {N, 3}, .data = y};
    RtLoader *loader = open_loader(data, RT_MEAN_SQUARED_ERROR, false);
    const uint64_t order[] = {6, 2, 4, 0, 1, 3, 5};
    rt_loader_start(loader, order, 2);
    RtBatch batch = rt_loader_next(loader);
    assert_int_equal(batch.n, 4);
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t sample = order[2 + i];
        assert_int_equal(batch.sample[i], sample);
        for (uint64_t j = 0; j < PIXELS; j++)
            assert_true(batch.x[i * PIXELS + j] == (real)x[sample * PIXELS + j]);
        for (uint64_t j = 0; j < 3; j++) assert_true(batch.y[3 * i + j] == (real)y[3 * sample + j]);
    }
    assert_int_equal(rt_loader_next(loader).n, 1);
    rt_loader_close(loader);
    rt_data_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_in_order),
        cmocka_unit_test(halves_do_not_mix),
        cmocka_unit_test(unreadable_pictures_are_replaced),
        cmocka_unit_test(the_order_decides_not_the_threads),
        cmocka_unit_test(each_is_named_once_and_in_order),
        cmocka_unit_test(strict_ends_at_the_first),
        cmocka_unit_test(nothing_to_learn_from),
        cmocka_unit_test(room_is_checked),
        cmocka_unit_test(one_hot_labels),
        cmocka_unit_test(pictures_without_labels),
        cmocka_unit_test(arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
