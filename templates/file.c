/* file.c: the parts of the generated file that are the same for every model. */
#ifndef FILE_C /* it includes itself, as the generated file does */
#define FILE_C
#include "level.c"

#undef LEVEL
#undef LEVEL_SUFFIX
#undef TARGET

static const int kernels_generic, kernels_avx2, kernels_avx512;

//% call_macros
/* Numbers at an offset of the arena, as tlc planned it: in bytes of floats. */
#define REALS(offset) ((real *)(r->arena + BYTES(offset)))
#define BYTES(offset) ((size_t)(offset) * (sizeof(real) / sizeof(float)))
#define WEIGHT(index) (r->weights[index])

/* A kernel on n pictures, the first of which is row `first` of the batch. */
#define CALL(kernel, tasks, ...)                                                                   \
    rt_parallel(k->kernel, (tasks),                                                                \
                &(RtCall){.run = r, .n = n, .first = first, .name = #kernel, __VA_ARGS__})
#define IN(...) .in = {__VA_ARGS__}
#define OUT(...) .out = {__VA_ARGS__}
//% include_levels
#ifdef __FILE_NAME__
#define THIS_FILE __FILE_NAME__
#else
#define THIS_FILE __FILE__
#endif
#define LEVEL 0 /* RT_GENERIC */
#define LEVEL_SUFFIX generic
#define TARGET
#include THIS_FILE
#undef LEVEL
#undef LEVEL_SUFFIX
#undef TARGET
#ifdef RT_HAS_X86_LEVELS
#define LEVEL 1 /* RT_AVX2 */
#define LEVEL_SUFFIX avx2
#define TARGET RT_TARGET_AVX2
#include THIS_FILE
#undef LEVEL
#undef LEVEL_SUFFIX
#undef TARGET
#define LEVEL 2 /* RT_AVX512 */
#define LEVEL_SUFFIX avx512
#define TARGET RT_TARGET_AVX512
#include THIS_FILE
#undef LEVEL
#undef LEVEL_SUFFIX
#undef TARGET
#endif
//% level_table
static const void *const levels[RT_LEVELS] = {
    [RT_GENERIC] = &kernels_generic,
#ifdef RT_HAS_X86_LEVELS
    [RT_AVX2] = &kernels_avx2,
    [RT_AVX512] = &kernels_avx512,
#endif
};
//% end
const void *const *use_levels(void);
const void *const *use_levels(void) { return levels; }
#endif
