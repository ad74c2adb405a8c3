/* schema.c: the language of model.json as a JSON Schema and as tables for its documentation, from
 * the tables that the parser reads by. */
#include <inttypes.h>
#include <string.h>

#include "tlc.h"

/* ---- JSON Schema (draft 2020-12) ------------------------------------------------------------- */

/* Text of ours inside a JSON string: only quotes need care. */
static void add_string(Text *text, const char *string)
{
    add_text(text, "\"");
    for (const char *p = string; *p; p++) add_text(text, *p == '"' ? "\\\"" : "%c", *p);
    add_text(text, "\"");
}

static char *number_schema(const Attr *attr, const char *type)
{
    Text text = {0};
    add_text(&text, "{\"type\": \"%s\"", type);
    if (attr->lo != 0 || attr->hi != 0) {
        add_text(&text, ", \"%s\": %s", attr->flags & ATTR_OPEN_LO ? "exclusiveMinimum" : "minimum",
                 number_text(attr->lo));
        add_text(&text, ", \"%s\": %s", attr->flags & ATTR_OPEN_HI ? "exclusiveMaximum" : "maximum",
                 number_text(attr->hi));
    }
    add_text(&text, "}");
    return text.data;
}

static char *array_schema(const char *item, int least, int most)
{
    return format("{\"type\": \"array\", \"items\": %s, \"minItems\": %d, \"maxItems\": %d}", item,
                  least, most);
}

static char *choice_schema(const char *choices)
{
    return format("{\"enum\": [%s]}", words_text(choices));
}

static char *value_schema(const Attr *attr)
{
    const char *whole = number_schema(attr, "integer"), *number = number_schema(attr, "number");
    const char *pair = array_schema(whole, 2, 2);
    switch (attr->type) {
    case ATTR_INT:
        return format("%s", whole);
    case ATTR_INT2:
        return format("{\"anyOf\": [%s, %s]}", whole, pair);
    case ATTR_INTS:
        return array_schema(whole, 1, MAX_RANK - 1);
    case ATTR_PADDING:
        return format("{\"anyOf\": [%s, %s]}", whole,
                      array_schema(format("{\"anyOf\": [%s, %s]}", whole, pair), 2, 2));
    case ATTR_FLOAT:
        return format("%s", number);
    case ATTR_RANGE:
        if (attr->flags & ATTR_PAIR) return array_schema(number, 2, 2);
        return format("{\"anyOf\": [%s, %s]}", number, array_schema(number, 2, 2));
    case ATTR_BOOL:
        return format("{\"type\": \"boolean\"}");
    case ATTR_NAME:
        return format("{\"$ref\": \"#/$defs/name\"}");
    case ATTR_STRING:
        return format("{\"type\": \"string\", \"minLength\": 1}");
    case ATTR_CHOICE:
        return choice_schema(attr->choices);
    case ATTR_REGULARIZER:
        return format("{\"$ref\": \"#/$defs/regularizer\"}");
    case ATTR_LAYER:
        return format("{\"type\": [\"string\", \"integer\"]}");
    case ATTR_NUMBERS:
        return format("{\"type\": \"array\", \"items\": %s, \"minItems\": 1}", number);
    case ATTR_SCHEDULE:
        return format("{\"$ref\": \"#/$defs/schedule\"}");
    case ATTR_RATE:
        return format("{\"anyOf\": [%s, {\"$ref\": \"#/$defs/schedule\"}]}", number);
    case ATTR_FREQUENCY:
        return format("{\"anyOf\": [%s, %s]}", whole, choice_schema(attr->choices));
    case ATTR_TEMPLATE:
        return format("{\"type\": \"string\", \"minLength\": 1}");
    }
    bug(NULL, "attribute %s has no type", attr->name);
}

/* One line: "name": {"description": …, "default": …, …}. */
static void add_property(Text *text, const Attr *attr, const char *indent)
{
    add_text(text, ",\n%s\"%s\": {", indent, attr->name);
    if (attr->doc) {
        add_text(text, "\"description\": ");
        add_string(text, attr->doc);
        add_text(text, ", ");
    }
    if (attr->initial) add_text(text, "\"default\": %s, ", attr->initial);
    const char *value = value_schema(attr);
    if (attr->flags & ATTR_NULL) value = format("{\"anyOf\": [%s, {\"type\": \"null\"}]}", value);
    add_text(text, "%s", value + 1);
}

static void add_required(Text *text, const Attr *table, const char *first)
{
    add_text(text, "\"required\": [%s", first);
    const char *comma = *first ? ", " : "";
    for (; table && table->name; table++) {
        if (!(table->flags & ATTR_REQUIRED)) continue;
        add_text(text, "%s\"%s\"", comma, table->name);
        comma = ", ";
    }
    add_text(text, "]");
}

/* A definition of an object with a "type". `further`: properties that no table has, as text. */
static void add_definition(Text *text, const char *name, const char *doc, const Attr *table,
                           const char *type, const char *further)
{
    add_text(text, ",\n    \"%s\": {\n      \"description\": ", name);
    add_string(text, doc ? doc : name);
    add_text(text,
             ",\n      \"type\": \"object\",\n      \"properties\": {\n        \"type\": %s%s",
             type, further);
    for (const Attr *attr = table; attr && attr->name; attr++) add_property(text, attr, "        ");
    add_text(text, "\n      },\n      ");
    add_required(text, table, "\"type\"");
    add_text(text, ",\n      \"additionalProperties\": false\n    }");
}

static const char layer_keys[] = ",\n        \"name\": {\"$ref\": \"#/$defs/name\"},\n"
                                 "        \"inputs\": {\"$ref\": \"#/$defs/inputs\"}";

static char *constant(const char *type) { return format("{\"const\": \"%s\"}", type); }

/* Either spelling: an optimizer's or a loss's class name or its short form. */
static char *spellings(const char *type, const char *name)
{
    return format("{\"enum\": [\"%s\", \"%s\"]}", type, name);
}

static void add_layer_definitions(Text *text, Text *types)
{
    for (const BaseKind *const *kind = base_list; *kind; kind++) {
        const char *type = (*kind)->type;
        add_definition(text, type,
                       format("A pretrained %s, or a part of it from first to last.", type),
                       base_attrs, constant(type), layer_keys);
        add_text(types, "%s{\"$ref\": \"#/$defs/%s\"}", types->length ? ",\n        " : "", type);
    }
    for (const Op *const *op = op_list; *op; op++) {
        if (!((*op)->flags & OP_LAYER)) continue;
        add_definition(text, (*op)->name, (*op)->doc, (*op)->attrs, constant((*op)->name),
                       layer_keys);
        add_text(types, ",\n        {\"$ref\": \"#/$defs/%s\"}", (*op)->name);
    }
}

/* Definitions of kinds, then one of "their name as a string, or one of them". */
static void add_kind_definitions(Text *text)
{
    Text losses = {0}, optimizers = {0}, loss_names = {0}, optimizer_names = {0};
    Text metrics = {0}, metric_names = {0};
    for (const LossKind *kind = loss_kinds; kind->type; kind++) {
        add_definition(text, kind->type, kind->doc, kind->attrs, spellings(kind->type, kind->name),
                       "");
        add_text(&losses, ", {\"$ref\": \"#/$defs/%s\"}", kind->type);
        add_text(&loss_names, "%s%s %s", loss_names.length ? " " : "", kind->name, kind->type);
    }
    for (const OptimizerKind *kind = optimizer_kinds; kind->type; kind++) {
        add_definition(text, kind->type, kind->doc, kind->attrs, spellings(kind->type, kind->name),
                       "");
        add_text(&optimizers, ", {\"$ref\": \"#/$defs/%s\"}", kind->type);
        add_text(&optimizer_names, "%s%s %s", optimizer_names.length ? " " : "", kind->name,
                 kind->type);
    }
    for (const MetricKind *kind = metric_kinds; kind->type; kind++) {
        add_definition(text, kind->type, kind->doc, kind->attrs, spellings(kind->type, kind->name),
                       "");
        add_text(&metrics, ", {\"$ref\": \"#/$defs/%s\"}", kind->type);
        add_text(&metric_names, "%s%s %s", metric_names.length ? " " : "acc ", kind->name,
                 kind->type);
    }
    add_text(text, ",\n    \"metric\": {\"anyOf\": [%s%s]}", choice_schema(metric_names.data),
             metrics.data);
    add_text(text, ",\n    \"loss\": {\"anyOf\": [%s%s]}", choice_schema(loss_names.data),
             losses.data);
    add_text(&optimizer_names, " continue");
    add_text(text, ",\n    \"optimizer\": {\"anyOf\": [%s%s]}", choice_schema(optimizer_names.data),
             optimizers.data);
}

/* Schedules and callbacks: a definition each, then one of "one of them". */
static void add_callback_definitions(Text *text)
{
    Text schedules = {0}, callbacks = {0};
    for (const ScheduleKind *kind = schedule_kinds; kind->type; kind++) {
        add_definition(text, kind->type, kind->doc, kind->attrs, constant(kind->type), "");
        add_text(&schedules, "%s{\"$ref\": \"#/$defs/%s\"}", schedules.length ? ", " : "",
                 kind->type);
    }
    for (const CallbackKind *kind = callback_kinds; kind->type; kind++) {
        add_definition(text, kind->type, kind->doc, kind->attrs, constant(kind->type), "");
        add_text(&callbacks, "%s{\"$ref\": \"#/$defs/%s\"}", callbacks.length ? ", " : "",
                 kind->type);
    }
    add_text(text, ",\n    \"schedule\": {\"oneOf\": [%s]}", schedules.data);
    add_text(text, ",\n    \"callback\": {\"oneOf\": [%s]}", callbacks.data);
}

static void add_phase_definition(Text *text)
{
    add_text(text, ",\n    \"phase\": {\n"
                   "      \"description\": \"One stage of training; the phases run in order.\",\n"
                   "      \"type\": \"object\",\n      \"properties\": {\n"
                   "        \"loss\": {\"$ref\": \"#/$defs/loss\"},\n"
                   "        \"optimizer\": {\"default\": \"rmsprop\", \"$ref\": "
                   "\"#/$defs/optimizer\"},\n"
                   "        \"metrics\": {\"description\": \"What is shown beside the loss.\", "
                   "\"default\": [], \"type\": \"array\", \"maxItems\": 14, "
                   "\"items\": {\"$ref\": \"#/$defs/metric\"}},\n"
                   "        \"callbacks\": {\"default\": [], \"type\": \"array\", \"items\": "
                   "{\"$ref\": \"#/$defs/callback\"}},\n"
                   "        \"freeze\": {\"description\": \"What does not change: layer names, "
                   "globs, a base, a base with a Python slice.\", \"default\": [], "
                   "\"type\": \"array\", \"items\": {\"type\": \"string\", \"minLength\": 1}},\n"
                   "        \"train\": {\"description\": \"What alone changes, by the same "
                   "patterns; freeze then takes away from it.\", \"type\": \"array\", "
                   "\"items\": {\"type\": \"string\", \"minLength\": 1}},\n"
                   "        \"learning_rate_multipliers\": {\"description\": \"Factors of the "
                   "learning rate by the same patterns; the last one that matches counts.\", "
                   "\"type\": \"object\", \"additionalProperties\": {\"type\": \"number\", "
                   "\"minimum\": 0, \"maximum\": 1000000}},\n"
                   "        \"class_weight\": {\"description\": \"Factors of the losses by "
                   "class: name or number; balanced: in inverse proportion to the pictures of the "
                   "class.\", \"anyOf\": [{\"type\": \"null\"}, {\"const\": \"balanced\"}, "
                   "{\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": "
                   "{\"type\": \"number\", \"minimum\": 0}}]}");
    for (const Attr *attr = phase_attrs; attr->name; attr++) add_property(text, attr, "        ");
    add_text(text, "\n      },\n      ");
    add_required(text, phase_attrs, "\"loss\"");
    add_text(text, ",\n      \"additionalProperties\": false\n    }");
}

/* An object of this type; the defaults of its factors, NULL: it has none of that name. */
static const char *regularizer_schema(const char *types, const char *l1, const char *l2)
{
    const char *factor = "\"type\": \"number\", \"minimum\": 0";
    return format("{\"type\": \"object\", \"properties\": {\"type\": {\"enum\": [%s]}%s%s}, "
                  "\"required\": [\"type\"], \"additionalProperties\": false}",
                  types, l1 ? format(", \"l1\": {%s, \"default\": %s}", factor, l1) : "",
                  l2 ? format(", \"l2\": {%s, \"default\": %s}", factor, l2) : "");
}

static void add_definitions(Text *text, Text *types)
{
    add_text(text,
             "\"$defs\": {\n"
             "    \"name\": {\"description\": \"A C identifier.\", \"type\": \"string\", "
             "\"pattern\": \"^[A-Za-z_][A-Za-z0-9_]*$\", \"maxLength\": 63},\n"
             "    \"inputs\": {\"description\": \"The layer whose output this one takes; the "
             "default is the one before it.\", \"anyOf\": [{\"$ref\": \"#/$defs/name\"}, "
             "{\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/name\"}, \"minItems\": 1, "
             "\"maxItems\": 1}]},\n"
             "    \"regularizer\": {\"anyOf\": [{\"enum\": [\"l1\", \"L1\", \"l2\", \"L2\"]}");
    add_text(text, ", %s", regularizer_schema("\"L1\", \"l1\"", "0.01", NULL));
    add_text(text, ", %s", regularizer_schema("\"L2\", \"l2\"", NULL, "0.01"));
    add_text(text, ", %s]}", regularizer_schema("\"L1L2\", \"l1l2\"", "0", "0"));
    add_layer_definitions(text, types);
    add_kind_definitions(text);
    add_callback_definitions(text);
    add_phase_definition(text);
    add_text(text, "\n  }\n");
}

void print_schema(FILE *out)
{
    Text definitions = {0}, types = {0}, input = {0}, top = {0};
    add_definitions(&definitions, &types);
    for (const Attr *attr = input_attrs; attr->name; attr++) add_property(&input, attr, "        ");
    for (const Attr *attr = model_attrs; attr->name; attr++) add_property(&top, attr, "    ");
    fprintf(out,
            "{\n"
            "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
            "  \"title\": \"A model for tlc\",\n"
            "  \"type\": \"object\",\n"
            "  \"properties\": {\n"
            "    \"$schema\": {\"type\": \"string\"}%s,\n"
            "    \"input\": {\n      \"type\": \"object\",\n      \"properties\": {%s\n      },\n"
            "      \"required\": [\"shape\"],\n      \"additionalProperties\": false\n    },\n"
            "    \"layers\": {\n      \"type\": \"array\",\n      \"minItems\": 1,\n"
            "      \"items\": {\"oneOf\": [\n        %s\n      ]}\n    },\n"
            "    \"phases\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/phase\"}}\n"
            "  },\n"
            "  \"required\": [\"name\", \"input\", \"layers\"],\n"
            "  \"additionalProperties\": false,\n"
            "  %s}\n",
            top.data, input.data + 1, types.data, definitions.data);
}

/* ---- Tables of docs/model-format.md ---------------------------------------------------------- */

static const char *value_text(const Attr *attr)
{
    switch (attr->type) {
    case ATTR_INT:
        return "integer";
    case ATTR_INT2:
        return "integer or [integer, integer]";
    case ATTR_INTS:
        return "array of integers";
    case ATTR_PADDING:
        return "integer, [rows, columns] or [[top, bottom], [left, right]]";
    case ATTR_FLOAT:
        return "number";
    case ATTR_RANGE:
        return attr->flags & ATTR_PAIR ? "[lower, upper]" : "number or [lower, upper]";
    case ATTR_BOOL:
        return "true, false";
    case ATTR_NAME:
        return "name";
    case ATTR_STRING:
        return "string";
    case ATTR_REGULARIZER:
        return "\"l1\", \"l2\" or {\"type\": \"L1L2\", \"l1\": number, \"l2\": number}";
    case ATTR_LAYER:
        return "layer name or index";
    case ATTR_CHOICE:
        return words_text(attr->choices);
    case ATTR_NUMBERS:
        return "array of numbers";
    case ATTR_SCHEDULE:
        return "[schedule](#schedules)";
    case ATTR_RATE:
        return "number or [schedule](#schedules)";
    case ATTR_FREQUENCY:
        return format("%s or integer", words_text(attr->choices));
    case ATTR_TEMPLATE:
        return "string";
    }
    bug(NULL, "attribute %s has no type", attr->name);
}

static void print_rows(FILE *out, const Attr *table)
{
    if (!table || !table->name) {
        fprintf(out, "No attributes of its own.\n\n");
        return;
    }
    fprintf(out, "| attribute | value | default | meaning |\n|---|---|---|---|\n");
    for (const Attr *attr = table; attr->name; attr++) {
        const bool ranged = attr->lo != 0 || attr->hi != 0;
        const char *initial = attr->initial                 ? format("`%s`", attr->initial)
                              : attr->flags & ATTR_REQUIRED ? "required"
                                                            : "`null`";
        fprintf(out, "| `%s` | %s%s%s%s | %s | %s |\n", attr->name, value_text(attr),
                ranged ? ", " : "", ranged ? range_text(attr) : "",
                attr->flags & ATTR_NULL ? ", or null" : "", initial, attr->doc ? attr->doc : "");
    }
    fprintf(out, "\n");
}

static void print_bases(FILE *out)
{
    fprintf(out, "### ");
    for (const BaseKind *const *kind = base_list; *kind; kind++)
        fprintf(out, "%s%s", kind == base_list ? "" : ", ", (*kind)->type);
    fprintf(out, "\n\nA pretrained network, or a part of it.\n\n");
    print_rows(out, base_attrs);
}

void print_format_tables(FILE *out)
{
    fprintf(out, "## Model\n\n");
    print_rows(out, model_attrs);
    fprintf(out, "### input\n\n");
    print_rows(out, input_attrs);
    fprintf(out, "### A phase\n\n");
    print_rows(out, phase_attrs);
    fprintf(out, "## Layers\n\n");
    print_bases(out);
    for (const Op *const *op = op_list; *op; op++) {
        if (!((*op)->flags & OP_LAYER)) continue;
        fprintf(out, "### %s\n\n%s\n\n", (*op)->name, (*op)->doc ? (*op)->doc : "");
        print_rows(out, (*op)->attrs);
    }
    fprintf(out, "## Losses\n\n");
    for (const LossKind *kind = loss_kinds; kind->type; kind++) {
        fprintf(out, "### %s, `\"%s\"`\n\n%s\n\n", kind->type, kind->name, kind->doc);
        print_rows(out, kind->attrs);
    }
    fprintf(out, "## Metrics\n\n");
    for (const MetricKind *kind = metric_kinds; kind->type; kind++) {
        fprintf(out, "### %s, `\"%s\"`\n\n%s\n\n", kind->type, kind->name, kind->doc);
        print_rows(out, kind->attrs);
    }
    fprintf(out, "## Optimizers\n\n");
    for (const OptimizerKind *kind = optimizer_kinds; kind->type; kind++) {
        fprintf(out, "### %s, `\"%s\"`\n\n%s\n\n", kind->type, kind->name, kind->doc);
        print_rows(out, kind->attrs);
    }
    fprintf(out, "## Schedules\n\n");
    for (const ScheduleKind *kind = schedule_kinds; kind->type; kind++) {
        fprintf(out, "### %s\n\n%s\n\n", kind->type, kind->doc);
        print_rows(out, kind->attrs);
    }
    fprintf(out, "## Callbacks\n\n");
    for (const CallbackKind *kind = callback_kinds; kind->type; kind++) {
        fprintf(out, "### %s\n\n%s\n\n", kind->type, kind->doc);
        print_rows(out, kind->attrs);
    }
}
