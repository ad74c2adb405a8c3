/* make_h5.h: for unit tests: weight files as Keras writes them, by way of the HDF5 library. */
#ifndef MAKE_H5_H
#define MAKE_H5_H

#include <hdf5.h>

#include "outcome.h"

static inline hid_t new_h5(const char *path)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

/* The group at a path, made with those above it where it is not there yet. */
static inline hid_t put_group(hid_t file, const char *path)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5E_BEGIN_TRY
    {
        hid_t group = H5Gcreate2(file, path, links, H5P_DEFAULT, H5P_DEFAULT);
        if (group >= 0) H5Gclose(group);
    }
    H5E_END_TRY
    H5Pclose(links);
    hid_t group = H5Gopen2(file, path, H5P_DEFAULT);
    assert_true(group >= 0);
    return group;
}

/* An attribute of strings: of varying length, or (length > 0) of one length padded with NUL. */
static inline void put_strings(hid_t object, const char *name, const char *const *texts, size_t n,
                               size_t length)
{
    hsize_t dims = n;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &dims, NULL);
    char *fixed = calloc(n + 1, length + 1);
    H5Tset_size(type, length ? length : H5T_VARIABLE);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    for (size_t i = 0; length && i < n; i++) memcpy(fixed + i * length, texts[i], strlen(texts[i]));
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attribute >= 0);
    assert_true(H5Awrite(attribute, type, length ? (const void *)fixed : texts) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    free(fixed);
}

static inline void put_string(hid_t object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, &text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

/* What h5py makes of an empty list. */
static inline void put_empty_list(hid_t object, const char *name)
{
    hsize_t dims = 0;
    hid_t space = H5Screate_simple(1, &dims, NULL);
    H5Aclose(H5Acreate2(object, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
}

/* A data set of floats first, first + 1, …; dims ends with 0. */
static inline void put_floats(hid_t file, const char *path, float first, const hsize_t *dims)
{
    int rank = 0;
    size_t count = 1;
    for (; dims[rank]; rank++) count *= dims[rank];
    float *values = calloc(count, sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = first + (float)i;
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(rank, dims, NULL);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(file, path, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(links);
    free(values);
}

#define DIMS(...) ((const hsize_t[]){__VA_ARGS__, 0})
#define LIST(...) ((const char *const[]){__VA_ARGS__}), sizeof((const char *[]){__VA_ARGS__}) / 8

/* A legacy layer below `root` ("/" or "/model_weights/"): its group and its weight_names. */
static inline void put_layer(hid_t file, const char *root, const char *layer,
                             const char *const *names, size_t n, size_t length)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, layer);
    hid_t group = put_group(file, path);
    if (n)
        put_strings(group, "weight_names", names, n, length);
    else
        put_empty_list(group, "weight_names");
    H5Gclose(group);
}

#endif
