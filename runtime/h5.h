/* h5.h: what h5.c, which alone sees the HDF5 library, offers h5_keras.c. Whatever is wrong with a
 * file ends the program. */
#ifndef RT_H5_H
#define RT_H5_H

#include "arrays.h"

/* ---- h5.c ------------------------------------------------------------------------------------ */

typedef int64_t RtH5Object; /* a group or a data set, open; the library's hid_t */

typedef struct {
    char **names;
    size_t count;
} RtH5Names;

_Noreturn void rt_h5_refuse(const RtH5 *file, const char *object, const char *why);
/* The object at `path`, from the root, whose parts are tried one by one; -1 if there is none. */
RtH5Object rt_h5_object(RtH5 *file, const char *path);
RtH5Object rt_h5_group(RtH5 *file, const char *path); /* one that must be there */
bool rt_h5_has_group(RtH5 *file, const char *path);
bool rt_h5_is_group(RtH5Object id);
void rt_h5_release(RtH5Object id);
/* Appends the strings of an attribute; false if there is no such attribute. */
bool rt_h5_attribute(const RtH5 *file, RtH5Object id, const char *path, const char *name,
                     RtH5Names *list);
/* The same of a list that, too large for an attribute, may lie in name0, name1, … */
bool rt_h5_list(const RtH5 *file, RtH5Object id, const char *path, const char *name,
                RtH5Names *list);
/* Names of the members of a group: dense, dense_1, dense_2, … dense_10. */
RtH5Names rt_h5_members(const RtH5 *file, RtH5Object group, const char *path);
void rt_h5_free_names(RtH5Names *list);
/* Adds a data set to the file's entries, checked; takes over id. layer may be NULL. */
void rt_h5_add(RtH5 *file, RtH5Object id, const char *layer, const char *path, int index);

/* ---- h5_keras.c ------------------------------------------------------------------------------ */

RtH5Kind rt_h5_list_weights(RtH5 *file); /* adds them all, in order */

#endif
