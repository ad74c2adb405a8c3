/* pictures.h: pictures decoded and resized once and kept, for phases that compute all of them in
 * each epoch, whose features (cache.h) cannot be kept.
 *
 * What is kept is what the model is given, to the bit; so nothing but time depends on it. */
#ifndef RT_PICTURES_H
#define RT_PICTURES_H

#include "data.h"
#include "training.h"

/* ---- pictures.c: those of one data set ------------------------------------------------------- */

typedef struct RtPictures RtPictures;

size_t rt_pictures_row_bytes(const RtModel *model); /* of one */
/* For data of files. In memory, each is kept when it is first read; or in files in the folder of
 * features, for all models that take pictures of this size and all runs. */
RtPictures *rt_pictures_open(const RtModel *model, const RtData *data, bool on_disk);
/* In files: decodes what they lack, on the run's threads. Pictures that cannot be read are passed
 * over. False if a signal broke it off. title: of the progress bar; NULL: none is shown. */
bool rt_pictures_fill(RtPictures *pictures, const RtRun *run, const char *title);
/* As rt_image_read. By any thread, and several at once. */
bool rt_pictures_read(RtPictures *pictures, size_t sample, real *pixels, RtImageInfo *info);
void rt_pictures_close(RtPictures *pictures); /* NULL are no pictures */

/* ---- caching_pictures.c: those of a training ------------------------------------------------- */

typedef enum { RT_NOWHERE, RT_IN_MEMORY, RT_ON_DISK } RtPlace;

/* Bytes of all of them; 0 for arrays, which are in memory as they are. */
size_t rt_pictures_bytes(const RtModel *model, const RtData *data);
/* Where they are kept in a phase of so many epochs that reads them in each, if so many bytes of
 * memory and disk may be taken. */
RtPlace rt_pictures_place(const RtModel *model, const RtData *data, RtCacheMode mode, int epochs,
                          uint64_t memory, uint64_t disk);
/* At the start of a phase, when its features are known to be kept or not: has data->kept keep the
 * pictures of each side that has none, until the training ends. memory, disk: as above; what is
 * taken of them is taken away. */
void rt_training_pictures_open(const RtTraining *training, RtCacheMode mode, uint64_t *memory,
                               uint64_t *disk);
bool rt_training_pictures_fill(const RtTraining *training); /* false if a signal broke it off */
void rt_training_pictures_close(const RtTraining *training);

#endif
