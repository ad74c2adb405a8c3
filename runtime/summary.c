/* summary.c: the table that Keras 3's model.summary() prints: same columns, wrapping and footer
 * (keras/src/utils/summary_utils.py; the wrapping is that of the table printer it uses, rich).
 * The compiler links this file too: it needs the types of rt.h and libc, nothing else. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ground.h"

enum { COLUMNS = 4, CELL = 512, CELL_LINES = 16, NARROWEST = 40 };

typedef enum { LEFT, RIGHT, CENTER } Align;

typedef struct {
    int columns;
    int width[COLUMNS]; /* of the text, without the space on each side */
} Layout;

typedef struct {
    char text[CELL];
    int count; /* lines, as (start, bytes) of text */
    int start[CELL_LINES], bytes[CELL_LINES];
} Cell;

static const Align alignment[COLUMNS] = {LEFT, LEFT, RIGHT, CENTER};

/* ---- Widths ---------------------------------------------------------------------------------- */

/* Takes what the table is too wide by from the columns in equal parts, rounded half to even, as
 * rich's ratio_reduce does. */
static void shrink(Layout *layout, int excess)
{
    for (int i = 0; i < layout->columns && excess > 0; i++) {
        int part = (int)nearbyint((double)excess / (layout->columns - i));
        layout->width[i] -= part;
        excess -= part;
    }
}

static Layout choose_layout(bool with_trainable, int terminal)
{
    double ends[COLUMNS] = {0.45, 0.80, 1.0, 1.0}; /* of the columns, as parts of the line */
    Layout layout = {.columns = with_trainable ? 4 : 3};
    int longest = with_trainable ? 100 : 88, line = terminal - 4, at = 0, total = 1;
    if (line > longest) line = longest;
    if (line < NARROWEST) line = NARROWEST;
    for (int i = 0; i < layout.columns; i++) {
        if (with_trainable && i < 3) ends[i] *= 0.90;
        layout.width[i] = (int)(ends[i] * line) - at;
        at += layout.width[i];
        total += layout.width[i] + 3;
    }
    shrink(&layout, total - line);
    return layout;
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* Characters of the first `bytes` bytes: UTF-8 continuation bytes do not count. */
static int count_characters(const char *text, int bytes)
{
    int count = 0;
    for (int i = 0; i < bytes; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* Bytes of the word at text, with the spaces before and after it; *bare: up to its last letter. */
static int measure_word(const char *text, int *bare)
{
    int at = (int)strspn(text, " ");
    at += (int)strcspn(text + at, " ");
    *bare = at;
    return at + (int)strspn(text + at, " ");
}

static void end_line(Cell *cell, int end)
{
    int start = cell->start[cell->count - 1];
    while (end > start && cell->text[end - 1] == ' ') end--;
    cell->bytes[cell->count - 1] = end - start;
}

/* Breaks the text into lines at spaces. A word longer than the line gets a line, and is cut when
 * it is printed. */
static void wrap_cell(Cell *cell, int width)
{
    int used = 0, word, bare;
    cell->count = 1;
    cell->start[0] = 0;
    for (int at = 0; cell->text[at]; at += word) {
        word = measure_word(cell->text + at, &bare);
        if (count_characters(cell->text + at, bare) > width - used) {
            if (at && cell->count < CELL_LINES) {
                end_line(cell, at);
                cell->start[cell->count++] = at;
            }
            used = 0;
        }
        used += count_characters(cell->text + at, word);
    }
    end_line(cell, (int)strlen(cell->text));
}

/* The bytes that hold the first `count` characters. */
static int find_character(const char *text, int count)
{
    int at = 0;
    while (text[at] && (count > 0 || ((unsigned char)text[at] & 0xc0) == 0x80)) {
        count -= ((unsigned char)text[at] & 0xc0) != 0x80;
        at++;
        while (((unsigned char)text[at] & 0xc0) == 0x80) at++;
    }
    return at;
}

static void print_cell_line(FILE *out, const Cell *cell, int line, int width, Align align)
{
    const char *text = line >= 0 && line < cell->count ? cell->text + cell->start[line] : "";
    int bytes = *text ? cell->bytes[line] : 0, length = count_characters(text, bytes);
    const char *mark = "";
    if (length > width) {
        bytes = find_character(text, width - 1);
        length = width;
        mark = "…";
    }
    int spaces = width - length;
    int before = align == LEFT ? 0 : align == RIGHT ? spaces : spaces / 2;
    fprintf(out, "%*s%.*s%s%*s", before, "", bytes, text, mark, spaces - before, "");
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void print_rule(FILE *out, const Layout *layout, const char *const parts[4])
{
    for (int i = 0; i < layout->columns; i++) {
        fputs(parts[i ? 2 : 0], out);
        for (int j = 0; j < layout->width[i] + 2; j++) fputs(parts[1], out);
    }
    fprintf(out, "%s\n", parts[3]);
}

/* The lines of a heading stand at the bottom of its row, those of other cells at the top. */
static void print_row(FILE *out, const Layout *layout, Cell cells[COLUMNS], const char *bar,
                      bool bottom)
{
    int height = 1;
    for (int i = 0; i < layout->columns; i++) {
        wrap_cell(&cells[i], layout->width[i]);
        if (cells[i].count > height) height = cells[i].count;
    }
    for (int line = 0; line < height; line++) {
        for (int i = 0; i < layout->columns; i++) {
            fprintf(out, "%s ", bar);
            print_cell_line(out, &cells[i], bottom ? line - height + cells[i].count : line,
                            layout->width[i], alignment[i]);
            fputc(' ', out);
        }
        fprintf(out, "%s\n", bar);
    }
}

static void print_heading(FILE *out, const Layout *layout)
{
    static const char *const top[] = {"┏", "━", "┳", "┓"}, *const below[] = {"┡", "━", "╇", "┩"};
    Cell cells[COLUMNS] = {{.text = "Layer (type)"},
                           {.text = "Output Shape"},
                           {.text = "Param #"},
                           {.text = "Trainable"}};
    print_rule(out, layout, top);
    print_row(out, layout, cells, "┃", true);
    print_rule(out, layout, below);
}

/* "14,714,688" */
static const char *format_count(int64_t count, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, count), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static void format_shape(const RtLayer *layer, char *text, size_t size)
{
    int used = snprintf(text, size, "(None");
    for (int i = 1; i < layer->rank; i++)
        used += snprintf(text + used, size - (size_t)used, ", %d", layer->dims[i]);
    snprintf(text + used, size - (size_t)used, layer->rank > 1 ? ")" : ",)");
}

/* A base's own row comes before its layers and counts for them all. */
static int64_t count_params(const RtLayer *layers, int count, int row)
{
    int64_t params = layers[row].params;
    if (layers[row].base < 0)
        for (int i = row + 1; i < count && layers[i].base >= 0; i++) params += layers[i].params;
    return params;
}

static void print_layer(FILE *out, const Layout *layout, const RtLayer *layers, int count, int row,
                        char trainable)
{
    const RtLayer *layer = &layers[row];
    Cell cells[COLUMNS] = {{.count = 0}};
    char params[32];
    snprintf(cells[0].text, CELL, "%s%.200s (%.200s)", layer->base >= 0 ? "   └ " : "", layer->name,
             layer->type);
    format_shape(layer, cells[1].text, CELL);
    snprintf(cells[2].text, CELL, "%s", format_count(count_params(layers, count, row), params));
    snprintf(cells[3].text, CELL, "%c", trainable);
    print_row(out, layout, cells, "│", false);
}

static void print_total(FILE *out, const char *label, int64_t params)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    double size = (double)params * (double)sizeof(real);
    int unit = 0;
    for (; size >= 1024 && unit < 5; unit++) size /= 1024;
    char text[32];
    fprintf(out, " %s: %s (%.2f %s)\n", label, format_count(params, text), size, units[unit]);
}

void rt_print_summary(FILE *out, const char *name, const RtLayer *layers, int count,
                      const char *trainable, int64_t trainable_params, bool expand_bases, int width)
{
    static const char *const between[] = {"├", "─", "┼", "┤"}, *const end[] = {"└", "─", "┴", "┘"};
    Layout layout = choose_layout(trainable != NULL, width);
    int64_t total = 0;
    fprintf(out, "Model: \"%s\"\n", name);
    print_heading(out, &layout);
    for (int i = 0; i < count; i++) {
        total += layers[i].params;
        if (layers[i].base >= 0 && !expand_bases) continue;
        if (i) print_rule(out, &layout, between);
        print_layer(out, &layout, layers, count, i, trainable ? trainable[i] : '-');
    }
    print_rule(out, &layout, end);
    print_total(out, "Total params", total);
    print_total(out, "Trainable params", trainable_params);
    print_total(out, "Non-trainable params", total - trainable_params);
}
