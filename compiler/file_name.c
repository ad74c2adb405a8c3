/* file_name.c: file names with Python's fields in them, "{epoch:02d}-{val_loss:.2f}.safetensors":
 * read and checked, and printed as C. */
#include <string.h>

#include "model.h"

/* What Python writes behind the colon, as far as printf says it likewise: [0][width][.digits]type;
 * NULL if it is another. */
static const char *printf_format(const char *spec, size_t length)
{
    const char *p = spec, *end = spec + length;
    p += strspn(p, "0123456789");
    if (p - spec > 3) return NULL;
    if (p < end && *p == '.') {
        const size_t digits = strspn(++p, "0123456789");
        if (digits == 0 || digits > 2) return NULL;
        p += digits;
    }
    if (p + 1 != end || !strchr("deEfFgG", *p)) return NULL;
    if (*p == 'd')
        return memchr(spec, '.', length) ? NULL : format("%%%.*slld", (int)(p - spec), spec);
    return format("%%%.*s", (int)length, spec);
}

/* Reads the field behind the brace at p; returns what follows its closing brace. */
static const char *read_field(PathPart *part, const char *p, const char *path)
{
    const size_t length = strcspn(p, "}"), name = strcspn(p, ":}!");
    if (p[length] != '}')
        error_model(path, "{{ stands for a brace", "a field has no closing brace");
    part->field = copy_text(p, name);
    if (!is_identifier(part->field))
        error_model(path, "{epoch:02d}, {val_loss:.4f}; {{ stands for a brace",
                    "\"{%.*s}\" is no field", (int)(length < 80 ? length : 80), p);
    if (name < length)
        part->format = p[name] == ':' ? printf_format(p + name + 1, length - name - 1) : NULL;
    if (name < length && !part->format)
        error_model(path, "{epoch:02d}, {val_loss:.4f}",
                    "\"{%.*s}\" is not printed in a way that is known here",
                    (int)(length < 80 ? length : 80), p);
    return p + length + 1;
}

PathPart *read_file_name(const char *text, const char *path, int *count)
{
    PathPart *parts = alloc(strlen(text) + 1, sizeof *parts);
    Text literal = {0};
    *count = 0;
    add_bytes(&literal, "", 0);
    for (const char *p = text; *p;) {
        if ((*p == '{' || *p == '}') && p[1] == *p) {
            add_bytes(&literal, p, 1);
            p += 2;
        } else if (*p == '}') {
            error_model(path, "}} stands for a brace", "a brace closes that none opens");
        } else if (*p == '{') {
            parts[*count].text = literal.data;
            p = read_field(&parts[(*count)++], p + 1, path);
            literal = (Text){0};
            add_bytes(&literal, "", 0);
        } else {
            add_bytes(&literal, p++, 1);
        }
    }
    parts[(*count)++].text = literal.data;
    return parts;
}

void add_file_name(Text *text, const char *name)
{
    int count;
    const PathPart *parts = read_file_name(name, "", &count);
    add_text(text, "(const RtPathPart[]){");
    for (int i = 0; i < count; i++)
        add_text(text, "%s{%s, %s, %s}", i ? ", " : "", c_string(parts[i].text),
                 c_string(parts[i].field), c_string(parts[i].format));
    add_text(text, "}");
}
