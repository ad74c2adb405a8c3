/* findings.c: what is to be said of the pictures that audit.c read. What is certain to be wrong is
 * an error, what may be meant is a warning. */
#include <fts.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "audit.h"
#include "data.h"
#include "ground.h"

const RtFindingText rt_finding_texts[RT_FINDING_KINDS] = {
    [RT_UNREADABLE] = {"unreadable", true, "cannot be read",
                       "left out; with --strict training ends there"},
    [RT_EMPTY_CLASS] = {"empty-class", true, "classes without a picture that can be read",
                        "the class is never learned"},
    [RT_LEAK] = {"leak", true, "the same picture for training and for validation",
                 "learned and then asked: validation looks better than it is"},
    [RT_TWO_LABELS] = {"two-labels", true, "the same picture under two labels",
                       "learned as the one and as the other"},
    [RT_NOT_FINITE] = {"not-finite", true, "with numbers that are NaN or infinite",
                       "the loss is no number: training ends there"},
    [RT_NO_LABEL] = {"no-label", true, "with a label that cannot be", "training does not begin"},
    [RT_NEAR_LEAK] = {"near-leak", false, "look the same, for training and for validation",
                      "if it is one picture: learned and then asked"},
    [RT_NEAR_TWO_LABELS] = {"near-two-labels", false, "look the same, under two labels",
                            "if it is one picture: learned as the one and as the other"},
    [RT_DUPLICATE] = {"duplicate", false, "the same picture again", "counts more than others"},
    [RT_NEAR_DUPLICATE] = {"near-duplicate", false, "look the same",
                           "if it is one picture: counts more than others"},
    [RT_RANGE] = {"range", false, "of another scale than is expected", "learned as they are"},
    [RT_LABEL_SUM] = {"label-sum", false, "labels that do not come to 1",
                      "its loss counts by that sum"},
    [RT_FLAT] = {"flat", false, "one colour throughout", "nothing to be learned from"},
    [RT_MISNAMED] = {"misnamed", false, "named as what they are not", "read as what they are"},
    [RT_CMYK] = {"cmyk", false, "stored as CMYK", "converted to RGB, without a colour profile"},
    [RT_TURNED] = {"turned", false, "turned by EXIF",
                   "EXIF is ignored, as in Keras: learned as stored"},
    [RT_ANIMATED] = {"animated", false, "animated", "the first picture of each is taken"},
    [RT_ALPHA] = {"alpha", false, "with transparency",
                  "transparency is dropped: what lies hidden is seen"},
    [RT_DEEP] = {"deep", false, "more than 8 bits a sample", "the lower bits are dropped"},
    [RT_GREY] = {"grey", false, "grey among pictures in colour", "three equal channels are made"},
    [RT_SIZE] = {"size", false, "far larger or smaller than the others", "resized like all others"},
    [RT_SHAPE] = {"shape", false, "far longer or taller than the model's input",
                  "squeezed to the model's input"},
    [RT_ENLARGED] = {"enlarged", false, "less than half of the model's input", "enlarged"},
    [RT_FEW] = {"few", false, "classes with hardly a picture", "hardly learned, or never tested"},
    [RT_IMBALANCE] = {"imbalance", false, "classes with few pictures beside others",
                      "the larger classes are guessed more often"},
    [RT_IGNORED] = {"ignored", false, "files that are passed over", "not read"},
};

/* ---- Single pictures ------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path), part = strlen(ending);
    return length >= part && strcasecmp(path + length - part, ending) == 0;
}

static bool is_misnamed(const RtAuditPicture *picture)
{
    bool named_png = ends_in(picture->path, ".png");
    return picture->facts.format != (named_png ? RT_PNG : RT_JPEG);
}

static void judge_unreadable(RtAudit *audit, const RtAuditPicture *picture)
{
    RtFormat format = picture->facts.format;
    if (format == RT_JPEG || format == RT_PNG || format == RT_UNKNOWN_FORMAT)
        rt_add_finding(audit, RT_UNREADABLE, picture->path, NULL, "%s", picture->problem);
    else
        rt_add_finding(audit, RT_UNREADABLE, picture->path, NULL, "%s: it is a %s",
                       picture->problem, rt_format_name(format));
}

static void judge_orientation(RtAudit *audit, const RtAuditPicture *picture)
{
    static const char *const turns[] = {[2] = "mirrored",
                                        [3] = "turned by 180 degrees",
                                        [4] = "upside down and mirrored",
                                        [5] = "turned by 90 degrees and mirrored",
                                        [6] = "turned by 90 degrees",
                                        [7] = "turned by 270 degrees and mirrored",
                                        [8] = "turned by 270 degrees"};
    int orientation = picture->facts.orientation;
    if (orientation > 1)
        rt_add_finding(audit, RT_TURNED, picture->path, NULL, "EXIF orientation %d: to be shown %s",
                       orientation, turns[orientation]);
}

static void judge_storage(RtAudit *audit, const RtAuditPicture *picture)
{
    const RtFacts *facts = &picture->facts;
    if (facts->format == RT_UNKNOWN_FORMAT) return; /* a row of an array */
    if (is_misnamed(picture))
        rt_add_finding(audit, RT_MISNAMED, picture->path, NULL, "a %s",
                       rt_format_name(facts->format));
    if (facts->format == RT_JPEG && facts->components == 4)
        rt_add_finding(audit, RT_CMYK, picture->path, NULL, "four colours of ink");
    if (facts->animated) rt_add_finding(audit, RT_ANIMATED, picture->path, NULL, "an animated PNG");
    if (facts->alpha)
        rt_add_finding(audit, RT_ALPHA, picture->path, NULL, "a PNG with transparent pixels");
    if (facts->bits > 8)
        rt_add_finding(audit, RT_DEEP, picture->path, NULL, "%d bits a sample", facts->bits);
}

/* A few grey ones among many in colour; where most are grey, they are meant to be. */
static void judge_grey(RtAudit *audit)
{
    enum { FEW = 10 }; /* one in so many */
    size_t grey = 0, readable = 0;
    for (size_t i = 0; i < audit->count; i++) {
        grey += audit->pictures[i].readable && audit->pictures[i].facts.components == 1;
        readable += audit->pictures[i].readable;
    }
    if (audit->model->channels != 3 || grey == 0 || grey * FEW > readable) return;
    for (size_t i = 0; i < audit->count; i++)
        if (audit->pictures[i].readable && audit->pictures[i].facts.components == 1)
            rt_add_finding(audit, RT_GREY, audit->pictures[i].path, NULL, "one of %zu in %zu", grey,
                           readable);
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of the pictures' pixels; 0 if none can be read. */
static double middle_area(const RtAudit *audit)
{
    double *areas = rt_alloc(audit->count, sizeof *areas), middle = 0;
    size_t count = 0;
    for (size_t i = 0; i < audit->count; i++) {
        const RtAuditPicture *picture = &audit->pictures[i];
        if (picture->readable) areas[count++] = (double)picture->width * picture->height;
    }
    if (count) {
        qsort(areas, count, sizeof *areas, compare_numbers);
        middle = areas[count / 2];
    }
    free(areas);
    return middle;
}

static void judge_size(RtAudit *audit, const RtAuditPicture *picture, double middle)
{
    static const double FAR = 16, NARROW = 3; /* in pixels; in width by height */
    const RtModel *model = audit->model;
    int width = picture->width, height = picture->height;
    double area = (double)width * height;
    double shape = (double)width * model->height / ((double)height * model->width);
    if (area > FAR * middle || area * FAR < middle)
        rt_add_finding(audit, RT_SIZE, picture->path, NULL,
                       "%dx%d, %.2g times the pixels of the median", width, height, area / middle);
    if (shape > NARROW || shape * NARROW < 1)
        rt_add_finding(audit, RT_SHAPE, picture->path, NULL, "%dx%d, squeezed %.1f times", width,
                       height, shape > 1 ? shape : 1 / shape);
    if (2 * width < model->width || 2 * height < model->height)
        rt_add_finding(audit, RT_ENLARGED, picture->path, NULL, "%dx%d; the model takes %dx%d",
                       width, height, model->width, model->height);
}

void rt_judge_pictures(RtAudit *audit)
{
    double middle = middle_area(audit);
    for (size_t i = 0; i < audit->count; i++) {
        const RtAuditPicture *picture = &audit->pictures[i];
        if (!picture->readable) {
            judge_unreadable(audit, picture);
            continue;
        }
        if (picture->flat && !picture->not_finite)
            rt_add_finding(audit, RT_FLAT, picture->path, NULL, "every pixel is the same");
        judge_storage(audit, picture);
        judge_orientation(audit, picture);
        judge_size(audit, picture, middle);
    }
    judge_grey(audit);
}

/* ---- Classes --------------------------------------------------------------------------------- */

static void judge_class(RtAudit *audit, const RtAuditClass *class, const RtAuditClass *largest)
{
    static const size_t MANY = 3; /* times as many */
    size_t count = class->readable[0];
    if (!rt_audit_has(class)) return;
    if (count == 0 && class->pictures[0] == 0)
        rt_add_finding(audit, RT_EMPTY_CLASS, class->name, NULL, "none for training");
    else if (count == 0)
        rt_add_finding(audit, RT_EMPTY_CLASS, class->name, NULL,
                       "%zu for training, none of which can be read", class->pictures[0]);
    else if (count == 1)
        rt_add_finding(audit, RT_FEW, class->name, NULL, "1 picture for training");
    else if (largest->readable[0] >= MANY * count)
        rt_add_finding(audit, RT_IMBALANCE, class->name, NULL,
                       "%zu for training, of \"%s\" there are %zu (%.1f times as many)", count,
                       largest->name, largest->readable[0],
                       (double)largest->readable[0] / (double)count);
    if (audit->side_counts[1] && class->readable[1] == 0)
        rt_add_finding(audit, RT_FEW, class->name, NULL, "no picture for validation");
}

/* Numbers of classes that labels of arrays could have: the model tells how many there are. */
static void judge_absent(RtAudit *audit)
{
    int absent = 0;
    for (int i = 0; i < audit->class_count; i++) absent += !rt_audit_has(&audit->classes[i]);
    const RtData *arrays = audit->sides[audit->sides[0]->paths ? 1 : 0];
    if (absent)
        rt_add_finding(audit, RT_FEW, arrays->file, NULL, "%d of %d classes are no row's label",
                       absent, audit->class_count);
}

void rt_judge_classes(RtAudit *audit)
{
    const RtAuditClass *largest = audit->classes;
    for (int i = 1; i < audit->class_count; i++)
        if (audit->classes[i].readable[0] > largest->readable[0]) largest = &audit->classes[i];
    for (int i = 0; i < audit->class_count; i++) judge_class(audit, &audit->classes[i], largest);
    judge_absent(audit);
}

/* ---- Files that are not read ----------------------------------------------------------------- */

static RtFormat peek(const char *path)
{
    unsigned char start[64];
    FILE *file = fopen(path, "rbe");
    size_t bytes = file ? fread(start, 1, sizeof start, file) : 0;
    if (file) fclose(file);
    return rt_picture_facts(start, bytes).format;
}

static void judge_ignored(RtAudit *audit, const char *path)
{
    RtFormat format = peek(path);
    if (format == RT_JPEG || format == RT_PNG)
        rt_add_finding(audit, RT_IGNORED, path, NULL, "a %s: with the ending %s it would be read",
                       rt_format_name(format), format == RT_JPEG ? ".jpg" : ".png");
    else if (format != RT_UNKNOWN_FORMAT)
        rt_add_finding(audit, RT_IGNORED, path, NULL, "a %s: saved as JPEG or PNG it would be read",
                       rt_format_name(format));
    else
        rt_add_finding(audit, RT_IGNORED, path, NULL, "no picture");
}

static void judge_link(RtAudit *audit, const FTSENT *entry)
{
    struct stat target;
    if (stat(entry->fts_path, &target) != 0)
        rt_add_finding(audit, RT_IGNORED, entry->fts_path, NULL, "a link to nothing");
    else if (S_ISDIR(target.st_mode))
        rt_add_finding(audit, RT_IGNORED, entry->fts_path, NULL,
                       "a link to a folder: only class folders may be links");
    else if (S_ISREG(target.st_mode) && !rt_is_picture_name(entry->fts_name))
        judge_ignored(audit, entry->fts_path);
}

/* What dataset.c passes over; names that begin with a dot are meant to be. */
static void judge_entry(RtAudit *audit, FTS *tree, FTSENT *entry)
{
    if (entry->fts_level > 0 && entry->fts_name[0] == '.')
        fts_set(tree, entry, FTS_SKIP);
    else if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE)
        judge_link(audit, entry);
    else if (entry->fts_info == FTS_F && !rt_is_picture_name(entry->fts_name))
        judge_ignored(audit, entry->fts_path);
    else if (entry->fts_info == FTS_F && entry->fts_level == 1)
        rt_add_finding(audit, RT_IGNORED, entry->fts_path, NULL,
                       "it lies beside the class folders");
    else if (entry->fts_info == FTS_DEFAULT)
        rt_add_finding(audit, RT_IGNORED, entry->fts_path, NULL, "no regular file");
}

static int compare_entries(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

void rt_judge_folder(RtAudit *audit, const RtData *data)
{
    char *roots[] = {data->folder, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, compare_entries);
    FTSENT *entry;
    while (tree && (entry = fts_read(tree))) {
        bool class_link = entry->fts_level == 1 && entry->fts_info == FTS_SL;
        struct stat target;
        if (class_link && entry->fts_name[0] != '.' && stat(entry->fts_path, &target) == 0 &&
            S_ISDIR(target.st_mode))
            fts_set(tree, entry, FTS_FOLLOW);
        else
            judge_entry(audit, tree, entry);
    }
    if (tree) fts_close(tree);
}
