#include "worker.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>

namespace gradmesh {

Library ucx;

namespace {

/** The largest single put, so that the other side sees a long run of bytes grow. */
constexpr uint32_t PIECE = 256 * 1024;
constexpr auto STRANGER_TIME = std::chrono::seconds(5);
/** After something happened, look again for so long before sleeping. */
constexpr auto EAGER = std::chrono::microseconds(50);

}  // namespace

bool sockaddrOf(const std::string& ip, uint16_t port, sockaddr_storage& into, socklen_t& length) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(ip.c_str(), std::to_string(port).c_str(), &hints, &found) != 0 || found == nullptr) return false;
  std::memcpy(&into, found->ai_addr, found->ai_addrlen);
  length = found->ai_addrlen;
  freeaddrinfo(found);
  return true;
}

Worker::Worker(std::string transports, std::string priority, std::string bind, int watchdog, Tell tell)
    : transports_(std::move(transports)), priority_(std::move(priority)), bind_(std::move(bind)), watchdog_(watchdog), tell_(std::move(tell)) {}

Worker::~Worker() { stop(); }

std::string Worker::start() {
  signal_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signal_ < 0) return "rdma: no eventfd";
  const std::string problem = open();
  if (problem.empty()) {
    thread_ = std::thread([this] { run(); });
    return problem;
  }
  if (listener_ != nullptr) ucx.ucp_listener_destroy(listener_);
  if (worker_ != nullptr) ucx.ucp_worker_destroy(worker_);
  if (context_ != nullptr) ucx.ucp_cleanup(context_);
  return problem;
}

std::string Worker::open() {
  ucp_config_t* config = nullptr;
  ucs_status_t status = ucx.ucp_config_read(nullptr, nullptr, &config);
  if (status != UCS_OK) return ucx.why("reading UCX's configuration", status);
  if (std::getenv("UCX_TLS") == nullptr) ucx.ucp_config_modify(config, "TLS", transports_.c_str());
  if (std::getenv("UCX_SOCKADDR_TLS_PRIORITY") == nullptr) ucx.ucp_config_modify(config, "SOCKADDR_TLS_PRIORITY", priority_.c_str());
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
  status = ucx.ucp_init_version(UCP_API_MAJOR, UCP_API_MINOR, &params, config, &context_);
  ucx.ucp_config_release(config);
  if (status != UCS_OK) return ucx.why("UCX finds no usable device", status);

  ucp_worker_params_t workerParams{};
  workerParams.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  workerParams.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  status = ucx.ucp_worker_create(context_, &workerParams, &worker_);
  if (status != UCS_OK) return ucx.why("making a worker", status);
  if (ucx.ucp_worker_get_efd(worker_, &events_) != UCS_OK) events_ = -1;

  ucp_am_handler_param_t handler{};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  handler.id = 0;
  handler.cb = &Worker::onMessage;
  handler.arg = this;
  status = ucx.ucp_worker_set_am_recv_handler(worker_, &handler);
  if (status != UCS_OK) return ucx.why("setting a handler", status);

  sockaddr_storage address{};
  socklen_t length = 0;
  if (!sockaddrOf(bind_, 0, address, length)) return "rdma: '" + bind_ + "' is no address to listen on";
  ucp_listener_params_t listen{};
  listen.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  listen.sockaddr = {reinterpret_cast<sockaddr*>(&address), length};
  listen.conn_handler = {&Worker::onConnection, this};
  status = ucx.ucp_listener_create(worker_, &listen, &listener_);
  if (status != UCS_OK) return ucx.why("listening", status);
  ucp_listener_attr_t attributes{};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  status = ucx.ucp_listener_query(listener_, &attributes);
  if (status != UCS_OK) return ucx.why("asking for the port", status);
  port_ = ntohs(attributes.sockaddr.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(attributes.sockaddr).sin6_port
                                                          : reinterpret_cast<sockaddr_in&>(attributes.sockaddr).sin_port);
  return "";
}

void Worker::post(std::function<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  (void)!write(signal_, &one, sizeof one);
}

bool Worker::doTasks() {
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task();
  return !tasks.empty();
}

void Worker::run() {
  auto active = Clock::now();
  auto watched = active;
  while (true) {
    bool busy = doTasks();
    while (ucx.ucp_worker_progress(worker_) != 0) busy = true;
    busy = settle() || busy;
    const auto now = Clock::now();
    if (now - watched > std::chrono::milliseconds(20)) {
      watched = now;
      watch();
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stop_) break;
    }
    if (busy) active = now;
    if (busy || now - active < EAGER) continue;
    // UCX refuses to be armed while it has something to do
    if (events_ >= 0 && ucx.ucp_worker_arm(worker_) != UCS_OK) continue;
    pollfd fds[2] = {{signal_, POLLIN, 0}, {events_, POLLIN, 0}};
    poll(fds, events_ >= 0 ? 2 : 1, events_ >= 0 ? 20 : 1);
    uint64_t count;
    (void)!read(signal_, &count, sizeof count);
  }
  shut();
}

/** Everything is given back in its order: endpoints, registrations, listener, worker. Bounded. */
void Worker::shut() {
  for (auto& [id, link] : links_) release(*link);
  links_.clear();
  for (auto& stranger : strangers_) closeEndpoint(stranger.ep);
  strangers_.clear();
  const auto limit = Clock::now() + std::chrono::seconds(2);
  while (!closing_.empty() && Clock::now() < limit) {
    ucx.ucp_worker_progress(worker_);
    watch();
  }
  if (listener_ != nullptr) ucx.ucp_listener_destroy(listener_);
  ucx.ucp_worker_destroy(worker_);
  ucx.ucp_cleanup(context_);
}

void Worker::stop() {
  if (thread_.joinable()) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    const uint64_t one = 1;
    (void)!write(signal_, &one, sizeof one);
    thread_.join();
  }
  if (signal_ >= 0) ::close(signal_);
  signal_ = -1;
}

std::shared_ptr<Link> Worker::make(uint32_t id, size_t bytes, const Token& token, std::string& problem) {
  auto link = std::make_shared<Link>();
  link->id = id;
  link->token = token;
  link->out = std::make_shared<Pages>(bytes);
  link->in = std::make_shared<Pages>(bytes);
  if (link->out->base == nullptr || link->in->base == nullptr) {
    problem = "rdma: no memory for two rings of " + std::to_string(bytes) + " bytes";
    return nullptr;
  }
  std::mutex mutex;
  std::condition_variable ready;
  bool done = false;
  post([&] {
    ucs_status_t status = UCS_OK;
    for (int which = 0; which < 2 && status == UCS_OK; which++) {
      ucp_mem_map_params_t params{};
      params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
      params.address = which == 0 ? link->in->base : link->out->base;
      params.length = bytes;
      ucp_mem_h memory = nullptr;
      status = ucx.ucp_mem_map(context_, &params, &memory);
      if (status != UCS_OK) break;
      held_++;
      (which == 0 ? link->inMemory : link->outMemory) = memory;
    }
    void* key = nullptr;
    size_t length = 0;
    if (status == UCS_OK) status = ucx.ucp_rkey_pack(context_, link->inMemory, &key, &length);
    if (status == UCS_OK) {
      link->packedKey.assign(static_cast<uint8_t*>(key), static_cast<uint8_t*>(key) + length);
      ucx.ucp_rkey_buffer_release(key);
      links_[id] = link;
    } else {
      problem = ucx.why("registering memory", status);
      release(*link);
    }
    std::lock_guard<std::mutex> lock(mutex);
    done = true;
    ready.notify_one();
  });
  std::unique_lock<std::mutex> lock(mutex);
  ready.wait(lock, [&] { return done; });
  return problem.empty() ? link : nullptr;
}

void Worker::meet(uint32_t id, uint32_t theirId, const Token& theirToken, uint64_t address, std::vector<uint8_t> key, std::string ip,
                  uint16_t port) {
  post([this, id, theirId, theirToken, address, key = std::move(key), ip = std::move(ip), port] {
    Link* link = find(id);
    if (link == nullptr || link->state != Link::State::made) return;
    link->theirId = theirId;
    link->theirToken = theirToken;
    link->theirAddress = address;
    // a key says nothing of its length: what it claims beyond its end is read as zeros
    link->theirKey = key;
    link->theirKey.resize(std::max<size_t>(key.size(), 4096));
    link->progress = Clock::now();
    link->state = Link::State::connecting;
    if (!ip.empty()) connect(*link, ip, port);
  });
}

void Worker::publish(uint32_t id, uint32_t head) {
  post([this, id, head] {
    Link* link = find(id);
    if (link == nullptr || link->state != Link::State::open) return;
    const uint32_t mask = static_cast<uint32_t>(link->out->length - 1);
    while (link->sent != head && link->state == Link::State::open) {
      const uint32_t at = link->sent & mask;
      const uint32_t length = std::min({head - link->sent, static_cast<uint32_t>(link->out->length) - at, PIECE});
      if (link->sent == link->confirmed) link->progress = Clock::now();
      if (!put(*link, at, length)) return;
      link->sent += length;
      send(*link, Kind::data, link->sent, length, checksum(link->out->base + at, length));
    }
  });
}

void Worker::consume(uint32_t id, uint32_t position) {
  post([this, id, position] {
    Link* link = find(id);
    if (link != nullptr && link->state == Link::State::open) send(*link, Kind::consumed, position);
  });
}

void Worker::close(uint32_t id) {
  post([this, id] {
    Link* link = find(id);
    if (link == nullptr) return;
    release(*link);
    links_.erase(id);
  });
}

Link* Worker::find(uint32_t id) {
  const auto found = links_.find(id);
  return found == links_.end() ? nullptr : found->second.get();
}

/** Looks again for bytes that were announced. @returns whether some are still missing */
bool Worker::settle() {
  bool missing = false;
  for (auto& [id, link] : links_) {
    while (!link->waiting.empty() && arrived(*link, link->waiting.front().first)) {
      if (!link->waiting.empty()) link->waiting.erase(link->waiting.begin());
    }
    missing = missing || !link->waiting.empty();
  }
  return missing;
}

/** Time passes: strangers that say nothing, links that owe and do not move, bytes that were announced and do not come. */
void Worker::watch() {
  const auto now = Clock::now();
  for (size_t i = 0; i < strangers_.size();) {
    if (now - strangers_[i].since < STRANGER_TIME) {
      i++;
      continue;
    }
    closeEndpoint(strangers_[i].ep);
    strangers_.erase(strangers_.begin() + static_cast<long>(i));
  }
  for (auto& [id, link] : links_) {
    const bool opens = link->state == Link::State::connecting || link->state == Link::State::opening;
    const bool owed = link->state == Link::State::open && link->sent != link->confirmed;
    const bool missing = !link->waiting.empty() && now - link->waiting.front().second > watchdog_;
    // connecting takes its own time; the other side bounds it too
    const auto limit = opens ? watchdog_ * 5 : watchdog_;
    if (missing) fail(*link, "rdma: bytes that were announced did not come whole");
    else if ((opens || owed) && now - link->progress > limit) fail(*link, "rdma: nothing moved for " + std::to_string(limit.count()) + " ms");
  }
  for (size_t i = 0; i < closing_.size();) {
    const auto request = closing_[i].first;
    if (request != nullptr && ucx.ucp_request_check_status(request) == UCS_INPROGRESS) {
      i++;
      continue;
    }
    if (request != nullptr) ucx.ucp_request_free(request);
    const auto after = std::move(closing_[i].second);
    closing_.erase(closing_.begin() + static_cast<long>(i));
    after();
  }
}

}  // namespace gradmesh
