// Included by implementation.h: 16-bit floats and 8-bit codes. Packed bytes may lie at any address.

typedef uint16_t U16 __attribute__((aligned(1), may_alias));

inline uint16_t halfOf(float x) {
  const uint32_t bits = bitsOf(x);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & MAGNITUDE;
  if (magnitude > INFINITE) return static_cast<uint16_t>(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
  if (magnitude >= 0x47800000) return static_cast<uint16_t>(sign | 0x7c00);
  // Below 2⁻¹⁴ the unit of a half is 2⁻²⁴, that of a float at one half: the sum rounds as it must.
  if (magnitude < 0x38800000) return static_cast<uint16_t>(sign | (bitsOf(floatOf(magnitude) + 0.5f) - 0x3f000000));
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

inline float fromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half & 0x7c00;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0x7c00) return floatOf(sign | INFINITE | (mantissa != 0 ? 0x400000 | (mantissa << 13) : 0));
  if (exponent == 0) return floatOf(sign | bitsOf(static_cast<float>(mantissa) * 0x1p-24f));
  return floatOf(sign | ((static_cast<uint32_t>(half & 0x7fff) << 13) + 0x38000000));
}

void packHalf(const float* from, uint8_t* into, size_t n) {
  U16* halves = reinterpret_cast<U16*>(into);
  size_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    const __m128i packed = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + i), packed);
  }
#endif
  for (; i < n; i++) halves[i] = halfOf(from[i]);
}

void unpackHalf(const uint8_t* from, float* into, size_t n) {
  const U16* halves = reinterpret_cast<const U16*>(from);
  size_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(into + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i))));
#endif
  for (; i < n; i++) into[i] = fromHalf(halves[i]);
}

void packBfloat(const float* from, uint8_t* into, size_t n) {
  U16* halves = reinterpret_cast<U16*>(into);
  EACH for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, from + i, 4);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const uint32_t quiet = (bits >> 16) | 0x40;
    halves[i] = static_cast<uint16_t>((bits & MAGNITUDE) > INFINITE ? quiet : rounded);
  }
}

void unpackBfloat(const uint8_t* from, float* into, size_t n) {
  const U16* halves = reinterpret_cast<const U16*>(from);
  EACH for (size_t i = 0; i < n; i++) {
    const uint32_t bits = static_cast<uint32_t>(halves[i]) << 16;
    memcpy(into + i, &bits, 4);
  }
}

void packInt8(const float* from, uint8_t* into, size_t n) {
  for (size_t start = 0; start < n; start += INT8_BLOCK) {
    const size_t length = n - start < INT8_BLOCK ? n - start : INT8_BLOCK;
    const float* x = from + start;
    const float unit = maxAbs(x, length) / 127.0f;
    const float reciprocal = 1.0f / unit;
    // A unit so small that its reciprocal overflows carries nothing; 0 has none.
    const float factor = bitsOf(reciprocal) >= INFINITE ? 0.0f : reciprocal;
    memcpy(into, &unit, 4);
    auto* codes = reinterpret_cast<int8_t*>(into + 4);
    EACH for (size_t i = 0; i < length; i++) {
      float t = x[i] * factor;
      t = t == t ? t : 0.0f;
      t = t > 127.0f ? 127.0f : t;
      t = t < -127.0f ? -127.0f : t;
      // Adding 1.5·2²³ leaves no bits for a fraction: rounds to the nearest integer, halves to even.
      codes[i] = static_cast<int8_t>(static_cast<int32_t>((t + 12582912.0f) - 12582912.0f));
    }
    into += 4 + length;
  }
}

void unpackInt8(const uint8_t* from, float* into, size_t n) {
  for (size_t start = 0; start < n; start += INT8_BLOCK) {
    const size_t length = n - start < INT8_BLOCK ? n - start : INT8_BLOCK;
    float unit;
    memcpy(&unit, from, 4);
    const auto* codes = reinterpret_cast<const int8_t*>(from + 4);
    EACH for (size_t i = 0; i < length; i++) into[start + i] = unit * static_cast<float>(codes[i]);
    from += 4 + length;
  }
}
