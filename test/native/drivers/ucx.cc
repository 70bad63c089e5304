// Two workers of the RDMA part, over UCX's TCP unless the environment says otherwise (npm run test:rdma): rings filled and checked both ways, links given up at every stage, a worker that goes.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "ucx/worker.h"

using namespace gradmesh;

namespace {

const char* setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

const char* address() { return setting("GRADMESH_TEST_UCX_ADDRESS", "127.0.0.1"); }

struct Side {
  std::mutex mutex;
  std::map<uint32_t, std::vector<Event>> events;
  std::unique_ptr<Worker> worker;

  Side() {
    worker = std::make_unique<Worker>(setting("GRADMESH_TEST_UCX_TLS", "tcp"), setting("GRADMESH_TEST_UCX_CM", "tcp"), address(), 10000, [this](uint32_t link, Event event, std::string) {
      std::lock_guard<std::mutex> lock(mutex);
      events[link].push_back(event);
    });
    const std::string problem = worker->start();
    if (problem.empty()) return;
    std::fprintf(stderr, "%s\n", problem.c_str());
    std::exit(1);
  }

  bool saw(uint32_t link, Event event) {
    std::lock_guard<std::mutex> lock(mutex);
    for (Event seen : events[link])
      if (seen == event) return true;
    return false;
  }
};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

template <typename Condition>
void until(Condition condition, const char* what) {
  const auto limit = Clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    require(Clock::now() < limit, what);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Token token(uint32_t n) {
  Token t{};
  std::memcpy(t.data(), &n, sizeof n);
  t[15] = 7;
  return t;
}

std::shared_ptr<Link> make(Side& side, uint32_t id) {
  std::string problem;
  auto link = side.worker->make(id, 65536, token(id), problem);
  require(link != nullptr, problem.c_str());
  return link;
}

void meet(Side& from, Link& own, Link& other, uint16_t port, const Token& shown) {
  from.worker->meet(own.id, other.id, shown, reinterpret_cast<uintptr_t>(other.in->base), other.packedKey, port == 0 ? "" : address(), port);
}

}  // namespace

int main(int argc, char** argv) {
  setenv("UCX_HANDLE_ERRORS", "none", 0);
  setenv("UCX_MEM_EVENTS", "no", 0);
  setenv("UCX_LOG_LEVEL", "fatal", 0);
  const std::string absent = ucx.load();
  if (!absent.empty()) {
    std::printf("skipped: %s\n", absent.c_str());
    return 0;
  }
  const unsigned seed = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  Side a, b;
  uint32_t id = 0;

  // both rings round and round
  auto left = make(a, ++id), right = make(b, ++id);
  meet(b, *right, *left, 0, left->token);
  meet(a, *left, *right, b.worker->port(), right->token);
  until([&] { return a.saw(left->id, Event::open) && b.saw(right->id, Event::open); }, "opening");
  uint32_t head = 0;
  for (int round = 0; round < 50; round++) {
    const uint32_t bytes = 8 * (1 + random() % 4000);
    for (Link* link : {left.get(), right.get()})
      for (uint32_t i = 0; i < bytes; i++) link->out->base[(head + i) & 65535] = static_cast<uint8_t>(head + i * 7 + (link == left.get()));
    head += bytes;
    a.worker->publish(left->id, head);
    b.worker->publish(right->id, head);
    until([&] { return left->peerHead.load() == head && right->peerHead.load() == head; }, "landing");
    for (uint32_t i = 0; i < bytes; i++) {
      const uint32_t at = (head - bytes + i) & 65535;
      require(right->in->base[at] == static_cast<uint8_t>(head - bytes + i * 7 + 1), "the right bytes at the right");
      require(left->in->base[at] == static_cast<uint8_t>(head - bytes + i * 7), "the right bytes at the left");
    }
    a.worker->consume(left->id, head);
    b.worker->consume(right->id, head);
    until([&] { return left->peerConsumed.load() == head && right->peerConsumed.load() == head; }, "consuming");
  }
  std::printf("50 rounds both ways\n");

  // a wrong token: nobody opens, nothing is left
  auto thief = make(a, ++id), victim = make(b, ++id);
  meet(b, *victim, *thief, 0, thief->token);
  meet(a, *thief, *victim, b.worker->port(), token(99));
  until([&] { return a.saw(thief->id, Event::failed); }, "refusal");
  require(!b.saw(victim->id, Event::open), "a wrong token opens nothing");
  a.worker->close(thief->id);
  b.worker->close(victim->id);

  // given up at any moment
  for (int i = 0; i < 200; i++) {
    auto one = make(a, ++id), other = make(b, ++id);
    meet(b, *other, *one, 0, one->token);
    meet(a, *one, *other, b.worker->port(), other->token);
    if (random() % 2 == 0) a.worker->publish(one->id, 4096);
    if (random() % 4 == 0) until([&] { return a.saw(one->id, Event::open); }, "opening one of many");
    (random() % 2 == 0 ? a : b).worker->close(random() % 2 == 0 ? one->id : other->id);
    a.worker->close(one->id);
    b.worker->close(other->id);
  }
  a.worker->close(left->id);
  b.worker->close(right->id);
  until([&] { return a.worker->held() == 0 && b.worker->held() == 0; }, "giving everything back");
  std::printf("200 links given up, nothing held\n");

  // a worker goes while bytes are under way
  auto last = make(a, ++id), gone = make(b, ++id);
  meet(b, *gone, *last, 0, last->token);
  meet(a, *last, *gone, b.worker->port(), gone->token);
  until([&] { return a.saw(last->id, Event::open); }, "opening the last");
  a.worker->publish(last->id, 65536);
  b.worker.reset();
  a.worker->publish(last->id, 131072);
  until([&] { return a.saw(last->id, Event::failed); }, "noticing that the other is gone");
  a.worker->close(last->id);
  until([&] { return a.worker->held() == 0; }, "giving the last back");
  std::printf("a lost worker was noticed\n");

  // the device itself goes, where the environment says how
  const char* cut = setting("GRADMESH_TEST_UCX_CUT", "");
  if (*cut == 0) return 0;
  Side c;
  auto from = make(a, ++id), to = make(c, ++id);
  meet(c, *to, *from, 0, from->token);
  meet(a, *from, *to, c.worker->port(), to->token);
  until([&] { return a.saw(from->id, Event::open) && c.saw(to->id, Event::open); }, "opening before the cut");
  std::thread cutter([cut] { (void)!std::system(cut); });
  cutter.detach();
  const auto begun = Clock::now();
  for (uint32_t position = 0; !a.saw(from->id, Event::failed); std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
    require(Clock::now() - begun < std::chrono::seconds(60), "noticing that the device is gone");
    if (to->peerHead.load() != position) continue;
    position += 32768;
    a.worker->publish(from->id, position);
  }
  std::printf("a removed device was noticed after %.1f s\n", std::chrono::duration<double>(Clock::now() - begun).count());
  std::fflush(stdout);
  // what a dead device still holds is given back with the process
  std::_Exit(0);
}
