/* suggest.c: what a name with a slip of the pen may have meant. */
#include <stdio.h>
#include <string.h>

#include "ground.h"
#include "session.h"

static int least(int a, int b) { return a < b ? a : b; }

/* Levenshtein's distance; names here are short, longer ones count as far. */
static int edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t length = strlen(b);
    int row[LONGEST + 1];
    if (length > LONGEST) return LONGEST;
    for (size_t j = 0; j <= length; j++) row[j] = (int)j;
    for (size_t i = 0; a[i]; i++) {
        int diagonal = row[0];
        row[0] = (int)i + 1;
        for (size_t j = 1; j <= length; j++) {
            int above = row[j];
            row[j] = least(least(above, row[j - 1]) + 1, diagonal + (a[i] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

const char *rt_suggest(const char *given, const char *const *names, int count,
                       const char *otherwise)
{
    int best = -1, distance = 1 + (int)strlen(given) / 3;
    for (int i = 0; i < count; i++) {
        int d = edit_distance(given, names[i]);
        if (d <= distance) distance = d - 1, best = i;
    }
    return best < 0 ? otherwise : rt_format("did you mean %s?", names[best]);
}
