#if defined(__x86_64__)
#define LEVEL avx2
#include "implementation.h"
#endif
