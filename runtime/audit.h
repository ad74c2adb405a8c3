/* audit.h: what is wrong or odd with the pictures that a training is to read: what `check` prints
 * and report.html shows. Nothing of the user's is ever written to. */
#ifndef RT_AUDIT_H
#define RT_AUDIT_H

#include "data.h"

/* ---- facts.c: what a picture file says of itself, without decoding ----------------------------
 */

typedef enum {
    RT_UNKNOWN_FORMAT,
    RT_JPEG,
    RT_PNG,
    RT_GIF,
    RT_BMP,
    RT_WEBP,
    RT_TIFF,
    RT_HEIF,
    RT_FORMATS
} RtFormat;

typedef struct {
    RtFormat format; /* by content; what follows is told of JPEG and PNG */
    int components;  /* as stored: 4 in a JPEG are CMYK; 0: not told */
    int bits;        /* a sample; 0: not told */
    int orientation; /* EXIF: 1 as stored, 2..8 turned or mirrored; 0: not told */
    bool alpha;      /* some pixels may be transparent */
    bool animated;   /* more pictures than the first */
} RtFacts;

/* Any bytes will do: nothing beyond them is read, and what is damaged is not told. */
RtFacts rt_picture_facts(const unsigned char *data, size_t bytes);
const char *rt_format_name(RtFormat format); /* "JPEG" */

/* ---- look.c: what a picture looks like --------------------------------------------------------
 */

enum {
    RT_LOOK_CELLS = 16,
    RT_LOOK_CROPS = 11, /* ways of cutting off 5 to 12 % of two sides or four */
};

typedef struct {
    uint64_t hash; /* signs of the low frequencies of its cosine transform; 0: a flat picture */
    uint64_t mirrored, crops[RT_LOOK_CROPS]; /* the hashes that such copies would have */
    float contrast;                          /* standard deviation of the cells' grey */
    unsigned char cells[RT_LOOK_CELLS * RT_LOOK_CELLS * 3]; /* mean colours */
} RtLook;

/* Of rows of 1 or 3 channels. Resizing and recompressing a picture change it little. */
void rt_look(const unsigned char *rows, int height, int width, int channels, RtLook *look);
/* The cells of a copy that is mirrored, or that was cropped. */
void rt_look_mirror(const RtLook *look, unsigned char *cells);
void rt_look_crop(const RtLook *look, int which, unsigned char *cells);

/* ---- alike.c: pictures that look the same ------------------------------------------------------
 */

/* What a is to b: mirrored, a part of it, or what it is a part of. */
typedef enum { RT_DIFFERENT, RT_SAME, RT_MIRRORED, RT_CROPPED, RT_WHOLE } RtLikeness;
RtLikeness rt_compare_looks(const RtLook *a, const RtLook *b);
/* alike[i]: the first of the looks that look i belongs with, i itself if it is the first. looks[i]
 * may be NULL: that one is alone. */
void rt_find_alike(const RtLook *const *looks, size_t count, size_t *alike);

/* ---- audit.c: everything read once, and judged ------------------------------------------------
 */

typedef enum {
    RT_UNREADABLE,  /* corrupt, truncated, empty, no picture */
    RT_EMPTY_CLASS, /* a class without one picture to learn from */
    RT_LEAK,        /* the same picture on both sides of the split */
    RT_TWO_LABELS,  /* the same picture under two labels */
    RT_NOT_FINITE,  /* rows of arrays: some of their numbers are NaN or infinite */
    RT_NO_LABEL,    /* what y says of a row cannot be */
    RT_NEAR_LEAK,   /* likewise, of pictures that look the same */
    RT_NEAR_TWO_LABELS,
    RT_DUPLICATE, /* on one side, under one label */
    RT_NEAR_DUPLICATE,
    RT_RANGE,     /* numbers of arrays that are not scaled as the model, or the other side, is */
    RT_LABEL_SUM, /* a row of y that should come to 1 */
    RT_FLAT,      /* one colour throughout */
    RT_MISNAMED,  /* a PNG named .jpg */
    RT_CMYK,
    RT_TURNED, /* by EXIF */
    RT_ANIMATED,
    RT_ALPHA,
    RT_DEEP, /* more than 8 bits a sample */
    RT_GREY, /* among pictures in colour */
    RT_SIZE,
    RT_SHAPE,
    RT_ENLARGED,
    RT_FEW, /* a class with one picture, or none on a side */
    RT_IMBALANCE,
    RT_IGNORED, /* a file that is not read */
    RT_FINDING_KINDS
} RtFindingKind;

typedef struct {
    RtFindingKind kind;
    char *path;  /* of the file; or of the class's folder */
    char *other; /* of the picture that it is the same as, or NULL */
    char *fact;  /* "12 of 64 bits of the file are missing": what is to be said of it, or "" */
} RtFinding;

typedef struct {
    const char *name; /* "unreadable" */
    bool error;       /* something to be mended; others are warnings */
    const char *what; /* "cannot be read" */
    const char *does; /* "left out; with --strict training ends": what training does with it */
} RtFindingText;

extern const RtFindingText rt_finding_texts[RT_FINDING_KINDS];

typedef struct {
    char *name;
    size_t pictures[2]; /* for training, for validation */
    size_t readable[2];
} RtAuditClass;

/* One picture, as far as it could be read. */
typedef struct {
    char *path;      /* or where it stands in a file of arrays */
    int label, side; /* label: class, -1: it has none; side 0: training, 1: validation */
    bool readable, flat;
    int width, height;
    size_t not_finite; /* of arrays: so many numbers are; least and most of the others */
    real low, high;
    uint64_t target; /* of arrays whose labels are no classes: a checksum of them; else 0 */
    uint64_t bytes, content, pixels; /* checksums of the file and of what was decoded */
    RtFacts facts;
    char *problem; /* NULL if readable */
} RtAuditPicture;

typedef struct {
    const RtModel *model;
    const RtData *sides[2]; /* for training, for validation: may be NULL */
    size_t count;
    RtAuditPicture *pictures; /* (count): those for training first */
    size_t side_counts[2];
    RtAuditClass *classes;
    int class_count;
    RtFinding *findings; /* by kind, then in the order of the data */
    size_t finding_count;
    size_t kinds[RT_FINDING_KINDS]; /* how many of each */
    size_t errors, warnings;
    real low[2], high[2]; /* of each side that is arrays: least and most number */
    int scale[2];         /* likewise, of most rows: 0 to 255, 0 to 1, or (0) anything else */
    int smallest[2], middle[2], largest[2]; /* width, height: least, median, most of each */
    uint64_t bytes;
    double seconds; /* of reading */
} RtAudit;

/* Reads every picture once, on all threads of the pool. Both data sets must stay until
 * rt_audit_close. loss: says what labels of arrays are, whose shapes fit it. validation may be
 * NULL; quiet: no progress. */
RtAudit *rt_audit_open(const RtModel *model, RtLoss loss, const RtData *train,
                       const RtData *validation, RtPool *pool, bool quiet);
void rt_audit_close(RtAudit *audit);
/* Of arrays the model tells how many classes there may be, and some may not be there. */
static inline bool rt_audit_has(const RtAuditClass *class)
{
    return class->pictures[0] + class->pictures[1] > 0;
}

/* ---- audit_rows.c: the same of arrays ----------------------------------------------------------
 */

/* Numbers of a row as they are; then, once those of all rows are known, what it looks like. */
void rt_audit_row(const RtAudit *audit, size_t picture);
void rt_audit_ranges(RtAudit *audit);
void rt_look_at_row(const RtAudit *audit, size_t picture, RtLook *look);
/* Labels of a side, and what is wrong with them. */
void rt_audit_labels(RtAudit *audit, int side, RtLoss loss);
void rt_judge_rows(RtAudit *audit);

/* ---- findings.c: what is to be said of what was read ------------------------------------------
 */

void rt_judge_pictures(RtAudit *audit);
void rt_judge_classes(RtAudit *audit);
/* looks: one for each picture, NULL for those that could not be read. */
void rt_judge_duplicates(RtAudit *audit, const RtLook *const *looks);
void rt_judge_folder(RtAudit *audit, const RtData *data); /* files that are not read */
void rt_add_finding(RtAudit *audit, RtFindingKind kind, const char *path, const char *other,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
