/* page.c: whether a page of HTML is whole and stands alone, for tests/report.sh:
 *
 *   page check FILE        nothing is said of a page in which elements are nested and closed, every
 *                          attribute is quoted, every & and < is written as it must be, the bytes
 *                          are UTF-8, no script runs and nothing is loaded; else what is wrong
 *   page table CLASS FILE  cells of the first table of that class, rows as lines, tabs between
 *   page text FILE         the text alone
 *
 * It knows the HTML that report.html uses, not all that there is. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_NAME = 32, MAX_ATTRIBUTES = 16, MAX_IDS = 256 };

typedef struct {
    char *name, *value;
} Attribute;

typedef struct {
    char name[MAX_NAME];
    bool closing, empty; /* </x>; <x/> */
    Attribute attributes[MAX_ATTRIBUTES];
    int count;
} Tag;

static const char *start; /* of the page, for places in messages */
static int problems;

static void complain(const char *at, const char *what, const char *which)
{
    int line = 1;
    for (const char *c = start; c < at; c++) line += *c == '\n';
    printf("line %d: %s %s\n", line, what, which);
    if (++problems == 10) exit(1);
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Writes the text with its entities taken back. */
static void put_text(const char *from, const char *to)
{
    static const struct {
        const char *name, *text;
    } entities[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}};
    while (from < to) {
        size_t i = 0, length = 0;
        for (; i < 5 && !length; i++)
            if (strncmp(from, entities[i].name, strlen(entities[i].name)) == 0)
                length = strlen(entities[i].name);
        fputs(length ? entities[i - 1].text : (char[2]){*from, 0}, stdout);
        from += length ? length : 1;
    }
}

static void check_text(const char *from, const char *to)
{
    for (; from < to; from++) {
        if (*from == '<') complain(from, "a bare <", "");
        if (*from != '&') continue;
        size_t length = strspn(from + 1, "abcdefghijklmnopqrstuvwxyz#0123456789");
        if (length == 0 || from[1 + length] != ';') complain(from, "a bare &", "");
    }
}

/* The lengths that UTF-8 has; what a decoder would refuse beyond them is not looked for. */
static void check_utf8(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        int more = *c < 0x80   ? 0
                   : *c < 0xc2 ? -1
                   : *c < 0xe0 ? 1
                   : *c < 0xf0 ? 2
                   : *c < 0xf5 ? 3
                               : -1;
        if (more < 0 || (*c < 0x20 && !isspace(*c))) complain((const char *)c, "no UTF-8 text", "");
        c++;
        for (; more > 0; more--, c++)
            if ((*c & 0xc0) != 0x80) complain((const char *)c, "no UTF-8", ""), more = 1;
    }
}

/* ---- Tags ------------------------------------------------------------------------------------ */

/* Reads the tag at `at`, behind its <; returns what follows its >. The text is cut in place. */
static char *read_tag(char *at, Tag *tag)
{
    *tag = (Tag){.closing = *at == '/'};
    at += tag->closing;
    size_t length = strcspn(at, " \t\r\n/>");
    snprintf(tag->name, sizeof tag->name, "%.*s", (int)length, at);
    at += length;
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (*at == '/') tag->empty = true, at++;
        if (*at == '>' || !*at) break;
        Attribute *attribute = &tag->attributes[tag->count++];
        attribute->name = at;
        at += strcspn(at, "= \t\r\n/>");
        if (tag->count == MAX_ATTRIBUTES || at[0] != '=' || at[1] != '"') {
            complain(at, "an attribute without quoted value in", tag->name);
            return at + strcspn(at, ">") + 1;
        }
        *at = '\0';
        attribute->value = at + 2;
        char *end = strchr(at + 2, '"');
        if (!end) complain(at, "a value without end in", tag->name), exit(1);
        check_text(attribute->value, end);
        *end = '\0';
        at = end + 1;
    }
    return at + 1;
}

/* A page that loads nothing: pictures are in it, links lead to places of it. */
static void check_attribute(const char *at, const Tag *tag, const Attribute *attribute)
{
    static char *ids[MAX_IDS];
    static int count;
    const char *name = attribute->name, *value = attribute->value;
    if (strncmp(name, "on", 2) == 0) complain(at, "a handler of events:", name);
    if (strcmp(name, "src") == 0 && strncmp(value, "data:image/", 11) != 0)
        complain(at, "loads", value);
    if (strcmp(name, "href") == 0 && *value != '#') complain(at, "links to", value);
    if (strcmp(name, "srcset") == 0 || strcmp(name, "action") == 0) complain(at, "loads", value);
    if (strcmp(tag->name, "svg") == 0 && strcmp(name, "aria-label") == 0 && !*value)
        complain(at, "a picture without words", "");
    if (strcmp(name, "id") != 0) return;
    for (int i = 0; i < count; i++)
        if (strcmp(ids[i], value) == 0) complain(at, "an id that is there twice:", value);
    if (count < MAX_IDS) ids[count++] = attribute->value;
}

static bool has_attribute(const Tag *tag, const char *name)
{
    for (int i = 0; i < tag->count; i++)
        if (strcmp(tag->attributes[i].name, name) == 0) return true;
    return false;
}

static void check_tag(const char *at, const Tag *tag)
{
    static const char *const refused[] = {"script", "link",  "iframe", "object", "embed",
                                          "base",   "audio", "video",  "form"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(tag->name, refused[i]) == 0)
            complain(at, "an element that acts or loads:", tag->name);
    if (strcmp(tag->name, "img") == 0 && !has_attribute(tag, "alt"))
        complain(at, "a picture without alt", "");
    for (int i = 0; i < tag->count; i++) check_attribute(at, tag, &tag->attributes[i]);
}

static bool is_void(const Tag *tag)
{
    return tag->empty || strcmp(tag->name, "meta") == 0 || strcmp(tag->name, "img") == 0 ||
           strcmp(tag->name, "br") == 0;
}

/* ---- What is asked for ----------------------------------------------------------------------- */

static void check_style(const char *from, const char *to)
{
    for (const char *c = from; c < to; c++)
        if (strncmp(c, "url(", 4) == 0 || strncmp(c, "@import", 7) == 0 || *c == '<')
            complain(c, "a style that loads, or ends too early", "");
}

static void check_page(char *text)
{
    char open[MAX_DEPTH][MAX_NAME];
    int depth = 0;
    check_utf8(text);
    if (strncmp(text, "<!DOCTYPE html>\n", 16) != 0) complain(text, "no doctype", "");
    for (char *at = text + 16; *at;) {
        char *tag_at = at + strcspn(at, "<");
        if (depth && strcmp(open[depth - 1], "style") == 0)
            check_style(at, tag_at);
        else
            check_text(at, tag_at);
        if (!*tag_at) break;
        Tag tag;
        at = read_tag(tag_at + 1, &tag);
        check_tag(tag_at, &tag);
        if (tag.closing && (depth == 0 || strcmp(open[depth - 1], tag.name) != 0))
            complain(tag_at, "closes what is not open:", tag.name), exit(1);
        if (tag.closing) depth--;
        if (tag.closing || is_void(&tag)) continue;
        if (depth == MAX_DEPTH) complain(tag_at, "too deep:", tag.name), exit(1);
        strcpy(open[depth++], tag.name);
    }
    if (depth) complain(text, "not closed:", open[depth - 1]);
}

static bool has_class(const Tag *tag, const char *class)
{
    for (int i = 0; i < tag->count; i++)
        if (strcmp(tag->attributes[i].name, "class") == 0 &&
            strncmp(tag->attributes[i].value, class, strlen(class)) == 0)
            return true;
    return false;
}

/* The cells of the first table of that class; all text, if it is NULL. */
static void print_text(char *text, const char *class)
{
    bool inside = !class, caption = false;
    while (*text) {
        char *end = text + strcspn(text, "<");
        if (inside && !caption) put_text(text, end);
        if (!*end) return;
        Tag tag;
        text = read_tag(end + 1, &tag);
        if (class && strcmp(tag.name, "table") == 0) {
            if (inside) return;
            inside = has_class(&tag, class);
        }
        if (strcmp(tag.name, "caption") == 0) caption = !tag.closing;
        bool cell = strcmp(tag.name, "td") == 0 || strcmp(tag.name, "th") == 0;
        if (class && inside && tag.closing && cell) putchar('\t');
    }
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t used = 0, got;
    char *text = NULL;
    do {
        text = realloc(text, used + 65537);
        used += got = fread(text + used, 1, 65536, file);
        text[used] = '\0';
    } while (got > 0);
    fclose(file);
    if (strlen(text) != used) complain(text, "a byte of zero in", path);
    return text;
}

int main(int argc, char **argv)
{
    bool table = argc == 4 && strcmp(argv[1], "table") == 0;
    if (argc != 3 && !table) return 2;
    char *text = read_file(argv[argc - 1]);
    if (!text) return 2;
    start = text;
    if (strcmp(argv[1], "check") == 0)
        check_page(text);
    else
        print_text(text + strcspn(text, "\n"), table ? argv[2] : NULL);
    return problems > 0;
}
