/* data.h: what there is to learn from: pictures as they are decoded, data sets, batches. */
#ifndef RT_DATA_H
#define RT_DATA_H

#include <stdbool.h>

#include "arrays.h"
#include "files.h"

/* ---- images.c: the only file with the JPEG header; png.c: the only one with png.h ------------ */

typedef struct {
    int width, height; /* of the file */
    char problem[200]; /* why it was refused; "" if it was read */
} RtImageInfo;

/* Decodes a JPEG or PNG (told apart by content, not by name) of any colour mode to width x height x
 * channels (1 or 3) numbers in 0..255, unrounded, in rows from the top: resized as Keras's
 * image_dataset_from_directory does (RT_BILINEAR: half-pixel centres, no antialias; JPEG by the
 * fast integer DCT with fancy upsampling, as TensorFlow decodes) or as its load_img does
 * (RT_NEAREST: source floor((x + 0.5) * in / out); accurate DCT, as PIL decodes). Alpha is dropped,
 * palettes are expanded, 16 bits become 8, CMYK becomes RGB, grey becomes three equal channels and
 * RGB becomes grey by the ITU-R 601 weights, each as that function of Keras does. Returns false,
 * with info->problem set, for anything that is not a whole, valid picture; truncated data and
 * decoder warnings count as invalid. At most 2^28 pixels. Thread-safe; no state between calls but
 * the malloc'ed decoder it frees. */
bool rt_image_read(const char *path, int height, int width, int channels,
                   RtInterpolation interpolation, real *pixels, RtImageInfo *info);
bool rt_image_decode(const unsigned char *data, size_t bytes, int height, int width, int channels,
                     RtInterpolation interpolation, real *pixels, RtImageInfo *info);
/* RGB rows as a JPEG, malloc'ed; NULL if that fails. quality: 1 to 100. */
unsigned char *rt_jpeg_encode(const unsigned char *rgb, int height, int width, int quality,
                              size_t *bytes);
/* The two parts of it, for who wants more of a file than its numbers: its bytes, and its pixels at
 * their own size, in rows of *decoded channels, as they are before the resizing (grey or three).
 * Both are malloc'ed; NULL, with info->problem set, as above. */
unsigned char *rt_image_file(const char *path, size_t *bytes, RtImageInfo *info);
unsigned char *rt_image_rows(const unsigned char *data, size_t bytes, int channels,
                             RtInterpolation interpolation, int *decoded, RtImageInfo *info);
/* png.c: 8-bit RGB or grey rows, malloc'ed; false with problem set. */
bool rt_png_decode(const unsigned char *data, size_t bytes, int channels, unsigned char **rows,
                   RtImageInfo *info);
/* resize.c: h x w x channels bytes to height x width x channels numbers. */
void rt_resize(const unsigned char *rows, int h, int w, int channels, int height, int width,
               RtInterpolation interpolation, real *pixels);

/* ---- dataset.c: what there is to learn from -------------------------------------------------- */

/* contents.c: the bytes of a picture. */
typedef struct {
    RtHash hash;
    bool known; /* false: the file cannot be read */
} RtContent;

typedef struct {
    size_t count;
    char **paths;   /* NULL for arrays */
    char *folder;   /* that holds the class folders; NULL for arrays and without labels */
    int *labels;    /* class of each picture; NULL for arrays */
    char **classes; /* names, in label order; NULL for arrays */
    int class_count;
    RtArray x, y;    /* arrays: all pictures and their labels as given (data NULL for folders) */
    char *file;      /* that holds the arrays; NULL for folders */
    size_t *rows;    /* (count): of arrays that were split, which of the file's each is; or NULL */
    char **problems; /* loader.c: why a picture cannot be read, "" once the user knows, NULL: it
                      * can be read or is untried; NULL: no loader was opened yet */
    size_t skipped;  /* pictures that could not be read so far (loader.c counts) */
    RtContent *contents; /* of each picture, once rt_contents has read them */
    struct RtPictures *kept; /* decoded pictures (pictures.h), or NULL */
} RtData;

/* Folder of class folders (sorted by name in code-point order; nested folders are walked; names
 * beginning with a dot are passed over; .jpg .jpeg .png in any case), or .npz with x and y. A
 * folder that holds train/ and (validation/ or val/ or test/) is two: see rt_data_open_pair. Exit 4
 * with what was looked for when there is no picture, an empty class, or one class only. need_labels
 * false: any folder or npz without y will do (features, predict). */
RtData *rt_data_open(const char *path, const RtModel *model, bool need_labels);
/* Training and validation sides of --data DIR with --validation DIR (may be NULL) or
 * --validation-split F (0: none; then train/ and validation/ inside DIR are used if they exist).
 * The split shuffles by seed and takes the last int(F * count), as Keras does. *validation is NULL
 * when there is none. Both sides must have the same classes (exit 4 with the difference). */
void rt_data_open_pair(const char *path, const char *validation, double split, uint64_t seed,
                       const RtModel *model, RtData **train, RtData **validation_side);
void rt_data_close(RtData *data);
/* Where a picture is: its path, or "FILE x[ROW]". */
char *rt_data_place(const RtData *data, size_t index);
bool rt_is_picture_name(const char *name); /* ends in .jpg, .jpeg or .png */
/* contents.c: of all pictures; they are read the first time. */
const RtContent *rt_contents(RtData *data);
RtContent rt_content_now(const RtData *data, size_t sample); /* read again */
uint64_t rt_file_bytes(const RtData *data);                  /* of all picture files */
/* ---- labels.c: what the labels are to a loss --------------------------------------------------
 */

/* Numbers of one label: 1 (sparse), as many as the model has outputs (others), 0 (none).
 */
int rt_label_size(const RtModel *model, RtLoss loss);
/* The classes must fit the model's output (binary: 2 classes for 1 unit; categorical: as many as
 * units): exit 4 with both numbers. */
void rt_data_check(const RtData *data, const RtModel *model, RtLoss loss);
/* Of arrays: how many numbers there are for each picture. Exit 4 likewise. */
void rt_data_check_shape(const RtData *data, const RtModel *model, RtLoss loss);
/* What one number of y may be. */
bool rt_is_label(real value, RtLoss loss, int units);

/* ---- loader.c: batches, decoded beside the computing ----------------------------------------- */

typedef struct {
    int n;                  /* rows filled; 0: the epoch is over */
    const real *x, *y;      /* (n, H, W, C), (n, label size); valid until the next rt_loader_next */
    const uint64_t *sample; /* (n): index of each row in the data set */
    size_t to;              /* position in the order behind it: where the next one begins */
} RtBatch;

typedef struct RtLoader RtLoader;
/* Serves data in batches of `batch` rows through room (model->batch_bytes at batch_offset of the
 * arena: two halves, one filled while the other is used). Decoding threads run beside; pictures
 * that cannot be read are named (rt_warn, once each), counted and left out, or end the program with
 * exit 4 if strict; a run whose pictures are all unreadable ends with exit 4. y is filled as the
 * loss wants it (label 0/1 or class number as one number, one-hot, or rows of the array y). loss
 * RT_LOSS_NONE: no labels. */
RtLoader *rt_loader_open(const RtModel *model, RtData *data, int batch, RtLoss loss, char *room,
                         size_t room_bytes, bool strict);
/* From the next start on an epoch is `count` pictures long (at first all of the data's). */
void rt_loader_take(RtLoader *loader, size_t count);
/* Begins an epoch over order[0..count-1] (indices into data, copied; NULL: 0,1,2,…), at position
 * `from` of it. May come before the epoch in progress is over. */
void rt_loader_start(RtLoader *loader, const uint64_t *order, size_t from);
RtBatch rt_loader_next(RtLoader *loader);
void rt_loader_close(RtLoader *loader);
/* From the next start on x is left as it is, or filled again: whether the caller has what it needs
 * of the pictures. */
void rt_loader_skip_pictures(RtLoader *loader, bool skip);
/* Bytes that one half needs for a batch: pictures, labels, sample numbers. */
size_t rt_loader_bytes(const RtModel *model, int batch, int label_size);

#endif
