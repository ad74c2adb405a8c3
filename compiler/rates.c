/* rates.c: learning rates that change by the step: the schedules of keras.optimizers.schedules,
 * with its names and defaults, as tables; and how values of such tables are printed as C. */
#include <math.h>
#include <string.h>

#include "model.h"

#define INITIAL_ATTR                                                                               \
    {                                                                                              \
        .name = "initial_learning_rate", .type = ATTR_FLOAT, .flags = ATTR_REQUIRED, .lo = 0,      \
        .hi = 1e30, .doc = "rate of the first step"                                                \
    }
#define STEPS_ATTR(text)                                                                           \
    {                                                                                              \
        .name = "decay_steps", .type = ATTR_INT, .flags = ATTR_REQUIRED, .lo = 1, .hi = 1e15,      \
        .doc = text                                                                                \
    }
#define STAIRCASE_ATTR                                                                             \
    {                                                                                              \
        .name = "staircase", .type = ATTR_BOOL, .initial = "false",                                \
        .doc = "true: the rate changes every decay_steps only; false: with each step"              \
    }

static const Attr exponential_attrs[] = {
    INITIAL_ATTR,
    STEPS_ATTR("steps in which the rate is multiplied by decay_rate once"),
    {.name = "decay_rate",
     .type = ATTR_FLOAT,
     .flags = ATTR_REQUIRED,
     .lo = 0,
     .hi = 1e30,
     .doc = "factor"},
    STAIRCASE_ATTR,
    {0},
};

static const Attr cosine_attrs[] = {
    INITIAL_ATTR,
    STEPS_ATTR("steps of the decay, those of the warm-up not counted"),
    {.name = "alpha",
     .type = ATTR_FLOAT,
     .initial = "0.0",
     .lo = 0,
     .hi = 1e30,
     .doc = "what is left in the end, as a share of the rate from which it decays"},
    {.name = "warmup_target",
     .type = ATTR_FLOAT,
     .flags = ATTR_NULL,
     .initial = "null",
     .lo = 0,
     .hi = 1e30,
     .doc = "the rate rises to this in a line first; null: no warm-up"},
    {.name = "warmup_steps",
     .type = ATTR_INT,
     .initial = "0",
     .lo = 0,
     .hi = 1e15,
     .doc = "steps of the warm-up"},
    {0},
};

static const Attr piecewise_attrs[] = {
    {.name = "boundaries",
     .type = ATTR_NUMBERS,
     .flags = ATTR_REQUIRED,
     .lo = 0,
     .hi = 1e15,
     .doc = "steps, rising: the last ones, counted from 0, that have the value in their place"},
    {.name = "values",
     .type = ATTR_NUMBERS,
     .flags = ATTR_REQUIRED,
     .lo = 0,
     .hi = 1e30,
     .doc = "rates, one more than boundaries"},
    {0},
};

static const Attr polynomial_attrs[] = {
    INITIAL_ATTR,
    STEPS_ATTR("steps to end_learning_rate"),
    {.name = "end_learning_rate",
     .type = ATTR_FLOAT,
     .initial = "0.0001",
     .lo = 0,
     .hi = 1e30,
     .doc = "rate from then on"},
    {.name = "power",
     .type = ATTR_FLOAT,
     .initial = "1.0",
     .lo = 0,
     .hi = 1e30,
     .doc = "1: in a line"},
    {.name = "cycle",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: begins again, more slowly each time, where it has come to the end"},
    {0},
};

static const Attr inverse_attrs[] = {
    INITIAL_ATTR,
    STEPS_ATTR("steps that count as one for decay_rate"),
    {.name = "decay_rate",
     .type = ATTR_FLOAT,
     .flags = ATTR_REQUIRED,
     .lo = 0,
     .hi = 1e30,
     .doc = "the rate is divided by 1 + decay_rate * step / decay_steps"},
    STAIRCASE_ATTR,
    {0},
};

/* ---- What tables cannot say ------------------------------------------------------------------ */

static const Value *value_of(const Schedule *schedule, const char *name)
{
    return find_value(schedule->kind->attrs, schedule->values, name);
}

static void check_cosine(const Schedule *schedule, const char *path)
{
    if (value_of(schedule, "warmup_target")->is_null && value_of(schedule, "warmup_steps")->i[0])
        error_model(path, "\"warmup_target\": the rate at which the decay begins",
                    "warmup_steps has no effect without a warmup_target");
}

static void check_piecewise(const Schedule *schedule, const char *path)
{
    const Value *boundaries = value_of(schedule, "boundaries");
    const int count = value_of(schedule, "values")->count;
    if (count != boundaries->count + 1)
        error_model(path, "a value before each boundary, and one behind the last",
                    "%d boundaries need %d values, but there are %d", boundaries->count,
                    boundaries->count + 1, count);
    for (int i = 0; i < boundaries->count; i++) {
        const double step = boundaries->numbers[i];
        const char *place = format("%s.boundaries[%d]", path, i);
        if (step != floor(step))
            error_model(place, NULL, "must be a whole number, but is the number %s",
                        number_text(step));
        if (i > 0 && step <= boundaries->numbers[i - 1])
            error_model(place, NULL, "boundaries must rise, but %s follows %s", number_text(step),
                        number_text(boundaries->numbers[i - 1]));
    }
}

const ScheduleKind schedule_kinds[] = {
    {"ExponentialDecay", "RT_EXPONENTIAL_DECAY", exponential_attrs,
     "initial_learning_rate * decay_rate ^ (step / decay_steps).", NULL},
    {"CosineDecay", "RT_COSINE_DECAY", cosine_attrs,
     "Down by half a cosine, after a warm-up if one is asked for.", check_cosine},
    {"PiecewiseConstantDecay", "RT_PIECEWISE_CONSTANT_DECAY", piecewise_attrs,
     "One rate up to a step, included, then another.", check_piecewise},
    {"PolynomialDecay", "RT_POLYNOMIAL_DECAY", polynomial_attrs,
     "From initial_learning_rate to end_learning_rate by (1 - step / decay_steps) ^ power.", NULL},
    {"InverseTimeDecay", "RT_INVERSE_TIME_DECAY", inverse_attrs,
     "initial_learning_rate / (1 + decay_rate * step / decay_steps).", NULL},
    {0},
};

/* ---- Reading --------------------------------------------------------------------------------- */

static const ScheduleKind *find_schedule(const char *type, const char *path)
{
    const char **names = NULL;
    int count = 0;
    for (const ScheduleKind *kind = schedule_kinds; kind->type; kind++) {
        if (!strcmp(kind->type, type)) return kind;
        append(&names, &count, (char *)kind->type);
    }
    const char *all = format("schedules are %s", list_text(names, count));
    error_model(path, suggest(type, names, count, all), "unknown schedule \"%.80s\"", type);
}

Schedule *read_schedule(const Json *object, const char *path)
{
    const char *type = read_text(object, "type", path);
    if (!type) error_model(path, NULL, "the key \"type\" is missing: a schedule");
    Schedule *schedule = alloc(1, sizeof *schedule);
    schedule->kind = find_schedule(type, format("%s.type", path));
    schedule->values = read_attrs(object, schedule->kind->attrs, path, "type");
    if (schedule->kind->check) schedule->kind->check(schedule, path);
    return schedule;
}

double first_rate(const Schedule *schedule)
{
    for (const Attr *attr = schedule->kind->attrs; attr->name; attr++)
        if (!strcmp(attr->name, "values")) return value_of(schedule, "values")->numbers[0];
    return value_of(schedule, "initial_learning_rate")->f[0];
}

/* ---- Printing -------------------------------------------------------------------------------- */

static void add_member(Text *text, const Attr *attr, const Value *value)
{
    switch (attr->type) {
    case ATTR_INT:
    case ATTR_BOOL:
    case ATTR_FREQUENCY:
        add_text(text, "%lld", (long long)value->i[0]);
        break;
    case ATTR_FLOAT:
        add_text(text, "%s", value->is_null ? "NAN" : format("%.17g", value->f[0]));
        break;
    case ATTR_STRING:
        add_text(text, "%s", c_string(value->s));
        break;
    case ATTR_TEMPLATE:
        add_file_name(text, value->s);
        break;
    case ATTR_SCHEDULE:
        add_text(text, "%s", schedule_text(value->schedule));
        break;
    case ATTR_NUMBERS:
        add_text(text, "(const double[]){");
        for (int i = 0; i < value->count; i++)
            add_text(text, "%s%.17g", i ? ", " : "", value->numbers[i]);
        add_text(text, "}, .%s_count = %d", attr->name, value->count);
        break;
    default:
        bug(NULL, "attribute %s has no form in C", attr->name);
    }
}

void add_members(Text *text, const Attr *table, const Value *values)
{
    for (int i = 0; table[i].name; i++) {
        if (table[i].type == ATTR_CHOICE) continue; /* the caller's */
        add_text(text, ",\n     .%s = ", table[i].name);
        add_member(text, &table[i], &values[i]);
    }
}

const char *schedule_text(const Schedule *schedule)
{
    Text text = {0};
    if (!schedule) return "NULL";
    add_text(&text, "&(const RtSchedule){.kind = %s,\n     .type = %s", schedule->kind->enumerator,
             c_string(schedule->kind->type));
    add_members(&text, schedule->kind->attrs, schedule->values);
    add_text(&text, "}");
    return text.data;
}
