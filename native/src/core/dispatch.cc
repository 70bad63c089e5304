// Which kernels this processor can run.
#include "kernels.h"

namespace gradmesh {

const Kernels* const* availableKernels() {
  static const Kernels* list[4] = {};
  static const bool filled = [] {
    int at = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (avx512) list[at++] = &avx512Kernels;
    if (avx2) list[at++] = &avx2Kernels;
#elif defined(__aarch64__)
    list[at++] = &neonKernels;
#endif
    list[at] = &portableKernels;
    return true;
  }();
  (void)filled;
  return list;
}

}  // namespace gradmesh
