// The kernels as JavaScript calls them. native/kernels/checked.ts checks arguments first and words the errors; what is checked again
// here keeps a call that came round it from touching memory that is not its own.
#include <vector>

#include "binding.h"
#include "kernels.h"

namespace gradmesh {

namespace {

using Info = Napi::CallbackInfo;

[[noreturn]] void refuse(const Info& info, size_t i, const char* what) {
  throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(i) + " of a kernel must be " + what);
}

template <typename T>
struct View {
  T* data;
  size_t length;
};

template <typename T, napi_typedarray_type TYPE>
View<T> view(const Info& info, size_t i, napi_value value, const char* what) {
  bool is = false;
  napi_is_typedarray(info.Env(), value, &is);
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (!is || napi_get_typedarray_info(info.Env(), value, &type, &length, &data, nullptr, nullptr) != napi_ok || type != TYPE)
    refuse(info, i, what);
  return {static_cast<T*>(data), data == nullptr ? 0 : length};
}

View<float> floats(const Info& info, size_t i) { return view<float, napi_float32_array>(info, i, info[i], "a Float32Array"); }
View<uint32_t> words(const Info& info, size_t i) { return view<uint32_t, napi_uint32_array>(info, i, info[i], "a Uint32Array"); }
View<uint8_t> bytes(const Info& info, size_t i) { return view<uint8_t, napi_uint8_array>(info, i, info[i], "a Uint8Array"); }

float* floats(const Info& info, size_t i, size_t length) {
  View<float> found = floats(info, i);
  if (found.length != length) refuse(info, i, "as long as the first");
  return found.data;
}

float number(const Info& info, size_t i) { return static_cast<float>(info[i].ToNumber().DoubleValue()); }

const Kernels& kernels(const Info& info) { return *static_cast<const Kernels*>(info.Data()); }

/** The scalars of an update: `count` of them. */
const float* scalars(const Info& info, size_t i, size_t count) {
  View<float> found = floats(info, i);
  if (found.length < count) refuse(info, i, "the scalars of the rule");
  return found.data;
}

size_t packedInt8(size_t n) { return n + 4 * ((n + INT8_BLOCK - 1) / INT8_BLOCK); }

template <auto FUNCTION>
Napi::Value returnsNothing(const Info& info) {
  FUNCTION(info, kernels(info));
  return info.Env().Undefined();
}

void add(const Info& info, const Kernels& k) {
  auto into = floats(info, 0);
  k.add(into.data, floats(info, 1, into.length), into.length);
}

void blend(const Info& info, const Kernels& k) {
  auto into = floats(info, 0);
  k.blend(into.data, floats(info, 1, into.length), number(info, 2), into.length);
}

void combine(const Info& info, const Kernels& k) {
  auto into = floats(info, 0);
  k.combine(into.data, floats(info, 1, into.length), number(info, 2), number(info, 3), into.length);
}

void addScaled(const Info& info, const Kernels& k) {
  auto into = floats(info, 0);
  k.addScaled(into.data, floats(info, 1, into.length), number(info, 2), into.length);
}

void scale(const Info& info, const Kernels& k) {
  auto into = floats(info, 0);
  k.scale(into.data, number(info, 1), into.length);
}

void average(const Info& info, const Kernels& k) {
  auto into = floats(info, 0);
  if (!info[1].IsArray()) refuse(info, 1, "an array of Float32Arrays");
  auto list = info[1].As<Napi::Array>();
  std::vector<const float*> sources;
  for (uint32_t i = 0; i < list.Length(); i++) {
    Napi::Value source = list[i];
    auto found = view<float, napi_float32_array>(info, 1, source, "an array of Float32Arrays");
    if (found.length != into.length) refuse(info, 1, "Float32Arrays as long as the first argument");
    sources.push_back(found.data);
  }
  if (sources.empty()) refuse(info, 1, "at least one Float32Array");
  k.average(into.data, sources.data(), sources.size(), into.length);
}

Napi::Value dot(const Info& info) {
  auto x = floats(info, 0);
  return Napi::Number::New(info.Env(), kernels(info).dot(x.data, floats(info, 1, x.length), x.length));
}

Napi::Value sumSquares(const Info& info) {
  auto x = floats(info, 0);
  return Napi::Number::New(info.Env(), kernels(info).sumSquares(x.data, x.length));
}

Napi::Value sumAbs(const Info& info) {
  auto x = floats(info, 0);
  return Napi::Number::New(info.Env(), kernels(info).sumAbs(x.data, x.length));
}

Napi::Value maxAbs(const Info& info) {
  auto x = floats(info, 0);
  return Napi::Number::New(info.Env(), kernels(info).maxAbs(x.data, x.length));
}

template <auto MEMBER, bool INT8>
void pack(const Info& info, const Kernels& k) {
  auto from = floats(info, 0);
  auto into = bytes(info, 1);
  if (into.length != (INT8 ? packedInt8(from.length) : 2 * from.length)) refuse(info, 1, "as long as the packed floats");
  (k.*MEMBER)(from.data, into.data, from.length);
}

template <auto MEMBER, bool INT8>
void unpack(const Info& info, const Kernels& k) {
  auto from = bytes(info, 0);
  auto into = floats(info, 1);
  if (from.length != (INT8 ? packedInt8(into.length) : 2 * into.length)) refuse(info, 0, "as long as the packed floats");
  (k.*MEMBER)(from.data, into.data, into.length);
}

void topK(const Info& info, const Kernels& k) {
  auto x = floats(info, 0);
  auto indices = words(info, 1);
  float* values = floats(info, 2, indices.length);
  if (indices.length > x.length) refuse(info, 1, "no longer than the first");
  k.topK(x.data, x.length, indices.data, values, indices.length);
}

Napi::Value scatterAdd(const Info& info) {
  auto into = floats(info, 0);
  auto indices = words(info, 1);
  float* values = floats(info, 2, indices.length);
  return Napi::Boolean::New(info.Env(), kernels(info).scatterAdd(into.data, into.length, indices.data, values, indices.length));
}

Napi::Value encodeThreshold(const Info& info) {
  auto residual = floats(info, 0);
  auto out = words(info, 2);
  const size_t count = kernels(info).encodeThreshold(residual.data, residual.length, number(info, 1), out.data, out.length);
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

Napi::Value decodeThreshold(const Info& info) {
  auto from = words(info, 0);
  auto into = floats(info, 2);
  return Napi::Boolean::New(info.Env(), kernels(info).decodeThreshold(from.data, from.length, number(info, 1), into.data, into.length));
}

Napi::Value encodeBitmap(const Info& info) {
  auto residual = floats(info, 0);
  auto out = bytes(info, 2);
  if (out.length != (residual.length + 3) / 4) refuse(info, 2, "a byte for four floats");
  const size_t count = kernels(info).encodeBitmap(residual.data, residual.length, number(info, 1), out.data);
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

void decodeBitmap(const Info& info, const Kernels& k) {
  auto from = bytes(info, 0);
  auto into = floats(info, 2);
  if (from.length != (into.length + 3) / 4) refuse(info, 0, "a byte for four floats");
  k.decodeBitmap(from.data, number(info, 1), into.data, into.length);
}

void sgd(const Info& info, const Kernels& k) {
  const int form = info[0].ToNumber().Int32Value();
  auto w = floats(info, 1);
  float* g = floats(info, 2, w.length);
  float* v = form == 0 ? nullptr : floats(info, 3, w.length);
  k.sgd(form, w.data, g, v, scalars(info, 4, 6), w.length);
}

void adagrad(const Info& info, const Kernels& k) {
  auto w = floats(info, 0);
  k.adagrad(w.data, floats(info, 1, w.length), floats(info, 2, w.length), scalars(info, 3, 5), w.length);
}

void adadelta(const Info& info, const Kernels& k) {
  auto w = floats(info, 0);
  const size_t n = w.length;
  k.adadelta(w.data, floats(info, 1, n), floats(info, 2, n), floats(info, 3, n), scalars(info, 4, 7), n);
}

void rmsprop(const Info& info, const Kernels& k) {
  auto w = floats(info, 0);
  const size_t n = w.length;
  float* b = info[3].IsUndefined() ? nullptr : floats(info, 3, n);
  k.rmsprop(w.data, floats(info, 1, n), floats(info, 2, n), b, scalars(info, 4, 8), n);
}

void adam(const Info& info, const Kernels& k) {
  auto w = floats(info, 0);
  const size_t n = w.length;
  k.adam(w.data, floats(info, 1, n), floats(info, 2, n), floats(info, 3, n), scalars(info, 4, 11), n);
}

Napi::Value lambMoments(const Info& info) {
  auto w = floats(info, 0);
  const size_t n = w.length;
  double sums[2];
  kernels(info).lambMoments(w.data, floats(info, 1, n), floats(info, 2, n), floats(info, 3, n), scalars(info, 4, 12), sums, n);
  auto result = Napi::Array::New(info.Env(), 2);
  result[0u] = sums[0];
  result[1u] = sums[1];
  return result;
}

void lambApply(const Info& info, const Kernels& k) {
  auto w = floats(info, 0);
  const size_t n = w.length;
  k.lambApply(w.data, floats(info, 1, n), floats(info, 2, n), scalars(info, 3, 12), n);
}

Napi::Value checksumOf(const Info& info) {
  auto data = bytes(info, 0);
  const uint32_t crc = info[1].IsUndefined() ? 0 : info[1].ToNumber().Uint32Value();
  auto* kernel = &kernels(info) == &portableKernels ? checksumByTable : checksum;
  return Napi::Number::New(info.Env(), kernel(crc, data.data, data.length));
}

Napi::Object describe(Napi::Env env, const Kernels* level) {
  auto result = Napi::Object::New(env);
  auto* data = const_cast<Kernels*>(level);
  auto bind = [&](const char* name, auto callback) { result[name] = Napi::Function::New(env, callback, name, data); };
  bind("add", returnsNothing<add>);
  bind("blend", returnsNothing<blend>);
  bind("combine", returnsNothing<combine>);
  bind("addScaled", returnsNothing<addScaled>);
  bind("scale", returnsNothing<scale>);
  bind("average", returnsNothing<average>);
  bind("dot", dot);
  bind("sumSquares", sumSquares);
  bind("sumAbs", sumAbs);
  bind("maxAbs", maxAbs);
  bind("packHalf", returnsNothing<pack<&Kernels::packHalf, false>>);
  bind("unpackHalf", returnsNothing<unpack<&Kernels::unpackHalf, false>>);
  bind("packBfloat", returnsNothing<pack<&Kernels::packBfloat, false>>);
  bind("unpackBfloat", returnsNothing<unpack<&Kernels::unpackBfloat, false>>);
  bind("packInt8", returnsNothing<pack<&Kernels::packInt8, true>>);
  bind("unpackInt8", returnsNothing<unpack<&Kernels::unpackInt8, true>>);
  bind("topK", returnsNothing<topK>);
  bind("scatterAdd", scatterAdd);
  bind("encodeThreshold", encodeThreshold);
  bind("decodeThreshold", decodeThreshold);
  bind("encodeBitmap", encodeBitmap);
  bind("decodeBitmap", returnsNothing<decodeBitmap>);
  bind("sgd", returnsNothing<sgd>);
  bind("adagrad", returnsNothing<adagrad>);
  bind("adadelta", returnsNothing<adadelta>);
  bind("rmsprop", returnsNothing<rmsprop>);
  bind("adam", returnsNothing<adam>);
  bind("lambMoments", lambMoments);
  bind("lambApply", returnsNothing<lambApply>);
  bind("checksum", checksumOf);
  return result;
}

}  // namespace

void exportKernels(Napi::Env env, Napi::Object exports) {
  auto levels = Napi::Object::New(env);
  for (const Kernels* const* level = availableKernels(); *level != nullptr; level++) levels[(*level)->name] = describe(env, *level);
  exports["kernels"] = levels;
}

}  // namespace gradmesh
