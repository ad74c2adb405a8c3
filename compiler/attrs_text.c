/* attrs_text.c: values of an attribute table as text, for dumps and for the hash of a model. */
#include <inttypes.h>
#include <string.h>

#include "model.h"

static void add_ints(Text *text, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++) add_text(text, "%s%" PRId64, i ? ", " : "[", values[i]);
    add_text(text, "]");
}

static void add_numbers(Text *text, const Value *value)
{
    for (int i = 0; i < value->count; i++)
        add_text(text, "%s%s", i ? ", " : "[", number_text(value->numbers[i]));
    add_text(text, "]");
}

static void add_value(Text *text, const Attr *attr, const Value *value)
{
    if (value->is_null) {
        add_text(text, "null");
        return;
    }
    if (value->schedule) {
        const ScheduleKind *kind = value->schedule->kind;
        add_text(text, "%s(%s)", kind->type, attrs_text(kind->attrs, value->schedule->values));
        return;
    }
    switch (attr->type) {
    case ATTR_INT:
    case ATTR_FREQUENCY:
        add_text(text, "%" PRId64, value->i[0]);
        break;
    case ATTR_NUMBERS:
        add_numbers(text, value);
        break;
    case ATTR_INT2:
        add_ints(text, value->i, 2);
        break;
    case ATTR_INTS:
        add_ints(text, value->i, value->count);
        break;
    case ATTR_PADDING:
        add_ints(text, value->i, 4);
        break;
    case ATTR_FLOAT:
    case ATTR_RATE:
    case ATTR_SCHEDULE:
        add_text(text, "%s", number_text(value->f[0]));
        break;
    case ATTR_RANGE:
    case ATTR_REGULARIZER:
        add_text(text, "[%s, %s]", number_text(value->f[0]), number_text(value->f[1]));
        break;
    case ATTR_BOOL:
        add_text(text, value->i[0] ? "true" : "false");
        break;
    case ATTR_NAME:
    case ATTR_STRING:
    case ATTR_TEMPLATE:
    case ATTR_CHOICE:
        add_text(text, "%s", value->s);
        break;
    case ATTR_LAYER:
        if (value->s)
            add_text(text, "%s", value->s);
        else
            add_text(text, "%" PRId64, value->i[0]);
        break;
    }
}

char *attrs_text(const Attr *table, const Value *values)
{
    Text text = {0}, initial;
    const Value *defaults = default_attrs(table);
    add_text(&text, "%s", "");
    for (int i = 0; table && table[i].name; i++) {
        size_t before = text.length;
        add_text(&text, "%s%s=", text.length ? " " : "", table[i].name);
        size_t begin = text.length;
        add_value(&text, &table[i], &values[i]);
        initial = (Text){0};
        add_value(&initial, &table[i], &defaults[i]);
        if (!(table[i].flags & ATTR_REQUIRED) && !strcmp(text.data + begin, initial.data)) {
            text.length = before;
            text.data[before] = 0;
        }
    }
    return text.data;
}
