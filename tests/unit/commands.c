/* Tests of evaluate.c, predict.c, features.c, bench.c: the commands on folders of pictures and on
 * arrays, after a training. The pictures are those of tests/unit/pictures. */
#include <math.h>

#include "arrays.h"
#include "files.h"
#include "ground.h"
#include "program.h"
#include "toy_model.h"
#include "weights.h"

static void copy_picture(const char *name, const char *to)
{
    char from[512];
    snprintf(from, sizeof from, "tests/unit/pictures/%s", name);
    size_t bytes;
    const unsigned char *data = rt_map(from, 1 << 20, RT_BAD_DATA, &bytes);
    char *folder = rt_format("%.*s", (int)(strrchr(to, '/') - to), to);
    rt_make_folders(folder);
    free(folder);
    write_file(to, data, bytes);
    rt_unmap(data, bytes);
}

static void make_folders(const char *root, const char *first, const char *second)
{
    static const char *const names[] = {"grey.jpg", "rgb_444.jpg", "rgb.png", "palette.png"};
    for (int i = 0; i < 4; i++) {
        char *name = rt_format("%s/%s/%s", root, i % 2 ? second : first, names[i]);
        copy_picture(names[i], scratch(name));
        free(name);
    }
}

/* ---- evaluate ----------------------------------------------------------------------------------
 */

static void test_evaluate(void **state)
{
    (void)state;
    Result result = run_model(&toy_model, RT_OK, "evaluate --data pets");
    assert_says(result.err, "weights: runs/toy/best.safetensors\n");
    assert_says(result.out, "accuracy: ");
    assert_says(result.out, "loss: ");
    assert_says(result.out, "pictures: 4\n");
    assert_says(result.out, "cat                             2 ");
    free_result(&result);
    result = run_model(&toy_model, RT_OK, "evaluate --data pets --json --quiet");
    assert_says(result.out, "{\"pictures\": 4, \"skipped\": 0, \"accuracy\": ");
    assert_says(result.out, "\"classes\": [{\"class\": \"cat\", \"pictures\": 2, \"right\": ");
    free_result(&result);
}

static void test_evaluate_other_classes(void **state)
{
    (void)state;
    make_folders("others", "bird", "dog");
    expect_failure(&toy_model, RT_BAD_DATA,
                   "others: class 0 is \"bird\", but the weights were trained with \"cat\" there",
                   "evaluate --data others");
}

static void test_weights_of_another_model(void **state)
{
    (void)state;
    RtModel model = toy_model;
    model.hash = "80000000000000000000000000000000000000000000000000000000000000bb";
    Result result = run_model(&model, RT_BAD_WEIGHTS, "evaluate --data pets");
    assert_says(result.err, toy_model.hash);
    assert_says(result.err, model.hash);
    free_result(&result);
}

static void test_no_weights(void **state)
{
    (void)state;
    RtModel model = toy_model;
    model.name = "untrained";
    expect_failure(&model, RT_BAD_WEIGHTS, "runs/untrained has neither best.safetensors nor",
                   "predict pets/cat/rgb.png");
}

/* ---- predict -----------------------------------------------------------------------------------
 */

static void test_predict_names(void **state)
{
    (void)state;
    float a, b;
    char first[32], second[32];
    Result result = run_model(&toy_model, RT_OK, "predict pets/cat/rgb.png pets/dog/palette.png");
    assert_memory_equal(result.out, "pets/cat/rgb.png\n", 17);
    assert_int_equal(
        sscanf(result.out + 17, " %31s %f %31s %f pets/dog/palette.png", first, &a, second, &b), 4);
    assert_true(strcmp(first, "cat") == 0
                    ? strcmp(second, "dog") == 0
                    : strcmp(first, "dog") == 0 && strcmp(second, "cat") == 0);
    assert_true(a >= b && fabsf(a + b - 1) < 2e-4f);
    free_result(&result);
    result = run_model(&toy_model, RT_OK, "predict pets/cat/rgb.png --top 1");
    assert_true(!strstr(result.out, "cat ") != !strstr(result.out, "dog "));
    free_result(&result);
}

static void test_predict_goes_on_after_a_bad_picture(void **state)
{
    (void)state;
    write_file(scratch("bad.jpg"), "\xff\xd8 not a picture", 16);
    Result result = run_model(&toy_model, RT_BAD_DATA,
                              "predict bad.jpg pets/cat/rgb.png missing.png --json --top 1");
    assert_says(result.err, "warning: bad.jpg: ");
    assert_says(result.err, "warning: missing.png: ");
    char problem[200];
    RtJson *list = rt_json_parse(result.out, strlen(result.out), problem, sizeof problem);
    assert_non_null(list);
    assert_int_equal(rt_json_count(list), 3);
    assert_non_null(rt_json_text(rt_json_get(rt_json_at(list, 0), "error")));
    assert_string_equal(rt_json_text(rt_json_get(rt_json_at(list, 1), "path")), "pets/cat/rgb.png");
    const RtJson *best = rt_json_get(rt_json_at(list, 1), "predictions");
    double score;
    assert_int_equal(rt_json_count(best), 1);
    assert_true(rt_json_number(rt_json_get(rt_json_at(best, 0), "score"), &score));
    assert_true(score >= 0.5 && score <= 1);
    rt_json_free(list);
    free_result(&result);
}

static void test_all_pictures_bad(void **state)
{
    (void)state;
    expect_failure(&toy_model, RT_BAD_DATA, "missing.png", "predict missing.png");
}

static void infer_half(const RtRun *run, const real *x, int n, real *out)
{
    (void)run;
    (void)x;
    for (int i = 0; i < n; i++) out[i] = i % 2 ? (real)0.75 : (real)0.25;
}

/* One sigmoid unit: the class it takes the picture for, and how sure it is of that. */
static void test_predict_binary(void **state)
{
    (void)state;
    RtModel model = toy_model;
    model.head = RT_BINARY_CROSSENTROPY;
    model.output_size = model.output_dims[1] = 1;
    model.infer = infer_half;
    Result result = run_model(&model, RT_OK, "predict pets/cat/rgb.png pets/dog/palette.png");
    assert_string_equal(result.out, "pets/cat/rgb.png\n  cat                      0.7500\n"
                                    "pets/dog/palette.png\n  dog                      0.7500\n");
    free_result(&result);
    model.head = RT_MEAN_SQUARED_ERROR;
    result = run_model(&model, RT_OK, "predict pets/cat/rgb.png");
    assert_string_equal(result.out, "pets/cat/rgb.png\n 0.25\n");
    free_result(&result);
}

/* A plain ImageNet network: no phases, no runs/ folder, names from Keras's index if it is there. */
static void test_predict_imagenet(void **state)
{
    (void)state;
    RtModel model = toy_model;
    model.name = "net";
    model.phases = NULL;
    model.phase_count = 0;
    model.imagenet_classes = 1;
    setenv("KERAS_HOME", scratch("keras"), 1);
    Result result = run_model(&model, RT_OK, "predict pets/cat/rgb.png");
    assert_says(result.err, "imagenet_class_index.json (md5 c2c37ea517e94d9795004a39431a14cb) at ");
    assert_says(result.out, "  class 1 ");
    free_result(&result);
    mkdir(scratch("keras"), 0700);
    mkdir(scratch("keras/models"), 0700);
    write_file(scratch("keras/models/imagenet_class_index.json"), "{}", 2);
    result = run_model(&model, RT_OK, "predict pets/cat/rgb.png");
    assert_says(result.err, "md5 is 99914b932bd37a50b983c5e7c90ae93b, should be c2c37ea");
    assert_says(result.out, "  class 1 ");
    free_result(&result);
}

/* With the real index, where there is one: TLC_DATA names a folder that holds it. */
static void test_predict_imagenet_names(void **state)
{
    (void)state;
    const char *data = getenv("TLC_DATA");
    char *index = rt_format("%s/imagenet_class_index.json", data ? data : "");
    if (!data || !exists(index)) {
        print_message("skipped: $TLC_DATA/imagenet_class_index.json is not there\n");
        free(index);
        skip();
    }
    RtModel model = toy_model;
    model.name = "net";
    model.phases = NULL;
    model.phase_count = 0;
    model.imagenet_classes = 1;
    rt_make_folders(scratch("keras/models"));
    size_t bytes;
    const unsigned char *text = rt_map(index, 1 << 20, RT_BAD_DATA, &bytes);
    write_file(scratch("keras/models/imagenet_class_index.json"), text, bytes);
    rt_unmap(text, bytes);
    free(index);
    setenv("KERAS_HOME", scratch("keras"), 1);
    Result result = run_model(&model, RT_OK, "predict pets/cat/rgb.png --json");
    assert_says(result.out, "\"index\": 0, \"id\": \"n01440764\", \"class\": \"tench\"");
    assert_says(result.out, "\"index\": 1, \"id\": \"n01443537\", \"class\": \"goldfish\"");
    free_result(&result);
}

/* ---- Arrays ------------------------------------------------------------------------------------
 */

/* x.npy of six pictures of bytes: predict in batches of 4 and 2, against the model itself. */
static void test_predict_array(void **state)
{
    (void)state;
    enum { N = 6 };
    unsigned char bytes[N * TOY_IN];
    for (int i = 0; i < N * TOY_IN; i++) bytes[i] = (unsigned char)(i * 37);
    RtArray x = {.type = RT_U8, .rank = 4, .dims = {N, 4, 4, 3}, .data = bytes};
    rt_npy_write(scratch("x.npy"), &x);
    Result result = run_model(&toy_model, RT_OK, "predict --input x.npy -o y.npy");
    assert_string_equal(result.out, "y.npy: 6 rows of 2 numbers\n");
    free_result(&result);
    RtArray y = rt_npy_read(scratch("y.npy"), "y", 100, RT_BAD_DATA);
    assert_true(y.rank == 2 && y.dims[0] == N && y.dims[1] == 2);
    static _Alignas(64) char arena[TOY_ARENA];
    real *places[] = {(real *)(arena + TOY_KERNEL), (real *)(arena + TOY_BIAS)};
    RtRun run = {.arena = arena, .weights = places, .kernels = &toy_kernels};
    rt_saved_free(rt_saved_load(&toy_model, &run, scratch("runs/toy/best.safetensors")));
    real pixels[N * TOY_IN], wanted[N * TOY_UNITS];
    for (int i = 0; i < N * TOY_IN; i++) pixels[i] = bytes[i];
    toy_infer(&run, pixels, N, wanted);
    assert_memory_equal(y.data, wanted, sizeof wanted);
    rt_array_free(&y);
    result = run_model(&toy_model, RT_OK, "predict --input x.npy");
    assert_says(result.out, "x.npy[5]\n  ");
    free_result(&result);
}

static void test_predict_array_of_wrong_shape(void **state)
{
    (void)state;
    float values[2 * 4 * 5 * 3] = {0};
    RtArray x = {.rank = 4, .dims = {2, 4, 5, 3}, .data = values};
    rt_npy_write(scratch("wide.npy"), &x);
    expect_failure(&toy_model, RT_BAD_DATA,
                   "wide.npy: the array is (2, 4, 5, 3); the model takes (N, 4, 4, 3)",
                   "predict --input wide.npy");
}

/* ---- features, summary, bench
 * -------------------------------------------------------------------- */

static void test_features(void **state)
{
    (void)state;
    make_folders("flawed", "cat", "dog");
    write_file(scratch("flawed/cat/a,b.jpg"), "nothing", 7);
    Result result = run_model(&toy_model, RT_OK, "features --data flawed -o f/features.npy");
    assert_string_equal(result.out, "f/features.npy: 4 rows of 2 numbers\n"
                                    "f/features.csv: picture and class of each row\n");
    free_result(&result);
    char *text = read_text(scratch("f/features.csv"));
    assert_string_equal(text, "path,label,class\r\n"
                              "flawed/cat/grey.jpg,0,cat\r\nflawed/cat/rgb.png,0,cat\r\n"
                              "flawed/dog/palette.png,1,dog\r\nflawed/dog/rgb_444.jpg,1,dog\r\n");
    free(text);
    RtArray rows = rt_npy_read(scratch("f/features.npy"), "x", 100, RT_BAD_DATA);
    assert_true(rows.rank == 2 && rows.dims[0] == 4 && rows.dims[1] == 2);
    rt_array_free(&rows);
    result = run_model(&toy_model, RT_OK, "features --data flawed/dog/ -o dogs.npy");
    text = read_text(scratch("dogs.csv"));
    assert_string_equal(text, "path\r\nflawed/dog/palette.png\r\nflawed/dog/rgb_444.jpg\r\n");
    free(text);
    free_result(&result);
    expect_failure(&toy_model, RT_BAD_DATA, "a,b.jpg", "features --data flawed -o g.npy --strict");
    assert_false(exists(scratch("g.npy")));
}

static void test_summary(void **state)
{
    (void)state;
    Result result = run_model(&toy_model, RT_OK, "summary --phase tune");
    assert_says(result.out, "Model: \"toy\"\n");
    assert_says(result.out, " Total params: 98 (392.00 B)\n Trainable params: 2 (8.00 B)\n");
    free_result(&result);
    result = run_model(&toy_model, RT_OK, "summary");
    assert_says(result.out,
                " Trainable params: 98 (392.00 B)\n Non-trainable params: 0 (0.00 B)\n");
    free_result(&result);
    RtModel model = toy_model;
    RtWeight weights[] = {toy_model.weights[0], toy_model.weights[1]};
    weights[1].is_statistic = 1;
    model.weights = weights;
    result = run_model(&model, RT_OK, "summary");
    assert_says(result.out,
                " Trainable params: 96 (384.00 B)\n Non-trainable params: 2 (8.00 B)\n");
    free_result(&result);
}

static void test_bench(void **state)
{
    (void)state;
    Result result = run_model(&toy_model, RT_OK, "bench --repeat 3 --threads 2 --layers");
    assert_says(result.out, ", 2 threads\n");
    assert_says(result.out, "\ninfer                    1 ");
    assert_says(result.out, "\ninfer                    4 ");
    assert_says(result.out, "\ntrain head               4 ");
    assert_says(result.out, "\ntrain tune               4 ");
    assert_says(result.out, "\n     2     49 ");
    assert_says(result.out, "\npeak memory ");
    free_result(&result);
}

/* More pictures than a call of infer takes, and more than those of a training step. */
static void test_bench_large_batch(void **state)
{
    (void)state;
    Result result = run_model(&toy_model, RT_OK, "bench --batch 9 --layers");
    assert_says(result.out, "\ninfer                    9 ");
    assert_says(result.out, "\n     3      1 "); /* the third call of its kernel: one picture */
    assert_null(strstr(result.out, "train"));
    free_result(&result);
}

static void test_bench_json(void **state)
{
    (void)state;
    Result result = run_model(&toy_model, RT_OK, "bench --json --repeat 3 --batch 2 --layers");
    const char *line = result.out;
    for (int rows = 0; rows < 3; rows++, line = strchr(line, '\n') + 1) {
        char error[256];
        RtJson *json = rt_json_parse(line, strcspn(line, "\n"), error, sizeof error);
        assert_non_null(json);
        double batch, least, most, cpu, peak, arena;
        assert_true(rt_json_number(rt_json_get(json, "batch"), &batch));
        assert_int_equal((int)batch, 2);
        const RtJson *times = rt_json_get(json, "ms");
        assert_int_equal(rt_json_count(times), 3);
        assert_true(rt_json_number(rt_json_at(times, 0), &least));
        assert_true(rt_json_number(rt_json_at(times, 2), &most));
        assert_true(0 < least && least <= most);
        assert_true(rt_json_number(rt_json_get(json, "cpu_ms"), &cpu));
        assert_true(0 <= cpu && cpu < 1000);
        assert_true(rt_json_number(rt_json_get(json, "peak_bytes"), &peak));
        assert_true(rt_json_number(rt_json_get(json, "arena_bytes"), &arena));
        assert_true(0 < arena && arena < peak);
        assert_true(rt_json_count(rt_json_get(json, "calls")) > 0);
        rt_json_free(json);
    }
    assert_string_equal(line, "");
    free_result(&result);
}

static int train_first(void **state)
{
    (void)state;
    make_folders("pets", "cat", "dog");
    Result result = run_model(&toy_model, RT_OK, "train --data pets --validation pets");
    assert_says(result.err, "4 pictures of 2 classes for training, 4 for validation");
    free_result(&result);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluate),
        cmocka_unit_test(test_evaluate_other_classes),
        cmocka_unit_test(test_weights_of_another_model),
        cmocka_unit_test(test_no_weights),
        cmocka_unit_test(test_predict_names),
        cmocka_unit_test(test_predict_goes_on_after_a_bad_picture),
        cmocka_unit_test(test_all_pictures_bad),
        cmocka_unit_test(test_predict_binary),
        cmocka_unit_test(test_predict_imagenet),
        cmocka_unit_test(test_predict_imagenet_names),
        cmocka_unit_test(test_predict_array),
        cmocka_unit_test(test_predict_array_of_wrong_shape),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_bench_large_batch),
        cmocka_unit_test(test_bench_json),
    };
    return cmocka_run_group_tests(tests, train_first, NULL);
}
