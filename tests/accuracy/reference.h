/* reference.h: layers in double, by plain loops. */
#ifndef REFERENCE_H
#define REFERENCE_H
#include "rt.h"

/* One layer on n pictures: what it reads and gives. */
typedef struct {
    const RtLayer *layer;
    const float *kernel, *bias; /* NULL if it has none */
    const int *kernel_dims;
    int n;
    int in[4];                /* shape of x, if it is of pictures; in[0] does not count */
    int out[4];               /* shape of y */
    size_t in_size, out_size; /* numbers of a picture */
} Step;

/* From x to y; from dy to dx, unless that is NULL, and to the kernel's gradient dw, which the
 * caller sets to zeros. */
typedef struct {
    const char *type;
    void (*forward)(const Step *s, const double *x, double *y);
    void (*backward)(const Step *s, const double *x, const double *dy, double *dx, double *dw);
} Reference;

const Reference *reference_of(const RtLayer *layer); /* NULL if none */

#endif
