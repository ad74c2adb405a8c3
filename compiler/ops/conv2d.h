/* conv2d.h: what the algorithms of Conv2D share. */
#ifndef CONV2D_H
#define CONV2D_H
#include "tlc.h"

/* Node.variant of a convolution and of its packed kernel: which sum, and by which algorithm. */
enum { FORWARD = 0, TURNED = 1, WINOGRAD = 2 };

/* Windows over one axis (0: height) of `length` numbers. */
typedef struct {
    int64_t length, taps, stride, dilation, before, count;
} Axis;

/* Name of a kernel: stem, window, size of the result, channels. */
const char *window_name(const char *stem, const Axis *h, const Axis *w, const Tensor *x,
                        const Tensor *y);

/* ---- winograd.c: windows of 3x3 at strides of 1 ---------------------------------------------- */

/* Whether it needs less time than the direct sum. x: what the windows go over; outputs: channels.
 */
bool winograd_pays(const Axis *h, const Axis *w, int64_t inputs, int64_t outputs);
void select_winograd(Graph *g, Node *n, const Axis *h, const Axis *w, int variant);
void emit_winograd(Emit *e, const Node *n, const Axis *h, const Axis *w);
void select_winograd_dw(Graph *g, Node *n, const Axis *h, const Axis *w); /* of the kernel */
void emit_winograd_dw(Emit *e, const Node *n, const Axis *h, const Axis *w);

#endif
