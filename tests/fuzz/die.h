/* die.h: for fuzzers of functions that may end the program: where rt_die goes instead. */
#ifndef FUZZ_DIE_H
#define FUZZ_DIE_H

#include <setjmp.h>

extern jmp_buf fuzz_exit; /* set it by setjmp before each call */

#endif
