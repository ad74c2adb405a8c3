/* labels.c: the labels that a loss wants, and whether the data have them. */
#include <math.h>
#include <stdlib.h>

#include "arrays.h"
#include "data.h"
#include "ground.h"

int rt_label_size(const RtModel *model, RtLoss loss)
{
    if (loss == RT_LOSS_NONE) return 0;
    return loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY ? 1 : model->output_size;
}

static const char *loss_name(RtLoss loss)
{
    static const char *const names[] = {
        [RT_LOSS_NONE] = "no loss",
        [RT_BINARY_CROSSENTROPY] = "binary_crossentropy",
        [RT_CATEGORICAL_CROSSENTROPY] = "categorical_crossentropy",
        [RT_SPARSE_CATEGORICAL_CROSSENTROPY] = "sparse_categorical_crossentropy",
        [RT_MEAN_SQUARED_ERROR] = "mean_squared_error",
    };
    return names[loss];
}

static void check_classes(const RtData *data, const RtModel *model, RtLoss loss)
{
    int units = model->output_size, classes = data->class_count;
    bool fits = classes == units;
    if (loss == RT_BINARY_CROSSENTROPY) fits = units == 1 && classes == 2;
    if (loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY) fits = classes <= units;
    if (loss == RT_MEAN_SQUARED_ERROR) fits = fits || units == 1; /* the class as a number */
    if (fits) return;
    const char *hint = loss == RT_BINARY_CROSSENTROPY
                           ? "binary_crossentropy wants 2 classes and 1 unit; for more classes "
                             "categorical_crossentropy and as many units"
                           : "the last layer wants one unit for each class";
    rt_die(RT_BAD_DATA, hint, "the data have %d classes, the model has %d output%s (%s)", classes,
           units, units == 1 ? "" : "s", loss_name(loss));
}

bool rt_is_label(real value, RtLoss loss, int units)
{
    if (loss == RT_SPARSE_CATEGORICAL_CROSSENTROPY)
        return value >= 0 && value < (real)units && value == RM(floor)(value);
    if (loss == RT_MEAN_SQUARED_ERROR) return isfinite(value);
    return value >= 0 && value <= 1;
}

void rt_data_check_shape(const RtData *data, const RtModel *model, RtLoss loss)
{
    size_t size = (size_t)rt_label_size(model, loss), count = data->count;
    size_t numbers = (size_t)rt_array_count(&data->y);
    if (numbers != count * size)
        rt_die(RT_BAD_DATA,
               loss == RT_CATEGORICAL_CROSSENTROPY && numbers == count
                   ? "y holds class numbers: sparse_categorical_crossentropy takes these"
                   : NULL,
               "y has %zu numbers for each picture, %s of %d outputs wants %zu", numbers / count,
               loss_name(loss), model->output_size, size);
}

static void check_array(const RtData *data, const RtModel *model, RtLoss loss)
{
    rt_data_check_shape(data, model, loss);
    size_t size = (size_t)rt_label_size(model, loss), numbers = data->count * size;
    real *values = rt_alloc(numbers, sizeof *values);
    rt_array_to_real(&data->y, values);
    for (size_t i = 0; i < numbers; i++)
        if (!rt_is_label(values[i], loss, model->output_size))
            rt_die(RT_BAD_DATA, NULL, "y, row %zu: %g is no label for %s of %d output%s",
                   data->rows ? data->rows[i / size] : i / size, (double)values[i], loss_name(loss),
                   model->output_size, model->output_size == 1 ? "" : "s");
    free(values);
}

void rt_data_check(const RtData *data, const RtModel *model, RtLoss loss)
{
    if (loss == RT_LOSS_NONE) return;
    if (data->classes)
        check_classes(data, model, loss);
    else if (data->y.data)
        check_array(data, model, loss);
    else
        rt_die(RT_BAD_DATA, NULL, "the data have no labels, which %s needs", loss_name(loss));
}
