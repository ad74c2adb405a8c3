/* conv2d.h: what the algorithms of Conv2D share. */
#ifndef CONV2D_H
#define CONV2D_H
#include "tlc.h"

/* Node.variant of a convolution and of its packed kernel: which sum, and by which algorithm; AMX:
 * whether level amx has another body for it; UNPACKED: Winograd reads the kernel as it is. */
enum { FORWARD = 0, TURNED = 1, WINOGRAD = 2, AMX = 4, UNPACKED = 8 };

/* Windows over one axis (0: height) of `length` numbers. */
typedef struct {
    int64_t length, taps, stride, dilation, before, count;
} Axis;

/* ---- conv2d_direct.c: window by window --------------------------------------------------------
 */

/* Lanes of x: blocks, or few channels side by side. */
int input_lanes(int64_t channels);
/* x in `lanes`, the kernel packed, which has room for `least` numbers. */
void select_direct(Graph *g, Node *n, const Axis *h, const Axis *w, int lanes, int variant,
                   int64_t least);
void emit_direct(Emit *e, const Node *n, const Axis *h, const Axis *w);
void select_direct_dw(Graph *g, Node *n, const Axis *h, const Axis *w,
                      int lanes); /* of the kernel */
void emit_direct_dw(Emit *e, const Node *n, const Axis *h, const Axis *w);
/* Name of a kernel: stem, window, size of the result, channels. */
const char *window_name(const char *stem, const Axis *h, const Axis *w, const Tensor *x,
                        const Tensor *y);

/* ---- winograd.c: windows of 3x3 at strides of 1 ---------------------------------------------- */

/* Winograd's sum or the direct one. stem: "conv2d" or "conv2d_dw"; inputs, outputs: channels. */
Choice *choose_sum(const Model *m, const char *stem, const Axis *h, const Axis *w, int64_t inputs,
                   int64_t outputs);
void select_winograd(Graph *g, Node *n, const Axis *h, const Axis *w, int variant);
void emit_winograd(Emit *e, const Node *n, const Axis *h, const Axis *w);
void select_winograd_dw(Graph *g, Node *n, const Axis *h, const Axis *w); /* of the kernel */
void emit_winograd_dw(Emit *e, const Node *n, const Axis *h, const Axis *w);

/* ---- conv2d_amx.c: products of 16-bit numbers, as another body for level amx ----------------- */

/* A convolution as that body depends on it. */
typedef struct {
    Axis h, w;
    int64_t inputs, outputs; /* channels */
    int lanes;               /* of x */
    int pool;                /* 2 if 2x2 pooling follows in the same store, else 1 */
    int terms;               /* 16-bit numbers that stand for one; 0: the precision forbids it */
    bool turned;             /* the kernel is */
} AmxSum;

/* n's sum, or its kernel's gradient, or what is packed for it. kernel: its shape; lanes: of x. */
AmxSum amx_sum(const Model *m, const Node *n, const Axis *h, const Axis *w, const int64_t kernel[4],
               int lanes);
/* Whether the precision allows it, and it is faster than the other body. */
bool amx_pays(const AmxSum *a);
bool amx_dw_pays(const AmxSum *a);
size_t amx_scratch(const AmxSum *a);
size_t amx_dw_scratch(const AmxSum *a);
/* n has that body; its scratch is at least this. */
void use_amx(Node *n, size_t scratch);
int64_t amx_packed_count(const AmxSum *a); /* of the packed kernel, in floats */
/* For the kernel that is emitted next, whose operands it shares. */
void emit_amx_body(Emit *e, const Node *n, const Axis *h, const Axis *w);
void emit_amx_dw_body(Emit *e, const Node *n, const Axis *h, const Axis *w);
void emit_amx_pack_body(Emit *e, const Node *n, int lanes);

#endif
