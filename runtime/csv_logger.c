/* csv_logger.c: the callback CSVLogger: the bytes that Keras writes (keras/src/callbacks/
 * csv_logger.py), a row as soon as its epoch is done. The checkpoints keep the length of the file,
 * so that a training that goes on writes behind the last row that counts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "callbacks.h"
#include "files.h"
#include "ground.h"
#include "measures.h"
#include "training.h"

static _Noreturn void die_writing(const char *path)
{
    rt_die(RT_NO_ROOM, NULL, "%s: cannot write: %s", path, strerror(errno));
}

static void open_csv(RtTraining *training, RtState *state)
{
    struct stat info;
    if (!training->folder || !state->about->append) return;
    char *path = rt_result_path(training, state->about->filename);
    if (stat(path, &info) == 0) state->counts.bytes = info.st_size;
    free(path);
}

/* The file, cut to the rows that count; made if it is not there. */
static FILE *open_file(RtState *state, const char *path)
{
    char *folder = rt_format("%s", path), *slash = strrchr(folder, '/');
    if (slash && slash > folder) {
        *slash = 0;
        rt_make_folders(folder);
    }
    free(folder);
    FILE *file = fopen(path, "ab");
    struct stat info;
    if (!file || fstat(fileno(file), &info) < 0) die_writing(path);
    if (info.st_size < state->counts.bytes) state->counts.bytes = 0; /* another one: begin anew */
    if (S_ISREG(info.st_mode) && ftruncate(fileno(file), state->counts.bytes) < 0)
        die_writing(path);
    return file;
}

static int compare_logs(const void *a, const void *b)
{
    return strcmp(((const RtLog *)a)->name, ((const RtLog *)b)->name);
}

static bool has_validation(const RtLog *logs, int count)
{
    for (int i = 0; i < count; i++)
        if (strncmp(logs[i].name, "val_", 4) == 0) return true;
    return false;
}

/* Without validation, Keras leaves columns for it. */
static void write_header(FILE *file, const char *separator, const RtLog *logs, int count)
{
    fputs("epoch", file);
    for (int i = 0; i < count; i++) fprintf(file, "%s%s", separator, logs[i].name);
    for (int i = 0; i < count && !has_validation(logs, count); i++)
        fprintf(file, "%sval_%s", separator, logs[i].name);
    fputs("\r\n", file);
}

static void write_row(FILE *file, const char *separator, int epoch, const RtLog *logs, int count)
{
    char text[RT_NUMBER];
    fprintf(file, "%d", epoch);
    for (int i = 0; i < count; i++) {
        rt_number_text(logs[i].value, text);
        fprintf(file, "%s%s", separator, text);
    }
    for (int i = 0; i < count && !has_validation(logs, count); i++)
        fprintf(file, "%sNA", separator);
    fputs("\r\n", file);
}

static void csv_end_epoch(RtTraining *training, RtState *state, const RtLog *logs, int count)
{
    if (!training->folder) return;
    RtLog sorted[RT_LOGS];
    const char *separator = state->about->separator;
    char *path = rt_result_path(training, state->about->filename);
    FILE *file = open_file(state, path);
    memcpy(sorted, logs, (size_t)count * sizeof *logs);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_logs);
    if (state->counts.bytes == 0) write_header(file, separator, sorted, count);
    write_row(file, separator, training->epoch, sorted, count);
    if (fflush(file) != 0) die_writing(path);
    state->counts.bytes = ftell(file);
    if (fclose(file) != 0) die_writing(path);
    free(path);
}

const RtHooks rt_csv_hooks = {.open = open_csv, .end_epoch = csv_end_epoch};
