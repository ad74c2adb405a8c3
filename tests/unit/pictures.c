/* Tests of pictures.c and caching_pictures.c: kept pictures are those that would be decoded, to the
 * bit, whatever was kept before; and where they are kept. */
#include "outcome.h"

#include <png.h>

#include "arrays.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "pictures.h"

enum { COUNT = 20, NUMBERS = 7 * 9 * 3, MIB = 1 << 20 };

static const RtModel smooth = {
    .height = 5, .width = 6, .channels = 3, .interpolation = RT_BILINEAR, .tlc = "0"};
static const RtModel sharp = {
    .height = 5, .width = 6, .channels = 3, .interpolation = RT_NEAREST, .tlc = "0"};
static const RtModel large = {
    .height = 7, .width = 9, .channels = 3, .interpolation = RT_BILINEAR, .tlc = "0"};
static const RtModel grey = {
    .height = 5, .width = 6, .channels = 1, .interpolation = RT_BILINEAR, .tlc = "0"};
static const RtModel newer = {
    .height = 5, .width = 6, .channels = 3, .interpolation = RT_BILINEAR, .tlc = "1"};

/* Seven by eight pixels that are a function of the seed. */
static void write_picture(const char *path, unsigned seed)
{
    unsigned char pixels[7 * 8 * 3];
    png_image image = {.version = PNG_IMAGE_VERSION, .width = 8, .height = 7};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (unsigned char)((seed = seed * 1103515245u + 12345u) >> 20);
    image.format = PNG_FORMAT_RGB;
    assert_true(png_image_write_to_file(&image, path, 0, pixels, 0, NULL));
}

/* Picture 3 is none. */
static RtData *make_data(void)
{
    RtData *data = rt_alloc(1, sizeof *data);
    data->count = COUNT;
    data->paths = rt_alloc(COUNT, sizeof *data->paths);
    for (unsigned i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u.png", i);
        data->paths[i] = rt_format("%s", scratch(name));
        if (i == 3)
            write_file(data->paths[i], "x", 1);
        else
            write_picture(data->paths[i], i);
    }
    return data;
}

static bool is_as_decoded(RtPictures *pictures, const RtModel *model, const char *path,
                          size_t sample)
{
    real wanted[NUMBERS], got[NUMBERS];
    RtImageInfo info, other;
    memset(got, 0xff, sizeof got);
    size_t bytes = (size_t)model->height * (size_t)model->width * (size_t)model->channels;
    bool good = rt_image_read(path, model->height, model->width, model->channels,
                              model->interpolation, wanted, &info);
    if (rt_pictures_read(pictures, sample, got, &other) != good) return false;
    return good ? memcmp(got, wanted, bytes * sizeof *got) == 0
                : strcmp(info.problem, other.problem) == 0;
}

static void expect_all(RtPictures *pictures, const RtModel *model, const RtData *data)
{
    for (size_t i = 0; i < data->count; i++)
        assert_true(is_as_decoded(pictures, model, data->paths[i], i));
}

/* Whether it still comes when the file is gone. */
static bool is_kept(RtPictures *pictures, const RtModel *model, const RtData *data, size_t sample)
{
    const char *aside = scratch("aside");
    assert_int_equal(rename(data->paths[sample], aside), 0);
    bool kept = is_as_decoded(pictures, model, aside, sample);
    assert_int_equal(rename(aside, data->paths[sample]), 0);
    return kept;
}

static RtPictures *open_filled(const RtModel *model, const RtData *data, int threads)
{
    RtRun run = {.pool = rt_pool_open(threads)};
    RtPictures *pictures = rt_pictures_open(model, data, true);
    assert_true(rt_pictures_fill(pictures, &run, NULL));
    assert_true(rt_pictures_fill(pictures, &run, NULL)); /* is done */
    rt_pool_close(run.pool);
    return pictures;
}

static void use_folder(const char *name) { setenv("TLC_CACHE", scratch(name), 1); }

/* Of rows, in all folders. */
static int count_files(void)
{
    char command[300];
    int count = 0;
    snprintf(command, sizeof command, "find '%s' -name '*.features' | wc -l", getenv("TLC_CACHE"));
    FILE *find = popen(command, "r");
    assert_non_null(find);
    assert_int_equal(fscanf(find, "%d", &count), 1);
    pclose(find);
    return count;
}

/* ---- In memory ------------------------------------------------------------------------------- */

static void memory_keeps_what_was_read(void **state)
{
    (void)state;
    const RtModel *const models[] = {&smooth, &sharp, &grey};
    RtData *data = make_data();
    for (int m = 0; m < 3; m++) {
        RtPictures *pictures = rt_pictures_open(models[m], data, false);
        assert_true(rt_pictures_fill(pictures, NULL, NULL)); /* nothing to do */
        assert_false(is_kept(pictures, models[m], data, 7));
        for (int epoch = 0; epoch < 2; epoch++) expect_all(pictures, models[m], data);
        assert_true(is_kept(pictures, models[m], data, 7));
        rt_pictures_close(pictures);
    }
    rt_data_close(data);
}

typedef struct {
    RtPictures *pictures;
    const RtData *data;
    bool good[8 * COUNT];
} Crowd;

static void read_one(const RtCall *call, int task)
{
    Crowd *crowd = call->out[0];
    size_t sample = (size_t)(task / 4 % COUNT);
    crowd->good[task] = is_as_decoded(crowd->pictures, &smooth, crowd->data->paths[sample], sample);
}

/* Several at the same picture. */
static void memory_serves_threads(void **state)
{
    (void)state;
    RtRun run = {.pool = rt_pool_open(4)};
    Crowd crowd = {.data = make_data()};
    crowd.pictures = rt_pictures_open(&smooth, crowd.data, false);
    const RtCall call = {.run = &run, .n = 1, .out = {&crowd}};
    rt_parallel(read_one, 8 * COUNT, &call);
    for (int i = 0; i < 8 * COUNT; i++) assert_true(crowd.good[i]);
    rt_pictures_close(crowd.pictures);
    rt_data_close((RtData *)crowd.data);
    rt_pool_close(run.pool);
}

/* ---- In files -------------------------------------------------------------------------------- */

static void files_serve_all_runs(void **state)
{
    (void)state;
    use_folder("runs");
    RtData *data = make_data();
    for (int threads = 1; threads <= 3; threads++) {
        RtPictures *pictures = open_filled(&smooth, data, threads);
        assert_int_equal(count_files(), 1); /* nothing is decoded twice */
        expect_all(pictures, &smooth, data);
        assert_true(is_kept(pictures, &smooth, data, 0));
        assert_true(is_kept(pictures, &smooth, data, COUNT - 1));
        rt_pictures_close(pictures);
    }
    rt_data_close(data);
}

/* Each in turn, on what those before have kept. */
static void nothing_is_stale(void **state)
{
    (void)state;
    use_folder("stale");
    const RtModel *const models[] = {&smooth, &sharp, &large, &grey, &newer};
    RtData *data = make_data();
    for (int m = 0; m < 5; m++) {
        RtPictures *pictures = open_filled(models[m], data, 2);
        assert_int_equal(count_files(), m + 1);
        expect_all(pictures, models[m], data);
        assert_true(is_kept(pictures, models[m], data, 5));
        rt_pictures_close(pictures);
    }
    write_picture(data->paths[4], 1000); /* changed */
    write_picture(data->paths[3], 1001); /* added */
    RtPictures *pictures = open_filled(&smooth, data, 2);
    assert_int_equal(count_files(), 6);
    expect_all(pictures, &smooth, data);
    assert_true(is_kept(pictures, &smooth, data, 4));
    rt_pictures_close(pictures);
    write_picture(data->paths[8], 9); /* one that is known */
    pictures = open_filled(&smooth, data, 2);
    assert_int_equal(count_files(), 6);
    expect_all(pictures, &smooth, data);
    rt_pictures_close(pictures);
    rt_data_close(data);
}

/* Bytes of the one file that is there: a flipped one, or all behind it gone. */
static void damaged_rows_are_decoded_again(void **state)
{
    (void)state;
    use_folder("damage");
    RtData *data = make_data();
    rt_pictures_close(open_filled(&smooth, data, 1));
    char command[400];
    snprintf(command, sizeof command, "cat '%s'/*/00000000.features >'%s'", getenv("TLC_CACHE"),
             scratch("whole"));
    assert_int_equal(system(command), 0);
    size_t bytes;
    const unsigned char *whole = rt_map(scratch("whole"), SIZE_MAX, 1, &bytes);
    for (size_t at = 0; at <= bytes; at += bytes / 11) {
        unsigned char *copy = rt_alloc(1, bytes);
        memcpy(copy, whole, bytes);
        bool cut = at / (bytes / 11) % 2;
        if (!cut && at < bytes) copy[at] ^= 0x10;
        write_file(scratch("damaged"), copy, cut ? at : bytes);
        snprintf(command, sizeof command,
                 "cd '%s'/* && rm -f *.features && cp '%s' 00000000.features", getenv("TLC_CACHE"),
                 scratch("damaged"));
        assert_int_equal(system(command), 0);
        RtPictures *pictures = open_filled(&smooth, data, 1);
        expect_all(pictures, &smooth, data);
        assert_true(is_kept(pictures, &smooth, data, 0));
        rt_pictures_close(pictures);
        free(copy);
    }
    rt_unmap(whole, bytes);
    rt_data_close(data);
}

/* ---- Where ----------------------------------------------------------------------------------- */

static void the_place_is_chosen(void **state)
{
    (void)state;
    RtData *data = make_data(); /* files of about 250 bytes, kept as 360 */
    const size_t bytes = rt_pictures_bytes(&smooth, data);
    assert_int_equal(bytes, COUNT * 5 * 6 * 3 * sizeof(float));
    assert_int_equal(rt_pictures_bytes(&sharp, data), COUNT * 5 * 6 * 3);
    const struct {
        RtCacheMode mode;
        int epochs;
        size_t memory, disk;
        RtPlace place;
    } cases[] = {
        {RT_CACHE_AUTO, 2, bytes, 0, RT_IN_MEMORY},
        {RT_CACHE_AUTO, 1, bytes, MIB, RT_NOWHERE},
        {RT_CACHE_AUTO, 2, bytes - 1, bytes, RT_ON_DISK},
        {RT_CACHE_AUTO, 2, bytes - 1, bytes - 1, RT_NOWHERE},
        {RT_CACHE_OFF, 9, MIB, MIB, RT_NOWHERE},
        {RT_CACHE_MEMORY, 1, bytes, 0, RT_IN_MEMORY},
        {RT_CACHE_MEMORY, 9, bytes - 1, MIB, RT_NOWHERE},
        {RT_CACHE_DISK, 1, MIB, bytes, RT_ON_DISK},
        {RT_CACHE_DISK, 9, MIB, bytes - 1, RT_NOWHERE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(rt_pictures_place(&smooth, data, cases[i].mode, cases[i].epochs,
                                           cases[i].memory, cases[i].disk),
                         cases[i].place);
    RtModel huge = smooth; /* from a disk its pictures would not come faster */
    huge.height = huge.width = 100;
    assert_int_equal(rt_pictures_place(&huge, data, RT_CACHE_AUTO, 9, 0, SIZE_MAX), RT_NOWHERE);
    rt_data_close(data);
    RtData arrays = {.count = 9};
    assert_int_equal(rt_pictures_place(&smooth, &arrays, RT_CACHE_MEMORY, 9, MIB, MIB), RT_NOWHERE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_keeps_what_was_read),     cmocka_unit_test(memory_serves_threads),
        cmocka_unit_test(files_serve_all_runs),           cmocka_unit_test(nothing_is_stale),
        cmocka_unit_test(damaged_rows_are_decoded_again), cmocka_unit_test(the_place_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
