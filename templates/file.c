/* file.c: the parts of the generated file that are the same for every model. */
#ifndef FILE_C /* it includes itself, as the generated file does */
#define FILE_C
#include "level.c"

#undef LEVEL
#undef LEVEL_SUFFIX
#undef TARGET

#define $level 3
#define $suffix avx512_bf16
#define $target RT_TARGET_AVX512_BF16

static const int kernels_generic, kernels_$suffix;

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
#define LEVEL 0
#define LEVEL_SUFFIX generic
#define TARGET
#include THIS_FILE
#undef LEVEL
#undef LEVEL_SUFFIX
#undef TARGET
//% include_level
#if RT_HAS_LEVEL($level)
#define LEVEL $level
#define LEVEL_SUFFIX $suffix
#define TARGET $target
#include THIS_FILE
#undef LEVEL
#undef LEVEL_SUFFIX
#undef TARGET
#endif

//% level_table
static const void *const levels[RT_LEVELS] = {
    &kernels_generic,
//% level_row
#if RT_HAS_LEVEL($level)
    [$level] = &kernels_$suffix,
#endif
//% level_table_end
};
//% end
const void *const *use_levels(void);
const void *const *use_levels(void) { return levels; }
#endif
