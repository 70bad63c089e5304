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

/** Means of few in one pass; of more a piece at a time, so that the sum stays in the cache and `into` may be one of the sources. */
void average(float* into, const float* const* from, size_t count, size_t n) {
  const float divisor = static_cast<float>(count);
  const float* a = from[0];
  if (count == 2) {
    const float* b = from[1];
    EACH for (size_t i = 0; i < n; i++) into[i] = (b[i] + a[i]) / divisor;
    return;
  }
  if (count == 3) {
    const float *b = from[1], *c = from[2];
    EACH for (size_t i = 0; i < n; i++) into[i] = (c[i] + (b[i] + a[i])) / divisor;
    return;
  }
  float sum[2048];
  for (size_t start = 0; start < n; start += 2048) {
    const size_t length = n - start < 2048 ? n - start : 2048;
    memcpy(sum, a + start, length * sizeof(float));
    for (size_t k = 1; k < count; k++) add(sum, from[k] + start, length);
    EACH for (size_t i = 0; i < length; i++) into[start + i] = sum[i] / divisor;
  }
}

typedef double Doubles __attribute__((vector_size(VECTOR)));
typedef float Floats __attribute__((vector_size(VECTOR / 2)));

constexpr size_t WIDTH = VECTOR / sizeof(double);
constexpr size_t PARTS = 16 / WIDTH;

/** As many floats as there are doubles in a vector. */
inline Doubles wide(const float* x) {
  Floats v;
  memcpy(&v, x, sizeof v);
  return __builtin_convertvector(v, Doubles);
}

/** The 16 lanes of a reduction: element i goes to lane i mod 16. */
struct Lanes {
  Doubles part[PARTS] = {};

  /** Adds x[0..16) · y[0..16). */
  inline void addProducts(const float* x, const float* y) {
    UNROLL for (size_t k = 0; k < PARTS; k++) part[k] += wide(x + k * WIDTH) * wide(y + k * WIDTH);
  }

  /** Adds |x[0..16)|. */
  inline void addMagnitudes(const float* x) {
    UNROLL for (size_t k = 0; k < PARTS; k++) {
      const Doubles v = wide(x + k * WIDTH);
      part[k] += v < 0 ? -v : v;
    }
  }

  /** Adds `tail`, at most 15 more elements, and joins the lanes: 16 → 8 → 4 → 2 → 1. */
  double join(const double* tail, size_t length) {
    double lane[16];
    memcpy(lane, part, sizeof lane);
    for (size_t j = 0; j < length; j++) lane[j] += tail[j];
    for (size_t width = 8; width >= 1; width /= 2)
      for (size_t j = 0; j < width; j++) lane[j] += lane[j + width];
    return lane[0];
  }
};

double dot(const float* x, const float* y, size_t n) {
  Lanes lanes;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) lanes.addProducts(x + i, y + i);
  double tail[16];
  for (size_t j = i; j < n; j++) tail[j - i] = static_cast<double>(x[j]) * static_cast<double>(y[j]);
  return lanes.join(tail, n - i);
}

double sumSquares(const float* x, size_t n) { return dot(x, x, n); }

double sumAbs(const float* x, size_t n) {
  Lanes lanes;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) lanes.addMagnitudes(x + i);
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

typedef int32_t Words __attribute__((vector_size(VECTOR)));

constexpr size_t WORDS = VECTOR / sizeof(int32_t);

/** Largest magnitude as bits, which order as the magnitudes do. NaNs lie above all numbers, or count as 0. */
template <bool NAN_COUNTS>
inline uint32_t maxBits(const float* x, size_t n) {
  Words most[2] = {};
  size_t i = 0;
  for (; i + 2 * WORDS <= n; i += 2 * WORDS) {
    UNROLL for (size_t k = 0; k < 2; k++) {
      Words bits;
      memcpy(&bits, x + i + k * WORDS, sizeof bits);
      bits &= static_cast<int32_t>(MAGNITUDE);
      if (!NAN_COUNTS) bits &= bits <= static_cast<int32_t>(INFINITE);
      most[k] = bits > most[k] ? bits : most[k];
    }
  }
  int32_t lane[2 * WORDS];
  memcpy(lane, most, sizeof lane);
  int32_t result = 0;
  for (size_t j = 0; j < 2 * WORDS; j++) result = lane[j] > result ? lane[j] : result;
  for (; i < n; i++) {
    const auto bits = static_cast<int32_t>(bitsOf(x[i]) & MAGNITUDE);
    if ((NAN_COUNTS || bits <= static_cast<int32_t>(INFINITE)) && bits > result) result = bits;
  }
  return static_cast<uint32_t>(result);
}

float maxAbs(const float* x, size_t n) { return floatOf(maxBits<false>(x, n)); }
