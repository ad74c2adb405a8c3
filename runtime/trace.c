/* trace.c: all numbers of a short training run in one .npz file, for comparison with another
 * implementation: losses, the last step's output, weights, and the optimizer's state. */
#include <stdlib.h>

#include "arrays.h"
#include "commands.h"
#include "ground.h"
#include "measures.h"

static RtArray view_weight(const RtWeight *weight, char *name, void *data)
{
    RtArray array = {.name = name,
                     .type = sizeof(real) == 8 ? RT_F64 : RT_F32,
                     .rank = weight->rank,
                     .data = data};
    for (int i = 0; i < weight->rank; i++) array.dims[i] = weight->dims[i];
    return array;
}

void rt_trace_write(const char *path, const RtModel *model, const RtPhase *phase, char *arena,
                    const double *losses, size_t steps, real *out, int n)
{
    size_t count = 2 + (size_t)model->weight_count + (size_t)phase->slot_count, at = 0;
    RtArray *arrays = rt_alloc(count, sizeof *arrays);
    arrays[at++] = (RtArray){.name = rt_format("loss"),
                             .type = RT_F64,
                             .rank = 1,
                             .dims = {(int64_t)steps},
                             .data = (void *)losses};
    arrays[at] = rt_output_array(model, out, n);
    arrays[at++].name = rt_format("output");
    for (int i = 0; i < model->weight_count; i++) {
        const RtWeight *weight = &model->weights[i];
        arrays[at++] = view_weight(weight, rt_format("%s", weight->name), arena + weight->offset);
    }
    for (int i = 0; i < phase->slot_count; i++) {
        const RtSlot *slot = &phase->slots[i];
        const RtWeight *weight = &model->weights[slot->weight];
        char *name = rt_format("optimizer/%s/%s", weight->name, slot->name);
        arrays[at++] = view_weight(weight, name, arena + slot->offset);
    }
    rt_npz_write(path, arrays, count);
    for (size_t i = 0; i < count; i++) free(arrays[i].name); /* the data is not the arrays' own */
    free(arrays);
}
