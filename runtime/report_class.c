/* report_class.c: which classes are taken for which, and how well each is found. */
#include <stdlib.h>
#include <string.h>

#include "ground.h"
#include "report.h"

enum {
    MOST_IN_MATRIX = 20, /* of more classes the pairs that are confused most are listed */
    MOST_PAIRS = 25,
    SHADES = 10,    /* of the matrix: .h0 to .h9 in the style */
    MOST_OPEN = 40, /* rows of a table that is not folded */
};

typedef struct {
    size_t pictures, guessed, right; /* of the class; taken for it; both */
    double precision, recall, f1;
    int class;
} Score;

static double ratio(size_t part, size_t whole) { return whole ? (double)part / (double)whole : 0; }

static Score *score_classes(const RtVerdict *verdict)
{
    Score *scores = rt_alloc((size_t)verdict->classes, sizeof *scores);
    for (size_t i = 0; i < verdict->count; i++) {
        const RtJudged *judged = &verdict->items[i];
        scores[judged->truth].pictures++;
        scores[judged->guess].guessed++;
        scores[judged->truth].right += judged->truth == judged->guess;
    }
    for (int i = 0; i < verdict->classes; i++) {
        Score *score = &scores[i];
        score->class = i;
        score->precision = ratio(score->right, score->guessed);
        score->recall = ratio(score->right, score->pictures);
        score->f1 = ratio(2 * score->right, score->guessed + score->pictures);
    }
    return scores;
}

/* ---- The matrix ------------------------------------------------------------------------------ */

/* In bytes: long names of many classes stand upright. */
static int longest_name(const RtVerdict *verdict)
{
    int longest = 0;
    for (int i = 0; i < verdict->classes; i++) {
        char text[32];
        int length = (int)strlen(rt_class_name(verdict, i, text));
        if (length > longest) longest = length;
    }
    return longest;
}

static void write_matrix_head(const RtReport *report)
{
    const RtVerdict *verdict = &report->verdict;
    rt_html(report->out,
            "<p><small>Rows: the truth. Columns: what the model said. Shades: share of the row."
            "</small></p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
            "aria-label=\"Confusion matrix\"><table class=\"matrix%s\"><thead><tr><td></td>",
            verdict->classes > 4 && verdict->classes * longest_name(verdict) > 60 ? " many" : "");
    for (int i = 0; i < verdict->classes; i++) {
        char text[32];
        rt_html(report->out, "<th scope=\"col\"><span>%s</span></th>",
                rt_class_name(verdict, i, text));
    }
    rt_html(report->out, "</tr></thead><tbody>\n");
}

static void write_matrix(const RtReport *report, const Score *scores)
{
    const RtVerdict *verdict = &report->verdict;
    size_t classes = (size_t)verdict->classes;
    size_t *counts = rt_alloc(classes * classes, sizeof *counts);
    for (size_t i = 0; i < verdict->count; i++) {
        const RtJudged *judged = &verdict->items[i];
        counts[(size_t)judged->truth * classes + (size_t)judged->guess]++;
    }
    write_matrix_head(report);
    for (size_t i = 0; i < classes; i++) {
        char text[32];
        rt_html(report->out, "<tr><th scope=\"row\">%s</th>", rt_class_name(verdict, (int)i, text));
        for (size_t j = 0; j < classes; j++) {
            size_t count = counts[i * classes + j];
            double share = ratio(count, scores[i].pictures);
            int shade = count == 0 ? 0 : 1 + (int)(share * (SHADES - 1.001));
            rt_html(report->out, "<td class=\"h%d\">%zu</td>", shade, count);
        }
        rt_html(report->out, "</tr>\n");
    }
    rt_html(report->out, "</tbody></table></div>\n");
    free(counts);
}

/* ---- Pairs ----------------------------------------------------------------------------------- */

typedef struct {
    int truth, guess;
    size_t count;
} Pair;

static int compare_places(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    if (x->truth != y->truth) return x->truth < y->truth ? -1 : 1;
    return x->guess < y->guess ? -1 : x->guess > y->guess;
}

static int compare_counts(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return compare_places(a, b);
}

/* Every pair of classes that were confused, the most frequent first. */
static Pair *list_pairs(const RtVerdict *verdict, size_t *pair_count)
{
    Pair *pairs = rt_alloc(verdict->count, sizeof *pairs);
    size_t wrong = 0, count = 0;
    for (size_t i = 0; i < verdict->count; i++) {
        const RtJudged *judged = &verdict->items[i];
        if (judged->truth != judged->guess)
            pairs[wrong++] = (Pair){judged->truth, judged->guess, 1};
    }
    qsort(pairs, wrong, sizeof *pairs, compare_places);
    for (size_t i = 0; i < wrong; i++) {
        if (count && compare_places(&pairs[i], &pairs[count - 1]) == 0)
            pairs[count - 1].count++;
        else
            pairs[count++] = pairs[i];
    }
    qsort(pairs, count, sizeof *pairs, compare_counts);
    *pair_count = count;
    return pairs;
}

static void write_pairs(const RtReport *report, const Score *scores)
{
    const RtVerdict *verdict = &report->verdict;
    size_t count;
    Pair *pairs = list_pairs(verdict, &count);
    size_t shown = count < MOST_PAIRS ? count : MOST_PAIRS;
    rt_html(report->out,
            "<p>%d classes: the %zu pairs that are confused most, of %zu.</p><div class=\"scroll\" "
            "tabindex=\"0\" role=\"region\" aria-label=\"Confused pairs\"><table "
            "class=\"numbers names2\"><thead><tr><th>the truth</th><th>what the model said</th>"
            "<th>pictures</th><th>of that class</th></tr></thead><tbody>\n",
            verdict->classes, shown, count);
    for (size_t i = 0; i < shown; i++) {
        char truth[32], guess[32];
        rt_html(report->out, "<tr><td>%s</td><td>%s</td><td>%zu</td><td>%.1f %%</td></tr>\n",
                rt_class_name(verdict, pairs[i].truth, truth),
                rt_class_name(verdict, pairs[i].guess, guess), pairs[i].count,
                100 * ratio(pairs[i].count, scores[pairs[i].truth].pictures));
    }
    rt_html(report->out, "</tbody></table></div>\n");
    free(pairs);
}

/* ---- The table of classes -------------------------------------------------------------------- */

static int compare_f1(const void *a, const void *b)
{
    const Score *x = a, *y = b;
    if (x->f1 != y->f1) return x->f1 < y->f1 ? -1 : 1;
    return x->class - y->class;
}

static void write_number(FILE *out, double value, bool known)
{
    if (known)
        rt_html(out, "<td>%.4f</td>", value);
    else
        rt_html(out, "<td>–</td>");
}

static void write_score(const RtReport *report, const Score *score)
{
    char text[32];
    rt_html(report->out, "<tr><th scope=\"row\">%s</th>",
            rt_class_name(&report->verdict, score->class, text));
    write_number(report->out, score->precision, score->guessed > 0);
    write_number(report->out, score->recall, score->pictures > 0);
    write_number(report->out, score->f1, score->guessed + score->pictures > 0);
    rt_html(report->out,
            "<td>%zu</td><td class=\"bar\" aria-hidden=\"true\"><span style=\"width:%.1f%%\">"
            "</span></td></tr>\n",
            score->pictures, 100 * score->f1);
}

/* Means over the classes that have pictures, as scikit-learn's "macro avg". */
static void write_means(const RtReport *report, const Score *scores)
{
    Score mean = {.class = 0};
    int classes = 0;
    for (int i = 0; i < report->verdict.classes; i++) {
        if (scores[i].pictures + scores[i].guessed == 0) continue;
        mean.precision += scores[i].precision;
        mean.recall += scores[i].recall;
        mean.f1 += scores[i].f1;
        mean.pictures += scores[i].pictures;
        classes++;
    }
    rt_html(report->out,
            "</tbody><tfoot><tr><th scope=\"row\">mean</th><td>%.4f</td>"
            "<td>%.4f</td><td>%.4f</td><td>%zu</td><td></td></tr></tfoot></table></div>\n",
            mean.precision / classes, mean.recall / classes, mean.f1 / classes, mean.pictures);
}

static void write_table(const RtReport *report, Score *scores)
{
    const RtVerdict *verdict = &report->verdict;
    bool folded = verdict->classes > MOST_OPEN, sorted = verdict->classes > MOST_IN_MATRIX;
    if (sorted) qsort(scores, (size_t)verdict->classes, sizeof *scores, compare_f1);
    rt_html(report->out, "<h3>Each class%s</h3>\n", sorted ? ", the worst first" : "");
    if (folded) rt_html(report->out, "<details><summary>Table of all classes</summary>");
    rt_html(report->out,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of "
            "classes\"><table class=\"numbers classes\"><thead><tr><th>class</th>"
            "<th>precision</th><th>recall</th><th>F1</th><th>pictures</th><td></td></tr></thead>"
            "<tbody>\n");
    for (int i = 0; i < verdict->classes; i++)
        if (scores[i].pictures + scores[i].guessed > 0) write_score(report, &scores[i]);
    write_means(report, scores);
    if (folded) rt_html(report->out, "</details>\n");
}

void rt_report_classes(const RtReport *report)
{
    const RtVerdict *verdict = &report->verdict;
    if (verdict->count == 0 || verdict->classes == 0) return;
    Score *scores = score_classes(verdict);
    rt_html(report->out, "<section id=\"classes\"><h2>Classes</h2>\n<div class=\"pair\"><div>\n"
                         "<h3>What is taken for what</h3>\n");
    if (verdict->classes <= MOST_IN_MATRIX)
        write_matrix(report, scores);
    else
        write_pairs(report, scores);
    rt_html(report->out, "</div>\n<div>\n");
    write_table(report, scores);
    rt_html(report->out, "</div></div></section>\n");
    free(scores);
}
