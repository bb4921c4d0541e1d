// The in-process transport: the semantics of transport.h without a network, for tests and single-process runs.
//
// Each transport owns a Mailbox and a progress thread that empties it. Peers hold each other's mailbox by shared_ptr
// and post into it, so either side can be destroyed first. A send copies its payload on the sender's thread; from then
// on the mailbox of the receiver owns the bytes.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kvtransfer/transport/assembler.h"
#include "kvtransfer/transport/transport.h"

namespace sluice::kv {
namespace {

class LoopbackTransport;

/// Work for one transport's progress thread; after shut() posts are refused.
class Mailbox {
 public:
  // By pointer: libstdc++ takes the size of what a reference refers to, and the class is not complete here.
  using Task = std::move_only_function<void(LoopbackTransport*)>;

  /// False, leaving t to the caller, once shut.
  bool post(Task& t) {
    {
      const std::lock_guard lock(mu_);
      if (shut_) return false;
      tasks_.push_back(std::move(t));
    }
    cv_.notify_one();
    return true;
  }
  bool post(Task&& t) { return post(t); }
  /// Waits for work; an empty result means shut and drained.
  std::deque<Task> take() {
    std::unique_lock lock(mu_);
    cv_.wait(lock, [&] { return shut_ || !tasks_.empty(); });
    return std::exchange(tasks_, {});
  }
  void shut() {
    {
      const std::lock_guard lock(mu_);
      shut_ = true;
    }
    cv_.notify_one();
  }

 private:
  std::mutex mu_;
  std::condition_variable cv_;
  std::deque<Task> tasks_;
  bool shut_ = false;
};

struct Outgoing {
  ConnId conn;
  MessageId id = 0;
  std::vector<std::byte> header;
  std::span<const std::byte> payload;
  SendDone done;
};

struct PeerEnd {
  std::shared_ptr<Mailbox> mailbox;
  ConnId conn;
};

}  // namespace

class LoopbackHub {
 public:
  Result<std::string> add(std::string name, const std::shared_ptr<Mailbox>& m) {
    const std::lock_guard lock(mu_);
    if (name.ends_with(":0")) name = fmt::format("{}:{}", name.substr(0, name.size() - 2), ++last_port_);
    const auto it = listeners_.find(name);
    if (it != listeners_.end()) return fail(Errc::already_exists, "loopback address '{}' is taken", name);
    listeners_[name] = m;
    return name;
  }
  void remove(const std::shared_ptr<Mailbox>& m) {
    const std::lock_guard lock(mu_);
    std::erase_if(listeners_, [&](const auto& l) { return l.second.lock() == m; });
  }
  std::shared_ptr<Mailbox> find(const std::string& name) {
    const std::lock_guard lock(mu_);
    const auto it = listeners_.find(name);
    return it == listeners_.end() ? nullptr : it->second.lock();
  }

 private:
  std::mutex mu_;
  std::map<std::string, std::weak_ptr<Mailbox>> listeners_;
  int last_port_ = 0;
};

namespace {

class LoopbackTransport final : public Transport {
 public:
  LoopbackTransport(std::shared_ptr<LoopbackHub> hub, TransportHandler& handler)
      : hub_(std::move(hub)), handler_(handler), thread_([this] { run(); }) {}
  ~LoopbackTransport() override {
    hub_->remove(mailbox_);
    stopping_ = true;
    mailbox_->shut();
    thread_.join();
  }

  std::string_view name() const noexcept override { return "loopback"; }
  Result<std::string> listen(const std::string& address) override { return hub_->add(address, mailbox_); }

  Result<ConnId> connect(const std::string& address) override {
    if (address.empty()) return fail(Errc::invalid_argument, "an empty loopback address");
    const ConnId id = next_id();
    mailbox_->post([id, address](LoopbackTransport* t) { t->open(id, address); });
    return id;
  }

  void send(ConnId conn, const Message& m, SendDone done) override {
    Mailbox::Task task = [o = Outgoing{conn, m.id, {m.header.begin(), m.header.end()}, m.payload, std::move(done)}](
                             LoopbackTransport* t) mutable { t->submit(std::move(o)); };
    if (!mailbox_->post(task)) task(this);  // a send from a handler while we stop
  }

  void close(ConnId conn) override {
    mailbox_->post([conn](LoopbackTransport* t) { t->close_here(conn); });
  }

  std::string describe(ConnId) const override { return "loopback/memory"; }
  std::vector<OpenPath> open_paths() const override { return {}; }

 private:
  struct Conn {
    PeerEnd peer;
    Assembler assembler;
    bool open = false;
    bool close_when_open = false;
    std::vector<Outgoing> held = {};  // sent before the peer answered
  };

  void run() {
    for (auto batch = mailbox_->take(); !batch.empty(); batch = mailbox_->take())
      for (auto& task : batch) task(this);
    while (!conns_.empty())
      drop(conns_.begin()->first, Error{Errc::cancelled, "the transport was destroyed", {}}, "the peer went away");
  }

  ConnId next_id() { return ConnId{++last_id_}; }

  void open(ConnId id, const std::string& address) {
    if (stopping_) return handler_.on_closed(id, Error{Errc::cancelled, "the transport was destroyed", {}});
    const auto peer = hub_->find(address);
    conns_.emplace(id, Conn{{peer, {}}, Assembler(id, handler_)});
    if (!peer || !peer->post([self = PeerEnd{mailbox_, id}](LoopbackTransport* t) { t->accept(self); }))
      drop(id, Error{Errc::unavailable, fmt::format("nobody listens at '{}'", address), {}}, {});
  }

  void accept(const PeerEnd& from) {
    if (stopping_) {
      from.mailbox->post([to = from.conn](LoopbackTransport* t) {
        t->drop(to, Error{Errc::unavailable, "the peer went away", {}}, {});
      });
      return;
    }
    const ConnId id = next_id();
    conns_.emplace(id, Conn{from, Assembler(id, handler_), true});
    const bool alive = from.mailbox->post(
        [to = from.conn, self = PeerEnd{mailbox_, id}](LoopbackTransport* t) { t->accepted(to, self); });
    handler_.on_connected(id, true);
    if (!alive) drop(id, Error{Errc::unavailable, "the peer went away", {}}, {});
  }

  void accepted(ConnId id, const PeerEnd& peer) {
    const auto it = conns_.find(id);
    if (it == conns_.end()) {  // closed here meanwhile
      peer.mailbox->post([to = peer.conn](LoopbackTransport* t) {
        t->drop(to, Error{Errc::unavailable, "the peer closed the connection", {}}, {});
      });
      return;
    }
    it->second.peer = peer;
    it->second.open = true;
    handler_.on_connected(id, false);
    for (auto& o : std::exchange(it->second.held, {})) submit(std::move(o));
    if (it->second.close_when_open) close_here(id);
  }

  void submit(Outgoing o) {
    const auto it = conns_.find(o.conn);
    if (it != conns_.end() && !it->second.open && !stopping_) return it->second.held.push_back(std::move(o));
    auto done = std::move(o.done);
    done(transmit(it == conns_.end() ? nullptr : &it->second, std::move(o)));
  }

  Result<> transmit(Conn* conn, Outgoing o) {
    if (stopping_) return fail(Errc::cancelled, "the transport was destroyed");
    if (o.header.size() > kMaxMessageHeader || o.payload.size() > kMaxMessagePayload)
      return fail(Errc::invalid_argument, "a message of {} header and {} payload bytes is over the limits",
                  o.header.size(), o.payload.size());
    if (!conn) return fail(Errc::unavailable, "connection {} is closed", o.conn);
    if (!conn->peer.mailbox->post([to = conn->peer.conn, id = o.id, header = std::move(o.header),
                                   bytes = std::vector(o.payload.begin(), o.payload.end())](LoopbackTransport* t) {
          t->receive(to, id, header, bytes);
        }))
      return fail(Errc::unavailable, "the peer went away");
    return {};
  }

  void close_here(ConnId id) {
    const auto it = conns_.find(id);
    if (it == conns_.end()) return;
    if (!it->second.open && !it->second.held.empty()) {
      it->second.close_when_open = true;
      return;
    }
    drop(id, Error{Errc::cancelled, "closed here", {}}, "the peer closed the connection");
  }

  void receive(ConnId conn, MessageId id, std::span<const std::byte> header, std::span<const std::byte> bytes) {
    const auto it = conns_.find(conn);
    if (it == conns_.end() || stopping_) return;
    if (auto r = it->second.assembler.first(id, header, bytes.size(), bytes); !r)
      drop(conn, r.error(), "the peer refused a message");
  }

  void drop(ConnId id, const Error& why, const std::string& peer_message) {
    auto node = conns_.extract(id);
    if (node.empty()) return;
    const PeerEnd& peer = node.mapped().peer;
    if (peer.mailbox && node.mapped().open)
      peer.mailbox->post([to = peer.conn, peer_message](LoopbackTransport* t) {
        t->drop(to, Error{Errc::unavailable, peer_message, {}}, {});
      });
    for (auto& o : node.mapped().held) o.done(std::unexpected(why));
    handler_.on_closed(id, why);
  }

  std::shared_ptr<LoopbackHub> hub_;
  TransportHandler& handler_;
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::atomic<std::uint64_t> last_id_ = 0;
  std::atomic<bool> stopping_ = false;
  std::unordered_map<ConnId, Conn> conns_;  // progress thread only
  std::thread thread_;
};

}  // namespace

std::shared_ptr<LoopbackHub> make_loopback_hub() { return std::make_shared<LoopbackHub>(); }

Result<std::unique_ptr<Transport>> make_loopback_transport(std::shared_ptr<LoopbackHub> hub,
                                                           TransportHandler& handler) {
  return std::make_unique<LoopbackTransport>(std::move(hub), handler);
}

}  // namespace sluice::kv
