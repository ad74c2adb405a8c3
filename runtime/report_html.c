/* report_html.c: text, numbers and bytes as HTML. Whatever comes from outside passes rt_html's %s,
 * which escapes it: names of classes and files may hold anything. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "ground.h"
#include "report.h"

/* ---- Text ------------------------------------------------------------------------------------ */

static const char *entity(unsigned char c)
{
    return c == '&'   ? "&amp;"
           : c == '<' ? "&lt;"
           : c == '>' ? "&gt;"
           : c == '"' ? "&quot;"
                      : "&#39;";
}

/* Of controls HTML takes only tab and the ends of lines; the C1 controls are two bytes of UTF-8. */
static bool is_control(const unsigned char *at)
{
    bool c0 = *at < 0x20 && *at != '\t' && *at != '\n' && *at != '\r';
    return c0 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0);
}

static void write_escaped(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)(text ? text : ""),
                        *end = at + strlen(text ? text : "");
    while (at < end) {
        size_t length = rt_utf8_length(at, (size_t)(end - at));
        if (length == 0 || is_control(at))
            fputs("\xef\xbf\xbd", out);
        else if (strchr("&<>\"'", *at))
            fputs(entity(*at), out);
        else
            fwrite(at, 1, length, out);
        at += length ? length : 1;
    }
}

/* Prints one conversion of rt_html, `spec` as in "%.3f"; what it takes, it takes from the list. */
static void write_one(FILE *out, const char *spec, va_list *arguments)
{
    size_t length = strlen(spec);
    char last = spec[length - 1];
    if (last == 's')
        write_escaped(out, va_arg(*arguments, const char *));
    else if (last == '%')
        fputc('%', out);
    else if (strchr("feg", last))
        fprintf(out, spec, va_arg(*arguments, double));
    else if (strchr(spec, 'z'))
        fprintf(out, spec, va_arg(*arguments, size_t));
    else if (strstr(spec, "ll"))
        fprintf(out, spec, va_arg(*arguments, long long));
    else
        fprintf(out, spec, va_arg(*arguments, int));
}

void rt_html(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    while (*format) {
        size_t plain = strcspn(format, "%");
        fwrite(format, 1, plain, out);
        format += plain;
        if (!*format) break;
        char spec[16];
        size_t length = strcspn(format + 1, "sdcufeg%") + 2;
        if (length >= sizeof spec) break;
        memcpy(spec, format, length);
        spec[length] = '\0';
        write_one(out, spec, &arguments);
        format += length;
    }
    va_end(arguments);
}

void rt_html_argument(FILE *out, const char *text)
{
    if (*text && !text[strcspn(text, " \t\n\"'\\$&|;<>()*?[]{}!#`~")]) {
        rt_html(out, "%s", text);
        return;
    }
    rt_html(out, "'");
    for (size_t part; *text; text += part + (text[part] != 0)) {
        part = strcspn(text, "'");
        char *plain = rt_format("%.*s", (int)part, text);
        rt_html(out, text[part] ? "%s'\\''" : "%s", plain);
        free(plain);
    }
    rt_html(out, "'");
}

/* ---- Numbers --------------------------------------------------------------------------------- */

enum { KEPT = 4, LONGEST = 40 };

static char *next_text(void)
{
    static char texts[KEPT][LONGEST];
    static int at;
    return texts[at++ % KEPT];
}

const char *rt_count_text(int64_t count)
{
    char digits[LONGEST / 2 + 4], *text = next_text();
    int length = snprintf(digits, sizeof digits, "%lld", (long long)count), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && digits[i - 1] != '-' && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

const char *rt_bytes_text(double bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (; bytes >= 1000 && unit < 4; unit++) bytes /= 1024;
    char *text = next_text();
    snprintf(text, LONGEST, "%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes, units[unit]);
    return text;
}

const char *rt_amount_text(double amount)
{
    static const char *const units[] = {"", " K", " M", " G", " T"};
    int unit = 0;
    for (; amount >= 1000 && unit < 4; unit++) amount /= 1000;
    char *text = next_text();
    snprintf(text, LONGEST, "%.3g%s", amount, units[unit]);
    return text;
}

const char *rt_duration_text(double seconds)
{
    char *text = next_text();
    long long whole = llround(seconds);
    if (!(seconds >= 0 && seconds < 1e9))
        snprintf(text, LONGEST, "unknown");
    else if (seconds < 10)
        snprintf(text, LONGEST, "%.1f s", seconds);
    else if (whole < 60)
        snprintf(text, LONGEST, "%lld s", whole);
    else if (whole < 3600)
        snprintf(text, LONGEST, "%lld min %02lld s", whole / 60, whole % 60);
    else
        snprintf(text, LONGEST, "%lld h %02lld min", whole / 3600, whole % 3600 / 60);
    return text;
}

const char *rt_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void rt_base64(FILE *out, const unsigned char *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        unsigned bits = (unsigned)data[i] << 16;
        if (left > 1) bits |= (unsigned)data[i + 1] << 8;
        if (left > 2) bits |= data[i + 2];
        fputc(digits[bits >> 18], out);
        fputc(digits[bits >> 12 & 63], out);
        fputc(left > 1 ? digits[bits >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[bits & 63] : '=', out);
    }
}
