// The part `ucx` as JavaScript sees it.

#include <napi.h>

#include "worker.h"

using namespace gradmesh;

namespace {

constexpr size_t LEAST = 64 * 1024, MOST = 1u << 30;

struct Told {
  uint32_t link;
  Event event;
  std::string message;
};

const char* nameOf(Event event) {
  switch (event) {
    case Event::open:
      return "open";
    case Event::moved:
      return "moved";
    case Event::failed:
      return "failed";
    default:
      return "closed";
  }
}

Napi::Error error(Napi::Env env, const std::string& message) { return Napi::Error::New(env, message); }

uint32_t number(const Napi::Value& value, double most, const char* what) {
  const double n = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(n >= 0 && n <= most) || n != static_cast<double>(static_cast<uint64_t>(n))) throw error(value.Env(), std::string("rdma: wrong ") + what);
  return static_cast<uint32_t>(n);
}

Token tokenOf(const Napi::Value& value) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().ByteLength() != sizeof(Token)) throw error(value.Env(), "rdma: a token has 16 bytes");
  Token token;
  std::memcpy(token.data(), value.As<Napi::Uint8Array>().Data(), token.size());
  return token;
}

class UcxNode : public Napi::ObjectWrap<UcxNode> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "UcxNode",
                       {InstanceAccessor<&UcxNode::port>("port"), InstanceAccessor<&UcxNode::held>("held"), InstanceMethod<&UcxNode::make>("make"),
                        InstanceMethod<&UcxNode::meet>("meet"), InstanceMethod<&UcxNode::publish>("publish"),
                        InstanceMethod<&UcxNode::consume>("consume"), InstanceMethod<&UcxNode::peerHead>("peerHead"),
                        InstanceMethod<&UcxNode::peerConsumed>("peerConsumed"), InstanceMethod<&UcxNode::starve>("starve"),
                        InstanceMethod<&UcxNode::release>("release"), InstanceMethod<&UcxNode::close>("close")});
  }

  /** new UcxNode(transports, priority, address, watchdog, onEvent) */
  explicit UcxNode(const Napi::CallbackInfo& info) : Napi::ObjectWrap<UcxNode>(info) {
    Napi::Env env = info.Env();
    if (info.Length() < 5 || !info[0].IsString() || !info[1].IsString() || !info[2].IsString() || !info[4].IsFunction())
      throw error(env, "rdma: UcxNode(transports, priority, address, watchdog, onEvent)");
    const int watchdog = static_cast<int>(number(info[3], 600'000, "watchdog"));
    events_ = Napi::ThreadSafeFunction::New(env, info[4].As<Napi::Function>(), "gradmesh ucx", 0, 1);
    // the streams beside keep the process alive, not the fabric
    events_.Unref(env);
    auto events = events_;
    worker_ = std::make_unique<Worker>(info[0].As<Napi::String>(), info[1].As<Napi::String>(), info[2].As<Napi::String>(), watchdog,
                                       [events](uint32_t link, Event event, std::string message) {
                                         auto* told = new Told{link, event, std::move(message)};
                                         if (events.NonBlockingCall(told, &UcxNode::deliver) != napi_ok) delete told;
                                       });
    const std::string problem = worker_->start();
    if (!problem.empty()) {
      worker_.reset();
      events_.Release();
      throw error(env, problem);
    }
  }

  ~UcxNode() override { end(); }

 private:
  static void deliver(Napi::Env env, Napi::Function callback, Told* told) {
    std::unique_ptr<Told> kept(told);
    if (env == nullptr || callback == nullptr) return;
    callback.Call({Napi::Number::New(env, told->link), Napi::String::New(env, nameOf(told->event)), Napi::String::New(env, told->message)});
  }

  Napi::Value port(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), worker_ ? worker_->port() : 0); }
  Napi::Value held(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), worker_ ? worker_->held() : 0); }

  Link& linkOf(const Napi::CallbackInfo& info) {
    const auto found = links_.find(number(info[0], 4294967295.0, "link"));
    if (!worker_ || found == links_.end()) throw error(info.Env(), "rdma: the link is closed");
    return *found->second;
  }

  /** make(link, ringBytes, token): registers two rings. @returns { out, in, address, key } */
  Napi::Value make(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    const uint32_t id = number(info[0], 4294967295.0, "link");
    const uint32_t bytes = number(info[1], MOST, "ring");
    if (bytes < LEAST || (bytes & (bytes - 1)) != 0) throw error(env, "rdma: a ring's size is a power of two from 64 KiB to 1 GiB");
    if (!worker_ || links_.count(id) != 0) throw error(env, "rdma: the link is closed, or there already");
    std::string problem;
    auto link = worker_->make(id, bytes, tokenOf(info[2]), problem);
    if (link == nullptr) throw error(env, problem);
    links_[id] = link;
    auto made = Napi::Object::New(env);
    made.Set("out", ring(env, link->out));
    made.Set("in", ring(env, link->in));
    made.Set("address", Napi::BigInt::New(env, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(link->in->base))));
    made.Set("key", Napi::Buffer<uint8_t>::Copy(env, link->packedKey.data(), link->packedKey.size()));
    return made;
  }

  static Napi::Value ring(Napi::Env env, const std::shared_ptr<Pages>& pages) {
    auto* hold = new std::shared_ptr<Pages>(pages);
    return Napi::ArrayBuffer::New(env, pages->base, pages->length, [](Napi::Env, void*, std::shared_ptr<Pages>* kept) { delete kept; }, hold);
  }

  /** meet(link, theirLink, theirToken, address, key, ip, port): connect; with an empty ip, wait to be connected */
  Napi::Value meet(const Napi::CallbackInfo& info) {
    Link& link = linkOf(info);
    bool whole = false;
    const uint64_t address = info[3].IsBigInt() ? info[3].As<Napi::BigInt>().Uint64Value(&whole) : 0;
    if (!whole || !info[4].IsTypedArray() || !info[5].IsString()) throw error(info.Env(), "rdma: wrong details");
    auto key = info[4].As<Napi::Uint8Array>();
    worker_->meet(link.id, number(info[1], 4294967295.0, "link"), tokenOf(info[2]), address,
                  std::vector<uint8_t>(key.Data(), key.Data() + key.ByteLength()), info[5].As<Napi::String>(),
                  static_cast<uint16_t>(number(info[6], 65535, "port")));
    return info.Env().Undefined();
  }

  Napi::Value publish(const Napi::CallbackInfo& info) {
    worker_->publish(linkOf(info).id, number(info[1], 4294967295.0, "position"));
    return info.Env().Undefined();
  }

  Napi::Value consume(const Napi::CallbackInfo& info) {
    worker_->consume(linkOf(info).id, number(info[1], 4294967295.0, "position"));
    return info.Env().Undefined();
  }

  /** How far the other side's bytes have come whole. From here on the next ones are told of. */
  Napi::Value peerHead(const Napi::CallbackInfo& info) {
    Link& link = linkOf(info);
    link.moved.store(false);
    return Napi::Number::New(info.Env(), link.peerHead.load());
  }

  Napi::Value peerConsumed(const Napi::CallbackInfo& info) {
    Link& link = linkOf(info);
    link.moved.store(false);
    return Napi::Number::New(info.Env(), link.peerConsumed.load());
  }

  Napi::Value starve(const Napi::CallbackInfo& info) {
    linkOf(info).starved.store(info[1].ToBoolean().Value());
    return info.Env().Undefined();
  }

  /** The rings' buffers stay valid; nobody writes to them once the endpoint is closed. */
  Napi::Value release(const Napi::CallbackInfo& info) {
    const uint32_t id = number(info[0], 4294967295.0, "link");
    if (links_.erase(id) != 0 && worker_) worker_->close(id);
    return info.Env().Undefined();
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    end();
    return info.Env().Undefined();
  }

  void end() {
    if (!worker_) return;
    links_.clear();
    worker_.reset();
    events_.Release();
  }

  std::unique_ptr<Worker> worker_;
  Napi::ThreadSafeFunction events_;
  std::map<uint32_t, std::shared_ptr<Link>> links_;
};

/** load(): UCX's libraries. @returns { version } or { problem } */
Napi::Value load(const Napi::CallbackInfo& info) {
  static const std::string problem = ucx.load();
  auto result = Napi::Object::New(info.Env());
  if (problem.empty()) {
    unsigned major = 0, minor = 0, release = 0;
    ucx.ucp_get_version(&major, &minor, &release);
    result.Set("version", std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release));
  } else {
    result.Set("problem", problem);
  }
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("UcxNode", UcxNode::define(env));
  exports.Set("load", Napi::Function::New(env, load));
  return exports;
}

}  // namespace

NODE_API_MODULE(gradmesh_ucx, init)
