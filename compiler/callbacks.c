/* callbacks.c: the callbacks of a phase, with the names, options and defaults of keras.callbacks,
 * as tables: parsing, messages, documentation and the rows of the generated file come from them. */
#include <string.h>

#include "emit.h"

enum { MOST_CALLBACKS = 100 };

#define MONITOR_ATTR                                                                               \
    {                                                                                              \
        .name = "monitor", .type = ATTR_STRING, .initial = "\"val_loss\"",                         \
        .doc = "the number that is watched: loss, a metric, or either with val_ before it"         \
    }
#define MODE_ATTR                                                                                  \
    {                                                                                              \
        .name = "mode", .type = ATTR_CHOICE, .initial = "\"auto\"", .choices = "auto min max",     \
        .doc = "whether less or more of it is better; auto: less of a loss, more of the rest"      \
    }
#define VERBOSE_ATTR                                                                               \
    {                                                                                              \
        .name = "verbose", .type = ATTR_INT, .initial = "0", .lo = 0, .hi = 1,                     \
        .doc = "1: says what it does"                                                              \
    }
#define PATIENCE_ATTR(value)                                                                       \
    {                                                                                              \
        .name = "patience", .type = ATTR_INT, .initial = value, .lo = 0, .hi = 2147483647,         \
        .doc = "epochs in a row without getting better that are borne"                             \
    }
#define DELTA_ATTR(value)                                                                          \
    {                                                                                              \
        .name = "min_delta", .type = ATTR_FLOAT, .initial = value,                                 \
        .doc = "what is better by less than this does not count as better"                         \
    }

static const Attr checkpoint_attrs[] = {
    {.name = "filepath",
     .type = ATTR_TEMPLATE,
     .flags = ATTR_REQUIRED,
     .doc = "file to write, with fields such as {epoch:02d} and {val_loss:.4f}; ends in "
            ".safetensors"},
    MONITOR_ATTR,
    VERBOSE_ATTR,
    {.name = "save_best_only",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: only when the watched number is better than ever"},
    {.name = "save_weights_only",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "of no effect: weights are saved, the program is the model"},
    MODE_ATTR,
    {.name = "save_freq",
     .type = ATTR_FREQUENCY,
     .initial = "\"epoch\"",
     .choices = "epoch",
     .lo = 1,
     .hi = 2147483647,
     .doc = "after each epoch, or each time so many steps are done"},
    {.name = "initial_value_threshold",
     .type = ATTR_FLOAT,
     .flags = ATTR_NULL,
     .initial = "null",
     .doc = "what counts as the best before anything was saved"},
    {0},
};

static const Attr stopping_attrs[] = {
    MONITOR_ATTR,
    DELTA_ATTR("0"),
    PATIENCE_ATTR("0"),
    VERBOSE_ATTR,
    MODE_ATTR,
    {.name = "baseline",
     .type = ATTR_FLOAT,
     .flags = ATTR_NULL,
     .initial = "null",
     .doc = "patience is restored only by what is better than this, too"},
    {.name = "restore_best_weights",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: the phase ends with the weights of its best epoch, however it ends"},
    {.name = "start_from_epoch",
     .type = ATTR_INT,
     .initial = "0",
     .lo = 0,
     .hi = 2147483647,
     .doc = "epochs before it begins to watch"},
    {0},
};

static const Attr plateau_attrs[] = {
    MONITOR_ATTR,
    {.name = "factor",
     .type = ATTR_FLOAT,
     .flags = ATTR_OPEN_HI,
     .initial = "0.1",
     .lo = 0,
     .hi = 1,
     .doc = "the learning rate is multiplied by this"},
    PATIENCE_ATTR("10"),
    VERBOSE_ATTR,
    MODE_ATTR,
    DELTA_ATTR("1e-4"),
    {.name = "cooldown",
     .type = ATTR_INT,
     .initial = "0",
     .lo = 0,
     .hi = 2147483647,
     .doc = "epochs after a reduction in which none counts against patience"},
    {.name = "min_lr",
     .type = ATTR_FLOAT,
     .initial = "0.0",
     .lo = 0,
     .hi = 1e30,
     .doc = "the learning rate does not fall below this"},
    {0},
};

static const Attr scheduler_attrs[] = {
    {.name = "schedule",
     .type = ATTR_SCHEDULE,
     .flags = ATTR_REQUIRED,
     .doc = "the rate of each epoch; its steps are epochs, counted from 0"},
    VERBOSE_ATTR,
    {0},
};

static const Attr csv_attrs[] = {
    {.name = "filename", .type = ATTR_STRING, .flags = ATTR_REQUIRED, .doc = "file to write"},
    {.name = "separator",
     .type = ATTR_STRING,
     .initial = "\",\"",
     .doc = "the character between two columns"},
    {.name = "append",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: goes on behind what the file holds; false: begins it anew"},
    {0},
};

static const Attr tensorboard_attrs[] = {
    {.name = "log_dir",
     .type = ATTR_STRING,
     .initial = "\"logs\"",
     .doc = "folder in which train/ and validation/ get a file of events each"},
    {.name = "update_freq",
     .type = ATTR_FREQUENCY,
     .initial = "\"epoch\"",
     .choices = "epoch batch",
     .lo = 1,
     .hi = 2147483647,
     .doc = "after each epoch only, or after each step too, or each time so many steps are done"},
    {.name = "write_steps_per_second",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: the speed, too"},
    {0},
};

static const Attr nan_attrs[] = {
    {.name = "raise_error",
     .type = ATTR_BOOL,
     .initial = "false",
     .doc = "true: ends the program at once; false: other callbacks still do what they do at the "
            "end"},
    {0},
};

/* ---- What a phase logs ----------------------------------------------------------------------- */

typedef struct {
    const char **names;
    int count;
} Names;

static bool changes_rate(const Phase *phase)
{
    for (int i = 0; i < phase->callback_count; i++)
        if (phase->callbacks[i]->kind->sets_rate) return true;
    return find_value(phase->optimizer->attrs, phase->optimizer_values, "learning_rate")->schedule;
}

static Names logs_of(const Phase *phase, bool validation)
{
    Names logs = {0};
    append(&logs.names, &logs.count, "loss");
    for (int i = 0; i < phase->metric_count; i++)
        append(&logs.names, &logs.count, (char *)phase->metrics[i]->name);
    for (int i = 0, count = logs.count; validation && i < count; i++)
        append(&logs.names, &logs.count, format("val_%s", logs.names[i]));
    return logs;
}

static bool has_name(const Names *names, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (!strcmp(names->names[i], name)) return true;
    return false;
}

static _Noreturn void error_log(const Names *logs, const char *name, const char *path,
                                const char *what)
{
    const char *list = list_text(logs->names, logs->count);
    const char *near = nearest(name, logs->names, logs->count);
    error_model(path,
                near ? format("did you mean \"%s\"? There are %s", near, list)
                     : format("there are %s", list),
                "this phase has no \"%.80s\" %s", name, what);
}

/* ---- What tables cannot say ------------------------------------------------------------------ */

static const Value *value_of(const Callback *callback, const char *name)
{
    return find_value(callback->kind->attrs, callback->values, name);
}

static bool has_attr(const Callback *callback, const char *name)
{
    for (const Attr *attr = callback->kind->attrs; attr->name; attr++)
        if (!strcmp(attr->name, name)) return true;
    return false;
}

static void check_fields(const Callback *callback, const Names *logs, bool with_steps)
{
    const char *path = format("%s.filepath", callback->path);
    int count;
    const PathPart *parts = read_file_name(value_of(callback, "filepath")->s, path, &count);
    for (int i = 0; i < count && parts[i].field; i++) {
        const char *field = parts[i].field;
        const bool counts = !strcmp(field, "epoch") || !strcmp(field, "batch");
        const char *format = parts[i].format;
        if (!has_name(logs, field))
            error_log(logs, field, path, with_steps ? "when a step is done" : "to name a file by");
        if (!counts && format && format[strlen(format) - 1] == 'd')
            error_model(path, "{val_loss:.4f}", "\"%s\" is not a whole number", field);
    }
}

static void check_checkpoint(const Phase *phase, const Callback *callback)
{
    const bool by_steps = value_of(callback, "save_freq")->i[0] > 0;
    const char *file = value_of(callback, "filepath")->s, *end = strrchr(file, '.');
    if (!end || strcmp(end, ".safetensors"))
        error_model(format("%s.filepath", callback->path), "weights are saved as .safetensors",
                    "\"%.200s\" does not end in .safetensors", file);
    Names logs = logs_of(phase, !by_steps);
    if (changes_rate(phase) && !by_steps) append(&logs.names, &logs.count, "learning_rate");
    append(&logs.names, &logs.count, "epoch");
    if (by_steps) append(&logs.names, &logs.count, "batch");
    check_fields(callback, &logs, by_steps);
    logs = logs_of(phase, !by_steps);
    const char *monitor = value_of(callback, "monitor")->s;
    if (value_of(callback, "save_best_only")->i[0] && !has_name(&logs, monitor))
        error_log(&logs, monitor, format("%s.monitor", callback->path), "when a step is done");
}

static void check_csv(const Phase *phase, const Callback *callback)
{
    (void)phase;
    const char *separator = value_of(callback, "separator")->s;
    if (separator[1] || !strchr(",;:|\t ", separator[0]))
        error_model(format("%s.separator", callback->path), NULL,
                    "must be one of , ; : | tab and space, but is the string \"%.40s\"", separator);
}

const CallbackKind callback_kinds[] = {
    {"ModelCheckpoint", "RT_MODEL_CHECKPOINT", checkpoint_attrs,
     "Saves the weights: after each epoch, only the best, or every so many steps.", false,
     check_checkpoint},
    {"EarlyStopping", "RT_EARLY_STOPPING", stopping_attrs,
     "Ends the phase when a number no longer gets better.", false, NULL},
    {"ReduceLROnPlateau", "RT_REDUCE_LR_ON_PLATEAU", plateau_attrs,
     "Lowers the learning rate when a number no longer gets better.", true, NULL},
    {"LearningRateScheduler", "RT_LEARNING_RATE_SCHEDULER", scheduler_attrs,
     "Sets the learning rate by the epoch. A schedule as an optimizer's learning_rate sets it by "
     "the step.",
     true, NULL},
    {"CSVLogger", "RT_CSV_LOGGER", csv_attrs, "Writes the numbers of each epoch to a .csv file.",
     false, check_csv},
    {"TensorBoard", "RT_TENSORBOARD", tensorboard_attrs,
     "Writes the numbers of each epoch for TensorBoard.", false, NULL},
    {"TerminateOnNaN", "RT_TERMINATE_ON_NAN", nan_attrs,
     "When the loss is not finite: finds the first layer with such numbers and names the pictures "
     "of the step. Costs a copy of the trained weights at each step.",
     false, NULL},
    {0},
};

bool watches_numbers(const Phase *phase)
{
    for (int i = 0; phase && i < phase->callback_count; i++)
        if (phase->callbacks[i]->kind->attrs == nan_attrs) return true;
    return false;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static const CallbackKind *find_callback(const char *type, const char *path)
{
    const char **names = NULL;
    int count = 0;
    for (const CallbackKind *kind = callback_kinds; kind->type; kind++) {
        if (!strcmp(kind->type, type)) return kind;
        append(&names, &count, (char *)kind->type);
    }
    const char *all = format("callbacks are %s", list_text(names, count));
    error_model(path, suggest(type, names, count, all), "unknown callback \"%.80s\"", type);
}

static void check_monitor(const Phase *phase, const Callback *callback)
{
    if (!has_attr(callback, "monitor")) return;
    const Names logs = logs_of(phase, true);
    const char *monitor = value_of(callback, "monitor")->s;
    if (!has_name(&logs, monitor))
        error_log(&logs, monitor, format("%s.monitor", callback->path), "to watch");
}

static void check_rate(const Phase *phase, const Callback *callback)
{
    const Value *rate =
        find_value(phase->optimizer->attrs, phase->optimizer_values, "learning_rate");
    if (callback->kind->sets_rate && rate->schedule)
        error_model(callback->path, "a number as the optimizer's learning_rate",
                    "%s cannot change a learning rate that follows %s", callback->kind->type,
                    rate->schedule->kind->type);
}

static Callback *read_callback(const Json *object, const char *path)
{
    if (!json_is_object(object))
        error_model(path, NULL,
                    "must be an object such as {\"type\": \"EarlyStopping\"}, but is %s",
                    json_kind(object));
    const char *type = read_text(object, "type", path);
    if (!type) error_model(path, NULL, "the key \"type\" is missing: a callback");
    Callback *callback = alloc(1, sizeof *callback);
    callback->path = path;
    callback->kind = find_callback(type, format("%s.type", path));
    callback->values = read_attrs(object, callback->kind->attrs, path, "type");
    return callback;
}

void read_callbacks(Phase *phase, const Json *array)
{
    const char *path = format("%s.callbacks", phase->path);
    if (!array) return;
    if (!json_is_array(array))
        error_model(path, NULL, "must be an array, but is %s", json_kind(array));
    if (json_count(array) > MOST_CALLBACKS)
        error_model(path, NULL, "has %d items; at most %d are allowed", json_count(array),
                    MOST_CALLBACKS);
    int i = 0;
    for (const Json *item = json_first(array); item; item = json_next(item), i++)
        append(&phase->callbacks, &phase->callback_count,
               read_callback(item, format("%s[%d]", path, i)));
    for (i = 0; i < phase->callback_count; i++) {
        const Callback *callback = phase->callbacks[i];
        check_monitor(phase, callback);
        check_rate(phase, callback);
        if (callback->kind->check) callback->kind->check(phase, callback);
    }
}

/* ---- Printing -------------------------------------------------------------------------------- */

/* Whether more is better. Metrics are all of that kind; "auto" asks for the name, as Keras does. */
static bool is_maximized(const Callback *callback)
{
    const char *mode = value_of(callback, "mode")->s, *name = value_of(callback, "monitor")->s;
    if (strcmp(mode, "auto")) return !strcmp(mode, "max");
    if (!strncmp(name, "val_", 4)) name += 4;
    return strcmp(name, "loss") != 0;
}

void emit_callbacks(Emit *e, const Phase *phase)
{
    if (phase->callback_count == 0) return;
    add_text(&e->out, "static const RtCallback callbacks_%s[] = {\n", phase->name);
    for (int i = 0; i < phase->callback_count; i++) {
        const Callback *callback = phase->callbacks[i];
        add_text(&e->out, "    {.kind = %s,\n     .type = %s,\n     .place = %s",
                 callback->kind->enumerator, c_string(callback->kind->type),
                 c_string(callback->path));
        if (has_attr(callback, "mode"))
            add_text(&e->out, ",\n     .maximize = %d", is_maximized(callback));
        add_members(&e->out, callback->kind->attrs, callback->values);
        add_text(&e->out, "},\n");
    }
    add_text(&e->out, "};\n");
}
