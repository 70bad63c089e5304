#include "mapping.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gradmesh {

namespace {

std::atomic<int> live{0};

void retain(GradmeshArena* arena) { static_cast<Mapping*>(arena)->users.fetch_add(1, std::memory_order_relaxed); }

void release(GradmeshArena* arena) {
  auto* mapping = static_cast<Mapping*>(arena);
  if (mapping->users.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  munmap(mapping->address, mapping->bytes);
  closeDescriptor(mapping);
  delete mapping;
  live.fetch_sub(1);
}

Problem failed(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

Problem map(int fd, uint64_t bytes, uint64_t page, Mapping** result) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    Problem problem = failed("shared memory cannot be mapped");
    ::close(fd);
    return problem;
  }
#ifdef MADV_HUGEPAGE
  // Only a wish: the kernel's setting for shared memory (transparent_hugepage/shmem_enabled) decides.
  madvise(address, bytes, MADV_HUGEPAGE);
#endif
#ifdef MADV_DONTDUMP
  madvise(address, bytes, MADV_DONTDUMP);
#endif
  auto* mapping = new Mapping;
  mapping->version = 1;
  mapping->address = static_cast<uint8_t*>(address);
  mapping->bytes = bytes;
  mapping->retain = retain;
  mapping->release = release;
  mapping->fd = fd;
  mapping->page = page;
  live.fetch_add(1);
  *result = mapping;
  return {};
}

uint64_t roundUp(uint64_t bytes, uint64_t page) { return (bytes + page - 1) / page * page; }

#ifdef __linux__

/** The name as the kernel shows it behind a descriptor. */
std::string nameOf(const std::string& id) { return "gradmesh-" + id; }

Problem allocate(uint64_t bytes, const std::string& id, unsigned flags, uint64_t page, Mapping** result) {
  int fd = memfd_create(nameOf(id).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
  if (fd < 0) return failed("the kernel gives no shared memory");
  uint64_t whole = roundUp(bytes, page);
  // Allocated at once: memory that is not there is refused here, and not by a fault in the middle of a step.
  int refused = ftruncate(fd, static_cast<off_t>(whole)) != 0 ? errno : posix_fallocate(fd, 0, static_cast<off_t>(whole));
  if (refused != 0) {
    ::close(fd);
    return "shared memory of " + std::to_string(whole) + " bytes is refused: " + std::strerror(refused);
  }
  // Nobody who opens it can make it smaller under others' feet.
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  return map(fd, whole, page, result);
}

#endif

}  // namespace

#ifdef __linux__

Problem create(uint64_t bytes, const std::string& id, bool huge, Mapping** result) {
  constexpr uint64_t HUGE = 2 << 20;
  if (huge && bytes >= HUGE && allocate(bytes, id, MFD_HUGETLB | (21u << 26), HUGE, result).empty()) return {};
  return allocate(bytes, id, 0, static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), result);
}

Problem open(const std::string& path, uint64_t bytes, const std::string& id, Mapping** result) {
  char target[256];
  // The link is read before and the size checked after: a descriptor number that now means something else is refused.
  ssize_t length = readlink(path.c_str(), target, sizeof target - 1);
  if (length < 0) return failed("the arena is gone, or its process is another user's");
  target[length] = 0;
  if (std::string(target) != "/memfd:" + nameOf(id) + " (deleted)") return "the arena is closed";
  int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return failed("the arena is gone, or its process is another user's");
  struct stat status;
  int seals = fcntl(fd, F_GET_SEALS);
  if (fstat(fd, &status) != 0 || static_cast<uint64_t>(status.st_size) != bytes || seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    ::close(fd);
    return "the arena has another size than was said";
  }
  return map(fd, bytes, static_cast<uint64_t>(status.st_blksize), result);
}

#else

Problem create(uint64_t bytes, const std::string& id, bool, Mapping** result) {
  std::string name = "/gm-" + id;
  int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return failed("the system gives no shared memory");
  shm_unlink(name.c_str());
  auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t whole = roundUp(bytes, page);
  if (ftruncate(fd, static_cast<off_t>(whole)) != 0) {
    Problem problem = failed("shared memory is refused");
    ::close(fd);
    return problem;
  }
  return map(fd, whole, page, result);
}

Problem open(const std::string& path, uint64_t bytes, const std::string&, Mapping** result) {
  // Threads of one process only: descriptors of others cannot be opened here. The path ends in the descriptor's number.
  int fd = dup(std::atoi(path.substr(path.rfind('/') + 1).c_str()));
  if (fd < 0) return failed("the arena is closed");
  struct stat status;
  if (fstat(fd, &status) != 0 || static_cast<uint64_t>(status.st_size) < bytes) {
    ::close(fd);
    return "the arena has another size than was said";
  }
  return map(fd, bytes, static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), result);
}

#endif

void closeDescriptor(Mapping* mapping) {
  if (mapping->fd >= 0) ::close(mapping->fd);
  mapping->fd = -1;
}

int liveMappings() { return live.load(); }

}  // namespace gradmesh
