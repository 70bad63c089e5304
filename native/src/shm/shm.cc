// Rings in shared memory between two processes of one host, and the thread that waits for the other side.
//
// Each side writes to memory of its own (a memfd) and maps the other's for reading only: nobody can write into memory that it does not
// own, whatever it sends. The memfd is sealed: it cannot shrink below a reader's feet, and nobody but its maker's own mapping writes to it.
//
//   offset   field, all written by the owner
//   0        magic, 4 bytes
//   16       token, 16 bytes: proves to the reader that it opened what it was told of
//   64       word: counts events; the reader's thread sleeps on it
//   128      head: bytes of the ring published so far, modulo 2^32
//   192      consumed: bytes of the other side's ring taken so far, modulo 2^32
//   256      asleep: the owner's thread sleeps and must be woken
//   320      starved: the owner waits for the other side to consume
//   4096     the ring
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <thread>

#include <napi.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace {

constexpr uint32_t MAGIC = 0x676d7368;  // "gmsh"
constexpr size_t DATA = 4096;
constexpr size_t TOKEN = 16;
constexpr size_t LEAST = 64 * 1024;
constexpr size_t MOST = 1u << 30;

struct Header {
  uint32_t magic;
  alignas(16) uint8_t token[TOKEN];
  alignas(64) std::atomic<uint32_t> word;
  alignas(64) std::atomic<uint32_t> head;
  alignas(64) std::atomic<uint32_t> consumed;
  alignas(64) std::atomic<uint32_t> asleep;
  alignas(64) std::atomic<uint32_t> starved;
};
static_assert(offsetof(Header, word) == 64 && offsetof(Header, starved) == 320 && sizeof(Header) <= DATA, "layout");
static_assert(std::atomic<uint32_t>::is_always_lock_free, "atomics of shared memory");

/** One mapping, unmapped when its last user goes: the link, its thread, or an ArrayBuffer over it. */
struct Mapping {
  uint8_t* base;
  size_t length;
  Mapping(uint8_t* at, size_t bytes) : base(at), length(bytes) {}
  ~Mapping() { munmap(base, length); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Header* header() { return reinterpret_cast<Header*>(base); }
};
using Shared = std::shared_ptr<Mapping>;

long futex(std::atomic<uint32_t>* word, int operation, uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation, value, timeout, nullptr, 0);
}

Napi::Value fail(Napi::Env env, const std::string& message) {
  Napi::Error::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

std::string because(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

Napi::Value ringOf(Napi::Env env, const Shared& mapping) {
  auto* hold = new Shared(mapping);
  return Napi::ArrayBuffer::New(
      env, mapping->base + DATA, mapping->length - DATA, [](Napi::Env, void*, Shared* kept) { delete kept; }, hold);
}

class ShmLink : public Napi::ObjectWrap<ShmLink> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "ShmLink",
                       {InstanceAccessor<&ShmLink::fd>("fd"), InstanceAccessor<&ShmLink::out>("out"),
                        InstanceMethod<&ShmLink::attach>("attach"), InstanceMethod<&ShmLink::publish>("publish"),
                        InstanceMethod<&ShmLink::consume>("consume"), InstanceMethod<&ShmLink::peerHead>("peerHead"),
                        InstanceMethod<&ShmLink::peerConsumed>("peerConsumed"), InstanceMethod<&ShmLink::starve>("starve"),
                        InstanceMethod<&ShmLink::close>("close")});
  }

  /** new ShmLink(ringBytes, token) */
  explicit ShmLink(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ShmLink>(info) {
    Napi::Env env = info.Env();
    if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().ByteLength() != TOKEN) {
      fail(env, "shm: a link is made from a ring's size and a token of 16 bytes");
      return;
    }
    const double asked = info[0].As<Napi::Number>().DoubleValue();
    if (!(asked >= LEAST && asked <= MOST) || (static_cast<size_t>(asked) & (static_cast<size_t>(asked) - 1)) != 0) {
      fail(env, "shm: a ring's size is a power of two from 64 KiB to 1 GiB");
      return;
    }
    const size_t length = DATA + static_cast<size_t>(asked);
    fd_ = memfd_create("gradmesh", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd_ < 0) {
      fail(env, because("shm: memfd_create"));
      return;
    }
    void* at = ftruncate(fd_, static_cast<off_t>(length)) == 0 ? mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0) : MAP_FAILED;
    if (at == MAP_FAILED) {
      fail(env, because("shm: mapping a ring"));
      return;
    }
    own_ = std::make_shared<Mapping>(static_cast<uint8_t*>(at), length);
    auto token = info[1].As<Napi::Uint8Array>();
    std::memcpy(own_->header()->token, token.Data(), TOKEN);
    own_->header()->magic = MAGIC;
    // from here on only the mapping above writes
    if (fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
      fail(env, because("shm: sealing a ring (Linux 5.1 or newer is needed)"));
    }
  }

  ~ShmLink() override { stop(); }

 private:
  Napi::Value fd(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_); }

  /** The ring this side writes. */
  Napi::Value out(const Napi::CallbackInfo& info) {
    if (!own_) return fail(info.Env(), "shm: the link is closed");
    return ringOf(info.Env(), own_);
  }

  /**
   * attach(pid, fd, ringBytes, token, onEvent): map the other side's ring, to be read only, and call `onEvent` whenever its head or
   * what it consumed has moved. @returns the ring
   */
  Napi::Value attach(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!own_ || peer_) return fail(env, "shm: the link is closed or attached");
    if (info.Length() < 5 || !info[0].IsNumber() || !info[1].IsNumber() || !info[2].IsNumber() || !info[3].IsTypedArray() ||
        info[3].As<Napi::TypedArray>().ByteLength() != TOKEN || !info[4].IsFunction())
      return fail(env, "shm: attach(pid, fd, ringBytes, token, onEvent)");
    const double pid = info[0].As<Napi::Number>().DoubleValue();
    const double fd = info[1].As<Napi::Number>().DoubleValue();
    const double ring = info[2].As<Napi::Number>().DoubleValue();
    if (!(pid >= 1 && pid <= INT_MAX) || !(fd >= 0 && fd <= INT_MAX) || !(ring >= LEAST && ring <= MOST) ||
        (static_cast<size_t>(ring) & (static_cast<size_t>(ring) - 1)) != 0)
      return fail(env, "shm: no such ring");
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/fd/%d", static_cast<int>(pid), static_cast<int>(fd));
    // never blocks on something that is no memory, and changes nothing that it opens
    const int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (opened < 0) return fail(env, because("shm: opening the other side's memory"));
    const size_t length = DATA + static_cast<size_t>(ring);
    struct stat status;
    const int seals = fcntl(opened, F_GET_SEALS);
    const bool sound = seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(opened, &status) == 0 && static_cast<size_t>(status.st_size) == length;
    void* at = sound ? mmap(nullptr, length, PROT_READ, MAP_SHARED, opened, 0) : MAP_FAILED;
    ::close(opened);
    if (!sound) return fail(env, "shm: what the other side named is no sealed memory of the size it named");
    if (at == MAP_FAILED) return fail(env, because("shm: mapping the other side's memory"));
    auto mapping = std::make_shared<Mapping>(static_cast<uint8_t*>(at), length);
    auto token = info[3].As<Napi::Uint8Array>();
    if (mapping->header()->magic != MAGIC || std::memcmp(mapping->header()->token, token.Data(), TOKEN) != 0)
      return fail(env, "shm: what the other side named does not hold its token");
    peer_ = mapping;
    pending_ = std::make_shared<std::atomic<bool>>(false);
    stop_ = std::make_shared<std::atomic<bool>>(false);
    done_ = std::make_shared<std::atomic<bool>>(false);
    events_ = Napi::ThreadSafeFunction::New(env, info[4].As<Napi::Function>(), "gradmesh shm", 0, 1);
    // the stream beside this link keeps the process alive, not the link
    events_.Unref(env);
    thread_ = std::thread(&ShmLink::wait, own_, peer_, pending_, stop_, done_, events_);
    return ringOf(env, peer_);
  }

  /** Sleeps until the other side's word moves, then tells the event loop, once for all that happened since it last looked. */
  static void wait(Shared own, Shared peer, std::shared_ptr<std::atomic<bool>> pending, std::shared_ptr<std::atomic<bool>> stop,
                   std::shared_ptr<std::atomic<bool>> done, Napi::ThreadSafeFunction events) {
    uint32_t seen = 0;
    Header* mine = own->header();
    Header* theirs = peer->header();
    while (!stop->load()) {
      const uint32_t now = theirs->word.load();
      if (now != seen) {
        seen = now;
        if (!pending->exchange(true)) {
          const auto status = events.NonBlockingCall([pending](Napi::Env env, Napi::Function callback) {
            pending->store(false);
            if (env != nullptr && callback != nullptr) callback.Call({});
          });
          if (status != napi_ok) break;
        }
        continue;
      }
      mine->asleep.store(1);
      if (theirs->word.load() == seen && !stop->load()) {
        futex(&theirs->word, FUTEX_WAIT, seen, nullptr);
      }
      mine->asleep.store(0);
    }
    events.Release();
    done->store(true);
  }

  void ring() {
    own_->header()->word.fetch_add(1);
    if (peer_->header()->asleep.load() != 0) futex(&own_->header()->word, FUTEX_WAKE, 1, nullptr);
  }

  /** Everything before `head` may be read. */
  Napi::Value publish(const Napi::CallbackInfo& info) {
    if (!peer_) return fail(info.Env(), "shm: the link is closed");
    own_->header()->head.store(info[0].As<Napi::Number>().Uint32Value());
    ring();
    return info.Env().Undefined();
  }

  /** Everything before this position of the other's ring was taken. */
  Napi::Value consume(const Napi::CallbackInfo& info) {
    if (!peer_) return fail(info.Env(), "shm: the link is closed");
    own_->header()->consumed.store(info[0].As<Napi::Number>().Uint32Value());
    if (peer_->header()->starved.load() != 0) ring();
    return info.Env().Undefined();
  }

  Napi::Value peerHead(const Napi::CallbackInfo& info) {
    if (!peer_) return fail(info.Env(), "shm: the link is closed");
    return Napi::Number::New(info.Env(), peer_->header()->head.load());
  }

  Napi::Value peerConsumed(const Napi::CallbackInfo& info) {
    if (!peer_) return fail(info.Env(), "shm: the link is closed");
    return Napi::Number::New(info.Env(), peer_->header()->consumed.load());
  }

  /** Whether this side wants to hear when the other consumes. */
  Napi::Value starve(const Napi::CallbackInfo& info) {
    if (!peer_) return fail(info.Env(), "shm: the link is closed");
    own_->header()->starved.store(info[0].ToBoolean().Value() ? 1 : 0);
    return info.Env().Undefined();
  }

  /** Stop the thread and let go of the memory; the rings' buffers stay valid until they are collected. */
  Napi::Value close(const Napi::CallbackInfo& info) {
    stop();
    return info.Env().Undefined();
  }

  void stop() {
    if (thread_.joinable()) {
      stop_->store(true);
      // again and again: a wake-up that comes just before the thread falls asleep is lost
      while (!done_->load()) {
        futex(&peer_->header()->word, FUTEX_WAKE, INT_MAX, nullptr);
        std::this_thread::yield();
      }
      thread_.join();
    }
    peer_.reset();
    own_.reset();
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  int fd_ = -1;
  Shared own_;
  Shared peer_;
  std::shared_ptr<std::atomic<bool>> pending_;
  std::shared_ptr<std::atomic<bool>> stop_;
  std::shared_ptr<std::atomic<bool>> done_;
  Napi::ThreadSafeFunction events_;
  std::thread thread_;
};

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("ShmLink", ShmLink::define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(gradmesh_shm, init)
