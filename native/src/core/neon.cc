#if defined(__aarch64__)
#define LEVEL neon
#include "implementation.h"
#endif
