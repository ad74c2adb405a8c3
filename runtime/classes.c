/* classes.c: what a phase does about classes of unlike size: weights of their losses, and epochs
 * that draw as many pictures of each. A picture's class is its label: the place of the largest
 * number where it has several, else the number, rounded. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"
#include "measures.h"
#include "session.h"

static int class_count(const RtModel *model, const RtData *data)
{
    if (data->classes) return data->class_count;
    return model->output_size == 1 ? 2 : model->output_size;
}

static int class_of(const real *y, int labels)
{
    return labels == 1 ? (int)RM(rint)(y[0]) : rt_argmax(y, labels);
}

/* The class of every picture; the caller frees the list. */
static int *list_classes(const RtModel *model, const RtPhase *phase, const RtData *data)
{
    int *classes = rt_alloc(data->count, sizeof *classes);
    if (data->labels) return memcpy(classes, data->labels, data->count * sizeof *classes);
    int labels = rt_label_size(model, phase->loss);
    real *y = rt_alloc((size_t)rt_array_count(&data->y), sizeof *y);
    rt_array_to_real(&data->y, y);
    for (size_t i = 0; i < data->count; i++) classes[i] = class_of(y + i * (size_t)labels, labels);
    free(y);
    return classes;
}

/* How many pictures each class has; the caller frees the list. */
static size_t *count_classes(const int *classes, size_t pictures, int count)
{
    size_t *sizes = rt_alloc((size_t)count, sizeof *sizes);
    for (size_t i = 0; i < pictures; i++)
        if (classes[i] >= 0 && classes[i] < count) sizes[classes[i]]++;
    return sizes;
}

static int count_present(const size_t *sizes, int count)
{
    int present = 0;
    for (int i = 0; i < count; i++) present += sizes[i] > 0;
    return present;
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* By name, else by number. */
static int find_class(const RtPhase *phase, const RtData *data, const char *name, int count)
{
    char *end;
    for (int i = 0; data->classes && i < count; i++)
        if (strcmp(data->classes[i], name) == 0) return i;
    long number = strtol(name, &end, 10);
    if (end != name && !*end && number >= 0 && number < count) return (int)number;
    rt_die(RT_BAD_DATA, "class_weight names classes of the data, or their numbers from 0 on",
           "phase %s: class_weight: the data have no class \"%s\"", phase->name, name);
}

/* pictures / (classes * pictures of the class) */
static void balance(const RtModel *model, const RtPhase *phase, const RtData *data, real *weights,
                    int count)
{
    int *classes = list_classes(model, phase, data);
    size_t *sizes = count_classes(classes, data->count, count);
    int present = count_present(sizes, count);
    for (int i = 0; i < count; i++)
        if (sizes[i])
            weights[i] = (real)((double)data->count / ((double)present * (double)sizes[i]));
    free(classes);
    free(sizes);
}

void rt_class_weights_open(RtSession *session, const RtPhase *phase, const RtData *data)
{
    if (!phase->weighs_classes) return;
    int count = class_count(session->model, data);
    real *weights = rt_grow(session->class_weights, (size_t)count, sizeof *weights);
    for (int i = 0; i < count; i++) weights[i] = 1;
    if (!phase->class_weight_count) balance(session->model, phase, data, weights, count);
    for (int i = 0; i < phase->class_weight_count; i++)
        weights[find_class(phase, data, phase->class_weights[i].name, count)] =
            (real)phase->class_weights[i].weight;
    session->class_weights = weights;
    session->class_count = count;
}

void rt_weigh_batch(RtSession *session, const RtPhase *phase, const real *y, int n)
{
    int labels = rt_label_size(session->model, phase->loss);
    for (int i = 0; i < n; i++) {
        int class = class_of(y + (size_t)i * (size_t)labels, labels);
        bool known = session->class_weights && class >= 0 && class < session->class_count;
        session->sample_weights[i] = known ? session->class_weights[class] : 1;
    }
    session->run.sample_weight = session->sample_weights;
}

/* ---- Balanced sampling ----------------------------------------------------------------------- */

/* As many pictures of each class as the mean class has, but at least one. */
static size_t share(size_t pictures, int present)
{
    size_t each = pictures / (size_t)(present ? present : 1);
    return each ? each : 1;
}

size_t rt_epoch_pictures(const RtModel *model, const RtPhase *phase, const RtData *data)
{
    if (!phase->balanced_sampling) return data->count;
    int count = class_count(model, data), *classes = list_classes(model, phase, data);
    size_t *sizes = count_classes(classes, data->count, count);
    int present = count_present(sizes, count);
    free(classes);
    free(sizes);
    return present ? share(data->count, present) * (size_t)present : data->count;
}

/* Pictures of one class, in an order of its own, again from the first when they are used up. */
static void draw_class(const RtRun *run, const int *classes, const RtData *data, int class,
                       size_t size, size_t each, uint64_t *drawn)
{
    uint64_t *members = rt_alloc(size, sizeof *members), *order = rt_alloc(size, sizeof *order);
    size_t found = 0;
    for (size_t i = 0; i < data->count; i++)
        if (classes[i] == class) members[found++] = i;
    rt_shuffle(run->seed + 0x9E3779B97F4A7C15u * (uint64_t)(class + 1), run->epoch, order, size);
    for (size_t i = 0; i < each; i++) drawn[i] = members[order[i % size]];
    free(members);
    free(order);
}

static void draw_balanced(const RtRun *run, const RtModel *model, const RtPhase *phase,
                          const RtData *data, uint64_t *drawn)
{
    int count = class_count(model, data), *classes = list_classes(model, phase, data);
    size_t *sizes = count_classes(classes, data->count, count);
    size_t each = share(data->count, count_present(sizes, count));
    for (int class = 0; class < count; class ++) {
        if (!sizes[class]) continue;
        draw_class(run, classes, data, class, sizes[class], each, drawn);
        drawn += each;
    }
    free(classes);
    free(sizes);
}

void rt_epoch_order(const RtRun *run, const RtModel *model, const RtPhase *phase,
                    const RtData *data, bool shuffle, uint64_t *order)
{
    size_t count = rt_epoch_pictures(model, phase, data);
    if (shuffle)
        rt_shuffle(run->seed, run->epoch, order, count);
    else
        for (size_t i = 0; i < count; i++) order[i] = i;
    if (!phase->balanced_sampling) return;
    uint64_t *drawn = rt_alloc(count, sizeof *drawn);
    draw_balanced(run, model, phase, data, drawn);
    for (size_t i = 0; i < count; i++) order[i] = drawn[order[i]];
    free(drawn);
}
