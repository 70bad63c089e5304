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
/** Bytes of one of three streams: the instruction has a latency of three, and takes a word a cycle. */
constexpr size_t STREAM = 4096;

/** What STREAM zero bytes make of a state: linear, so that one table for each of its bytes says it. */
struct Shift {
  uint32_t of[4][256];
  Shift() {
    uint32_t bit[32];
    for (int i = 0; i < 32; i++) {
      uint32_t state = 1u << i;
      for (size_t n = 0; n < STREAM; n++) state = (state >> 8) ^ tables().of[0][state & 0xff];
      bit[i] = state;
    }
    for (int byte = 0; byte < 4; byte++)
      for (uint32_t value = 0; value < 256; value++) {
        of[byte][value] = 0;
        for (int i = 0; i < 8; i++)
          if ((value >> i & 1) != 0) of[byte][value] ^= bit[8 * byte + i];
      }
  }
  uint32_t operator()(uint64_t s) const { return of[0][s & 0xff] ^ of[1][s >> 8 & 0xff] ^ of[2][s >> 16 & 0xff] ^ of[3][s >> 24 & 0xff]; }
};

inline uint64_t word(const uint8_t* bytes) {
  uint64_t value;
  memcpy(&value, bytes, 8);
  return value;
}

__attribute__((target("sse4.2"))) uint32_t byInstruction(uint32_t crc, const uint8_t* bytes, size_t n) {
  static const Shift shift;
  uint64_t state = ~crc;
  for (; n >= 3 * STREAM; bytes += 3 * STREAM, n -= 3 * STREAM) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < STREAM; i += 8) {
      state = __builtin_ia32_crc32di(state, word(bytes + i));
      second = __builtin_ia32_crc32di(second, word(bytes + STREAM + i));
      third = __builtin_ia32_crc32di(third, word(bytes + 2 * STREAM + i));
    }
    state = shift(shift(state) ^ second) ^ third;
  }
  for (; n >= 8; bytes += 8, n -= 8) state = __builtin_ia32_crc32di(state, word(bytes));
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
