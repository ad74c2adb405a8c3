/* h5_keras.c: where the weights lie in the HDF5 files of Keras. */
#include <stdlib.h>

#include "ground.h"
#include "h5.h"

enum { MAX_NESTING = 8 }; /* models within models */

/* ---- Keras 1 and 2, and .h5 of Keras 3 ------------------------------------------------------- */

static void list_layer(RtH5 *file, const char *root, const char *layer)
{
    RtH5Names weights = {0};
    char *path = rt_format("%s%s", root, layer);
    RtH5Object group = rt_h5_group(file, path);
    if (!rt_h5_list(file, group, path, "weight_names", &weights))
        rt_h5_refuse(file, path, "has no attribute weight_names");
    rt_h5_release(group);
    for (size_t i = 0; i < weights.count; i++) {
        char *place = rt_format("%s/%s", path, weights.names[i]);
        RtH5Object id = rt_h5_object(file, place);
        if (id < 0) rt_h5_refuse(file, place, "is named in weight_names but not in the file");
        rt_h5_add(file, id, layer, place, (int)i);
        free(place);
    }
    rt_h5_free_names(&weights);
    free(path);
}

/* Returns false if there is no legacy file at root, which ends with a slash. */
static bool list_legacy(RtH5 *file, const char *root)
{
    RtH5Names layers = {0};
    RtH5Object group = rt_h5_group(file, root);
    bool found = rt_h5_list(file, group, root, "layer_names", &layers);
    rt_h5_release(group);
    for (size_t i = 0; i < layers.count; i++) list_layer(file, root, layers.names[i]);
    rt_h5_free_names(&layers);
    return found;
}

/* ---- Keras 3: .weights.h5 -------------------------------------------------------------------- */

/* The data sets vars/0, vars/1, … of one layer; its name is told since Keras 3.10. */
static void list_vars(RtH5 *file, const char *layer)
{
    RtH5Names name = {0};
    char *path = rt_format("%s/vars", layer);
    RtH5Object vars = rt_h5_object(file, path), id = -1;
    if (vars >= 0 && rt_h5_is_group(vars)) {
        rt_h5_attribute(file, vars, path, "name", &name);
        for (int i = 0; i == 0 || id >= 0; i++) {
            char *place = rt_format("%s/%d", path, i);
            id = rt_h5_object(file, place);
            if (id >= 0) rt_h5_add(file, id, name.count ? name.names[0] : NULL, place, i);
            free(place);
        }
    }
    if (vars >= 0) rt_h5_release(vars);
    rt_h5_free_names(&name);
    free(path);
}

static void list_container(RtH5 *file, const char *container, int depth);

/* The layers of a model: those in `layers`, which 2.13 called otherwise. */
static bool list_model(RtH5 *file, const char *model, int depth)
{
    static const char *const folders[] = {"layers", "_layer_checkpoint_dependencies"};
    bool found = false;
    for (int i = 0; i < 2 && !found; i++) {
        char *path = rt_format("%s/%s", model, folders[i]);
        found = rt_h5_has_group(file, path);
        if (found) list_container(file, path, depth + 1);
        free(path);
    }
    return found;
}

static void list_container(RtH5 *file, const char *container, int depth)
{
    if (depth > MAX_NESTING) rt_h5_refuse(file, container, "models are nested too deep");
    RtH5Object group = rt_h5_group(file, container);
    RtH5Names layers = rt_h5_members(file, group, container);
    rt_h5_release(group);
    for (size_t i = 0; i < layers.count; i++) {
        char *path = rt_format("%s/%s", container, layers.names[i]);
        if (rt_h5_has_group(file, path)) {
            list_vars(file, path);
            list_model(file, path, depth);
        }
        free(path);
    }
    rt_h5_free_names(&layers);
}

/* ---- The file -------------------------------------------------------------------------------- */

RtH5Kind rt_h5_list_weights(RtH5 *file)
{
    if (list_legacy(file, "/")) return RT_H5_LEGACY;
    if (rt_h5_has_group(file, "/model_weights") && list_legacy(file, "/model_weights/"))
        return RT_H5_LEGACY;
    if (!list_model(file, "", 0))
        rt_h5_refuse(file, "/", "no weights of Keras in it: neither layer_names nor layers");
    return RT_H5_V3;
}
