#pragma once
#include <napi.h>

namespace gradmesh {

void exportArenas(Napi::Env env, Napi::Object exports);
void exportKernels(Napi::Env env, Napi::Object exports);

}  // namespace gradmesh
