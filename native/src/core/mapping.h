#pragma once
// Anonymous shared memory without JavaScript: made, opened, mapped, counted.
#include <atomic>
#include <string>

#include "../arena.h"

namespace gradmesh {

/** What went wrong, in words for a user; empty when nothing did. */
using Problem = std::string;

struct Mapping : GradmeshArena {
  /** Of the memory itself; open as long as the arena is not closed here. */
  int fd = -1;
  /** Size of its pages. */
  uint64_t page = 0;
  std::atomic<int> users{1};
};

/**
 * New shared memory of at least `bytes`, all zeros, that no name in any file system refers to: it goes with its last descriptor and
 * mapping, also those of killed processes. Its pages are there when this returns.
 *
 * @param id - names the memory to whoever opens it
 * @param huge - try huge pages of the kernel's reserve first
 */
Problem create(uint64_t bytes, const std::string& id, bool huge, Mapping** result);

/** Maps memory that a descriptor path names once more, after checking that it is the arena `id` of exactly `bytes`. */
Problem open(const std::string& path, uint64_t bytes, const std::string& id, Mapping** result);

/** Gives up the descriptor; the mapping stays until its last user is gone. */
void closeDescriptor(Mapping* mapping);

/** Mappings that are not unmapped yet, of this process. */
int liveMappings();

}  // namespace gradmesh
