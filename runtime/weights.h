/* weights.h: the weights of a model, from the files that hold them and into them. */
#ifndef RT_WEIGHTS_H
#define RT_WEIGHTS_H

#include <stdbool.h>

#include "arrays.h"

/* ---- match.c: which array of a file is which weight of the model ----------------------------- */

enum { RT_EXTRA = -1, RT_OTHER = -2 };

typedef struct {
    const char *place; /* in the file, for messages */
    int weight;        /* index in weights[]; RT_EXTRA: the model has no such weight; RT_OTHER: of a
                        * part of the network that is left out on purpose */
    int rank;
    int64_t dims[RT_MAX_RANK];
} RtMatch;

/* One match for each array of the file, in its order; the caller frees the list. base as in
 * rt_weights_read. By names: legacy by layer name, or, in the group of a base, by that of the layer
 * inside, and by the data set's name; v3 by the attribute `name`. If no name is of this model:
 * legacy by position among the weighted layers, as Keras does (*by_position is set), v3 by class
 * and number ("conv2d_3"), also as Keras does. */
RtMatch *rt_match_h5(const RtModel *model, const RtH5 *file, int base, bool *by_position);
/* By full names, "block1_conv1/kernel". */
RtMatch *rt_match_tensors(const RtModel *model, const RtTensors *file, int base);

/* ---- weights.c: from any weight file into the model ------------------------------------------ */

/* Fills every weight of the model. Without `file`: initial values first (seed), then each base's
 * `weights` ("imagenet": the official file under $KERAS_HOME/models or ~/.keras/models, md5 checked
 * at each load, seconds for VGG16's 528 MB; else exit 5 saying which file, from where, with which
 * md5, and the place to put it). With `file` (.h5, .weights.h5 or .safetensors, told apart by
 * content): from it alone; or, if it holds weights of bases only, it stands in for "imagenet" and
 * the other layers keep their initial values. run->weights tells where they are: a run that is
 * read_only uses the large ones where they stand in the file, which stays mapped. */
void rt_weights_load(const RtModel *model, RtRun *run, const char *file);
/* Fills from one file. All wanted: names, layers or positions must cover every weight of the model
 * (exit 5 listing missing, extra and mis-shaped ones); base >= 0: only that base's layers are
 * wanted, and what the file holds of the base's other layers, or around the base in the file of a
 * whole model, is no error. */
void rt_weights_read(const RtModel *model, RtRun *run, const char *file, int base);
size_t rt_weight_count(const RtWeight *weight); /* product of its dims */
/* Path of a file of Keras's models folder: $KERAS_HOME/models/name or ~/.keras/models/name. */
char *rt_keras_file(const char *name);

/* ---- saved.c: our own weight files ----------------------------------------------------------- */

/* What a saved file says beside its weights. */
typedef struct {
    char **classes; /* NULL if it names none */
    int class_count;
    char *phase;
    int epoch;       /* epochs finished in that phase */
    double val_loss; /* NaN if there was none */
    char *model_hash;
} RtSaved;

/* Reads a .safetensors of this program into the arena. Another model's file: exit 5 with both
 * hashes. */
RtSaved *rt_saved_load(const RtModel *model, RtRun *run, const char *path);
void rt_saved_free(RtSaved *saved);
/* weights: where each of the model's is. False and a warning if it cannot be written. */
bool rt_saved_write(const RtModel *model, real *const *weights, const char *path,
                    const RtSaved *about);
/* ["cat","dog"], as metadata "classes" has it. */
char *rt_class_list(char *const *classes, int count);

#endif
