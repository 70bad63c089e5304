#include "binding.h"

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  gradmesh::exportArenas(env, exports);
  gradmesh::exportKernels(env, exports);
  return exports;
}

NODE_API_MODULE(gradmesh_core, init)
