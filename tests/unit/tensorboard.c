/* Tests of tensorboard.c, and of callbacks in a whole training: a reader of event files of its own
 * (framing, checksums, wire format) finds the scalars that Keras writes. */
#define _GNU_SOURCE /* memmem */
#include <dirent.h>
#include <math.h>
#include <time.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "program.h"
#include "toy_model.h"

/* ---- Reading event files --------------------------------------------------------------------- */

typedef struct {
    char tag[64];
    long long step;
    float value;
} Scalar;

typedef struct {
    Scalar scalars[200];
    int count;
    char version[32];
} Events;

/* By a table, unlike the writer. */
static uint32_t masked_crc(const unsigned char *data, size_t bytes)
{
    static uint32_t table[256];
    for (uint32_t i = 0; i < 256 && !table[255]; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78u : table[i] >> 1;
    }
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < bytes; i++) crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    crc = ~crc;
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

typedef struct {
    const unsigned char *at, *end;
} Part;

static uint64_t read_varint(Part *p)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        assert_true(p->at < p->end && shift < 64);
        value |= (uint64_t)(*p->at & 127) << shift;
        if (!(*p->at++ & 128)) return value;
    }
}

/* The next field: its number; *inner if it has bytes, *value if it is a number. 0 at the end. */
static int read_field(Part *p, Part *inner, uint64_t *value)
{
    if (p->at == p->end) return 0;
    const uint64_t key = read_varint(p), length = (key & 7) == 2   ? read_varint(p)
                                                  : (key & 7) == 1 ? 8
                                                                   : 0;
    if ((key & 7) == 0) *value = read_varint(p);
    assert_true((key & 7) <= 2 && length <= (uint64_t)(p->end - p->at));
    *inner = (Part){p->at, p->at + length};
    p->at += length;
    return (int)(key >> 3);
}

static void read_tensor(Part p, Scalar *scalar)
{
    Part inner;
    uint64_t number = 0, type = 0;
    for (int field; (field = read_field(&p, &inner, &number));) {
        if (field == 1) type = number;
        if (field == 2) assert_true(inner.at == inner.end);
        if (field != 5) continue;
        assert_int_equal(inner.end - inner.at, sizeof scalar->value);
        memcpy(&scalar->value, inner.at, sizeof scalar->value);
    }
    assert_int_equal(type, 1);
}

static void read_summary(Part p, Scalar *scalar)
{
    Part value, inner;
    uint64_t number;
    assert_int_equal(read_field(&p, &value, &number), 1);
    for (int field; (field = read_field(&value, &inner, &number));) {
        if (field == 1)
            snprintf(scalar->tag, sizeof scalar->tag, "%.*s", (int)(inner.end - inner.at),
                     (const char *)inner.at);
        if (field == 8) read_tensor(inner, scalar);
        if (field == 9) assert_non_null(memmem(inner.at, 11, "scalars", 7));
    }
}

static void read_event(Part p, Events *events)
{
    Part inner;
    uint64_t number = 0;
    Scalar *scalar = &events->scalars[events->count];
    for (int field; (field = read_field(&p, &inner, &number));) {
        if (field == 1) { /* wall_time: within a minute */
            double seconds;
            memcpy(&seconds, inner.at, sizeof seconds);
            assert_true(fabs(seconds - (double)time(NULL)) < 60);
        }
        if (field == 2) scalar->step = (long long)number;
        if (field == 3)
            snprintf(events->version, sizeof events->version, "%.*s", (int)(inner.end - inner.at),
                     (const char *)inner.at);
        if (field == 5) {
            read_summary(inner, scalar);
            events->count++;
        }
    }
}

static void read_events(const char *path, Events *events)
{
    size_t bytes;
    const unsigned char *data = rt_map(path, 1 << 20, RT_FAILED, &bytes), *p = data;
    while (p < data + bytes) {
        uint64_t length;
        uint32_t crc;
        assert_true(data + bytes - p >= 16);
        memcpy(&length, p, 8);
        memcpy(&crc, p + 8, 4);
        assert_true(crc == masked_crc(p, 8));
        assert_true(length <= (uint64_t)(data + bytes - p - 16));
        memcpy(&crc, p + 12 + length, 4);
        assert_true(crc == masked_crc(p + 12, length));
        read_event((Part){p + 12, p + 12 + length}, events);
        p += 16 + length;
    }
    rt_unmap(data, bytes);
}

/* All files of a folder. */
static Events read_folder(const char *name)
{
    Events events = {.count = 0};
    const char *folder = scratch(name);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (*entry->d_name == '.') continue;
        assert_memory_equal(entry->d_name, "events.out.tfevents.", 20);
        char *path = rt_format("%s/%s", folder, entry->d_name);
        read_events(path, &events);
        assert_string_equal(events.version, "brain.Event:2");
        free(path);
    }
    closedir(dir);
    return events;
}

/* A scalar of that name at that step is there; its value. */
static float find_scalar(const Events *events, const char *tag, long long step)
{
    for (int i = 0; i < events->count; i++)
        if (strcmp(events->scalars[i].tag, tag) == 0 && events->scalars[i].step == step)
            return events->scalars[i].value;
    fail_msg("no %s at step %lld", tag, step);
    return 0;
}

/* ---- Trainings ------------------------------------------------------------------------------- */

static const RtSchedule halves = {.kind = RT_EXPONENTIAL_DECAY,
                                  .type = "ExponentialDecay",
                                  .initial_learning_rate = 0.5,
                                  .decay_steps = 1,
                                  .decay_rate = 0.5};

/* The toy's first phase with these callbacks. */
static RtModel make_model(RtPhase *phase, const RtCallback *callbacks, int count)
{
    RtModel model = toy_model;
    *phase = toy_model.phases[0];
    phase->callbacks = callbacks;
    phase->callback_count = count;
    model.phases = phase;
    model.phase_count = 1;
    return model;
}

static void test_scalars(void **state)
{
    (void)state;
    const RtCallback board = {.kind = RT_TENSORBOARD, .log_dir = "logs"};
    RtPhase phase;
    RtModel model = make_model(&phase, &board, 1);
    phase.schedule = &halves;
    Result result = run_model(&model, RT_OK, "train --data x.npz --validation x.npz --out a");
    Events train = read_folder("a/logs/train"), validation = read_folder("a/logs/validation");
    assert_int_equal(train.count, 2 * 3);
    assert_int_equal(validation.count, 2 * 4);
    assert_true(find_scalar(&train, "epoch_learning_rate", 0) == 0.125f);
    assert_true(find_scalar(&train, "epoch_learning_rate", 1) == 0.03125f);
    assert_true(find_scalar(&train, "epoch_loss", 1) < find_scalar(&train, "epoch_loss", 0));
    assert_true(find_scalar(&validation, "epoch_accuracy", 1) ==
                find_scalar(&validation, "evaluation_accuracy_vs_iterations", 4));
    assert_true(find_scalar(&validation, "epoch_loss", 0) ==
                find_scalar(&validation, "evaluation_loss_vs_iterations", 2));
    /* the learning rate is shown and kept */
    assert_says(result.err, " - val_loss: ");
    assert_says(result.err, " - learning_rate: 0.1250\n");
    char *history = read_text(scratch("a/history.csv"));
    assert_says(history, "epoch,accuracy,learning_rate,loss,phase,val_accuracy,val_loss\r\n0,");
    assert_says(history, ",0.125,");
    free(history);
    free_result(&result);
}

static void test_scalars_of_steps(void **state)
{
    (void)state;
    const RtCallback board = {
        .kind = RT_TENSORBOARD, .log_dir = "logs", .update_freq = -1, .write_steps_per_second = 1};
    RtPhase phase;
    RtModel model = make_model(&phase, &board, 1);
    Result result = run_model(&model, RT_OK, "train --data x.npz --out b");
    Events train = read_folder("b/logs/train");
    assert_false(exists(scratch("b/logs/validation")));
    assert_int_equal(train.count, 2 * 4 + 4 * 3);
    for (int step = 1; step <= 4; step++) {
        assert_true(find_scalar(&train, "batch_loss", step) > 0);
        assert_true(find_scalar(&train, "batch_steps_per_second", step) > 0);
    }
    assert_true(find_scalar(&train, "epoch_steps_per_second", 1) > 0);
    assert_true(find_scalar(&train, "epoch_learning_rate", 1) == 0.1f);
    free_result(&result);
}

/* ---- Other callbacks in a training ----------------------------------------------------------- */

static void test_needs_validation(void **state)
{
    (void)state;
    const RtCallback stopping = {.kind = RT_EARLY_STOPPING,
                                 .type = "EarlyStopping",
                                 .place = "phases[0].callbacks[0]",
                                 .monitor = "val_loss"};
    RtPhase phase;
    RtModel model = make_model(&phase, &stopping, 1);
    Result result = run_model(&model, RT_USAGE, "train --data x.npz --out c");
    assert_says(result.err, "phases[0].callbacks[0] (EarlyStopping) works with val_loss, but there "
                            "is nothing to validate on");
    assert_says(result.err, "without, there is accuracy, loss");
    free_result(&result);
}

/* Nothing is better than at first: it stops after patience, with the weights of the first epoch. */
static void test_stops_and_restores(void **state)
{
    (void)state;
    const RtPathPart parts[] = {{"epoch", "epoch", "%02lld"}, {".safetensors", NULL, NULL}};
    const RtCallback callbacks[] = {{.kind = RT_EARLY_STOPPING,
                                     .monitor = "loss",
                                     .min_delta = 100,
                                     .patience = 2,
                                     .baseline = NAN,
                                     .verbose = 1,
                                     .restore_best_weights = 1},
                                    {.kind = RT_MODEL_CHECKPOINT,
                                     .monitor = "loss",
                                     .initial_value_threshold = NAN,
                                     .filepath = parts}};
    RtPhase phase;
    RtModel model = make_model(&phase, callbacks, 2);
    Result result = run_model(&model, RT_OK, "train --data x.npz --out d --epochs 9");
    assert_says(result.err, "Epoch 3: early stopping\n");
    assert_says(result.err, "Restoring model weights from the end of the best epoch: 1.\n");
    assert_false(exists(scratch("d/epoch04.safetensors")));
    RtTensors *last = rt_tensors_open(scratch("d/last.safetensors"));
    RtTensors *first = rt_tensors_open(scratch("d/epoch01.safetensors"));
    RtTensors *third = rt_tensors_open(scratch("d/epoch03.safetensors"));
    real a[96], b[96], c[96];
    rt_tensors_read(last, 0, a);
    rt_tensors_read(first, 0, b);
    rt_tensors_read(third, 0, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    rt_tensors_close(last);
    rt_tensors_close(first);
    rt_tensors_close(third);
    free_result(&result);
}

static int make_data(void **state)
{
    (void)state;
    float x[8][TOY_IN], y[8][TOY_UNITS];
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < TOY_IN; j++) x[i][j] = (float)((i % 2 ? j : TOY_IN - j) * 5 % 256);
    for (int i = 0; i < 8; i++) y[i][i % 2] = 1, y[i][1 - i % 2] = 0;
    const RtArray arrays[] = {
        {.name = "x", .type = RT_F32, .rank = 4, .dims = {8, 4, 4, 3}, .data = x},
        {.name = "y", .type = RT_F32, .rank = 2, .dims = {8, 2}, .data = y}};
    rt_npz_write(scratch("x.npz"), arrays, 2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_scalars_of_steps),
        cmocka_unit_test(test_needs_validation),
        cmocka_unit_test(test_stops_and_restores),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
