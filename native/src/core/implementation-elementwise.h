// Included by implementation.h: sums, means and norms.

void add(float* into, const float* from, size_t n) {
  EACH for (size_t i = 0; i < n; i++) into[i] = from[i] + into[i];
}

void blend(float* into, const float* from, float factor, size_t n) {
  EACH for (size_t i = 0; i < n; i++) into[i] = into[i] + factor * (from[i] - into[i]);
}

void combine(float* into, const float* from, float alpha, float beta, size_t n) {
  EACH for (size_t i = 0; i < n; i++) into[i] = alpha * into[i] + beta * from[i];
}

void addScaled(float* into, const float* from, float factor, size_t n) {
  EACH for (size_t i = 0; i < n; i++) into[i] = into[i] + factor * from[i];
}

void scale(float* into, float factor, size_t n) {
  EACH for (size_t i = 0; i < n; i++) into[i] = factor * into[i];
}

void average(float* into, const float* const* from, size_t count, size_t n) {
  // A piece at a time, so that the sum stays in the cache and `into` may be one of the sources.
  float sum[2048];
  const float divisor = static_cast<float>(count);
  for (size_t start = 0; start < n; start += 2048) {
    const size_t length = n - start < 2048 ? n - start : 2048;
    memcpy(sum, from[0] + start, length * sizeof(float));
    for (size_t k = 1; k < count; k++) add(sum, from[k] + start, length);
    EACH for (size_t i = 0; i < length; i++) into[start + i] = sum[i] / divisor;
  }
}

typedef float F8 __attribute__((vector_size(32)));
typedef double D8 __attribute__((vector_size(64)));

/** The 16 lanes of a reduction: element i goes to lane i mod 16. */
struct Lanes {
  D8 low = {0, 0, 0, 0, 0, 0, 0, 0};
  D8 high = {0, 0, 0, 0, 0, 0, 0, 0};

  /** Adds `tail`, at most 15 more elements, and joins the lanes: 16 → 8 → 4 → 2 → 1. */
  double join(const double* tail, size_t length) {
    double lane[16];
    memcpy(lane, &low, 64);
    memcpy(lane + 8, &high, 64);
    for (size_t j = 0; j < length; j++) lane[j] += tail[j];
    for (size_t width = 8; width >= 1; width /= 2)
      for (size_t j = 0; j < width; j++) lane[j] += lane[j + width];
    return lane[0];
  }
};

inline F8 load8(const float* x) {
  F8 v;
  memcpy(&v, x, 32);
  return v;
}

inline D8 wide(const float* x) { return __builtin_convertvector(load8(x), D8); }

double dot(const float* x, const float* y, size_t n) {
  Lanes lanes;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    lanes.low += wide(x + i) * wide(y + i);
    lanes.high += wide(x + i + 8) * wide(y + i + 8);
  }
  double tail[16];
  for (size_t j = i; j < n; j++) tail[j - i] = static_cast<double>(x[j]) * static_cast<double>(y[j]);
  return lanes.join(tail, n - i);
}

double sumSquares(const float* x, size_t n) { return dot(x, x, n); }

double sumAbs(const float* x, size_t n) {
  Lanes lanes;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const D8 a = wide(x + i), b = wide(x + i + 8);
    lanes.low += a < 0 ? -a : a;
    lanes.high += b < 0 ? -b : b;
  }
  double tail[16];
  for (size_t j = i; j < n; j++) tail[j - i] = __builtin_fabs(static_cast<double>(x[j]));
  return lanes.join(tail, n - i);
}

inline uint32_t bitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

inline float floatOf(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

constexpr uint32_t MAGNITUDE = 0x7fffffff;
constexpr uint32_t INFINITE = 0x7f800000;

/** Largest magnitude as bits, which order as the magnitudes do; with NaNs counted as 0. */
uint32_t maxMagnitude(const float* x, size_t n) {
  uint32_t most = 0;
  EACH for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    bits &= MAGNITUDE;
    bits = bits > INFINITE ? 0 : bits;
    most = bits > most ? bits : most;
  }
  return most;
}

float maxAbs(const float* x, size_t n) { return floatOf(maxMagnitude(x, n)); }
