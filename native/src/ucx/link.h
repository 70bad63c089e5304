// One link of two rings over UCX, and what travels beside the rings.
#pragma once
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "library.h"

namespace gradmesh {

using Clock = std::chrono::steady_clock;
using Token = std::array<uint8_t, 16>;

/** Anonymous pages: a ring. They live as long as anybody looks at them, registered or not. */
struct Pages {
  uint8_t* base = nullptr;
  size_t length = 0;
  explicit Pages(size_t bytes) : length(bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at != MAP_FAILED) base = static_cast<uint8_t*>(at);
  }
  ~Pages() {
    if (base != nullptr) munmap(base, length);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
};

enum class Kind : uint32_t { hello = 1, probe = 2, probed = 3, data = 4, got = 5, consumed = 6 };

/** What an active message holds, whole; every one proves by the receiver's token that its sender was told of the link. */
struct Packet {
  uint32_t kind;
  uint32_t link;
  Token token;
  /** data, got, consumed: a position, modulo 2^32 */
  uint32_t position;
  /** data, probe: bytes that were put before */
  uint32_t length;
  uint64_t checksum;
};
static_assert(sizeof(Packet) == 40, "the layout is the wire's");

/** Of every word, in four chains; a byte changed, moved or left out changes it. `bytes` is a multiple of 8. */
inline uint64_t checksum(const uint8_t* at, size_t bytes) {
  uint64_t h[4] = {0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 0x2545f4914f6cdd1du};
  const size_t words = bytes / 8;
  for (size_t i = 0; i < words; i++) {
    uint64_t w;
    std::memcpy(&w, at + 8 * i, 8);
    uint64_t& chain = h[i & 3];
    chain = (chain ^ w) * 0xff51afd7ed558ccdu;
    chain ^= chain >> 29;
  }
  uint64_t all = bytes;
  for (uint64_t chain : h) all = (all ^ chain) * 0xc4ceb9fe1a85ec53u + (all >> 31);
  return all;
}

/**
 * One side of a link. Between the two threads only the atomics, the rings and `id` are shared; all else is the progress thread's.
 *
 * `in` is the landing region: registered for this one link, its key told to one peer. It is given back only after the endpoint was
 * closed and the registration undone.
 */
struct Link {
  enum class State { made, connecting, opening, open, failed, closed };

  uint32_t id = 0;
  Token token{};
  std::shared_ptr<Pages> out, in;
  std::atomic<uint32_t> peerHead{0}, peerConsumed{0};
  std::atomic<bool> starved{false}, moved{false};

  State state = State::made;
  ucp_ep_h ep = nullptr;
  ucp_mem_h outMemory = nullptr, inMemory = nullptr;
  ucp_rkey_h key = nullptr;
  std::vector<uint8_t> packedKey;
  uint32_t theirId = 0;
  Token theirToken{};
  uint64_t theirAddress = 0;
  std::vector<uint8_t> theirKey;
  /** out: put so far, and what the other side has confirmed to have whole */
  uint32_t sent = 0, confirmed = 0;
  /** in: what has come whole */
  uint32_t landed = 0;
  bool probeSent = false, probeConfirmed = false, probeSeen = false;
  /** When something that is owed was last seen to move. */
  Clock::time_point progress{};
  /** Messages whose bytes have not been seen yet: an active message may overtake what was put before it. */
  std::vector<std::pair<Packet, Clock::time_point>> waiting;
};

}  // namespace gradmesh
