#if defined(__x86_64__)
#define LEVEL avx512
#include "implementation.h"
#endif
