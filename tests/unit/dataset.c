/* Tests of dataset.c and labels.c: what is found, in which order, and what is said when it is not.
 */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arrays.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "outcome.h"

static const RtModel model = {.height = 2, .width = 3, .channels = 1, .output_size = 1};

/* ---- Folders
 * ------------------------------------------------------------------------------------- */

/* Listing does not open pictures: empty files will do. */
static void touch(const char *folder, const char *name)
{
    char *path = rt_format("%s/%s", folder, name), *parent = rt_format("%s", path);
    *strrchr(parent, '/') = 0;
    rt_make_folders(parent);
    write_file(path, "", 0);
    free(parent);
    free(path);
}

static const char *make_tree(const char *name, const char *const *files)
{
    const char *folder = scratch(name);
    rt_make_folders(folder);
    for (; *files; files++) touch(folder, *files);
    return folder;
}

#define TREE(name, ...) make_tree(name, (const char *const[]){__VA_ARGS__, NULL})

static void expect_files(const RtData *data, const char *folder, const char *const *want)
{
    size_t count = 0;
    for (; want[count]; count++) {
        char *path = rt_format("%s/%s", folder, want[count]);
        assert_true(count < data->count);
        assert_string_equal(data->paths[count], path);
        free(path);
    }
    assert_int_equal(data->count, count);
}

#define EXPECT_FILES(data, folder, ...)                                                            \
    expect_files(data, folder, (const char *const[]){__VA_ARGS__, NULL})

static void classes_in_order_of_code_points(void **state)
{
    (void)state;
    const char *folder = TREE("order", "b/1.jpg", "a/1.jpg", "10/1.jpg", "9/1.jpg", "B/1.jpg",
                              "\xc3\xa4/1.jpg", "~/1.jpg", ".hidden/1.jpg", "1.jpg");
    const char *want[] = {"10", "9", "B", "a", "b", "~", "\xc3\xa4"};
    RtData *data = rt_data_open(folder, &model, true);
    assert_int_equal(data->class_count, 7);
    for (int i = 0; i < 7; i++) {
        assert_string_equal(data->classes[i], want[i]);
        assert_int_equal(data->labels[i], i);
    }
    assert_int_equal(data->count, 7);
    rt_data_close(data);
}

/* By folder, then by name, as Keras: "cat-2" sorts before "cat/..." only as a path of a folder. */
static void pictures_in_order(void **state)
{
    (void)state;
    const char *folder = TREE("nested", "cat/z.jpg", "cat/n/b.JPEG", "cat/n/a.Png", "cat/n-2/a.jpg",
                              "cat/n/m/c.jpg", "cat/.hidden.jpg", "cat/.folder/x.jpg",
                              "cat/notes.txt", "cat/jpg", "dog/10.jpg", "dog/9.jpg", "dog/a.gif");
    RtData *data = rt_data_open(folder, &model, true);
    EXPECT_FILES(data, folder, "cat/z.jpg", "cat/n/a.Png", "cat/n/b.JPEG", "cat/n-2/a.jpg",
                 "cat/n/m/c.jpg", "dog/10.jpg", "dog/9.jpg");
    for (int i = 0; i < 7; i++) assert_int_equal(data->labels[i], i >= 5);
    assert_null(data->x.data);
    rt_data_close(data);
}

static void without_labels_any_folder_will_do(void **state)
{
    (void)state;
    const char *folder = TREE("plain", "b.png", "a.jpg", "sub/0.jpg");
    RtData *data = rt_data_open(folder, &model, false);
    EXPECT_FILES(data, folder, "a.jpg", "b.png", "sub/0.jpg");
    assert_null(data->labels);
    assert_null(data->classes);
    rt_data_close(data);
}

/* Linked files and class folders are taken, links to folders further down are not: no loops. */
static void links(void **state)
{
    (void)state;
    const char *folder = TREE("links", "a/1.jpg", "a/sub/2.jpg", "b/1.jpg");
    char path[600];
    const char *const pairs[][2] = {
        {"..", "a/sub/loop"}, {"1.jpg", "a/3.jpg"}, {"gone", "a/4.jpg"}, {"a", "c"}};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, pairs[i][1]);
        assert_int_equal(symlink(pairs[i][0], path), 0);
    }
    RtData *data = rt_data_open(folder, &model, true);
    EXPECT_FILES(data, folder, "a/1.jpg", "a/3.jpg", "a/sub/2.jpg", "b/1.jpg", "c/1.jpg", "c/3.jpg",
                 "c/sub/2.jpg");
    rt_data_close(data);
}

static void open_it(const void *path) { rt_data_open(path, &model, true); }

static void open_unlabelled(const void *path) { rt_data_open(path, &model, false); }

static void what_is_missing(void **state)
{
    (void)state;
    const char *folder =
        TREE("missing", "empty/a/notes.txt", "empty/b/1.jpg", "one/a/1.jpg", "none/1.jpg",
             "pair/train/a/1.jpg", "pair/train/b/1.jpg", "pair/val/a/1.jpg", "pair/val/b/1.jpg");
    char path[600];
#define AT(name) (snprintf(path, sizeof path, "%s/" name, folder), path)
    expect_end(4, "missing/gone: No such file or directory", open_it, AT("gone"));
    expect_end(4, "empty/a: this class folder holds no .jpg, .jpeg or .png file", open_it,
               AT("empty"));
    expect_end(4, "one: one class only, \"a\"; looked for two or more", open_it, AT("one"));
    expect_end(4, "none: looked for class folders, found none", open_it, AT("none"));
    expect_end(4, "empty/a: looked for .jpg, .jpeg or .png files, found none", open_unlabelled,
               AT("empty/a"));
    expect_end(4, "pair: holds train/ and val/, each with classes of its own", open_it, AT("pair"));
    expect_end(4, "notes.txt: ends too early", open_it, AT("empty/a/notes.txt"));
}

static void many_files(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    const char *folder = TREE("many", "a/x.jpg", "b/x.jpg");
    char path[600];
    for (int i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "%s/a/%d.jpg", folder, i * 7919 % COUNT);
        write_file(path, "", 0);
    }
    RtData *data = rt_data_open(folder, &model, true);
    assert_int_equal(data->count, COUNT + 2);
    for (size_t i = 1; i < data->count; i++)
        assert_true(strcmp(data->paths[i - 1], data->paths[i]) < 0);
    assert_int_equal(data->labels[COUNT], 0);
    assert_int_equal(data->labels[COUNT + 1], 1);
    rt_data_close(data);
}

/* ---- Two sides
 * ----------------------------------------------------------------------------------- */

typedef struct {
    const char *path, *validation;
    double split;
} Sides;

static void open_sides(const void *argument)
{
    const Sides *sides = argument;
    RtData *train, *validation;
    rt_data_open_pair(sides->path, sides->validation, sides->split, 7, &model, &train, &validation);
}

static void train_and_validation_inside(void **state)
{
    (void)state;
    const char *folder = TREE("inside", "train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg",
                              "test/b/4.jpg", "validation/a/5.jpg", "validation/b/6.jpg");
    const char *other = TREE("other", "a/1.jpg", "b/1.jpg"),
               *odd = TREE("odd", "a/1.jpg", "c/1.jpg");
    RtData *train, *validation;
    rt_data_open_pair(folder, NULL, 0, 7, &model, &train, &validation);
    EXPECT_FILES(train, folder, "train/a/1.jpg", "train/b/2.jpg");
    EXPECT_FILES(validation, folder, "validation/a/5.jpg", "validation/b/6.jpg");
    rt_data_close(train);
    rt_data_close(validation);

    rt_data_open_pair(folder, other, 0, 7, &model, &train, &validation);
    EXPECT_FILES(train, folder, "train/a/1.jpg", "train/b/2.jpg");
    EXPECT_FILES(validation, other, "a/1.jpg", "b/1.jpg");
    rt_data_close(train);
    rt_data_close(validation);

    rt_data_open_pair(other, NULL, 0, 7, &model, &train, &validation);
    assert_null(validation);
    rt_data_close(train);

    expect_end(4, "classes differ: only for training: \"b\"; only for validation: \"c\"",
               open_sides, &(Sides){other, odd, 0});
    expect_end(4, "inside: holds train/ and validation/", open_sides, &(Sides){folder, NULL, 0.2});
}

/* Folders without classes inside are classes themselves, whatever they are called. */
static void a_class_named_train(void **state)
{
    (void)state;
    const char *folder = TREE("vehicles", "train/1.jpg", "test/1.jpg");
    RtData *train, *validation;
    rt_data_open_pair(folder, NULL, 0, 7, &model, &train, &validation);
    assert_null(validation);
    assert_int_equal(train->class_count, 2);
    rt_data_close(train);
}

static void split_folder(void **state)
{
    (void)state;
    const char *folder = TREE("split", "a/0.jpg", "a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg",
                              "b/5.jpg", "b/6.jpg", "b/7.jpg", "b/8.jpg", "b/9.jpg", "b/x.jpg");
    uint64_t order[11];
    bool held[11] = {false};
    rt_shuffle(7, UINT32_MAX, order, 11);
    for (int i = 8; i < 11; i++) held[order[i]] = true; /* the last int(0.3 * 11) */
    RtData *train, *validation, *whole = rt_data_open(folder, &model, true);
    rt_data_open_pair(folder, NULL, 0.3, 7, &model, &train, &validation);
    assert_int_equal(train->count, 8);
    assert_int_equal(validation->count, 3);
    assert_int_equal(validation->class_count, 2);
    assert_string_equal(validation->classes[1], "b");
    size_t at[2] = {0, 0};
    for (size_t i = 0; i < 11; i++) {
        const RtData *side = held[i] ? validation : train;
        size_t row = at[held[i]]++;
        assert_string_equal(side->paths[row], whole->paths[i]);
        assert_int_equal(side->labels[row], whole->labels[i]);
    }
    rt_data_close(whole);
    rt_data_close(train);
    rt_data_close(validation);
    expect_end(4, "a validation split of 0.05 of 11 pictures leaves a side empty", open_sides,
               &(Sides){folder, NULL, 0.05});
    expect_end(4, "leaves a side empty", open_sides, &(Sides){folder, NULL, 1.5});
}

/* ---- Arrays
 * --------------------------------------------------------------------------------------- */

enum { N = 10 };

/* x: row i holds 10 i, 10 i + 1, ...; y: row i holds i. */
static const char *write_arrays(const char *name, int64_t width, int64_t labels)
{
    static uint8_t x[N * 2 * 4];
    static int64_t y[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int i = 0; i < N * 2 * (int)width; i++)
        x[i] = (uint8_t)(10 * (i / (2 * (int)width)) + i % (2 * (int)width));
    RtArray arrays[] = {
        {.name = (char[]){"x"}, .type = RT_U8, .rank = 4, .dims = {N, 2, width, 1}, .data = x},
        {.name = (char[]){"y"}, .type = RT_I64, .rank = 1, .dims = {labels}, .data = y},
    };
    const char *path = scratch(name);
    rt_npz_write(path, arrays, labels ? 2 : 1);
    return path;
}

static void arrays(void **state)
{
    (void)state;
    RtData *data = rt_data_open(write_arrays("good.npz", 3, N), &model, true);
    assert_int_equal(data->count, N);
    assert_int_equal(data->x.type, RT_U8);
    assert_int_equal(((int64_t *)data->y.data)[9], 9);
    assert_null(data->paths);
    assert_null(data->classes);
    rt_data_close(data);

    const char *bare = write_arrays("bare.npz", 3, 0);
    data = rt_data_open(bare, &model, false);
    assert_int_equal(data->count, N);
    assert_null(data->y.data);
    rt_data_close(data);
    expect_end(4, "bare.npz: has no array \"y\" of labels", open_it, bare);
    expect_end(4, "wide.npz: x has the shape (10, 2, 4, 1); the model takes (N, 2, 3, 1)", open_it,
               write_arrays("wide.npz", 4, N));
    expect_end(4, "short.npz: x has 10 pictures, but y has the shape (9,)", open_it,
               write_arrays("short.npz", 3, N - 1));
}

static void split_arrays(void **state)
{
    (void)state;
    RtData *sides[2];
    bool seen[N] = {false};
    const char *path = write_arrays("split.npz", 3, N);
    rt_data_open_pair(path, NULL, 0.3, 7, &model, &sides[0], &sides[1]);
    assert_int_equal(sides[0]->count, 7);
    assert_int_equal(sides[1]->count, 3);
    for (int side = 0; side < 2; side++) {
        const uint8_t *x = sides[side]->x.data;
        const int64_t *y = sides[side]->y.data;
        assert_int_equal(sides[side]->x.dims[0], sides[side]->count);
        assert_int_equal(sides[side]->y.dims[0], sides[side]->count);
        for (size_t i = 0; i < sides[side]->count; i++) {
            for (int j = 0; j < 6; j++) assert_int_equal(x[6 * i + (size_t)j], 10 * y[i] + j);
            assert_false(seen[y[i]]);
            seen[y[i]] = true;
        }
        rt_data_close(sides[side]);
    }
}

/* ---- Labels
 * ---------------------------------------------------------------------------------------- */

typedef struct {
    RtData data;
    RtLoss loss;
    int units;
} Check;

static void check_it(const void *argument)
{
    const Check *check = argument;
    RtModel some = {.output_size = check->units};
    rt_data_check(&check->data, &some, check->loss);
}

static void classes_must_fit(void **state)
{
    (void)state;
    static char *names[] = {"a", "b", "c"};
    static const struct {
        RtLoss loss;
        int classes, units;
        const char *message;
    } cases[] = {
        {RT_BINARY_CROSSENTROPY, 2, 1, ""},
        {RT_BINARY_CROSSENTROPY, 3, 1,
         "the data have 3 classes, the model has 1 output (binary_crossentropy)"},
        {RT_BINARY_CROSSENTROPY, 2, 2, "the data have 2 classes, the model has 2 outputs"},
        {RT_CATEGORICAL_CROSSENTROPY, 3, 3, ""},
        {RT_CATEGORICAL_CROSSENTROPY, 3, 4,
         "the data have 3 classes, the model has 4 outputs (categorical_crossentropy)"},
        {RT_SPARSE_CATEGORICAL_CROSSENTROPY, 3, 4, ""},
        {RT_SPARSE_CATEGORICAL_CROSSENTROPY, 3, 2, "the data have 3 classes"},
        {RT_MEAN_SQUARED_ERROR, 3, 1, ""},
        {RT_MEAN_SQUARED_ERROR, 3, 3, ""},
        {RT_MEAN_SQUARED_ERROR, 3, 2, "the data have 3 classes"},
        {RT_LOSS_NONE, 3, 7, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Check check = {
            {.classes = names, .class_count = cases[i].classes}, cases[i].loss, cases[i].units};
        expect_end(cases[i].message[0] ? RT_BAD_DATA : 0, cases[i].message, check_it, &check);
    }
}

static void labels_of_arrays_must_fit(void **state)
{
    (void)state;
    static const struct {
        double y[4];
        int64_t columns;
        RtLoss loss;
        int units;
        const char *message;
    } cases[] = {
        {{0, 1, 1, 0}, 1, RT_BINARY_CROSSENTROPY, 1, ""},
        {{0, 1, 0.5, 0}, 2, RT_BINARY_CROSSENTROPY, 2, ""},
        {{0, 1, 2, 0},
         1,
         RT_BINARY_CROSSENTROPY,
         1,
         "y, row 2: 2 is no label for binary_crossentropy of 1 output"},
        {{0, 1, 2, 2}, 1, RT_SPARSE_CATEGORICAL_CROSSENTROPY, 3, ""},
        {{0, 1, 3, 2}, 1, RT_SPARSE_CATEGORICAL_CROSSENTROPY, 3, "y, row 2: 3 is no label"},
        {{0, 0.5, 1, 2}, 1, RT_SPARSE_CATEGORICAL_CROSSENTROPY, 3, "y, row 1: 0.5 is no label"},
        {{0, -1, 1, 2}, 1, RT_SPARSE_CATEGORICAL_CROSSENTROPY, 3, "y, row 1: -1 is no label"},
        {{0, 1, 1, 0}, 2, RT_CATEGORICAL_CROSSENTROPY, 2, ""},
        {{0, 1, 1, 0},
         1,
         RT_CATEGORICAL_CROSSENTROPY,
         2,
         "hint: y holds class numbers: sparse_categorical_crossentropy takes these"},
        {{0, 1, 1, 0},
         2,
         RT_CATEGORICAL_CROSSENTROPY,
         3,
         "y has 2 numbers for each picture, categorical_crossentropy of 3 outputs wants 3"},
        {{-5, 1e6, 0, 0}, 1, RT_MEAN_SQUARED_ERROR, 1, ""},
        {{-5, NAN, 0, 0}, 1, RT_MEAN_SQUARED_ERROR, 1, "y, row 1: nan is no label"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t rows = 4 / cases[i].columns;
        RtArray y = {.type = RT_F64, .rank = 2, .dims = {rows, cases[i].columns}};
        y.data = (void *)(uintptr_t)cases[i].y;
        Check check = {{.count = (size_t)rows, .y = y}, cases[i].loss, cases[i].units};
        expect_end(cases[i].message[0] ? RT_BAD_DATA : 0, cases[i].message, check_it, &check);
    }
    expect_end(4, "the data have no labels, which mean_squared_error needs", check_it,
               &(Check){.loss = RT_MEAN_SQUARED_ERROR, .units = 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_in_order_of_code_points),
        cmocka_unit_test(pictures_in_order),
        cmocka_unit_test(without_labels_any_folder_will_do),
        cmocka_unit_test(links),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(many_files),
        cmocka_unit_test(train_and_validation_inside),
        cmocka_unit_test(a_class_named_train),
        cmocka_unit_test(split_folder),
        cmocka_unit_test(arrays),
        cmocka_unit_test(split_arrays),
        cmocka_unit_test(classes_must_fit),
        cmocka_unit_test(labels_of_arrays_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
