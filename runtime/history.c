/* history.c: the numbers of every epoch as a .csv file that reads like that of Keras's CSVLogger:
 * "epoch" from 0, then the names sorted, NA for what an epoch does not have, CRLF. One column more
 * than Keras has says in which phase the epoch was. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "ground.h"
#include "measures.h"

typedef struct {
    char *phase;
    int epoch, count;
    char *names[RT_LOGS];
    double values[RT_LOGS];
} Row;

struct RtHistory {
    Row *rows;
    size_t count;
};

RtHistory *rt_history_open(void) { return rt_alloc(1, sizeof(RtHistory)); }

void rt_history_add(RtHistory *history, const char *phase, int epoch, const RtLog *logs, int count)
{
    history->rows = rt_grow(history->rows, history->count + 1, sizeof *history->rows);
    Row *row = &history->rows[history->count++];
    *row = (Row){.phase = rt_format("%s", phase), .epoch = epoch, .count = count};
    for (int i = 0; i < count; i++) {
        row->names[i] = rt_format("%s", logs[i].name);
        row->values[i] = logs[i].value;
    }
}

void rt_number_text(double value, char text[RT_NUMBER])
{
    double size = fabs(value);
    if (!isfinite(value)) {
        snprintf(text, RT_NUMBER, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    } else if (size != 0 && (size < 1e-4 || size >= 1e16)) {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(text, RT_NUMBER, "%.*g", digits, value);
            if (strtod(text, NULL) == value) break;
        }
    } else {
        for (int decimals = 1; decimals <= 22; decimals++) {
            snprintf(text, RT_NUMBER, "%.*f", decimals, value);
            if (strtod(text, NULL) == value) break;
        }
    }
}

static void write_number(FILE *file, double value)
{
    char text[RT_NUMBER];
    rt_number_text(value, text);
    fputs(text, file);
}

static int find_value(const Row *row, const char *name)
{
    for (int i = 0; i < row->count; i++)
        if (strcmp(row->names[i], name) == 0) return i;
    return -1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All names of all rows and "phase", sorted, each once; the caller frees the list. */
static const char **list_columns(const RtHistory *history, size_t *count)
{
    const char **names = rt_alloc(history->count * RT_LOGS + 1, sizeof *names);
    size_t all = 0;
    names[all++] = "phase";
    for (size_t i = 0; i < history->count; i++)
        for (int j = 0; j < history->rows[i].count; j++) names[all++] = history->rows[i].names[j];
    qsort(names, all, sizeof *names, compare_names);
    *count = 0;
    for (size_t i = 0; i < all; i++)
        if (i == 0 || strcmp(names[i], names[*count - 1]) != 0) names[(*count)++] = names[i];
    return names;
}

static void write_row(FILE *file, const Row *row, const char **columns, size_t count)
{
    fprintf(file, "%d", row->epoch);
    for (size_t i = 0; i < count; i++) {
        int at = find_value(row, columns[i]);
        fputc(',', file);
        if (strcmp(columns[i], "phase") == 0)
            fputs(row->phase, file);
        else if (at < 0)
            fputs("NA", file);
        else
            write_number(file, row->values[at]);
    }
    fputs("\r\n", file);
}

bool rt_history_write(const RtHistory *history, const char *path)
{
    size_t count;
    const char **columns = list_columns(history, &count);
    RtOut *out = rt_out_try(path);
    FILE *file = rt_out_file(out);
    fputs("epoch", file);
    for (size_t i = 0; i < count; i++) fprintf(file, ",%s", columns[i]);
    fputs("\r\n", file);
    for (size_t i = 0; i < history->count; i++) write_row(file, &history->rows[i], columns, count);
    free(columns);
    return rt_out_commit(out);
}

/* ---- For checkpoints ------------------------------------------------------------------------- */

/* [["head",0,"loss","0.5",…],…]: numbers as strings, for JSON has no NaN. */
char *rt_history_text(const RtHistory *history)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) rt_die(RT_NO_ROOM, NULL, "out of memory for the history");
    for (size_t i = 0; i < history->count; i++) {
        const Row *row = &history->rows[i];
        fputs(i ? ",[" : "[[", out);
        rt_json_write_string(out, row->phase);
        fprintf(out, ",%d", row->epoch);
        for (int j = 0; j < row->count; j++) {
            fputc(',', out);
            rt_json_write_string(out, row->names[j]);
            fprintf(out, ",\"%.17g\"", row->values[j]);
        }
        fputc(']', out);
    }
    fputs(history->count ? "]" : "[]", out);
    if (fclose(out) != 0) rt_die(RT_NO_ROOM, NULL, "out of memory for the history");
    return text;
}

static bool read_row(RtHistory *history, const RtJson *row)
{
    RtLog logs[RT_LOGS];
    int64_t epoch;
    int count = 0;
    const RtJson *item = rt_json_at(row, 0);
    const char *phase = item ? rt_json_text(item) : NULL;
    if (!phase || !(item = rt_json_next(item)) || !rt_json_integer(item, &epoch)) return false;
    while ((item = rt_json_next(item))) {
        const char *name = rt_json_text(item);
        item = rt_json_next(item);
        const char *value = item ? rt_json_text(item) : NULL;
        if (!name || !value || count == RT_LOGS) return false;
        logs[count++] = (RtLog){name, strtod(value, NULL)};
    }
    rt_history_add(history, phase, (int)epoch, logs, count);
    return true;
}

bool rt_history_read(RtHistory *history, const char *text)
{
    char problem[256];
    RtJson *rows = rt_json_parse(text, strlen(text), problem, sizeof problem);
    bool good = rows && rt_json_is_array(rows);
    for (const RtJson *row = good ? rt_json_at(rows, 0) : NULL; row && good;
         row = rt_json_next(row))
        good = rt_json_is_array(row) && read_row(history, row);
    if (rows) rt_json_free(rows);
    return good;
}

size_t rt_history_count(const RtHistory *history) { return history->count; }

void rt_history_close(RtHistory *history)
{
    for (size_t i = 0; i < history->count; i++) {
        free(history->rows[i].phase);
        for (int j = 0; j < history->rows[i].count; j++) free(history->rows[i].names[j]);
    }
    free(history->rows);
    free(history);
}
