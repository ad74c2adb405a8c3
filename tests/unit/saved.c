/* Tests of saved.c: our own weight files, and those that only look so. */
#include <math.h>

#include "arrays.h"
#include "ground.h"
#include "small_model.h"
#include "weights.h"

static void test_saved(void **state)
{
    (void)state;
    const char *path = scratch("best.safetensors");
    char *classes[] = {"cat", "d\"og\xc3\xa9"};
    RtSaved about = {classes, 2, "head", 7, 0.1, NULL};
    char kept[sizeof arena];
    make_tensors(scratch("start"), 0, 7, NULL, 0);
    rt_weights_read(&model, new_run(), scratch("start"), -1);
    memcpy(kept, arena, sizeof arena);
    rt_saved_write(&model, new_run()->weights, path, &about);
    set_arena(-1);
    RtSaved *saved = rt_saved_load(&model, new_run(), path);
    for (int i = 0; i < WEIGHTS; i++)
        assert_memory_equal(values_of(i), kept + weights[i].offset, count_of(i) * sizeof(real));
    assert_int_equal(saved->class_count, 2);
    assert_string_equal(saved->classes[0], "cat");
    assert_string_equal(saved->classes[1], "d\"og\xc3\xa9");
    assert_string_equal(saved->phase, "head");
    assert_int_equal(saved->epoch, 7);
    assert_true(saved->val_loss == 0.1);
    assert_string_equal(saved->model_hash, HASH);
    rt_saved_free(saved);

    RtTensors *file = rt_tensors_open(path);
    assert_string_equal(rt_tensors_meta(file, "preprocessing"), "caffe");
    assert_string_equal(rt_tensors_meta(file, "classes"), "[\"cat\",\"d\\\"og\xc3\xa9\"]");
    rt_tensors_close(file);

    about = (RtSaved){.phase = "head", .val_loss = NAN};
    rt_saved_write(&model, new_run()->weights, path, &about);
    saved = rt_saved_load(&model, new_run(), path);
    assert_true(isnan(saved->val_loss));
    assert_null(saved->classes);
    rt_saved_free(saved);
}

static void load_saved(const void *path) { rt_saved_load(&model, new_run(), path); }

static void test_saved_by_others(void **state)
{
    (void)state;
    const char *path = scratch("others.safetensors");
    RtModel other = model;
    RtSaved about = {.phase = "head", .val_loss = NAN};
    other.name = "birds";
    other.hash = "2222222222222222222222222222222222222222222222222222222222222222";
    rt_saved_write(&other, new_run()->weights, path, &about);
    expect_end(RT_BAD_WEIGHTS,
               "others.safetensors: saved by another model\n"
               "  the file:     2222222222222222222222222222222222222222222222222222222222222222 "
               "\"birds\"\n"
               "  this program: " HASH " \"pets\"\n"
               "  hint: use the program that trained it; train --weights takes over weights by "
               "name\n",
               load_saved, path);
    make_tensors(path, 0, 7, NULL, 0);
    expect_end(RT_BAD_WEIGHTS, "not written by a program of tlc", load_saved, path);
    const RtMeta meta[] = {{"tlc_model_hash", HASH}, {"phase", "head"}, {"epoch", "-1"}};
    make_tensors(path, 0, 7, meta, 3);
    expect_end(RT_BAD_WEIGHTS, "metadata \"epoch\" is no count", load_saved, path);
    make_tensors(path, 0, 7, meta, 1);
    expect_end(RT_BAD_WEIGHTS, "no \"phase\" in its metadata", load_saved, path);
    const RtMeta classes[] = {meta[0], meta[1], {"epoch", "1"}, {"classes", "[1]"}};
    make_tensors(path, 0, 7, classes, 4);
    expect_end(RT_BAD_WEIGHTS, "metadata \"classes\" is no list of names", load_saved, path);
    make_tensors(path, 0, 6, classes, 3);
    expect_end(RT_BAD_WEIGHTS, "missing: out/bias (2,)", load_saved, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_saved),
        cmocka_unit_test(test_saved_by_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
