/* tensorboard.c: the callback TensorBoard: scalars under the names that Keras gives them, in files
 * of events as TensorFlow writes them.
 *
 * A file is a row of records: length (8 bytes), masked CRC-32C of those, data, masked CRC-32C of
 * the data; all little-endian (tensorflow/core/lib/io/record_writer.h). The data is an Event
 * (tensorflow/core/util/event.proto) in the wire format of protocol buffers. The file grows as
 * training goes on, so that TensorBoard can look on; an unfinished last record does not disturb
 * it. */
#define _GNU_SOURCE /* gethostname */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "callbacks.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "training.h"

struct RtEvents {
    FILE *file;
    char *path;
};

/* ---- Wire format ----------------------------------------------------------------------------- */

enum { MESSAGE = 512, TAG = 200 };

typedef struct {
    unsigned char data[MESSAGE];
    size_t length;
} Message;

static void put_bytes(Message *m, const void *data, size_t bytes)
{
    if (bytes > MESSAGE - m->length) rt_die(RT_FAILED, NULL, "a TensorBoard event is too long");
    memcpy(m->data + m->length, data, bytes);
    m->length += bytes;
}

/* The low bytes of a number, the lowest first. */
static void put_fixed(Message *m, uint64_t value, size_t bytes)
{
    unsigned char data[8];
    for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)(value >> 8 * i);
    put_bytes(m, data, bytes);
}

static void put_varint(Message *m, uint64_t value)
{
    for (; value >= 128; value >>= 7) put_fixed(m, (value & 127) | 128, 1);
    put_fixed(m, value, 1);
}

typedef enum { VARINT = 0, FIXED64 = 1, BYTES = 2 } Wire;

static void put_key(Message *m, int field, Wire wire)
{
    put_varint(m, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_field(Message *m, int field, const void *data, size_t bytes)
{
    put_key(m, field, BYTES);
    put_varint(m, bytes);
    put_bytes(m, data, bytes);
}

static void put_message(Message *m, int field, const Message *inner)
{
    put_field(m, field, inner->data, inner->length);
}

/* ---- Records --------------------------------------------------------------------------------- */

/* CRC-32C (Castagnoli), bit by bit: records are short. */
static uint32_t crc32c(const void *data, size_t bytes)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= ((const unsigned char *)data)[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static uint32_t masked_crc(const void *data, size_t bytes)
{
    const uint32_t crc = crc32c(data, bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static _Noreturn void die_writing(const RtEvents *events)
{
    rt_die(RT_NO_ROOM, NULL, "%s: cannot write: %s", events->path, strerror(errno));
}

static void write_record(RtEvents *events, const Message *event)
{
    Message head = {.length = 0}, tail = {.length = 0};
    put_fixed(&head, event->length, 8);
    put_fixed(&head, masked_crc(head.data, 8), 4);
    put_fixed(&tail, masked_crc(event->data, event->length), 4);
    FILE *file = events->file;
    if (fwrite(head.data, 1, head.length, file) != head.length ||
        fwrite(event->data, 1, event->length, file) != event->length ||
        fwrite(tail.data, 1, tail.length, file) != tail.length)
        die_writing(events);
}

static Message begin_event(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    uint64_t bits;
    Message event = {.length = 0};
    memcpy(&bits, &seconds, sizeof bits);
    put_key(&event, 1, FIXED64); /* Event.wall_time */
    put_fixed(&event, bits, 8);
    return event;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static RtEvents *open_events(const RtTraining *training, const char *log_dir, const char *side)
{
    static int number;
    static const char version[] = "brain.Event:2";
    char host[80] = "localhost";
    gethostname(host, sizeof host - 1);
    RtEvents *events = rt_alloc(1, sizeof *events);
    char *dir = rt_result_path(training, log_dir), *folder = rt_format("%s/%s", dir, side);
    rt_make_folders(folder);
    events->path = rt_format("%s/events.out.tfevents.%010lld.%s.%d.%d.v2", folder,
                             (long long)time(NULL), host, (int)getpid(), number++);
    events->file = fopen(events->path, "wb");
    if (!events->file) die_writing(events);
    Message event = begin_event();
    put_field(&event, 3, version, sizeof version - 1); /* Event.file_version */
    write_record(events, &event);
    free(folder);
    free(dir);
    return events;
}

static void flush_events(const RtEvents *events)
{
    if (events && fflush(events->file) != 0) die_writing(events);
}

static void close_events(RtEvents *events)
{
    if (!events) return;
    if (fclose(events->file) != 0) die_writing(events);
    free(events->path);
    free(events);
}

/* SummaryMetadata: the plugin that shows it, and that it is a scalar. */
static Message scalar_metadata(void)
{
    Message metadata = {.length = 0}, plugin = {.length = 0};
    put_field(&plugin, 1, "scalars", 7); /* PluginData.plugin_name */
    put_message(&metadata, 1, &plugin);  /* .plugin_data */
    put_key(&metadata, 4, VARINT);       /* .data_class: DATA_CLASS_SCALAR */
    put_varint(&metadata, 1);
    return metadata;
}

static Message scalar_tensor(double value)
{
    const float number = (float)value;
    uint32_t bits;
    Message tensor = {.length = 0}, packed = {.length = 0};
    memcpy(&bits, &number, sizeof bits);
    put_fixed(&packed, bits, 4);
    put_key(&tensor, 1, VARINT); /* TensorProto.dtype: DT_FLOAT */
    put_varint(&tensor, 1);
    put_field(&tensor, 2, "", 0);     /* .tensor_shape: that of one number */
    put_message(&tensor, 5, &packed); /* .float_val */
    return tensor;
}

static void write_scalar(RtEvents *events, const char *stem, const char *name, const char *end,
                         double value, uint64_t step)
{
    char tag[TAG];
    snprintf(tag, sizeof tag, "%s%s%s", stem, name, end);
    const Message metadata = scalar_metadata(), tensor = scalar_tensor(value);
    Message scalar = {.length = 0}, summary = {.length = 0}, event = begin_event();
    put_field(&scalar, 1, tag, strlen(tag)); /* Summary.Value.tag */
    put_message(&scalar, 8, &tensor);        /* .tensor */
    put_message(&scalar, 9, &metadata);      /* .metadata */
    put_message(&summary, 1, &scalar);       /* Summary.value */
    put_key(&event, 2, VARINT);              /* Event.step */
    put_varint(&event, step);
    put_message(&event, 5, &summary); /* Event.summary */
    write_record(events, &event);
}

/* ---- The callback ---------------------------------------------------------------------------- */

static void open_tensorboard(RtTraining *training, RtState *state)
{
    if (!training->folder) return;
    state->events = open_events(training, state->about->log_dir, "train");
    if (training->validation)
        state->validation = open_events(training, state->about->log_dir, "validation");
}

static void tensorboard_begin_epoch(RtTraining *training, RtState *state)
{
    state->epoch_start = rt_seconds();
    state->epoch_first = training->session->run.step;
}

static void tensorboard_begin_step(RtTraining *training, RtState *state)
{
    (void)training;
    state->step_start = rt_seconds();
}

static void tensorboard_end_step(RtTraining *training, RtState *state, const RtLog *logs, int count)
{
    const uint64_t step = training->session->run.step;
    const int each = abs(state->about->update_freq);
    if (!state->events || !each || step % (uint64_t)each) return;
    if (state->about->write_steps_per_second)
        write_scalar(state->events, "batch_", "steps_per_second", "",
                     1 / (rt_seconds() - state->step_start), step);
    for (int i = 0; i < count; i++)
        write_scalar(state->events, "batch_", logs[i].name, "", logs[i].value, step);
}

static void write_validation(const RtTraining *training, const RtState *state, const RtLog *log)
{
    const char *name = log->name + 4;
    if (!state->validation) return;
    write_scalar(state->validation, "evaluation_", name, "_vs_iterations", log->value,
                 training->session->run.step);
    write_scalar(state->validation, "epoch_", name, "", log->value, (uint64_t)training->epoch);
}

static void tensorboard_end_epoch(RtTraining *training, RtState *state, const RtLog *logs,
                                  int count)
{
    const uint64_t epoch = (uint64_t)training->epoch;
    if (!state->events) return;
    for (int i = 0; i < count; i++) {
        if (strncmp(logs[i].name, "val_", 4) == 0)
            write_validation(training, state, &logs[i]);
        else if (strcmp(logs[i].name, "learning_rate") != 0)
            write_scalar(state->events, "epoch_", logs[i].name, "", logs[i].value, epoch);
    }
    write_scalar(state->events, "epoch_", "learning_rate", "", rt_learning_rate(training), epoch);
    if (state->about->write_steps_per_second)
        write_scalar(state->events, "epoch_", "steps_per_second", "",
                     (double)(training->session->run.step - state->epoch_first) /
                         (rt_seconds() - state->epoch_start),
                     epoch);
    flush_events(state->events);
    flush_events(state->validation);
}

static void close_tensorboard(RtTraining *training, RtState *state)
{
    (void)training;
    close_events(state->events);
    close_events(state->validation);
}

const RtHooks rt_tensorboard_hooks = {.open = open_tensorboard,
                                      .begin_epoch = tensorboard_begin_epoch,
                                      .begin_step = tensorboard_begin_step,
                                      .end_step = tensorboard_end_step,
                                      .end_epoch = tensorboard_end_epoch,
                                      .close = close_tensorboard};
