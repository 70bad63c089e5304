#pragma once
// The kernels on flat float32 memory, once for each instruction set. All give the same bits, those of the TypeScript twins in
// native/kernels/: every product, sum, quotient and root is rounded to float32, nothing is contracted, and a reduction adds float64
// over 16 lanes that a fixed tree joins. The twins document what each kernel computes.
#include <cstddef>
#include <cstdint>

namespace gradmesh {

/** Elements of one block of 8-bit codes, behind the block's own scale. */
constexpr size_t INT8_BLOCK = 4096;

struct Kernels {
  const char* name;

  void (*add)(float* into, const float* from, size_t n);
  void (*blend)(float* into, const float* from, float factor, size_t n);
  void (*combine)(float* into, const float* from, float alpha, float beta, size_t n);
  void (*addScaled)(float* into, const float* from, float factor, size_t n);
  void (*scale)(float* into, float factor, size_t n);
  void (*average)(float* into, const float* const* from, size_t count, size_t n);

  double (*dot)(const float* x, const float* y, size_t n);
  double (*sumSquares)(const float* x, size_t n);
  double (*sumAbs)(const float* x, size_t n);
  float (*maxAbs)(const float* x, size_t n);

  void (*packHalf)(const float* from, uint8_t* into, size_t n);
  void (*unpackHalf)(const uint8_t* from, float* into, size_t n);
  void (*packBfloat)(const float* from, uint8_t* into, size_t n);
  void (*unpackBfloat)(const uint8_t* from, float* into, size_t n);
  void (*packInt8)(const float* from, uint8_t* into, size_t n);
  void (*unpackInt8)(const uint8_t* from, float* into, size_t n);

  /** The k largest magnitudes; `k` ≤ n. */
  void (*topK)(const float* x, size_t n, uint32_t* indices, float* values, size_t k);
  /** @return whether all indices are below n; nothing is written otherwise */
  bool (*scatterAdd)(float* into, size_t n, const uint32_t* indices, const float* values, size_t k);
  /** @return how many were encoded, at most `capacity` */
  size_t (*encodeThreshold)(float* residual, size_t n, float threshold, uint32_t* words, size_t capacity);
  bool (*decodeThreshold)(const uint32_t* words, size_t count, float threshold, float* into, size_t n);
  size_t (*encodeBitmap)(float* residual, size_t n, float threshold, uint8_t* bytes);
  void (*decodeBitmap)(const uint8_t* bytes, float threshold, float* into, size_t n);

  /** form: index into native/kernels/updates.ts's SGD_FORMS; `v` is not read by form 0. */
  void (*sgd)(int form, float* w, const float* g, float* v, const float* scalars, size_t n);
  void (*adagrad)(float* w, const float* g, float* h, const float* scalars, size_t n);
  void (*adadelta)(float* w, const float* g, float* h, float* u, const float* scalars, size_t n);
  /** `b`, the momentum, may be null. */
  void (*rmsprop)(float* w, const float* g, float* h, float* b, const float* scalars, size_t n);
  void (*adam)(float* w, const float* g, float* m, float* v, const float* scalars, size_t n);
  /** sums: Σ w², Σ u² of the direction u */
  void (*lambMoments)(const float* w, const float* g, float* m, float* v, const float* scalars, double* sums, size_t n);
  void (*lambApply)(float* w, const float* m, const float* v, const float* scalars, size_t n);
};

/** Those that this build has and this processor can run, best first; the last one is portable. Ends with null. */
const Kernels* const* availableKernels();

/** CRC-32C of `n` bytes, going on from `crc` (0 at first); with the processor's own instruction where it has one. */
uint32_t checksum(uint32_t crc, const uint8_t* bytes, size_t n);
/** The same by table. */
uint32_t checksumByTable(uint32_t crc, const uint8_t* bytes, size_t n);

extern const Kernels portableKernels;
#if defined(__x86_64__)
extern const Kernels avx2Kernels;
extern const Kernels avx512Kernels;
#elif defined(__aarch64__)
extern const Kernels neonKernels;
#endif

}  // namespace gradmesh
