#pragma once
// Shared memory, as the parts of the addon hand it to one another: plain C, because each part is a module of its own.
#include <cstdint>

/**
 * One mapping of an arena. Whoever works on the memory outside JavaScript (a progress thread, a registration) retains it first and
 * releases it after: the memory is unmapped with the last user, however early JavaScript closed it. `retain` and `release` may be
 * called from any thread.
 */
struct GradmeshArena {
  /** 1; a part that was built of another header refuses. */
  uint32_t version;
  uint8_t* address;
  /** Whole pages. */
  uint64_t bytes;
  void (*retain)(GradmeshArena*);
  void (*release)(GradmeshArena*);
};

/**
 * Tag (napi_type_tag's two halves) of the externals that JavaScript calls an arena's handle. Their data is a `GradmeshArena**`, which
 * points to null once JavaScript has closed the arena; read it on the thread that owns the external, and retain before leaving it.
 */
constexpr uint64_t GRADMESH_ARENA_TAG_LOW = 0x6772'6164'6d65'7368;
constexpr uint64_t GRADMESH_ARENA_TAG_HIGH = 0x6172'656e'6120'7631;
