// Included by implementation.h: selection of few elements. Most blocks hold none and are passed over by their largest magnitude.

constexpr size_t SCAN = 64;

/** Largest magnitude as bits, NaNs included: they are above all numbers. */
inline uint32_t maxBits(const float* x, size_t n) {
  uint32_t most = 0;
  EACH for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    bits &= MAGNITUDE;
    most = bits > most ? bits : most;
  }
  return most;
}

/** The bin in which the k-th from above lies; `k` becomes its place within the bin. */
inline uint32_t binOf(const uint32_t* counts, uint32_t bins, size_t* k) {
  uint32_t bin = bins - 1;
  for (; bin > 0 && counts[bin] < *k; bin--) *k -= counts[bin];
  return bin;
}

void topK(const float* x, size_t n, uint32_t* indices, float* values, size_t k) {
  if (k == 0) return;
  // The k-th magnitude's bits, by three histograms of 11, 10 and 10 bits. Four at once: neighbours often fall into one bin.
  uint32_t counts[4][2048];
  memset(counts, 0, sizeof counts);
  for (size_t i = 0; i < n; i++) counts[i & 3][(bitsOf(x[i]) & MAGNITUDE) >> 20]++;
  for (size_t bin = 0; bin < 2048; bin++) counts[0][bin] += counts[1][bin] + counts[2][bin] + counts[3][bin];
  size_t rank = k;
  uint32_t threshold = binOf(counts[0], 2048, &rank) << 20;
  for (uint32_t shift = 10;; shift = 0) {
    memset(counts[0], 0, 1024 * sizeof(uint32_t));
    const uint32_t prefix = threshold >> (shift + 10);
    for (size_t start = 0; start < n; start += SCAN) {
      const size_t end = n - start < SCAN ? n : start + SCAN;
      if (maxBits(x + start, end - start) < threshold) continue;
      for (size_t i = start; i < end; i++) {
        const uint32_t bits = bitsOf(x[i]) & MAGNITUDE;
        if (bits >> (shift + 10) == prefix) counts[0][(bits >> shift) & 0x3ff]++;
      }
    }
    threshold |= binOf(counts[0], 1024, &rank) << shift;
    if (shift == 0) break;
  }
  // All above the threshold, and of those that equal it the first `rank`.
  size_t at = 0;
  for (size_t start = 0; start < n && at < k; start += SCAN) {
    const size_t end = n - start < SCAN ? n : start + SCAN;
    if (maxBits(x + start, end - start) < threshold) continue;
    for (size_t i = start; i < end && at < k; i++) {
      const uint32_t bits = bitsOf(x[i]) & MAGNITUDE;
      if (bits < threshold || (bits == threshold && rank == 0)) continue;
      if (bits == threshold) rank--;
      indices[at] = static_cast<uint32_t>(i);
      values[at++] = x[i];
    }
  }
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
    if (maxBits(residual + start, end - start) <= bound) continue;
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
  for (size_t start = 0; start < n; start += 4) {
    const size_t length = n - start < 4 ? n - start : 4;
    uint32_t byte = 0;
    for (size_t j = 0; j < length; j++) {
      const float r = residual[start + j];
      const bool up = r > threshold, down = r < -threshold;
      byte |= (up ? 1u : down ? 2u : 0u) << (2 * j);
      count += up || down;
      residual[start + j] = up ? r - threshold : down ? r + threshold : r;
    }
    bytes[start / 4] = static_cast<uint8_t>(byte);
  }
  return count;
}

void decodeBitmap(const uint8_t* bytes, float threshold, float* into, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t code = (bytes[i / 4] >> (2 * (i % 4))) & 3;
    if (code == 1) into[i] = into[i] + threshold;
    else if (code == 2) into[i] = into[i] - threshold;
  }
}
