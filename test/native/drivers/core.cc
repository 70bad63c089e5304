// Runs the C++ of native/src/core without JavaScript, for sanitizers: every kernel of every level this processor has, on memory of exactly
// the size it may touch, against the portable one; arenas opened and closed by several threads at once. Exits 1 on a difference.
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <tuple>
#include <vector>

#include "core/kernels.h"
#include "core/mapping.h"

using namespace gradmesh;

namespace {

std::mt19937 rng;
int failures = 0;
/** Of everything the portable kernels gave: the same under one seed on every kind of processor. */
uint32_t digest = 0;

/** Memory whose end a sanitizer watches, beginning at any multiple of 4 bytes. */
template <typename T>
struct Memory {
  size_t lead = rng() % 17, length;
  std::unique_ptr<T[]> all;

  explicit Memory(size_t n) : length(n), all(new T[lead + n]) {}
  Memory(const Memory& other) : lead(other.lead), length(other.length), all(new T[lead + length]) {
    memcpy(all.get(), other.all.get(), (lead + length) * sizeof(T));
  }
  T* data() { return all.get() + lead; }
};

float anyFloat() {
  uint32_t bits = rng();
  if (rng() % 8 != 0) bits = (bits & 0x807fffff) | ((90 + rng() % 70) << 23);
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

Memory<float> floats(size_t n, bool positive = false) {
  Memory<float> memory(n);
  for (size_t i = 0; i < memory.lead + n; i++) memory.all[i] = positive ? __builtin_fabsf(anyFloat()) : anyFloat();
  return memory;
}

Memory<uint8_t> bytes(size_t n) {
  Memory<uint8_t> memory(n);
  for (size_t i = 0; i < memory.lead + n; i++) memory.all[i] = static_cast<uint8_t>(rng());
  return memory;
}

void take(Memory<float>& memory) {
  for (size_t i = 0; i < memory.length; i++) {
    float x = memory.data()[i];
    if (x != x) x = 0;
    digest = checksum(digest, reinterpret_cast<const uint8_t*>(&x), 4);
  }
}

template <typename T>
void take(Memory<T>& memory) {
  digest = checksum(digest, reinterpret_cast<const uint8_t*>(memory.data()), memory.length * sizeof(T));
}

bool same(Memory<float>& a, Memory<float>& b) {
  for (size_t i = 0; i < a.lead + a.length; i++) {
    const float x = a.all[i], y = b.all[i];
    if (memcmp(&x, &y, 4) != 0 && !(x != x && y != y)) return false;
  }
  return true;
}

template <typename T>
bool same(Memory<T>& a, Memory<T>& b) {
  return memcmp(a.all.get(), b.all.get(), (a.lead + a.length) * sizeof(T)) == 0;
}

void expect(bool good, const char* level, const char* what, size_t n) {
  if (good) return;
  failures++;
  std::printf("%s: %s of %zu floats differs from the portable kernel\n", level, what, n);
}

/**
 * Calls `run(kernels, memory …)` with both on copies of the same memory and compares all of it afterwards. The memory comes in braces,
 * where every compiler draws it in the same order.
 */
template <typename Run, typename... T>
void both(const Kernels& level, const char* what, size_t n, Run run, std::tuple<Memory<T>...> memory) {
  std::tuple<Memory<T>...> ours(memory), theirs(memory);
  std::apply([&](auto&... m) { run(level, m.data()...); }, ours);
  std::apply([&](auto&... m) { run(portableKernels, m.data()...); }, theirs);
  bool good = true;
  std::apply([&](auto&... a) { std::apply([&](auto&... b) { ((good = good && same(a, b)), ...); }, theirs); }, ours);
  expect(good, level.name, what, n);
  if (&level == &portableKernels) std::apply([&](auto&... b) { (take(b), ...); }, theirs);
}

size_t packed(size_t n) { return n + 4 * ((n + INT8_BLOCK - 1) / INT8_BLOCK); }

void compare(const Kernels& level, size_t n) {
  using K = const Kernels&;
  Memory<float> s(12);
  for (size_t i = 0; i < s.lead + 12; i++) s.all[i] = static_cast<float>(rng() % 1000) / 1000;
  both(level, "add", n, [&](K k, float* a, float* b) { k.add(a, b, n); }, std::tuple{floats(n), floats(n)});
  both(level, "blend", n, [&](K k, float* a, float* b) { k.blend(a, b, 0.3f, n); }, std::tuple{floats(n), floats(n)});
  both(level, "combine", n, [&](K k, float* a, float* b) { k.combine(a, b, 0.3f, 0.7f, n); }, std::tuple{floats(n), floats(n)});
  both(level, "addScaled", n, [&](K k, float* a, float* b) { k.addScaled(a, b, 0.3f, n); }, std::tuple{floats(n), floats(n)});
  both(level, "scale", n, [&](K k, float* a) { k.scale(a, 0.3f, n); }, std::tuple{floats(n)});
  both(level, "average", n, [&](K k, float* a, float* b, float* c) {
    const float* from[] = {b, a, c};
    k.average(a, from, 3, n);
  }, std::tuple{floats(n), floats(n), floats(n)});
  both(level, "packHalf", n, [&](K k, float* a, uint8_t* b) { k.packHalf(a, b, n); }, std::tuple{floats(n), bytes(2 * n)});
  both(level, "unpackHalf", n, [&](K k, uint8_t* a, float* b) { k.unpackHalf(a, b, n); }, std::tuple{bytes(2 * n), floats(n)});
  both(level, "packBfloat", n, [&](K k, float* a, uint8_t* b) { k.packBfloat(a, b, n); }, std::tuple{floats(n), bytes(2 * n)});
  both(level, "unpackBfloat", n, [&](K k, uint8_t* a, float* b) { k.unpackBfloat(a, b, n); }, std::tuple{bytes(2 * n), floats(n)});
  both(level, "packInt8", n, [&](K k, float* a, uint8_t* b) { k.packInt8(a, b, n); }, std::tuple{floats(n), bytes(packed(n))});
  both(level, "unpackInt8", n, [&](K k, uint8_t* a, float* b) { k.unpackInt8(a, b, n); }, std::tuple{bytes(packed(n)), floats(n)});
  const size_t chosen = n == 0 ? 0 : rng() % (n + 1);
  Memory<uint32_t> indices(chosen), hostile(chosen);
  for (size_t i = 0; i < indices.lead + chosen; i++) indices.all[i] = 0;
  for (size_t i = 0; i < hostile.lead + chosen; i++) hostile.all[i] = n > 0 && rng() % 4 != 0 ? rng() % n : rng();
  both(level, "topK", n, [&](K k, float* a, uint32_t* i, float* v) { k.topK(a, n, i, v, chosen); },
       std::tuple{floats(n), indices, floats(chosen)});
  both(level, "scatterAdd", n, [&](K k, float* a, uint32_t* i, float* v) { k.scatterAdd(a, n, i, v, chosen); },
       std::tuple{floats(n), hostile, floats(chosen)});
  both(level, "encodeThreshold", n, [&](K k, float* a, uint32_t* w) { k.encodeThreshold(a, n, 0.5f, w, chosen); },
       std::tuple{floats(n), indices});
  both(level, "decodeThreshold", n, [&](K k, uint32_t* w, float* a) { k.decodeThreshold(w, chosen, 0.5f, a, n); },
       std::tuple{hostile, floats(n)});
  both(level, "encodeBitmap", n, [&](K k, float* a, uint8_t* b) { k.encodeBitmap(a, n, 0.5f, b); },
       std::tuple{floats(n), bytes((n + 3) / 4)});
  both(level, "decodeBitmap", n, [&](K k, uint8_t* b, float* a) { k.decodeBitmap(b, 0.5f, a, n); },
       std::tuple{bytes((n + 3) / 4), floats(n)});
  for (int form = 0; form < 5; form++)
    both(level, "sgd", n, [&](K k, float* w, float* g, float* v) { k.sgd(form, w, g, v, s.data(), n); },
         std::tuple{floats(n), floats(n), floats(n)});
  both(level, "adagrad", n, [&](K k, float* w, float* g, float* h) { k.adagrad(w, g, h, s.data(), n); },
       std::tuple{floats(n), floats(n), floats(n, true)});
  both(level, "adadelta", n, [&](K k, float* w, float* g, float* h, float* u) { k.adadelta(w, g, h, u, s.data(), n); },
       std::tuple{floats(n), floats(n), floats(n, true), floats(n, true)});
  both(level, "rmsprop", n, [&](K k, float* w, float* g, float* h, float* b) {
    k.rmsprop(w, g, h, b, s.data(), n);
    k.rmsprop(w, g, h, nullptr, s.data(), n);
  }, std::tuple{floats(n), floats(n), floats(n, true), floats(n)});
  both(level, "adam", n, [&](K k, float* w, float* g, float* m, float* v) { k.adam(w, g, m, v, s.data(), n); },
       std::tuple{floats(n), floats(n), floats(n), floats(n, true)});
  both(level, "lamb", n, [&](K k, float* w, float* g, float* m, float* v) {
    double sums[2];
    k.lambMoments(w, g, m, v, s.data(), sums, n);
    Memory<float> scalars(s);
    scalars.data()[3] = static_cast<float>(sums[0] / sums[1]);
    k.lambApply(w, m, v, scalars.data(), n);
  }, std::tuple{floats(n), floats(n), floats(n), floats(n, true)});
  Memory<float> x = floats(n), y = floats(n);
  auto equal = [](double a, double b) { return a == b || (a != a && b != b); };
  const Kernels& p = portableKernels;
  expect(equal(level.dot(x.data(), y.data(), n), p.dot(x.data(), y.data(), n)), level.name, "dot", n);
  expect(equal(level.sumAbs(x.data(), n), p.sumAbs(x.data(), n)), level.name, "sumAbs", n);
  expect(level.maxAbs(x.data(), n) == p.maxAbs(x.data(), n), level.name, "maxAbs", n);
  Memory<uint8_t> b = bytes(3 * n);
  expect(checksum(7, b.data(), 3 * n) == checksumByTable(7, b.data(), 3 * n), level.name, "checksum", n);
}

/** Threads that open, use and close one arena while it is closed by its maker. */
void arenas(unsigned rounds) {
  for (unsigned round = 0; round < rounds; round++) {
    const std::string id = "driver-" + std::to_string(round);
    Mapping* made = nullptr;
    Problem problem = create(100'000, id, false, &made);
    if (!problem.empty()) {
      std::printf("no arena: %s\n", problem.c_str());
      failures++;
      return;
    }
    const std::string path = "/proc/self/fd/" + std::to_string(made->fd);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; t++) {
      made->retain(made);
      threads.emplace_back([=] {
        Mapping* again = nullptr;
        if (open(path, made->bytes, id, &again).empty()) {
          again->address[4096 + t] = static_cast<uint8_t>(t + 1);
          closeDescriptor(again);
          again->release(again);
        }
        made->address[8192 + t] = 1;
        made->release(made);
      });
    }
    for (auto& thread : threads) thread.join();
    closeDescriptor(made);
    made->release(made);
    Mapping* gone = nullptr;
    if (open(path, 102'400, id, &gone).empty()) failures++;
  }
  if (liveMappings() != 0) {
    std::printf("%d mappings are left\n", liveMappings());
    failures++;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const auto seed = static_cast<uint32_t>(count > 1 ? std::strtoul(arguments[1], nullptr, 10) : std::random_device{}());
  std::printf("seed %" PRIu32 "\n", seed);
  rng.seed(seed);
  for (const Kernels* const* level = availableKernels(); *level != nullptr; level++) {
    rng.seed(seed);
    for (size_t n : {0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1000, 2047, 2049, 4095, 4096, 4097, 9001}) compare(**level, n);
  }
  arenas(100);
  std::printf("digest %08" PRIx32 "\n", digest);
  std::printf("%s\n", failures == 0 ? "clean" : "failed");
  return failures == 0 ? 0 : 1;
}
