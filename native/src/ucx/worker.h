// The progress thread: everything that UCX does happens on it, never on the event loop.
#pragma once
#include <sys/socket.h>

#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "link.h"

namespace gradmesh {

/** What the event loop is told of a link. */
enum class Event { open, moved, failed, closed };
using Tell = std::function<void(uint32_t link, Event event, std::string message)>;

/** An address as numbers. */
bool sockaddrOf(const std::string& ip, uint16_t port, sockaddr_storage& into, socklen_t& length);

class Worker {
 public:
  /**
   * @param transports, priority - UCX_TLS and UCX_SOCKADDR_TLS_PRIORITY, unless the environment has its own
   * @param watchdog - a link on which something is owed and nothing moved for so long has failed, ms
   */
  Worker(std::string transports, std::string priority, std::string bind, int watchdog, Tell tell);
  ~Worker();

  /** Starts; @returns what failed, empty when nothing did. */
  std::string start();
  uint16_t port() const { return port_; }

  /** Rings of a new link, registered. Blocks for the registration. @returns null and `problem` when it fails */
  std::shared_ptr<Link> make(uint32_t id, size_t bytes, const Token& token, std::string& problem);
  /** The other side's details; with an address, connect to it, without, wait for it. */
  void meet(uint32_t id, uint32_t theirId, const Token& theirToken, uint64_t address, std::vector<uint8_t> key, std::string ip,
            uint16_t port);
  void publish(uint32_t id, uint32_t head);
  void consume(uint32_t id, uint32_t position);
  void close(uint32_t id);
  /** Registrations and endpoints that are not given back yet. */
  int held() const { return held_.load(); }
  void stop();

 private:
  struct Stranger {
    ucp_ep_h ep;
    Clock::time_point since;
  };

  void post(std::function<void()> task);
  void run();
  std::string open();
  void shut();
  bool doTasks();
  bool settle();
  void watch();

  void connect(Link& link, const std::string& ip, uint16_t port);
  void received(const Packet& packet, ucp_ep_h from);
  void hello(Link& link, ucp_ep_h from);
  bool arrived(Link& link, const Packet& packet);
  void putProbe(Link& link);
  void maybeOpen(Link& link);
  bool put(Link& link, uint32_t at, uint32_t length);
  void send(Link& link, Kind kind, uint32_t position = 0, uint32_t length = 0, uint64_t sum = 0, bool reply = false);
  void fail(Link& link, const std::string& message);
  void release(Link& link);
  void closeEndpoint(ucp_ep_h ep);
  bool pending(ucs_status_ptr_t request, const char* what, Link* link);
  Link* find(uint32_t id);

  static ucs_status_t onMessage(void* arg, const void* header, size_t headerLength, void* data, size_t length,
                                const ucp_am_recv_param_t* param);
  static void onConnection(ucp_conn_request_h request, void* arg);
  static void onError(void* arg, ucp_ep_h ep, ucs_status_t status);

  const std::string transports_, priority_, bind_;
  const std::chrono::milliseconds watchdog_;
  const Tell tell_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  ucp_listener_h listener_ = nullptr;
  uint16_t port_ = 0;
  int events_ = -1;
  int signal_ = -1;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  bool stop_ = false;
  std::atomic<int> held_{0};

  // the progress thread's own
  std::map<uint32_t, std::shared_ptr<Link>> links_;
  std::vector<Stranger> strangers_;
  /** Closing endpoints, with what must be given back only after them. */
  std::vector<std::pair<ucs_status_ptr_t, std::function<void()>>> closing_;
};

}  // namespace gradmesh
