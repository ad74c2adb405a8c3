/* emit.h: the generated file in the making: kernels from sections of templates, calls, tables. */
#ifndef EMIT_H
#define EMIT_H

#include "tlc.h"

/* ISA levels that a kernel may have a body of its own for; as RtLevel. */
enum { LEVEL_AVX512_BF16 = 3, LEVEL_AMX, LEVEL_COUNT };

/* ==== template.c, kernels.c, emit.c, tables.c ================================================= */

/* One kernel of the file: a template section with its placeholders filled. */
typedef struct {
    const char *name, *text; /* text with $name still in it: equal texts are one kernel */
    const char *why;         /* of the choice that made it, or NULL */
    Text serves;             /* the nodes that call it, for the comment above it */
} Kernel;

/* One call of a kernel. */
typedef struct {
    const Graph *g;
    const Node *n;
    const char *kernel;
} MadeCall;

/* What a thing (tensor, slot) is called in the file. */
typedef struct {
    const void *thing;
    const char *name;
} FileName;

/* A function that prepares weights. */
typedef struct {
    const char *name, *body;
} Preparation;

/* The file in the making. */
struct Emit {
    const Model *m;
    const Graph *g;      /* the program whose functions are printed now */
    Text out;            /* the file */
    Text calls;          /* the body of the function printed now */
    bool in_loop;        /* it is called once for each micro-batch */
    bool uses_x, uses_y; /* what its body reads */
    int call_count;
    Kernel **kernels;
    int kernel_count;
    MadeCall **made; /* in the order of the file */
    int made_count;
    FileName **names;
    int name_count;
    Preparation **preparations; /* of different bodies */
    int preparation_count;
    const char **sections; /* needed once a level, in order */
    const char **section_texts;
    int section_count, section_text_count;
    bool levels[LEVEL_COUNT]; /* those above AVX-512 that the file needs */
    int body_level; /* of the body that the next kernel has for a level and those above, */
    const char *body, *body_tasks; /* and the body; NULL if it has none */
    const char *placeholders[64], *replacements[64];
    int placeholder_count;
};

/* Placeholders for the next kernel: set(e, "$R", "%d", 3). */
void set(Emit *e, const char *placeholder, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "$X" becomes the ten numbers of SHAPE(X, …): height, width, channels, lanes, top, left, height
 * and width with halo, blocks, numbers a picture. */
void set_shape(Emit *e, const char *placeholder, const Tensor *t);
/* Text of section `//% section` with the placeholders set so far replaced, and those forgotten.
 * $name stays. A placeholder that is not set, or not used, is a bug. */
const char *fill_section(Emit *e, const char *section);
const char *hash_templates(void); /* of the text of all of them, 64 hex digits */
const char *replace_word(const char *text, const char *word, const char *by);
/* kernels.c: instantiates template section `section` with the placeholders set so far, unless the
 * same was made before, notes that it serves n, and prints the call: operands are n's in[] and
 * out[]. name: a C identifier that says op and shapes, made unique. tasks: a C expression of n. */
void emit_kernel(Emit *e, const Node *n, const char *section, const char *name, const char *tasks);
/* The next kernel has another body for `level` and those above: the section with the placeholders
 * set so far, which are then forgotten, and its number of tasks. Its operands are the same. The
 * file gets that level. */
void emit_body(Emit *e, int level, const char *section, const char *tasks);
/* A section of inline functions that kernels need, printed before them, once a level. */
void need_section(Emit *e, const char *section);
/* The same from `level` on. */
void need_level_section(Emit *e, int level, const char *section);
/* The same for text made by fill_section; its function is called `name`. */
void need_text(Emit *e, const char *name, const char *text);
const char *name_in_file(Emit *e, const void *thing, const char *wanted); /* made unique */
const char *operand(Emit *e, const Tensor *t); /* "train_head_fc": the C expression of a tensor */
void emit_tensor_table(Emit *e);
void emit_kernels(Emit *e);
void emit_tables(Emit *e);                        /* tables.c: RtLayer … RtModel */
void emit_callbacks(Emit *e, const Phase *phase); /* static const RtCallback callbacks_PHASE[] */
void emit_metrics(Emit *e, const Phase *phase);   /* metrics.c: metrics_PHASE, if it has any */
void emit_class_weights(Emit *e, const Phase *phase); /* classes.c: class_weights_PHASE, likewise */
/* regularizers.c: `static double penalty_PHASE(const RtRun *r)`, the sum of the penalties of e->g's
 * phase, as Keras 3 counts them; false if there are none. */
bool emit_penalty(Emit *e);
/* emit.c: the section (include_level, level_row) for each level of the file but the generic one. */
void emit_levels(Emit *e, const char *section);
/* emit.c: the whole file, in out. */
Emit *print_model(const Model *m);

#endif
