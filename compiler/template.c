/* template.c: finds a template section and fills its placeholders; nothing more. The templates are
 * embedded by the build. */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "emit.h"

static const char *const templates[] = {
#include "templates.inc"
};

enum { TEMPLATE_COUNT = sizeof templates / sizeof *templates };

const char *hash_templates(void)
{
    Text all = {0};
    for (int i = 0; i < TEMPLATE_COUNT; i++) add_text(&all, "%s", templates[i]);
    char *hex = alloc(65, 1);
    sha256(all.data, all.length, hex);
    return hex;
}

static const char *find_in(const char *text, const char *section, size_t *length)
{
    const size_t name_length = strlen(section);
    for (const char *at = strstr(text, "//% "); at; at = strstr(at + 1, "//% ")) {
        if (strncmp(at + 4, section, name_length) != 0 || at[4 + name_length] != '\n') continue;
        const char *start = at + 4 + name_length + 1;
        const char *end = strstr(start, "//% ");
        *length = end ? (size_t)(end - start) : strlen(start);
        return start;
    }
    return NULL;
}

static const char *find_section(const char *section, size_t *length)
{
    for (int i = 0; i < TEMPLATE_COUNT; i++) {
        const char *start = find_in(templates[i], section, length);
        if (start) return start;
    }
    bug(NULL, "no template has a section %s", section);
}

void set(Emit *e, const char *placeholder, const char *fmt, ...)
{
    char buffer[512];
    va_list args;
    va_start(args, fmt);
    const int length = vsnprintf(buffer, sizeof buffer, fmt, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof buffer) bug(NULL, "%s is too long", placeholder);
    if (e->placeholder_count == 64) bug(NULL, "too many placeholders");
    e->placeholders[e->placeholder_count] = placeholder;
    e->replacements[e->placeholder_count++] = copy_text(buffer, (size_t)length);
}

void set_shape(Emit *e, const char *placeholder, const Tensor *t)
{
    const Layout *l = &t->layout;
    const int h = height_of(t), w = width_of(t);
    set(e, placeholder, "%d, %d, %d, %d, %d, %d, %d, %d, %d, %zu", h, w, channels_of(t), l->lanes,
        l->top, l->left, l->top + h + l->bottom, l->left + w + l->right, blocks_of(t),
        picture_size(t));
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The replacement of the word that begins at `word`; NULL if there is none. */
static const char *find_replacement(const Emit *e, const char *word, size_t length, bool *used)
{
    for (int i = 0; i < e->placeholder_count; i++)
        if (strlen(e->placeholders[i]) == length &&
            strncmp(e->placeholders[i], word, length) == 0) {
            used[i] = true;
            return e->replacements[i];
        }
    return NULL;
}

const char *fill_section(Emit *e, const char *section)
{
    size_t length;
    const char *at = find_section(section, &length), *end = at + length;
    bool used[64] = {false};
    Text text = {0};
    while (at < end) {
        const char *word = at;
        if (*at != '$') {
            while (at < end && *at != '$') at++;
            add_bytes(&text, word, (size_t)(at - word));
            continue;
        }
        for (at++; at < end && is_word(*at);) at++;
        const size_t size = (size_t)(at - word);
        const char *by = find_replacement(e, word, size, used);
        if (!by && strncmp(word, "$name", size) != 0)
            bug(NULL, "section %s: %.*s is not set", section, (int)size, word);
        if (by)
            add_text(&text, "%s", by);
        else
            add_bytes(&text, word, size);
    }
    for (int i = 0; i < e->placeholder_count; i++)
        if (!used[i]) bug(NULL, "section %s has no %s", section, e->placeholders[i]);
    e->placeholder_count = 0;
    while (text.length > 1 && text.data[text.length - 2] == '\n') text.data[--text.length] = '\0';
    return text.data;
}

const char *replace_word(const char *text, const char *word, const char *by)
{
    Text result = {0};
    const size_t length = strlen(word);
    for (const char *at; (at = strstr(text, word)); text = at + length) {
        add_bytes(&result, text, (size_t)(at - text));
        add_text(&result, "%s", by);
    }
    add_text(&result, "%s", text);
    return result.data;
}
