/* attrs.c: values by an attribute table: read from JSON, defaulted, looked up. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "tlc.h"

/* ---- Messages -------------------------------------------------------------------------------- */

const char *words_text(const char *words)
{
    Text text = {0};
    for (const char *p = words; *p; p += strspn(p, " ")) {
        const int length = (int)strcspn(p, " ");
        add_text(&text, "%s\"%.*s\"", p > words ? ", " : "", length, p);
        p += length;
    }
    return text.data;
}

static const char *type_text(const Attr *attr)
{
    switch (attr->type) {
    case ATTR_INT:
        return "a whole number";
    case ATTR_INT2:
        return "a whole number or a pair of them";
    case ATTR_INTS:
        return format("an array of 1 to %d whole numbers", MAX_RANK - 1);
    case ATTR_PADDING:
        return "a whole number, [rows, columns] or [[top, bottom], [left, right]]";
    case ATTR_FLOAT:
        return "a number";
    case ATTR_RANGE:
        return attr->flags & ATTR_PAIR ? "[lower, upper]" : "a number or [lower, upper]";
    case ATTR_BOOL:
        return "true or false";
    case ATTR_NAME:
        return "a name";
    case ATTR_STRING:
        return "a string";
    case ATTR_CHOICE:
        return format("one of %s", words_text(attr->choices));
    case ATTR_REGULARIZER:
        return "\"l1\", \"l2\" or {\"type\": \"L1L2\", \"l1\": factor, \"l2\": factor}";
    case ATTR_LAYER:
        return "a layer's name or index";
    case ATTR_NUMBERS:
        return "an array of numbers";
    case ATTR_SCHEDULE:
        return "a schedule such as {\"type\": \"CosineDecay\", …}";
    case ATTR_RATE:
        return "a number or a schedule such as {\"type\": \"CosineDecay\", …}";
    case ATTR_FREQUENCY:
        return format("%s or a whole number", words_text(attr->choices));
    case ATTR_TEMPLATE:
        return "a path";
    }
    bug(NULL, "attribute %s has no type", attr->name);
}

static _Noreturn void error_type(const Attr *attr, const Json *json, const char *path)
{
    error_model(path, NULL, "must be %s%s, but is %s", type_text(attr),
                attr->flags & ATTR_NULL ? " or null" : "", json_kind(json));
}

/* Of one number inside a value. */
static _Noreturn void error_number(const Attr *attr, const Json *json, const char *path)
{
    bool whole = attr->type != ATTR_RANGE && attr->type != ATTR_NUMBERS;
    if (attr->type == ATTR_INT || attr->type == ATTR_FLOAT || attr->type == ATTR_RATE ||
        attr->type == ATTR_FREQUENCY)
        error_type(attr, json, path);
    error_model(path, NULL, "must be a %s, but is %s", whole ? "whole number" : "number",
                json_kind(json));
}

static bool has_range(const Attr *attr) { return attr->lo != 0 || attr->hi != 0; }

/* "at least 1", "between 0 and 1, 1 not included" */
char *range_text(const Attr *attr)
{
    if (attr->hi >= INT32_MAX)
        return format("%s %s", attr->flags & ATTR_OPEN_LO ? "greater than" : "at least",
                      number_text(attr->lo));
    bool lo = attr->flags & ATTR_OPEN_LO, hi = attr->flags & ATTR_OPEN_HI;
    const char *open = lo && hi ? ", ends not included"
                       : lo     ? format(", %s not included", number_text(attr->lo))
                       : hi     ? format(", %s not included", number_text(attr->hi))
                                : "";
    return format("between %s and %s%s", number_text(attr->lo), number_text(attr->hi), open);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static double read_float(const Attr *attr, const Json *json, const char *path)
{
    double x;
    if (!json_number(json, &x)) error_number(attr, json, path);
    if (!has_range(attr)) return x;
    bool low = attr->flags & ATTR_OPEN_LO ? x <= attr->lo : x < attr->lo;
    bool high = attr->flags & ATTR_OPEN_HI ? x >= attr->hi : x > attr->hi;
    if (low || high)
        error_model(path, NULL, "%s is out of range: must be %s%s", number_text(x),
                    high && attr->hi >= INT32_MAX ? format("at most %s and ", number_text(attr->hi))
                                                  : "",
                    range_text(attr));
    return x;
}

static int64_t read_int(const Attr *attr, const Json *json, const char *path)
{
    double x = read_float(attr, json, path);
    if (x != floor(x)) error_number(attr, json, path);
    if (fabs(x) > 0x1p53) error_model(path, NULL, "%s is too large", number_text(x));
    return (int64_t)x;
}

/* Integers of an array of `least` to `most` items; returns their number. */
static int read_ints(const Attr *attr, const Json *json, const char *path, int least, int most,
                     int64_t *out)
{
    int count = json_is_array(json) ? json_count(json) : 0;
    if (count < least || count > most) error_type(attr, json, path);
    int n = 0;
    for (const Json *item = json_first(json); item; item = json_next(item), n++)
        out[n] = read_int(attr, item, format("%s[%d]", path, n));
    return n;
}

static void read_padding(const Attr *attr, const Json *json, const char *path, int64_t *out)
{
    if (!json_is_array(json)) {
        out[0] = out[1] = out[2] = out[3] = read_int(attr, json, path);
        return;
    }
    if (json_count(json) != 2) error_type(attr, json, path);
    int side = 0;
    for (const Json *item = json_first(json); item; item = json_next(item), side++) {
        const char *place = format("%s[%d]", path, side);
        if (json_is_array(item))
            read_ints(attr, item, place, 2, 2, out + 2 * side);
        else
            out[2 * side] = out[2 * side + 1] = read_int(attr, item, place);
    }
}

/* One number x means [-|x|, |x|], as far as the bounds let it; two may come in any order, as Keras
 * takes them. */
static void read_range(const Attr *attr, const Json *json, const char *path, double *out)
{
    if (!json_is_array(json) && !(attr->flags & ATTR_PAIR)) {
        out[1] = fabs(read_float(attr, json, path));
        out[0] = has_range(attr) ? fmax(-out[1], attr->lo) : -out[1];
        return;
    }
    if (!json_is_array(json) || json_count(json) != 2) error_type(attr, json, path);
    int n = 0;
    for (const Json *item = json_first(json); item; item = json_next(item), n++)
        out[n] = read_float(attr, item, format("%s[%d]", path, n));
    if (out[0] > out[1]) {
        const double upper = out[0];
        out[0] = out[1];
        out[1] = upper;
    }
}

static void read_penalty(const Attr *attr, const Json *json, const char *path, double *out)
{
    Penalty penalty;
    if (!read_regularizer(json, path, &penalty)) error_type(attr, json, path);
    out[0] = penalty.l1;
    out[1] = penalty.l2;
}

/* The word of a space-separated list that equals `word`, letters' case aside; NULL if there is
 * none. */
static const char *find_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (length && *list) {
        size_t n = strcspn(list, " ");
        if (n == length && !strncasecmp(list, word, n)) return copy_text(list, n);
        list += n + strspn(list + n, " ");
    }
    return NULL;
}

static const char *read_choice(const Attr *attr, const Json *json, const char *path)
{
    const char *word = json_string(json);
    const char *found = word ? find_word(attr->choices, word) : NULL;
    if (!found) error_type(attr, json, path);
    return found;
}

static const char *read_string(const Attr *attr, const Json *json, const char *path)
{
    const char *text = json_string(json);
    if (!text) error_type(attr, json, path);
    if (!*text) error_model(path, NULL, "must not be empty");
    if (attr->type == ATTR_NAME) check_name(text, path);
    return text;
}

void check_name(const char *name, const char *path)
{
    if (is_identifier(name)) return;
    error_model(path, "letters, digits and _, no digit first, at most 63 characters, no word of C",
                "\"%.80s\" is not a C identifier", name);
}

static void read_numbers(const Attr *attr, const Json *json, const char *path, Value *value)
{
    value->count = json_is_array(json) ? json_count(json) : 0;
    if (value->count == 0) error_type(attr, json, path);
    value->numbers = alloc((size_t)value->count, sizeof *value->numbers);
    int n = 0;
    for (const Json *item = json_first(json); item; item = json_next(item), n++)
        value->numbers[n] = read_float(attr, item, format("%s[%d]", path, n));
}

static void read_rate(const Attr *attr, const Json *json, const char *path, Value *value)
{
    if (!json_is_object(json)) {
        if (attr->type == ATTR_SCHEDULE) error_type(attr, json, path);
        value->f[0] = read_float(attr, json, path);
        return;
    }
    value->schedule = read_schedule(json, path);
    value->f[0] = first_rate(value->schedule);
}

static int64_t read_frequency(const Attr *attr, const Json *json, const char *path)
{
    const char *word = json_string(json);
    if (!word) return read_int(attr, json, path);
    int64_t index = 0;
    for (const char *p = attr->choices; *p; p += strspn(p, " "), index--) {
        size_t length = strcspn(p, " ");
        if (length == strlen(word) && !strncasecmp(p, word, length)) return index;
        p += length;
    }
    error_type(attr, json, path);
}

static void read_value(const Attr *attr, const Json *json, const char *path, Value *value)
{
    double number;
    bool composite = attr->type == ATTR_INT2 || attr->type == ATTR_PADDING ||
                     attr->type == ATTR_RANGE || attr->type == ATTR_LAYER;
    value->is_null = json_is_null(json);
    if (value->is_null && attr->flags & ATTR_NULL) return;
    if (composite && !json_is_array(json) && !json_number(json, &number) &&
        !(attr->type == ATTR_LAYER && json_string(json)))
        error_type(attr, json, path);
    switch (attr->type) {
    case ATTR_INT:
        value->i[0] = read_int(attr, json, path);
        break;
    case ATTR_INT2:
        if (json_is_array(json))
            read_ints(attr, json, path, 2, 2, value->i);
        else
            value->i[0] = value->i[1] = read_int(attr, json, path);
        break;
    case ATTR_INTS:
        value->count = read_ints(attr, json, path, 1, MAX_RANK - 1, value->i);
        break;
    case ATTR_PADDING:
        read_padding(attr, json, path, value->i);
        break;
    case ATTR_FLOAT:
        value->f[0] = read_float(attr, json, path);
        break;
    case ATTR_RANGE:
        read_range(attr, json, path, value->f);
        break;
    case ATTR_BOOL: {
        bool flag;
        if (!json_bool(json, &flag)) error_type(attr, json, path);
        value->i[0] = flag;
        break;
    }
    case ATTR_NAME:
    case ATTR_STRING:
    case ATTR_TEMPLATE:
        value->s = read_string(attr, json, path);
        break;
    case ATTR_NUMBERS:
        read_numbers(attr, json, path, value);
        break;
    case ATTR_SCHEDULE:
    case ATTR_RATE:
        read_rate(attr, json, path, value);
        break;
    case ATTR_FREQUENCY:
        value->i[0] = read_frequency(attr, json, path);
        break;
    case ATTR_CHOICE:
        value->s = read_choice(attr, json, path);
        break;
    case ATTR_REGULARIZER:
        read_penalty(attr, json, path, value->f);
        break;
    case ATTR_LAYER:
        if (json_string(json))
            value->s = read_string(attr, json, path);
        else
            value->i[0] = read_int(attr, json, path);
        break;
    }
}

static int count_attrs(const Attr *table)
{
    int count = 0;
    while (table && table[count].name) count++;
    return count;
}

static const Attr *find_attr(const Attr *table, const char *name)
{
    for (; table && table->name; table++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}

static _Noreturn void error_key(const char *key, const Attr *table, const char *path,
                                const char *others)
{
    const char **names = NULL;
    int count = 0;
    for (; table && table->name; table++) append(&names, &count, (char *)table->name);
    for (const char *p = others; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        append(&names, &count, copy_text(p, n));
        p += n;
    }
    if (!strcmp(key, "activity_regularizer"))
        error_model(path, "kernel_regularizer and bias_regularizer penalise weights",
                    "\"%s\" is not supported: no penalty on a layer's output", key);
    const char *keys = format("the keys here are: %s", list_text(names, count));
    error_model(path, suggest(key, names, count, keys), "unknown key \"%.80s\"", key);
}

Value *read_attrs(const Json *object, const Attr *table, const char *path, const char *others)
{
    Value *values = default_attrs(table);
    if (!object) return values;
    for (const Json *item = json_first(object); item; item = json_next(item)) {
        const char *key = json_key(item);
        const Attr *attr = find_attr(table, key);
        if (attr) {
            Value *value = &values[attr - table];
            *value = (Value){.is_set = true};
            read_value(attr, item, format("%s%s%s", path, *path ? "." : "", key), value);
        } else {
            const char *other = find_word(others, key);
            if (!other || strcmp(other, key)) error_key(key, table, path, others);
        }
    }
    for (int i = 0; i < count_attrs(table); i++)
        if (table[i].flags & ATTR_REQUIRED && !values[i].is_set)
            error_model(path, NULL, "the key \"%s\" (%s) is missing", table[i].name,
                        type_text(&table[i]));
    return values;
}

/* Defaults are the table's own words: a wrong one is our fault, but tells itself by an error. */
Value *default_attrs(const Attr *table)
{
    Value *values = alloc((size_t)count_attrs(table), sizeof *values);
    for (int i = 0; i < count_attrs(table); i++) {
        const char *initial = table[i].initial;
        if (!initial)
            values[i].is_null = true;
        else
            read_value(&table[i], parse_json(initial, table[i].name), table[i].name, &values[i]);
    }
    return values;
}

/* ---- Looking up ------------------------------------------------------------------------------ */

Value *find_value(const Attr *table, Value *values, const char *name)
{
    const Attr *attr = find_attr(table, name);
    if (!attr) bug(NULL, "no attribute \"%s\"", name);
    return &values[attr - table];
}

const Value *attr(const Node *n, const char *name)
{
    return find_value(n->op->attrs, n->values, name);
}

int64_t attr_int(const Node *n, const char *name) { return attr(n, name)->i[0]; }

double attr_float(const Node *n, const char *name) { return attr(n, name)->f[0]; }

const char *attr_text(const Node *n, const char *name)
{
    const Value *value = attr(n, name);
    return value->is_null ? NULL : value->s;
}

const Value *layer_attr(const Layer *layer, const char *name)
{
    return find_value(layer->op->attrs, layer->values, name);
}
