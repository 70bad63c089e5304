// Included by implementation.h: selection of few elements. Most blocks hold none and are passed over by their largest magnitude.

constexpr size_t SCAN = 64;

/** The bin in which the k-th from above lies; `k` becomes its place within the bin. */
inline uint32_t binOf(const uint32_t* counts, uint32_t bins, size_t* k) {
  uint32_t bin = bins - 1;
  for (; bin > 0 && counts[bin] < *k; bin--) *k -= counts[bin];
  return bin;
}

/**
 * The k-th largest magnitude as bits, by histograms of 11, 10 and 10 bits.
 *
 * @param k - becomes how many of the magnitudes that equal the result are among the k largest
 */
inline uint32_t kthBits(const float* x, size_t n, size_t* k) {
  uint32_t threshold = 0;
  for (uint32_t shift = 20, bins = 2048;; shift -= 10, bins = 1024) {
    // Four at once: neighbours often fall into one bin.
    uint32_t counts[4][2048];
    memset(counts, 0, sizeof counts);
    const uint32_t above = shift + (bins == 2048 ? 11 : 10);
    for (size_t i = 0; i < n; i++) {
      const uint32_t bits = bitsOf(x[i]) & MAGNITUDE;
      if (bits >> above == threshold >> above) counts[i & 3][(bits >> shift) & (bins - 1)]++;
    }
    for (size_t bin = 0; bin < bins; bin++) counts[0][bin] += counts[1][bin] + counts[2][bin] + counts[3][bin];
    threshold |= binOf(counts[0], bins, k) << shift;
    if (shift == 0) return threshold;
  }
}

/** The k largest of n candidates; `places` are their indices, or null where they are themselves. */
inline void choose(const float* x, const uint32_t* places, size_t n, uint32_t* indices, float* values, size_t k) {
  size_t rank = k;
  const uint32_t threshold = kthBits(x, n, &rank);
  // All above the threshold, and of those that equal it the first `rank`.
  for (size_t i = 0, at = 0; at < k; i++) {
    const uint32_t bits = bitsOf(x[i]) & MAGNITUDE;
    if (bits < threshold || (bits == threshold && rank == 0)) continue;
    if (bits == threshold) rank--;
    indices[at] = places == nullptr ? static_cast<uint32_t>(i) : places[i];
    values[at++] = x[i];
  }
}

void topK(const float* x, size_t n, uint32_t* indices, float* values, size_t k) {
  if (k == 0) return;
  const size_t blocks = n / SCAN;
  auto* maxima = k < blocks ? static_cast<float*>(__builtin_malloc(blocks * sizeof(float))) : nullptr;
  if (maxima == nullptr) return choose(x, nullptr, n, indices, values, k);
  // As many elements as blocks have a maximum of at least some value are at least that: where k is small, few are candidates.
  for (size_t block = 0; block < blocks; block++) maxima[block] = floatOf(maxBits<true>(x + block * SCAN, SCAN));
  size_t rank = k;
  const uint32_t least = kthBits(maxima, blocks, &rank);
  size_t some = 0;
  for (size_t block = 0; block < blocks; block++) some += bitsOf(maxima[block]) >= least;
  const size_t most = some * SCAN + (n - blocks * SCAN) + 1;
  auto* candidates = static_cast<float*>(__builtin_malloc(most * sizeof(float)));
  auto* places = static_cast<uint32_t*>(__builtin_malloc(most * sizeof(uint32_t)));
  if (candidates == nullptr || places == nullptr) {
    choose(x, nullptr, n, indices, values, k);
  } else {
    size_t count = 0;
    for (size_t block = 0; block <= blocks; block++) {
      if (block < blocks && bitsOf(maxima[block]) < least) continue;
      const size_t end = block < blocks ? (block + 1) * SCAN : n;
      // Written always and kept where it counts: no branch to guess.
      for (size_t i = block * SCAN; i < end; i++) {
        candidates[count] = x[i];
        places[count] = static_cast<uint32_t>(i);
        count += (bitsOf(x[i]) & MAGNITUDE) >= least;
      }
    }
    choose(candidates, places, count, indices, values, k);
  }
  __builtin_free(candidates);
  __builtin_free(places);
  __builtin_free(maxima);
}

bool scatterAdd(float* into, size_t n, const uint32_t* indices, const float* values, size_t k) {
  bool inside = true;
  for (size_t j = 0; j < k; j++) inside &= indices[j] < n;
  if (!inside) return false;
  for (size_t j = 0; j < k; j++) into[indices[j]] = into[indices[j]] + values[j];
  return true;
}

size_t encodeThreshold(float* residual, size_t n, float threshold, uint32_t* words, size_t capacity) {
  size_t count = 0;
  const uint32_t bound = bitsOf(threshold);
  for (size_t start = 0; start < n; start += SCAN) {
    const size_t end = n - start < SCAN ? n : start + SCAN;
    if (maxBits<true>(residual + start, end - start) <= bound) continue;
    for (size_t i = start; i < end; i++) {
      const float r = residual[i];
      if (!(r > threshold || r < -threshold)) continue;
      if (count == capacity) return count;
      words[count++] = static_cast<uint32_t>(i) | (r < 0 ? 0x80000000u : 0);
      residual[i] = r < 0 ? r + threshold : r - threshold;
    }
  }
  return count;
}

bool decodeThreshold(const uint32_t* words, size_t count, float threshold, float* into, size_t n) {
  bool inside = true;
  for (size_t j = 0; j < count; j++) inside &= (words[j] & MAGNITUDE) < n;
  if (!inside) return false;
  for (size_t j = 0; j < count; j++) {
    const size_t i = words[j] & MAGNITUDE;
    into[i] = (words[j] >> 31) != 0 ? into[i] - threshold : into[i] + threshold;
  }
  return true;
}

size_t encodeBitmap(float* residual, size_t n, float threshold, uint8_t* bytes) {
  size_t count = 0;
  for (size_t start = 0; start < n; start += SCAN) {
    const size_t length = n - start < SCAN ? n - start : SCAN;
    int32_t codes[SCAN + 3] = {};
    float* r = residual + start;
    int32_t some = 0;
    EACH for (size_t j = 0; j < length; j++) {
      const float x = r[j];
      const int32_t up = x > threshold, down = x < -threshold;
      codes[j] = up | (down << 1);
      some += up + down;
      const float less = x - threshold, more = x + threshold;
      r[j] = up != 0 ? less : down != 0 ? more : x;
    }
    count += static_cast<size_t>(some);
    uint8_t* out = bytes + start / 4;
    for (size_t j = 0; j < (length + 3) / 4; j++) {
      const int32_t* c = codes + 4 * j;
      out[j] = static_cast<uint8_t>(c[0] | (c[1] << 2) | (c[2] << 4) | (c[3] << 6));
    }
  }
  return count;
}

void decodeBitmap(const uint8_t* bytes, float threshold, float* into, size_t n) {
  // What each byte adds. −0 leaves every float as it is, zeros with their sign.
  typedef float F4 __attribute__((vector_size(16)));
  const float steps[4] = {-0.0f, threshold, -threshold, -0.0f};
  F4 table[256];
  for (uint32_t byte = 0; byte < 256; byte++)
    for (uint32_t j = 0; j < 4; j++) table[byte][j] = steps[(byte >> (2 * j)) & 3];
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    F4 four;
    memcpy(&four, into + i, 16);
    four = four + table[bytes[i / 4]];
    memcpy(into + i, &four, 16);
  }
  for (; i < n; i++) into[i] = into[i] + table[bytes[i / 4]][i % 4];
}
