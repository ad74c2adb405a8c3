/* duplicates.c: pictures that are there twice, and what that means: a leak if one copy is for
 * training and one for validation, a contradiction if they have two labels. Equal pixels are
 * certain; pictures that look the same (alike.c) are told apart from these. */
#include <stdlib.h>

#include "audit.h"
#include "ground.h"

typedef struct {
    RtAudit *audit;
    const RtLook *const *looks;
    size_t *same;    /* (count): the first picture of equal pixels */
    size_t *alike;   /* (count): the first picture that looks the same */
    size_t *members; /* (count): pictures, those of one `alike` side by side */
} Search;

/* ---- Groups ---------------------------------------------------------------------------------- */

typedef struct {
    uint64_t key;
    size_t picture;
} Keyed;

static int compare_keyed(const void *a, const void *b)
{
    const Keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->picture > y->picture) - (x->picture < y->picture);
}

static void find_same(Search *search)
{
    const RtAudit *audit = search->audit;
    Keyed *keys = rt_alloc(audit->count, sizeof *keys);
    size_t count = 0;
    for (size_t i = 0; i < audit->count; i++) {
        search->same[i] = i;
        if (audit->pictures[i].readable) keys[count++] = (Keyed){audit->pictures[i].pixels, i};
    }
    qsort(keys, count, sizeof *keys, compare_keyed);
    for (size_t i = 1; i < count; i++)
        if (keys[i].key == keys[i - 1].key)
            search->same[keys[i].picture] = search->same[keys[i - 1].picture];
    free(keys);
}

/* One of each group of equal pixels stands for it. */
static void find_alike(Search *search)
{
    size_t count = search->audit->count;
    const RtLook **firsts = rt_alloc(count, sizeof *firsts);
    for (size_t i = 0; i < count; i++) firsts[i] = search->same[i] == i ? search->looks[i] : NULL;
    rt_find_alike(firsts, count, search->alike);
    for (size_t i = 0; i < count; i++) search->alike[i] = search->alike[search->same[i]];
    free(firsts);
}

static void sort_members(Search *search)
{
    size_t count = search->audit->count;
    Keyed *keys = rt_alloc(count, sizeof *keys);
    for (size_t i = 0; i < count; i++) keys[i] = (Keyed){search->alike[i], i};
    if (count) qsort(keys, count, sizeof *keys, compare_keyed);
    for (size_t i = 0; i < count; i++) search->members[i] = keys[i].picture;
    free(keys);
}

/* ---- Findings -------------------------------------------------------------------------------- */

static const char *likeness(const Search *search, size_t one, size_t other)
{
    static const char *const texts[] = {[RT_DIFFERENT] = "looks like a copy of what looks like",
                                        [RT_SAME] = "looks like",
                                        [RT_MIRRORED] = "looks like the mirror image of",
                                        [RT_CROPPED] = "looks like a part of",
                                        [RT_WHOLE] = "looks like the whole of"};
    return texts[rt_compare_looks(search->looks[one], search->looks[other])];
}

static void add(const Search *search, RtFindingKind certain, RtFindingKind near, size_t one,
                size_t other)
{
    RtAudit *audit = search->audit;
    const RtAuditPicture *a = &audit->pictures[one], *b = &audit->pictures[other];
    bool same = search->same[one] == search->same[other];
    bool same_file = same && a->bytes && a->content == b->content && a->bytes == b->bytes;
    const char *how = same_file ? "the same file as"
                      : same    ? "the same pixels as"
                                : likeness(search, one, other);
    if (a->target != b->target)
        rt_add_finding(audit, same ? certain : near, a->path, b->path, "%s %s: with other labels",
                       how, b->path);
    else if (a->label != b->label && a->label >= 0 && b->label >= 0)
        rt_add_finding(audit, same ? certain : near, a->path, b->path, "%s %s: \"%s\" and \"%s\"",
                       how, b->path, audit->classes[a->label].name, audit->classes[b->label].name);
    else
        rt_add_finding(audit, same ? certain : near, a->path, b->path, "%s %s", how, b->path);
}

static bool crosses(const RtAuditPicture *a, const RtAuditPicture *b) { return a->side != b->side; }
static bool differs(const RtAuditPicture *a, const RtAuditPicture *b)
{
    bool classes = a->label >= 0 && b->label >= 0 && a->label != b->label;
    return classes || (a->target != b->target && a->pixels == b->pixels);
}
static bool repeats(const RtAuditPicture *a, const RtAuditPicture *b)
{
    (void)a;
    (void)b;
    return true;
}

/* Among the `count` pictures at `others` the first that has the relation to this one, of equal
 * pixels if there is one; `one` itself if there is none. */
static size_t find_partner(const Search *search, size_t one, const size_t *others, size_t count,
                           bool (*related)(const RtAuditPicture *, const RtAuditPicture *))
{
    const RtAuditPicture *pictures = search->audit->pictures;
    size_t best = one;
    for (size_t i = 0; i < count; i++) {
        if (!related(&pictures[one], &pictures[others[i]])) continue;
        if (search->same[one] == search->same[others[i]]) return others[i];
        if (best == one) best = others[i];
    }
    return best;
}

/* A picture against those of its group that come before it; training comes before validation. */
static void judge_member(const Search *search, size_t one, const size_t *before, size_t count)
{
    size_t across = find_partner(search, one, before, count, crosses);
    size_t labelled = find_partner(search, one, before, count, differs);
    if (across != one) add(search, RT_LEAK, RT_NEAR_LEAK, one, across);
    if (labelled != one) add(search, RT_TWO_LABELS, RT_NEAR_TWO_LABELS, one, labelled);
    if (across != one || labelled != one) return;
    size_t again = find_partner(search, one, before, count, repeats);
    if (again != one) add(search, RT_DUPLICATE, RT_NEAR_DUPLICATE, one, again);
}

void rt_judge_duplicates(RtAudit *audit, const RtLook *const *looks)
{
    Search search = {.audit = audit, .looks = looks};
    search.same = rt_alloc(audit->count, sizeof *search.same);
    search.alike = rt_alloc(audit->count, sizeof *search.alike);
    search.members = rt_alloc(audit->count, sizeof *search.members);
    find_same(&search);
    find_alike(&search);
    sort_members(&search);
    for (size_t i = 0, first = 0; i < audit->count; i++) {
        if (search.alike[search.members[i]] != search.alike[search.members[first]]) first = i;
        judge_member(&search, search.members[i], search.members + first, i - first);
    }
    free(search.same);
    free(search.alike);
    free(search.members);
}
