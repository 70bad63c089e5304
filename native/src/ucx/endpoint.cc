// Endpoints and the packets between them; all on the progress thread.
#include <cstdlib>

#include "worker.h"

namespace gradmesh {

namespace {

constexpr uint32_t PROBE_BYTES = 4096;
constexpr size_t MAX_STRANGERS = 64;
/** Announcements whose bytes are still to be seen; the ring holds no more than so many. */
constexpr size_t MAX_WAITING = 4096;

void freeRequest(void* request, ucs_status_t, void* data) {
  std::free(data);
  ucx.ucp_request_free(request);
}

}  // namespace

void Worker::onConnection(ucp_conn_request_h request, void* arg) {
  auto* self = static_cast<Worker*>(arg);
  if (self->strangers_.size() >= MAX_STRANGERS) {
    ucx.ucp_listener_reject(self->listener_, request);
    return;
  }
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST | UCP_EP_PARAM_FIELD_ERR_HANDLER | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
  params.conn_request = request;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {&Worker::onError, self};
  ucp_ep_h ep = nullptr;
  if (ucx.ucp_ep_create(self->worker_, &params, &ep) != UCS_OK) return;
  self->held_++;
  self->strangers_.push_back({ep, Clock::now()});
}

void Worker::connect(Link& link, const std::string& ip, uint16_t port) {
  sockaddr_storage address{};
  socklen_t length = 0;
  if (!sockaddrOf(ip, port, address, length)) return fail(link, "rdma: the other side's address is none");
  ucp_ep_params_t params{};
  params.field_mask =
      UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR | UCP_EP_PARAM_FIELD_ERR_HANDLER | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr = {reinterpret_cast<sockaddr*>(&address), length};
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {&Worker::onError, this};
  const ucs_status_t status = ucx.ucp_ep_create(worker_, &params, &link.ep);
  if (status != UCS_OK) {
    link.ep = nullptr;
    return fail(link, ucx.why("connecting", status));
  }
  held_++;
  send(link, Kind::hello, 0, 0, 0, true);
}

void Worker::onError(void* arg, ucp_ep_h ep, ucs_status_t status) {
  auto* self = static_cast<Worker*>(arg);
  for (auto& [id, link] : self->links_)
    if (link->ep == ep) return self->fail(*link, ucx.why("the connection broke", status));
  for (size_t i = 0; i < self->strangers_.size(); i++) {
    if (self->strangers_[i].ep != ep) continue;
    self->closeEndpoint(ep);
    self->strangers_.erase(self->strangers_.begin() + static_cast<long>(i));
    return;
  }
}

ucs_status_t Worker::onMessage(void* arg, const void*, size_t, void* data, size_t length, const ucp_am_recv_param_t* param) {
  auto* self = static_cast<Worker*>(arg);
  // anything of another form is from a stranger; what it wants to be fetched is not
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0 || length != sizeof(Packet)) return UCS_OK;
  Packet packet;
  std::memcpy(&packet, data, sizeof packet);
  self->received(packet, (param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) != 0 ? param->reply_ep : nullptr);
  return UCS_OK;
}

void Worker::received(const Packet& packet, ucp_ep_h from) {
  Link* link = find(packet.link);
  const Kind kind = static_cast<Kind>(packet.kind);
  if (link == nullptr || packet.token != link->token) {
    // a wrong key: whoever it is, it is told nothing and its endpoint closed
    for (size_t i = 0; i < strangers_.size(); i++) {
      if (strangers_[i].ep != from) continue;
      closeEndpoint(from);
      strangers_.erase(strangers_.begin() + static_cast<long>(i));
      return;
    }
    return;
  }
  if (link->state == Link::State::failed || link->state == Link::State::closed) return;
  if (kind == Kind::hello) return hello(*link, from);
  if (link->ep == nullptr || link->key == nullptr) return;
  switch (kind) {
    case Kind::probe:
    case Kind::data:
      if (link->waiting.size() >= MAX_WAITING) return fail(*link, "rdma: the other side announced too much");
      if (!link->waiting.empty() || !arrived(*link, packet)) link->waiting.emplace_back(packet, Clock::now());
      break;
    case Kind::probed:
      link->probeConfirmed = true;
      link->progress = Clock::now();
      maybeOpen(*link);
      break;
    case Kind::got:
      if (packet.position - link->confirmed > link->sent - link->confirmed) return fail(*link, "rdma: the other side confirmed what was not sent");
      link->confirmed = packet.position;
      link->progress = Clock::now();
      break;
    case Kind::consumed:
      link->peerConsumed.store(packet.position);
      if (link->starved.load() && !link->moved.exchange(true)) tell_(link->id, Event::moved, "");
      break;
    default:
      break;
  }
}

/** The other side has shown that it was told of this link: on `from` where it connected, else on the endpoint made here. */
void Worker::hello(Link& link, ucp_ep_h from) {
  if (link.state != Link::State::connecting || link.key != nullptr) return;
  if (link.ep == nullptr) {
    for (size_t i = 0; i < strangers_.size() && link.ep == nullptr; i++) {
      if (strangers_[i].ep != from) continue;
      link.ep = from;
      strangers_.erase(strangers_.begin() + static_cast<long>(i));
    }
    if (link.ep == nullptr) return;
    send(link, Kind::hello);
  }
  const ucs_status_t status = ucx.ucp_ep_rkey_unpack(link.ep, link.theirKey.data(), &link.key);
  if (status != UCS_OK) {
    link.key = nullptr;
    return fail(link, ucx.why("the other side's memory key", status));
  }
  link.state = Link::State::opening;
  link.progress = Clock::now();
  putProbe(link);
}

/** Bytes that the other side checks, before anything relies on the way there. */
void Worker::putProbe(Link& link) {
  for (uint32_t i = 0; i < PROBE_BYTES; i++) link.out->base[i] = static_cast<uint8_t>(link.theirToken[i & 15] + 31 * i + (i >> 8));
  link.probeSent = true;
  if (put(link, 0, PROBE_BYTES)) send(link, Kind::probe, 0, PROBE_BYTES, checksum(link.out->base, PROBE_BYTES));
}

void Worker::maybeOpen(Link& link) {
  if (link.state != Link::State::opening || !link.probeConfirmed || !link.probeSeen) return;
  link.state = Link::State::open;
  tell_(link.id, Event::open, "");
}

/** @returns whether the announced bytes are there, whole; a lie fails the link */
bool Worker::arrived(Link& link, const Packet& packet) {
  const uint32_t size = static_cast<uint32_t>(link.in->length);
  const bool probe = static_cast<Kind>(packet.kind) == Kind::probe;
  const uint32_t at = probe ? 0 : (packet.position - packet.length) & (size - 1);
  const bool sound = packet.length > 0 && packet.length % 8 == 0 && packet.length <= size && at + packet.length <= size &&
                     (probe ? !link.probeSeen : packet.position - packet.length == link.landed && link.probeSeen);
  if (!sound) {
    fail(link, "rdma: the other side announced bytes outside of what it was given");
    return true;
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (checksum(link.in->base + at, packet.length) != packet.checksum) return false;
  if (probe) {
    link.probeSeen = true;
    send(link, Kind::probed);
    maybeOpen(link);
    return true;
  }
  link.landed = packet.position;
  link.peerHead.store(link.landed);
  send(link, Kind::got, link.landed);
  if (!link.moved.exchange(true)) tell_(link.id, Event::moved, "");
  return true;
}

bool Worker::pending(ucs_status_ptr_t request, const char* what, Link* link) {
  if (!UCS_PTR_IS_ERR(request)) return true;
  if (link != nullptr) fail(*link, ucx.why(what, UCS_PTR_STATUS(request)));
  return false;
}

bool Worker::put(Link& link, uint32_t at, uint32_t length) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = &freeRequest;
  param.user_data = nullptr;
  const auto request = ucx.ucp_put_nbx(link.ep, link.out->base + at, length, link.theirAddress + at, link.key, &param);
  if (!pending(request, "writing", &link)) return false;
  const ucs_status_t status = ucx.ucp_worker_fence(worker_);
  if (status == UCS_OK) return true;
  fail(link, ucx.why("a fence", status));
  return false;
}

void Worker::send(Link& link, Kind kind, uint32_t position, uint32_t length, uint64_t sum, bool reply) {
  if (link.ep == nullptr) return;
  auto* packet = static_cast<Packet*>(std::malloc(sizeof(Packet)));
  *packet = {static_cast<uint32_t>(kind), link.theirId, link.theirToken, position, length, sum};
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER | (reply ? UCP_AM_SEND_FLAG_REPLY : 0);
  param.cb.send = &freeRequest;
  param.user_data = packet;
  const auto request = ucx.ucp_am_send_nbx(link.ep, 0, nullptr, 0, packet, sizeof(Packet), &param);
  // complete at once, or refused: no callback follows
  if (request == nullptr || UCS_PTR_IS_ERR(request)) std::free(packet);
  pending(request, "a message", &link);
}

void Worker::fail(Link& link, const std::string& message) {
  if (link.state == Link::State::failed || link.state == Link::State::closed) return;
  link.state = Link::State::failed;
  link.waiting.clear();
  tell_(link.id, Event::failed, message);
}

/** Quarantine: the rings stay as they are until the endpoint is closed, then the registrations go, then the memory may. */
void Worker::release(Link& link) {
  if (link.state == Link::State::closed) return;
  link.state = Link::State::closed;
  link.waiting.clear();
  const auto key = link.key;
  const auto in = link.inMemory, out = link.outMemory;
  const auto rings = std::make_pair(link.in, link.out);
  link.key = nullptr;
  auto after = [this, key, in, out, rings] {
    if (key != nullptr) ucx.ucp_rkey_destroy(key);
    for (auto memory : {in, out}) {
      if (memory == nullptr) continue;
      ucx.ucp_mem_unmap(context_, memory);
      held_--;
    }
  };
  if (link.ep == nullptr) return after();
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  const auto request = ucx.ucp_ep_close_nbx(link.ep, &param);
  link.ep = nullptr;
  closing_.emplace_back(UCS_PTR_IS_PTR(request) ? request : nullptr, [this, after] {
    held_--;
    after();
  });
}

void Worker::closeEndpoint(ucp_ep_h ep) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  const auto request = ucx.ucp_ep_close_nbx(ep, &param);
  closing_.emplace_back(UCS_PTR_IS_PTR(request) ? request : nullptr, [this] { held_--; });
}

}  // namespace gradmesh
