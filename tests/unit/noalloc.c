/* The test of tests/noalloc.c on the small model of the unit tests. */
#include "toy_model.h"

#define MODEL toy_model
#define MODEL_IS_HERE 1
#include "../noalloc.c"
