// CRC-32C (Castagnoli), reflected polynomial 0x82f63b78.
#include <cstring>

#include "kernels.h"

namespace gradmesh {

namespace {

struct Tables {
  uint32_t of[8][256];
  Tables() {
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
      of[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
      for (int k = 1; k < 8; k++) of[k][i] = (of[k - 1][i] >> 8) ^ of[0][of[k - 1][i] & 0xff];
  }
};

const Tables& tables() {
  static const Tables t;
  return t;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t byInstruction(uint32_t crc, const uint8_t* bytes, size_t n) {
  uint64_t state = ~crc;
  for (; n >= 8; bytes += 8, n -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    state = __builtin_ia32_crc32di(state, word);
  }
  auto narrow = static_cast<uint32_t>(state);
  for (; n > 0; bytes++, n--) narrow = __builtin_ia32_crc32qi(narrow, *bytes);
  return ~narrow;
}
#endif

}  // namespace

uint32_t checksumByTable(uint32_t crc, const uint8_t* bytes, size_t n) {
  const auto& t = tables().of;
  uint32_t state = ~crc;
  for (; n >= 8; bytes += 8, n -= 8) {
    uint32_t low, high;
    memcpy(&low, bytes, 4);
    memcpy(&high, bytes + 4, 4);
    low ^= state;
    state = t[7][low & 0xff] ^ t[6][(low >> 8) & 0xff] ^ t[5][(low >> 16) & 0xff] ^ t[4][low >> 24] ^ t[3][high & 0xff] ^
            t[2][(high >> 8) & 0xff] ^ t[1][(high >> 16) & 0xff] ^ t[0][high >> 24];
  }
  for (; n > 0; bytes++, n--) state = (state >> 8) ^ t[0][(state ^ *bytes) & 0xff];
  return ~state;
}

uint32_t checksum(uint32_t crc, const uint8_t* bytes, size_t n) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return byInstruction(crc, bytes, n);
#endif
  return checksumByTable(crc, bytes, n);
}

}  // namespace gradmesh
