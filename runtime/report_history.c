/* report_history.c: history.csv, read back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "ground.h"
#include "report.h"

enum { MAX_BYTES = 1 << 28, MAX_COLUMNS = 256 };

/* Cuts the line that *at begins with into fields, in place; *at moves behind it. */
static int cut_line(char **at, char *fields[MAX_COLUMNS])
{
    char *line = strsep(at, "\n");
    size_t length = strlen(line);
    int count = 0;
    if (length && line[length - 1] == '\r') line[length - 1] = '\0';
    while (line && count < MAX_COLUMNS) fields[count++] = strsep(&line, ",");
    return count;
}

static double read_value(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    return end == text || *end ? NAN : value;
}

static void add_row(RtEpochs *epochs, char *fields[], int phase)
{
    size_t row = epochs->rows++, columns = (size_t)epochs->columns;
    epochs->values = rt_grow(epochs->values, epochs->rows * columns, sizeof *epochs->values);
    epochs->phases = rt_grow(epochs->phases, epochs->rows, sizeof *epochs->phases);
    epochs->phases[row] = phase < 0 ? "" : fields[phase];
    for (size_t i = 0; i < columns; i++) epochs->values[row * columns + i] = read_value(fields[i]);
}

RtEpochs rt_epochs_read(const char *path)
{
    RtEpochs epochs = {.columns = 0};
    char *fields[MAX_COLUMNS];
    size_t bytes;
    if (access(path, R_OK) != 0) return epochs;
    const unsigned char *file = rt_map(path, MAX_BYTES, RT_BAD_DATA, &bytes);
    epochs.text = rt_format("%.*s", (int)bytes, (const char *)file);
    rt_unmap(file, bytes);
    char *at = epochs.text;
    epochs.columns = cut_line(&at, fields);
    epochs.names = rt_alloc((size_t)epochs.columns, sizeof *epochs.names);
    memcpy(epochs.names, fields, (size_t)epochs.columns * sizeof *fields);
    int phase = rt_epochs_column(&epochs, "phase");
    while (at && *at)
        if (cut_line(&at, fields) == epochs.columns) add_row(&epochs, fields, phase);
    return epochs;
}

void rt_epochs_free(RtEpochs *epochs)
{
    free(epochs->text);
    free(epochs->names);
    free(epochs->values);
    free(epochs->phases);
}

int rt_epochs_column(const RtEpochs *epochs, const char *name)
{
    for (int i = 0; i < epochs->columns; i++)
        if (strcmp(epochs->names[i], name) == 0) return i;
    return -1;
}

int rt_epochs_find(const RtEpochs *epochs, const char *phase, int n)
{
    for (size_t i = 0; i < epochs->rows; i++)
        if (strcmp(epochs->phases[i], phase) == 0 && --n == 0) return (int)i;
    return -1;
}
