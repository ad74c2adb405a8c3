/* plant_arrays.c: makes arrays for tests of `check`, and faults in them: faults.npz with labels
 * that are numbers of classes, held.npz for its validation, onehot.npz, scaled.npz (0 to 1),
 * values.npz (labels are no classes) and clean.npz. Prints "FILE KIND PATH" for each fault. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arrays.h"

enum { ROWS = 60, SIDE = 32, CLASSES = 4, PIXELS = SIDE * SIDE * 3 };

static float x[ROWS][SIDE][SIDE][3], y[ROWS][CLASSES];
static uint8_t bytes[ROWS][SIDE][SIDE][3];

static double draw(uint64_t *state) /* splitmix64, 0..1 */
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* A made-up scene of soft blobs, a function of its number. */
static void paint(float (*pixels)[SIDE][3], int number)
{
    uint64_t state = (uint64_t)number * 7919 + 1;
    double base = 60 + 100 * draw(&state);
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        (&pixels[0][0][0])[i] = (float)(base + 8 * draw(&state));
    for (int blob = 0; blob < 12; blob++) {
        double u = draw(&state), v = draw(&state), size = 0.05 + 0.25 * draw(&state), rgb[3];
        for (int c = 0; c < 3; c++) rgb[c] = 160 * draw(&state) - 80;
        for (int i = 0; i < SIDE * SIDE; i++) {
            double dx = (i % SIDE / (double)SIDE - u) / size, dy = (i / SIDE / 32.0 - v) / size;
            for (int c = 0; c < 3; c++) {
                float *value = &pixels[i / SIDE][i % SIDE][c];
                *value += (float)(exp(-dx * dx - dy * dy) * rgb[c]);
                *value = *value < 0 ? 0 : *value > 255 ? 255 : *value;
            }
        }
    }
}

static void paint_all(int first)
{
    memset(y, 0, sizeof y);
    for (int i = 0; i < ROWS; i++) paint(x[i], first + i);
}

static void write(const char *name, RtType type, int columns, void *labels, bool as_bytes)
{
    static char names[2][2] = {"x", "y"};
    RtArray arrays[] = {{.name = names[0],
                         .type = as_bytes ? RT_U8 : RT_F32,
                         .rank = 4,
                         .dims = {ROWS, SIDE, SIDE, 3},
                         .data = as_bytes ? (void *)bytes : (void *)x},
                        {.name = names[1],
                         .type = type,
                         .rank = columns ? 2 : 1,
                         .dims = {ROWS, columns},
                         .data = labels}};
    rt_npz_write(name, arrays, 2);
}

static void expect(const char *file, const char *kind, int row)
{
    if (row < 0)
        printf("%s %s %s.npz\n", file, kind, file);
    else
        printf("%s %s %s.npz x[%d]\n", file, kind, file, row);
}

static void plant_pixels(void)
{
    x[5][3][4][0] = x[5][3][4][1] = NAN;
    expect("faults", "not-finite", 5);
    x[6][31][31][2] = -INFINITY;
    expect("faults", "not-finite", 6);
    for (int i = 0; i < SIDE * SIDE; i++)
        memcpy(x[7][i / SIDE][i % SIDE], x[0][0][0], sizeof x[0][0][0]);
    expect("faults", "flat", 7);
    x[17][0][0][0] = 300;
    expect("faults", "range", 17);
}

static void plant_copies(float *labels)
{
    memcpy(x[9], x[8], sizeof x[8]);
    labels[9] = labels[8];
    expect("faults", "duplicate", 9);
    memcpy(x[11], x[10], sizeof x[8]);
    labels[11] = labels[10] == 0;
    expect("faults", "two-labels", 11);
    for (int i = 0; i < PIXELS; i++) (&x[13][0][0][0])[i] = (&x[12][0][0][0])[i] * 0.98f + 1;
    labels[13] = labels[12];
    expect("faults", "near-duplicate", 13);
    for (int i = 0; i < SIDE * SIDE; i++)
        memcpy(x[15][i / SIDE][i % SIDE], x[14][i / SIDE][SIDE - 1 - i % SIDE], sizeof x[0][0][0]);
    labels[15] = labels[14];
    expect("faults", "near-duplicate", 15);
}

static void plant_faults(void)
{
    float labels[ROWS], copy[SIDE][SIDE][3];
    paint_all(0);
    for (int i = 0; i < ROWS; i++) labels[i] = (float)(i * 7 % 3);
    plant_pixels();
    plant_copies(labels);
    labels[20] = 4;
    labels[21] = -1;
    labels[22] = 1.5f;
    labels[23] = NAN;
    for (int i = 20; i < 24; i++) expect("faults", "no-label", i);
    printf("faults few faults.npz\n"); /* no label is 3 */
    memcpy(copy, x[30], sizeof copy);
    write("faults.npz", RT_F32, 0, labels, false);
    paint_all(100);
    for (int i = 0; i < ROWS; i++) labels[i] = (float)(i * 7 % 3);
    memcpy(x[2], copy, sizeof copy);
    labels[2] = (float)(30 * 7 % 3);
    write("held.npz", RT_F32, 1, labels, false);
}

static void plant_labels(void)
{
    float values[ROWS];
    paint_all(200);
    for (int i = 0; i < ROWS; i++) y[i][i % CLASSES] = 1;
    y[3][0] = 1;
    expect("onehot", "label-sum", 3);
    y[4][0] = 1.5f;
    expect("onehot", "no-label", 4);
    memset(y[6], 0, sizeof y[6]);
    expect("onehot", "label-sum", 6);
    write("onehot.npz", RT_F32, CLASSES, y, false);
    memcpy(x[9], x[8], sizeof x[8]);
    expect("values", "two-labels", 9);
    for (int i = 0; i < ROWS; i++) values[i] = 0.3f * (float)i;
    values[20] = INFINITY;
    expect("values", "no-label", 20);
    write("values.npz", RT_F32, 1, values, false);
}

int main(void)
{
    int64_t classes[ROWS];
    plant_faults();
    plant_labels();
    paint_all(300);
    for (int i = 0; i < ROWS; i++) classes[i] = i % CLASSES;
    for (size_t i = 0; i < sizeof bytes; i++)
        (&bytes[0][0][0][0])[i] = (uint8_t)(&x[0][0][0][0])[i];
    write("clean.npz", RT_I64, 0, classes, true);
    for (size_t i = 0; i < sizeof bytes; i++) (&x[0][0][0][0])[i] /= 255;
    write("scaled.npz", RT_I64, 0, classes, false);
    expect("scaled", "range", -1);
    return 0;
}
