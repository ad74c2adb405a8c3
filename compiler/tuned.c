/* tuned.c: the table of measured choices (tlc tune) as a JSON file. */
#include <string.h>

#include "ground.h"

#include "tlc.h"

/* ---- The file, by attribute tables ----------------------------------------------------------- */

enum { MOST_TILES = 256, MOST_GROUPS = 64 };

static const Attr head_attrs[] = {
    {.name = "model", .type = ATTR_STRING, .flags = ATTR_REQUIRED},
    {.name = "precision",
     .type = ATTR_CHOICE,
     .flags = ATTR_REQUIRED,
     .choices = "highest high medium"},
    {.name = "cpu", .type = ATTR_STRING, .flags = ATTR_REQUIRED},
    {.name = "level", .type = ATTR_STRING, .flags = ATTR_REQUIRED},
    {.name = "threads", .type = ATTR_INT, .flags = ATTR_REQUIRED, .lo = 1, .hi = 1 << 20},
    {.name = "batch", .type = ATTR_INT, .flags = ATTR_REQUIRED, .lo = 1, .hi = 1 << 20},
    {0}};

static const Attr row_attrs[] = {
    {.name = "algorithm",
     .type = ATTR_CHOICE,
     .flags = ATTR_REQUIRED,
     .choices = "direct winograd"},
    {.name = "tiles", .type = ATTR_INT, .initial = "0", .lo = 0, .hi = MOST_TILES},
    {.name = "groups", .type = ATTR_INT, .initial = "0", .lo = 0, .hi = MOST_GROUPS},
    {.name = "ms", .type = ATTR_FLOAT, .flags = ATTR_REQUIRED, .lo = 0, .hi = 1e9},
    {.name = "other_ms", .type = ATTR_FLOAT, .flags = ATTR_REQUIRED, .lo = 0, .hi = 1e9},
    {0}};

static const Json *need_object(const Json *json, const char *path)
{
    if (!json_is_object(json))
        error_model(path, "tlc tune writes such tables", "must be an object, but is %s",
                    json_kind(json));
    return json;
}

const char *plain_text(const char *text)
{
    static const char plain[] = " ()@.,:;+-/";
    char *copy = copy_text(text, strlen(text));
    for (char *c = copy; *c; c++) {
        const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (!letter && !(*c >= '0' && *c <= '9') && !strchr(plain, *c)) *c = '_';
    }
    return copy;
}

static TunedChoice *read_row(const Json *json, const char *cpu)
{
    const char *path = format("convolutions.%s", json_key(json));
    Value *values = read_attrs(need_object(json, path), row_attrs, path, "");
    TunedChoice *row = alloc(1, sizeof *row);
    const bool winograd = strcmp(find_value(row_attrs, values, "algorithm")->s, "winograd") == 0;
    row->ms = find_value(row_attrs, values, "ms")->f[0];
    row->other_ms = find_value(row_attrs, values, "other_ms")->f[0];
    row->choice =
        (Choice){.key = json_key(json),
                 .winograd = winograd,
                 .tiles = find_value(row_attrs, values, "tiles")->i[0],
                 .groups = find_value(row_attrs, values, "groups")->i[0],
                 .why = format("by tuning on %s: %.3g ms against %.3g ms %s", cpu, row->ms,
                               row->other_ms, winograd ? "direct" : "by Winograd")};
    return row;
}

Tuning *read_tuning(const char *file)
{
    set_model_file(file);
    const Json *root = need_object(read_json(file), "");
    const Json *rows = json_get(root, "convolutions");
    Tuning *t = alloc(1, sizeof *t);
    Value *head = read_attrs(root, head_attrs, "", "convolutions");
    t->model = find_value(head_attrs, head, "model")->s;
    t->precision = find_value(head_attrs, head, "precision")->s;
    t->cpu = plain_text(find_value(head_attrs, head, "cpu")->s);
    if (!rows)
        error_model("", "tlc tune writes such tables", "the key \"convolutions\" is missing");
    for (const Json *row = json_first(need_object(rows, "convolutions")); row; row = json_next(row))
        append(&t->rows, &t->count, read_row(row, t->cpu));
    return t;
}

static void add_row(Text *text, const TunedChoice *row)
{
    const Choice *c = &row->choice;
    add_text(text, "    \"%s\": {\"algorithm\": \"%s\"", c->key,
             c->winograd ? "winograd" : "direct");
    if (c->tiles) add_text(text, ", \"tiles\": %lld", (long long)c->tiles);
    if (c->groups) add_text(text, ", \"groups\": %lld", (long long)c->groups);
    add_text(text, ", \"ms\": %.4f, \"other_ms\": %.4f}", row->ms, row->other_ms);
}

void write_tuning(const Tuning *t, const char *path)
{
    Text text = {0};
    add_text(&text, "{\n  \"model\": \"%s\", \"precision\": \"%s\",\n", t->model, t->precision);
    add_text(&text, "  \"cpu\": \"%s\", \"level\": \"%s\", \"threads\": %d, \"batch\": %d,\n",
             t->cpu, t->level, t->threads, t->batch);
    add_text(&text, "  \"convolutions\": {");
    for (int i = 0; i < t->count; i++) {
        add_text(&text, "%s\n", i ? "," : "");
        add_row(&text, t->rows[i]);
    }
    add_text(&text, "\n  }\n}\n");
    write_whole(path, &text);
}

/* ---- Looking up ------------------------------------------------------------------------------ */

const Choice *find_choice(Tuning *t, const char *key)
{
    if (!t || t->forced) return t ? t->forced : NULL;
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->rows[i]->choice.key, key) == 0) {
            t->rows[i]->used = true;
            return &t->rows[i]->choice;
        }
    return NULL;
}

static void warn_of_unused(const Tuning *t)
{
    const char *first = NULL;
    int unused = 0;
    for (int i = 0; i < t->count; i++) {
        if (t->rows[i]->used) continue;
        if (unused++ == 0) first = t->rows[i]->choice.key;
    }
    if (unused)
        warn("the model has no convolution \"%.80s\"%s; ignored", first,
             unused > 1 ? format(", nor %d others of the table", unused - 1) : "");
}

void check_tuning(const Tuning *t, const char *file, const Model *m)
{
    const char *cpu = plain_text(rt_cpu_name()), *precision = precision_names[m->precision];
    set_model_file(file);
    if (strcmp(t->model, m->name) != 0)
        warn("measured on model \"%.80s\", not \"%s\"", t->model, m->name);
    if (strcmp(t->precision, precision) != 0)
        warn("measured at precision %s, not %s", t->precision, precision);
    if (strcmp(t->cpu, cpu) != 0) warn("measured on %.80s, this is %s", t->cpu, cpu);
    warn_of_unused(t);
    set_model_file(m->file);
}
