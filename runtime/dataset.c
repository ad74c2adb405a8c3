/* dataset.c: what there is to learn from: a folder of class folders, or arrays. */
#define _GNU_SOURCE /* d_type */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"

#define PICTURES ".jpg, .jpeg or .png"
static const int64_t MAX_NUMBERS = INT64_C(1) << 34; /* in one array */

/* ---- Folders
 * ------------------------------------------------------------------------------------- */

typedef struct {
    char **items; /* owned */
    size_t count, room;
} List;

static void push(List *list, char *item)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->items = rt_grow(list->items, list->room, sizeof *list->items);
    }
    list->items[list->count++] = item;
}

static void sort(List *list, int (*compare)(const void *, const void *))
{
    if (list->count) qsort(list->items, list->count, sizeof *list->items, compare);
}

static void free_list(List *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->items[i]);
    free(list->items);
    *list = (List){0};
}

static char *join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    return rt_format("%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/", name);
}

static const char *last_part(const char *path) { return strrchr(path, '/') + 1; }

bool rt_is_picture_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot &&
           (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") || !strcasecmp(dot, ".png"));
}

/* The kind of an entry: S_IFREG and S_IFDIR, or S_IFLNK for a link to a folder. Links to files are
 * files. Most file systems tell the kind without a look at each file. */
static mode_t entry_kind(const char *path, unsigned char type)
{
    struct stat self, target;
    if (type == DT_REG) return S_IFREG;
    if (type == DT_DIR) return S_IFDIR;
    if (lstat(path, &self) != 0 || stat(path, &target) != 0) return 0; /* a dangling link, say */
    bool link_to_folder = S_ISLNK(self.st_mode) && S_ISDIR(target.st_mode);
    return link_to_folder ? S_IFLNK : target.st_mode & S_IFMT;
}

/* Adds what a folder holds, in no order, to two lists, of which pictures may be NULL. */
static void scan_folder(const char *folder, bool follow_links, List *folders, List *pictures)
{
    DIR *dir = opendir(folder);
    if (!dir) rt_die(RT_BAD_DATA, NULL, "%s: cannot be listed: %s", folder, strerror(errno));
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') continue;
        char *path = join(folder, entry->d_name);
        mode_t kind = entry_kind(path, entry->d_type);
        if (kind == S_IFDIR || (kind == S_IFLNK && follow_links))
            push(folders, path);
        else if (kind == S_IFREG && pictures && rt_is_picture_name(entry->d_name))
            push(pictures, path);
        else
            free(path);
    }
    if (errno) rt_die(RT_BAD_DATA, NULL, "%s: cannot be listed: %s", folder, strerror(errno));
    closedir(dir);
}

/* Keras's order: by folder, then by name, both by code points (which bytes of UTF-8 preserve). */
static int compare_pictures(const void *first, const void *second)
{
    const char *a = *(char *const *)first, *b = *(char *const *)second;
    size_t a_folder = (size_t)(last_part(a) - a), b_folder = (size_t)(last_part(b) - b);
    int order = memcmp(a, b, (a_folder < b_folder ? a_folder : b_folder) - 1);
    if (order) return order;
    return a_folder == b_folder ? strcmp(a + a_folder, b + b_folder) : a_folder < b_folder ? -1 : 1;
}

/* All pictures under a folder. Links to folders inside it are not followed, as in Keras, so there
 * are no loops. */
static List walk(const char *root)
{
    List folders = {0}, pictures = {0};
    push(&folders, rt_format("%s", root));
    for (size_t i = 0; i < folders.count; i++)
        scan_folder(folders.items[i], false, &folders, &pictures);
    free_list(&folders);
    sort(&pictures, compare_pictures);
    return pictures;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Paths of the class folders, in label order. */
static List list_classes(const char *root)
{
    List classes = {0};
    scan_folder(root, true, &classes, NULL);
    sort(&classes, compare_names);
    return classes;
}

/* DIR/train and the first of DIR/validation, DIR/val and DIR/test; false if DIR is no such pair. A
 * train/ without folders is a class of that name. */
static bool find_pair(const char *path, char **train, char **held_out)
{
    static const char *const names[] = {"validation", "val", "test"};
    struct stat status;
    *train = join(path, "train");
    if (stat(*train, &status) == 0 && S_ISDIR(status.st_mode)) {
        List classes = list_classes(*train);
        bool has_classes = classes.count > 0;
        free_list(&classes);
        for (int i = 0; has_classes && i < 3; i++) {
            *held_out = join(path, names[i]);
            if (stat(*held_out, &status) == 0 && S_ISDIR(status.st_mode)) return true;
            free(*held_out);
        }
    }
    free(*train);
    *train = *held_out = NULL;
    return false;
}

static void add_class(RtData *data, const char *folder)
{
    List pictures = walk(folder);
    if (pictures.count == 0)
        rt_die(RT_BAD_DATA, "put pictures there, or remove the folder",
               "%s: this class folder holds no " PICTURES " file", folder);
    size_t total = data->count + pictures.count;
    data->paths = rt_grow(data->paths, total, sizeof *data->paths);
    data->labels = rt_grow(data->labels, total, sizeof *data->labels);
    memcpy(data->paths + data->count, pictures.items, pictures.count * sizeof *pictures.items);
    free(pictures.items);
    while (data->count < total) data->labels[data->count++] = data->class_count;
    data->classes[data->class_count++] = rt_format("%s", last_part(folder));
}

static void refuse_pair(const char *path)
{
    char *train, *held_out;
    if (!find_pair(path, &train, &held_out)) return;
    char *hint = rt_format("name one of the two, for instance --data %s", held_out);
    rt_die(RT_BAD_DATA, hint, "%s: holds %s/ and %s/, each with classes of its own", path,
           last_part(train), last_part(held_out));
}

static void open_classes(RtData *data, const char *path)
{
    refuse_pair(path);
    List folders = list_classes(path);
    char *hint =
        rt_format("one folder for each class, with " PICTURES " files: %s/cat/1.jpg, %s/dog/2.jpg",
                  path, path);
    if (folders.count == 0)
        rt_die(RT_BAD_DATA, hint, "%s: looked for class folders, found none", path);
    data->folder = rt_format("%s", path);
    data->classes = rt_alloc(folders.count, sizeof *data->classes);
    for (size_t i = 0; i < folders.count; i++) add_class(data, folders.items[i]);
    if (data->class_count == 1)
        rt_die(RT_BAD_DATA, hint, "%s: one class only, \"%s\"; looked for two or more", path,
               data->classes[0]);
    free(hint);
    free_list(&folders);
}

static void open_unlabelled(RtData *data, const char *path)
{
    List pictures = walk(path);
    if (pictures.count == 0)
        rt_die(RT_BAD_DATA, NULL, "%s: looked for " PICTURES " files, found none", path);
    data->paths = pictures.items;
    data->count = pictures.count;
}

/* ---- Arrays
 * --------------------------------------------------------------------------------------- */

static void format_shape(const RtArray *array, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "(");
    for (int i = 0; i < array->rank; i++)
        at += (size_t)snprintf(text + at, size - at, i ? ", %lld" : "%lld",
                               (long long)array->dims[i]);
    snprintf(text + at, size - at, array->rank == 1 ? ",)" : ")");
}

static void check_pictures(const RtArray *x, const char *path, const RtModel *model)
{
    char shape[RT_MAX_RANK * 24];
    format_shape(x, shape, sizeof shape);
    if (x->rank != 4 || x->dims[1] != model->height || x->dims[2] != model->width ||
        x->dims[3] != model->channels)
        rt_die(RT_BAD_DATA, NULL, "%s: x has the shape %s; the model takes (N, %d, %d, %d)", path,
               shape, model->height, model->width, model->channels);
    if (x->dims[0] == 0) rt_die(RT_BAD_DATA, NULL, "%s: x has no pictures: %s", path, shape);
}

static void open_arrays(RtData *data, const char *path, const RtModel *model, bool need_labels)
{
    data->x = rt_npy_read(path, "x", MAX_NUMBERS, RT_BAD_DATA);
    check_pictures(&data->x, path, model);
    data->file = rt_format("%s", path);
    data->count = (size_t)data->x.dims[0];
    if (!need_labels) return;
    if (!rt_npz_has(path, "y"))
        rt_die(RT_BAD_DATA, "numpy.savez(file, x=pictures, y=labels) writes both",
               "%s: has no array \"y\" of labels", path);
    data->y = rt_npy_read(path, "y", MAX_NUMBERS, RT_BAD_DATA);
    char shape[RT_MAX_RANK * 24];
    format_shape(&data->y, shape, sizeof shape);
    if (data->y.rank == 0 || data->y.dims[0] != data->x.dims[0])
        rt_die(RT_BAD_DATA, NULL, "%s: x has %zu pictures, but y has the shape %s", path,
               data->count, shape);
}

RtData *rt_data_open(const char *path, const RtModel *model, bool need_labels)
{
    struct stat status;
    if (stat(path, &status) != 0)
        rt_die(RT_BAD_DATA,
               strstr(path, "\xef\xbf\xbd") /* where JSON has lost bytes that are not UTF-8 */
                   ? "a name that is not UTF-8 is not kept with a training; --data gives it"
                   : NULL,
               "%s: %s", path, strerror(errno));
    RtData *data = rt_alloc(1, sizeof *data);
    if (!S_ISDIR(status.st_mode))
        open_arrays(data, path, model, need_labels);
    else if (need_labels)
        open_classes(data, path);
    else
        open_unlabelled(data, path);
    return data;
}

void rt_data_close(RtData *data)
{
    if (!data) return;
    for (size_t i = 0; data->paths && i < data->count; i++) free(data->paths[i]);
    for (size_t i = 0; data->problems && i < data->count; i++) free(data->problems[i]);
    for (int i = 0; i < data->class_count; i++) free(data->classes[i]);
    free(data->problems);
    free(data->contents);
    free(data->folder);
    free(data->file);
    free(data->rows);
    free(data->paths);
    free(data->labels);
    free(data->classes);
    rt_array_free(&data->x);
    rt_array_free(&data->y);
    free(data);
}

char *rt_data_place(const RtData *data, size_t index)
{
    if (data->paths) return rt_format("%s", data->paths[index]);
    return rt_format("%s x[%zu]", data->file, data->rows ? data->rows[index] : index);
}

/* ---- Two sides
 * -------------------------------------------------------------------------------------- */

/* Moves the rows that are held out from one array to another; both keep their order. */
static void split_array(RtArray *from, RtArray *to, const bool *held, size_t held_count)
{
    size_t count = (size_t)from->dims[0], kept = 0, moved = 0;
    size_t row = (size_t)rt_array_count(from) / count * rt_type_size(from->type);
    *to = *from;
    to->name = rt_format("%s", from->name);
    to->data = rt_alloc(held_count, row);
    for (size_t i = 0; i < count; i++) {
        char *source = (char *)from->data + i * row;
        if (held[i])
            memcpy((char *)to->data + moved++ * row, source, row);
        else
            memmove((char *)from->data + kept++ * row, source, row);
    }
    from->data = rt_grow(from->data, kept, row);
    from->dims[0] = (int64_t)kept;
    to->dims[0] = (int64_t)moved;
}

static void split_arrays(RtData *from, RtData *to, const bool *held, size_t held_count)
{
    size_t kept = 0, moved = 0;
    split_array(&from->x, &to->x, held, held_count);
    split_array(&from->y, &to->y, held, held_count);
    to->file = rt_format("%s", from->file);
    to->rows = rt_alloc(held_count, sizeof *to->rows);
    from->rows = rt_alloc(from->count - held_count, sizeof *from->rows);
    for (size_t i = 0; i < from->count; i++)
        *(held[i] ? &to->rows[moved++] : &from->rows[kept++]) = i;
}

static void split_paths(RtData *from, RtData *to, const bool *held, size_t held_count)
{
    size_t kept = 0, moved = 0;
    to->paths = rt_alloc(held_count, sizeof *to->paths);
    to->labels = rt_alloc(held_count, sizeof *to->labels);
    for (size_t i = 0; i < from->count; i++) {
        size_t at = held[i] ? moved++ : kept++;
        (held[i] ? to : from)->paths[at] = from->paths[i];
        (held[i] ? to : from)->labels[at] = from->labels[i];
    }
    to->classes = rt_alloc((size_t)from->class_count, sizeof *to->classes);
    for (int i = 0; i < from->class_count; i++) to->classes[i] = rt_format("%s", from->classes[i]);
    to->class_count = from->class_count;
    to->folder = rt_format("%s", from->folder);
}

static RtData *hold_out(RtData *data, double split, uint64_t seed, const char *path)
{
    size_t held_count = split > 0 && split < 1 ? (size_t)(split * (double)data->count) : 0;
    if (held_count == 0 || held_count == data->count)
        rt_die(RT_BAD_DATA, NULL,
               "%s: a validation split of %g of %zu pictures leaves a side empty", path, split,
               data->count);
    uint64_t *order = rt_alloc(data->count, sizeof *order);
    bool *held = rt_alloc(data->count, sizeof *held);
    rt_shuffle(seed, UINT32_MAX, order, data->count); /* an epoch that no training reaches */
    for (size_t i = data->count - held_count; i < data->count; i++) held[order[i]] = true;
    RtData *side = rt_alloc(1, sizeof *side);
    (data->paths ? split_paths : split_arrays)(data, side, held, held_count);
    side->count = held_count;
    data->count -= held_count;
    free(order);
    free(held);
    return side;
}

static bool has_class(const RtData *data, const char *name)
{
    for (int i = 0; i < data->class_count; i++)
        if (!strcmp(data->classes[i], name)) return true;
    return false;
}

static char *list_missing(const RtData *of, const RtData *in)
{
    char *list = rt_format("%s", "");
    for (int i = 0; i < of->class_count; i++) {
        if (has_class(in, of->classes[i])) continue;
        char *longer = rt_format("%s%s\"%s\"", list, list[0] ? ", " : "", of->classes[i]);
        free(list);
        list = longer;
    }
    return list;
}

static void check_same_classes(const RtData *train, const RtData *validation)
{
    if (!train->classes || !validation->classes) return; /* arrays: rt_data_check sees to them */
    char *train_only = list_missing(train, validation);
    char *validation_only = list_missing(validation, train);
    if (train_only[0] || validation_only[0])
        rt_die(RT_BAD_DATA, "both sides need a folder for every class",
               "classes differ: only for training: %s; only for validation: %s",
               train_only[0] ? train_only : "none", validation_only[0] ? validation_only : "none");
    free(train_only);
    free(validation_only);
}

void rt_data_open_pair(const char *path, const char *validation, double split, uint64_t seed,
                       const RtModel *model, RtData **train, RtData **validation_side)
{
    char *train_path = NULL, *held_out = NULL;
    *validation_side = NULL;
    if (split == 0 || validation) find_pair(path, &train_path, &held_out);
    *train = rt_data_open(train_path ? train_path : path, model, true);
    const char *other = validation ? validation : held_out;
    if (other)
        *validation_side = rt_data_open(other, model, true);
    else if (split != 0)
        *validation_side = hold_out(*train, split, seed, path);
    if (*validation_side) check_same_classes(*train, *validation_side);
    free(train_path);
    free(held_out);
}
