/* callbacks.c (test): callbacks and schedules have options and defaults of Keras, as recorded by
 * tests/callbacks/record.py. What is refused is in tests/bad. */
#include "../unit/outcome.h"

#include "tlc.h"

static const Json *recorded;

/* What Keras says of a class. */
static const Json *find_class(const char *type)
{
    const Json *one = json_first(recorded);
    while (one && strcmp(json_string(json_get(one, "type")), type) != 0) one = json_next(one);
    assert_non_null(one);
    return one;
}

static bool is_listed(const Json *list, const char *name)
{
    for (const Json *item = json_first(list); item; item = json_next(item))
        if (strcmp(json_string(item), name) == 0) return true;
    return false;
}

/* In the recording, true and false are 1 and 0. */
static bool is_default(const Attr *attr, const Json *wanted)
{
    const Json *ours = parse_json(attr->initial, attr->name);
    double a, b;
    bool flag;
    if (json_is_null(wanted)) return json_is_null(ours);
    if (json_string(wanted))
        return json_string(ours) && strcmp(json_string(ours), json_string(wanted)) == 0;
    if (!json_number(wanted, &b)) return false;
    if (json_bool(ours, &flag)) return b == flag;
    return json_number(ours, &a) && a == b;
}

static void check_table(const char *type, const Attr *table)
{
    const Json *keras = find_class(type);
    for (const Attr *attr = table; attr->name; attr++) {
        const Json *wanted = json_get(json_get(keras, "options"), attr->name);
        if (attr->flags & ATTR_REQUIRED) {
            if (!is_listed(json_get(keras, "required"), attr->name))
                fail_msg("%s: Keras does not require %s", type, attr->name);
        } else if (!wanted || !is_default(attr, wanted)) {
            fail_msg("%s: %s is not Keras's, or its default %s is not", type, attr->name,
                     attr->initial);
        }
    }
    for (const Json *item = json_first(json_get(keras, "required")); item; item = json_next(item)) {
        const Attr *attr = table;
        while (attr->name && strcmp(attr->name, json_string(item)) != 0) attr++;
        if (!attr->name) fail_msg("%s: has no %s", type, json_string(item));
    }
}

static void test_callbacks(void **state)
{
    (void)state;
    for (const CallbackKind *kind = callback_kinds; kind->type; kind++)
        check_table(kind->type, kind->attrs);
}

static void test_schedules(void **state)
{
    (void)state;
    for (const ScheduleKind *kind = schedule_kinds; kind->type; kind++)
        check_table(kind->type, kind->attrs);
}

/* Python's format strings in pieces for printf. */
static void test_templates(void **state)
{
    (void)state;
    int count;
    PathPart *parts = read_file_name("a{{b}}/{epoch:02d}-{val_loss:.3f}{loss}", "", &count);
    assert_int_equal(count, 4);
    assert_string_equal(parts[0].text, "a{b}/");
    assert_string_equal(parts[0].field, "epoch");
    assert_string_equal(parts[0].format, "%02lld");
    assert_string_equal(parts[1].text, "-");
    assert_string_equal(parts[1].format, "%.3f");
    assert_string_equal(parts[2].text, "");
    assert_string_equal(parts[2].field, "loss");
    assert_null(parts[2].format);
    assert_string_equal(parts[3].text, "");
    assert_null(parts[3].field);
}

static int read_recording(void **state)
{
    (void)state;
    recorded = read_json("tests/callbacks/options.json");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_templates),
    };
    return cmocka_run_group_tests(tests, read_recording, NULL);
}
