// Arenas as JavaScript sees them: an ArrayBuffer over a mapping, and an external that other parts of the addon take.
#include <cstring>

#include "binding.h"
#include "mapping.h"

namespace gradmesh {

namespace {

const napi_type_tag TAG = {GRADMESH_ARENA_TAG_LOW, GRADMESH_ARENA_TAG_HIGH};

Napi::Object describe(Napi::Env env, Mapping* mapping) {
  auto result = Napi::Object::New(env);
  mapping->retain(mapping);
  auto release = [](Napi::Env, void*, Mapping* m) { m->release(m); };
  auto buffer = Napi::ArrayBuffer::New(env, mapping->address, mapping->bytes, release, mapping);
  auto* slot = new GradmeshArena*(mapping);
  auto handle = Napi::External<GradmeshArena*>::New(env, slot, [](Napi::Env, GradmeshArena** s) {
    if (*s != nullptr) (*s)->release(*s);
    delete s;
  });
  napi_type_tag_object(env, handle, &TAG);
  result["buffer"] = buffer;
  result["handle"] = handle;
  result["descriptor"] = mapping->fd;
  result["bytes"] = static_cast<double>(mapping->bytes);
  result["page"] = static_cast<double>(mapping->page);
  return result;
}

GradmeshArena** slotOf(const Napi::Value& value) {
  bool ours = false;
  if (!value.IsExternal() || napi_check_object_type_tag(value.Env(), value, &TAG, &ours) != napi_ok || !ours)
    throw Napi::TypeError::New(value.Env(), "not an arena's handle");
  return value.As<Napi::External<GradmeshArena*>>().Data();
}

uint64_t bytesOf(const Napi::Value& value) {
  double bytes = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  if (!(bytes >= 1 && bytes <= 1e15)) throw Napi::RangeError::New(value.Env(), "an arena has at least one byte");
  return static_cast<uint64_t>(bytes);
}

/** createArena(bytes, id, huge) */
Napi::Value createArena(const Napi::CallbackInfo& info) {
  Mapping* mapping = nullptr;
  Problem problem = create(bytesOf(info[0]), info[1].ToString(), info[2].ToBoolean(), &mapping);
  if (!problem.empty()) throw Napi::Error::New(info.Env(), problem);
  return describe(info.Env(), mapping);
}

/** openArena(path, bytes, id) */
Napi::Value openArena(const Napi::CallbackInfo& info) {
  Mapping* mapping = nullptr;
  Problem problem = open(info[0].ToString(), bytesOf(info[1]), info[2].ToString(), &mapping);
  if (!problem.empty()) throw Napi::Error::New(info.Env(), problem);
  return describe(info.Env(), mapping);
}

/** closeArena(handle, buffer): the buffer is detached, so that no view reaches the memory any more. */
Napi::Value closeArena(const Napi::CallbackInfo& info) {
  GradmeshArena** slot = slotOf(info[0]);
  if (*slot != nullptr) {
    closeDescriptor(static_cast<Mapping*>(*slot));
    (*slot)->release(*slot);
    *slot = nullptr;
  }
  if (info[1].IsArrayBuffer()) {
    auto buffer = info[1].As<Napi::ArrayBuffer>();
    if (!buffer.IsDetached()) buffer.Detach();
  }
  return info.Env().Undefined();
}

}  // namespace

void exportArenas(Napi::Env env, Napi::Object exports) {
  exports["createArena"] = Napi::Function::New(env, createArena);
  exports["openArena"] = Napi::Function::New(env, openArena);
  exports["closeArena"] = Napi::Function::New(env, closeArena);
  exports["liveMappings"] =
      Napi::Function::New(env, [](const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), liveMappings()); });
}

}  // namespace gradmesh
