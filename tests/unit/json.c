/* Tests of json.c: what a strict reader takes and what it refuses. */
#include "files.h"
#include "outcome.h"

static RtJson *parse(const char *text, char problem[256])
{
    /* A copy of the exact size, so that a sanitizer sees any byte read beyond it. */
    size_t bytes = strlen(text);
    char *copy = malloc(bytes ? bytes : 1);
    memcpy(copy, text, bytes);
    RtJson *json = rt_json_parse(copy, bytes, problem, 256);
    free(copy);
    return json;
}

static void test_values(void **state)
{
    (void)state;
    char problem[256];
    int64_t whole;
    double number;
    RtJson *json =
        parse(" {\"a\": [1, -2.5e1, \"x\\u00e9\\n\", true, {}], \"b\": {\"c\": null}} ", problem);
    assert_non_null(json);
    assert_int_equal(rt_json_count(json), 2);
    const RtJson *a = rt_json_get(json, "a");
    assert_true(rt_json_is_array(a));
    assert_false(rt_json_is_array(json));
    assert_int_equal(rt_json_count(a), 5);
    assert_true(rt_json_integer(rt_json_at(a, 0), &whole));
    assert_int_equal(whole, 1);
    assert_true(rt_json_number(rt_json_at(a, 1), &number));
    assert_true(number == -25);
    assert_string_equal(rt_json_text(rt_json_at(a, 2)), "x\xc3\xa9\n");
    assert_null(rt_json_text(rt_json_at(a, 0)));
    assert_null(rt_json_at(a, 5));
    assert_null(rt_json_get(a, "a"));
    assert_null(rt_json_get(json, "A"));
    assert_null(rt_json_get(NULL, "a"));
    assert_string_equal(rt_json_key(rt_json_at(json, 1)), "b");
    assert_ptr_equal(rt_json_next(rt_json_at(json, 0)), rt_json_at(json, 1));
    assert_null(rt_json_next(rt_json_at(json, 1)));
    rt_json_free(json);
}

static void test_integers(void **state)
{
    (void)state;
    char problem[256];
    int64_t value;
    RtJson *json = parse("[9007199254740991, -9007199254740991, 9007199254740992, 1.5, 1e400, "
                         "\"1\", 1e3]",
                         problem);
    assert_non_null(json);
    assert_true(rt_json_integer(rt_json_at(json, 0), &value) && value == 9007199254740991);
    assert_true(rt_json_integer(rt_json_at(json, 1), &value) && value == -9007199254740991);
    for (size_t i = 2; i < 6; i++) assert_false(rt_json_integer(rt_json_at(json, i), &value));
    assert_true(rt_json_integer(rt_json_at(json, 6), &value) && value == 1000);
    double number;
    assert_false(rt_json_number(rt_json_at(json, 4), &number));
    rt_json_free(json);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"", "line 1, column 1: a value is expected here"},
        {"{\"a\": 1,}", "line 1, column 9: a string is expected here"},
        {"[1, 2", "line 1, column 6: ',' or ']' is expected here"},
        {"{\"a\" 1}", "line 1, column 6: ':' is expected here"},
        {"{\"a\": 1]", "line 1, column 8: ',' or '}' is expected here"},
        {"[1] x", "line 1, column 5: nothing may follow here"},
        {"[1][2]", "line 1, column 4: nothing may follow here"},
        {"[\n  01]", "line 2, column 4: ',' or ']' is expected here"},
        {"[1.]", "line 1, column 4: digits must follow the point"},
        {"[1e+]", "line 1, column 5: the exponent lacks its digits"},
        {"[+1]", "line 1, column 2: a value is expected here"},
        {"[NaN]", "line 1, column 2: a value is expected here"},
        {"[\"a\nb\"]", "line 1, column 4: a control character in a string"},
        {"[\"\\x\"]", "line 1, column 4: no such escape"},
        {"[\"\\u12g4\"]", "line 1, column 5: \\u needs four hexadecimal digits"},
        {"[\"\\u0000\"]", "\\u0000 is not allowed"},
        {"[\"\\ud800\"]", "half a surrogate pair, or a number that cannot be read"},
        {"[\"\xc0\xaf\"]", "line 1, column 3: not UTF-8"},
        {"[\"\xed\xa0\x80\"]", "not UTF-8"},
        {"[\"\xf4\x90\x80\x80\"]", "not UTF-8"},
        {"[\"\xe2\x82", "not UTF-8"},
        {"\"abc", "a string does not end"},
        {"\xef\xbb\xbf[]", "line 1, column 1: a value is expected here"},
        {"{\"a\": 1, \"b\": {\"x\": 0, \"y\": 1, \"x\": 2}}",
         "the key \"x\" occurs twice in an object"},
        {"[{\"a\": 1, \"\\u0061\": 2}]", "the key \"a\" occurs twice in an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char problem[256] = "";
        RtJson *json = parse(cases[i].text, problem);
        if (json || !strstr(problem, cases[i].problem))
            fail_msg("%s: \"%s\", wanted \"%s\"", cases[i].text, problem, cases[i].problem);
    }
}

static void test_nul_inside(void **state)
{
    (void)state;
    char problem[256];
    assert_null(rt_json_parse("[1]\0", 4, problem, sizeof problem));
    assert_string_equal(problem, "line 1, column 4: nothing may follow here");
    assert_null(rt_json_parse("[\"\0\"]", 5, problem, sizeof problem));
    assert_null(rt_json_parse("[\"\\\0\"]", 6, problem, sizeof problem));
}

static void test_depth(void **state)
{
    (void)state;
    char text[20001], problem[256];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    RtJson *json = rt_json_parse(text, 128, problem, sizeof problem);
    assert_non_null(json);
    rt_json_free(json);
    memset(text, '[', 10000);
    memset(text + 10000, ']', 10000);
    assert_null(rt_json_parse(text, 20000, problem, sizeof problem));
    assert_string_equal(problem, "line 1, column 66: nested more than 64 deep");
}

static void test_write(void **state)
{
    (void)state;
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    rt_json_write_string(out, "a\"b\\c\n\x7f\xc3\xa9\xff z");
    fclose(out);
    assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\\u007f\xc3\xa9\\ufffd z\"");
    char problem[256];
    RtJson *json = parse(text, problem);
    assert_string_equal(rt_json_text(json), "a\"b\\c\n\x7f\xc3\xa9\xef\xbf\xbd z");
    rt_json_free(json);
}

static void test_keeps(void **state)
{
    (void)state;
    assert_true(rt_json_keeps("a\xc3\xa9", "a\xc3\xa9"));
    assert_true(rt_json_keeps("a\xff\xfe b", "a\xef\xbf\xbd\xef\xbf\xbd b"));
    assert_true(rt_json_keeps("", ""));
    assert_false(rt_json_keeps("a\xff", "a\xff"));
    assert_false(rt_json_keeps("a\xff", "a"));
    assert_false(rt_json_keeps("a\xff", "a\xef\xbf\xbd "));
    assert_false(rt_json_keeps("ab", "a"));
    assert_false(rt_json_keeps("a", "ab"));
    assert_false(rt_json_keeps("\xc3", "\xc3\xa9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_integers),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_nul_inside),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_write),
        cmocka_unit_test(test_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
