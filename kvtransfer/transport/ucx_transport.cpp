// The UCX transport: API calls become commands for one progress thread, which owns the worker and every connection.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/net/address.h"
#include "kvtransfer/transport/admission.h"
#include "kvtransfer/transport/command_queue.h"
#include "kvtransfer/transport/path_table.h"
#include "kvtransfer/transport/transport.h"
#include "kvtransfer/transport/ucx_connection.h"
#include "kvtransfer/transport/ucx_peers.h"
#include "kvtransfer/transport/ucx_settings.h"
#include "kvtransfer/transport/wakeup.h"

namespace sluice::kv {
namespace {

using ucx::Connection;

constexpr std::size_t kMaxInbound = 1024;           // connections; for one more the oldest stranger goes
constexpr std::uint64_t kTurnsPerPoll = 64;         // how often busy turns look at sockets
constexpr std::uint64_t kListenerTag = 1ULL << 63;  // epoll tags: listeners, else connections by id
constexpr auto kShutdownPatience = std::chrono::seconds(2);

class UcxTransport final : public Transport {
 public:
  UcxTransport(UcxOptions o, net::PortRange ports, TransportHandler& handler, ucx::Context context, ucx::Worker worker)
      : options_(std::move(o)),
        ports_(ports),
        handler_(handler),
        context_(std::move(context)),
        worker_(std::move(worker)) {}

  Result<> start() {
    SLUICE_TRY(worker_.on_am(ucx::kAmId, on_am, this));
    SLUICE_ASSIGN(fabric_, worker_.address());
    if (fabric_.size() > kMaxFabricAddress)
      return fail(Errc::unsupported, "UCX's own address takes {} bytes; name fewer devices in net_devices",
                  fabric_.size());
    SLUICE_ASSIGN(const int fd, worker_.event_fd());
    SLUICE_TRY(wakeup_.open());
    SLUICE_TRY(wakeup_.watch_quietly(fd));
    thread_ = std::thread([this] { run(); });
    return {};
  }

  ~UcxTransport() override {
    if (!thread_.joinable()) return;
    command([](UcxTransport& t) { t.stopping_ = true; });
    thread_.join();
  }

  std::string_view name() const noexcept override { return "ucx"; }

  Result<std::string> listen(const std::string& address) override {
    SLUICE_ASSIGN(net::Address at, net::parse_address(address));
    SLUICE_ASSIGN(auto listener, GreetingListener::create(at, ports_));
    at.port = listener.port();
    command([l = std::move(listener)](UcxTransport& t) mutable { t.add_listener(std::move(l)); });
    return at.str();
  }

  Result<ConnId> connect(const std::string& address) override {
    SLUICE_ASSIGN(const net::Address at, net::parse_address(address));
    SLUICE_ASSIGN(const auto to, SockAddr::resolve(at));
    const ConnId id{++last_id_};
    command([id, to, address](UcxTransport& t) { t.do_connect(id, to, address); });
    return id;
  }

  void introduce(const std::string& address, const std::string& key) override {
    if (key.empty()) return;
    {
      const std::lock_guard lock(introduced_mu_);
      auto& known = introduced_[address];
      if (known == key) return;  // said with every request: the progress thread need not wake for it
      known = key;
    }
    command([address, key](UcxTransport& t) { t.admission_.introduce(address, key); });
  }

  void send(ConnId conn, const Message& m, SendDone done) override {
    if (m.header.size() > kMaxMessageHeader || m.payload.size() > kMaxMessagePayload) {
      auto error =
          fail(Errc::invalid_argument, "a message of {} header and {} payload bytes is over the limits ({}, {})",
               m.header.size(), m.payload.size(), kMaxMessageHeader, kMaxMessagePayload);
      command([done = std::move(done), error = std::move(error)](UcxTransport&) mutable { done(std::move(error)); });
      return;
    }
    command(
        [conn, o = ucx::make_outgoing(m, std::move(done))](UcxTransport& t) mutable { t.do_send(conn, std::move(o)); });
  }

  void close(ConnId conn) override {
    command([conn](UcxTransport& t) {
      if (auto* c = t.find(conn)) c->close();
    });
  }

  std::string describe(ConnId conn) const override { return paths_.lane(conn); }
  std::vector<OpenPath> open_paths() const override { return paths_.all(); }

 private:
  void command(CommandQueue<UcxTransport>::Command c) {
    commands_.push(std::move(c));
    wakeup_.wake();
  }

  // --- progress thread ---

  void run() {
    SpinBudget spin(clock_);
    while (!stopping_) {
      if (turn()) {
        spin.worked();
        continue;
      }
      if (spin.keep_spinning()) continue;
      wakeup_.announce_sleep();
      const auto armed = worker_.arm();
      if (!commands_.empty() || !armed.value_or(false)) {
        wakeup_.cancel_sleep();
        std::this_thread::yield();  // UCX may have something pending, e.g. a full shared-memory queue
        continue;
      }
      const TimePoint before = clock_.now();
      on_descriptors(wakeup_.sleep(until_deadline(before)));
      spin.slept(clock_.now() - before);
    }
    shut_down();
  }

  /// One round of everything; true if there was anything to do.
  bool turn() {
    bool worked = commands_.run(*this);
    for (int i = 0; i < 16 && worker_.progress(); ++i) worked = true;
    if (++turns_ % kTurnsPerPoll == 0) on_descriptors(wakeup_.sleep(Duration::zero()));
    for (std::size_t i = 0; i < busy_.size();) {
      worked |= busy_[i]->pump();
      if (busy_[i]->has_work()) {
        ++i;
      } else {
        busy_[i] = busy_.back();
        busy_.pop_back();
      }
    }
    if (unsettled_) settle();
    return worked;
  }

  void settle() {
    unsettled_ = false;
    peers_.settle();
    for (auto it = conns_.begin(); it != conns_.end();) {
      Connection& c = *it->second;
      if (!c.settled()) c.settle();
      if (c.condemns_peer()) peers_.condemn(*c.peer());
      if (!c.settled()) unsettled_ = true;
      if (c.has_work()) mark_busy(c);  // its bye
      it = c.finished() ? forget(it) : std::next(it);
    }
  }

  void lose(const ucx::Peer& peer, const Error& why) {
    for (auto& [id, c] : conns_)
      if (c->peer().get() == &peer) c->fail(why);
    unsettled_ = true;
  }

  std::optional<Duration> until_deadline(TimePoint now) const {
    TimePoint first = unsettled_ ? now + std::chrono::seconds(1) : TimePoint::max();
    if (unsettled_)
      for (const auto& [id, c] : conns_)
        if (!c->settled()) first = std::min(first, c->deadline());
    for (const Connection* c : busy_) first = std::min(first, c->paced_until().value_or(first));
    if (first == TimePoint::max()) return std::nullopt;
    return std::max(first - now, Duration::zero());
  }

  using Connections = std::unordered_map<ConnId, std::unique_ptr<Connection>>;

  Connections::iterator forget(Connections::iterator it) {
    const auto conn = std::move(it->second);
    std::erase(busy_, conn.get());
    by_key_.erase(conn->key());
    admission_.forget(conn->id());
    paths_.drop(conn->id());
    it = conns_.erase(it);
    if (!conn->inbound() || conn->was_announced()) handler_.on_closed(conn->id(), conn->error());
    return it;
  }

  Connection* find(ConnId id) {
    const auto it = conns_.find(id);
    return it == conns_.end() ? nullptr : it->second.get();
  }

  void mark_busy(Connection& c) {
    if (std::ranges::find(busy_, &c) == busy_.end()) busy_.push_back(&c);
  }

  Connection& add(ConnId id, bool inbound) {
    std::uint64_t key = 0;
    while (key == 0 || by_key_.contains(key)) key = random_();
    auto c = std::make_unique<Connection>(
        id, inbound, key, handler_, clock_,
        ucx::ConnectionLimits{options_.connect_timeout, options_.link_limit_bytes_per_s},
        [this](Connection& opened) { announce(opened); }, unsettled_);
    by_key_[key] = c.get();
    return *conns_.emplace(id, std::move(c)).first->second;
  }

  void add_listener(GreetingListener l) {
    if (!wakeup_.watch(l.fd(), kListenerTag | listeners_.size())) return;
    listeners_.push_back(std::move(l));
  }

  void on_descriptors(const std::vector<std::uint64_t>& tags) {
    for (const std::uint64_t tag : tags) {
      if (tag & kListenerTag)
        accept_strangers(listeners_[tag & ~kListenerTag]);
      else if (auto* c = find(ConnId{tag}))
        advance(*c);
    }
  }

  void accept_strangers(const GreetingListener& l) {
    while (auto socket = l.accept()) {
      if (conns_.size() >= kMaxInbound) drop_stranger();
      if (conns_.size() < 2 * kMaxInbound) adopt(add(ConnId{++last_id_}, true), std::move(*socket));
    }
  }

  /// Who connects and says nothing keeps nobody else out: the oldest of them makes room.
  void drop_stranger() {
    Connection* oldest = nullptr;
    for (const auto& [id, c] : conns_)
      if (c->is_stranger() && (oldest == nullptr || id.value() < oldest->id().value())) oldest = c.get();
    if (oldest != nullptr) oldest->fail({Errc::resource_exhausted, "had not greeted when others came", {}});
  }

  void adopt(Connection& c, GreetingSocket socket) {
    c.connect(std::move(socket));
    if (auto r = wakeup_.watch(c.lifeline().fd(), c.id().value()); !r) return c.fail(std::move(r).error());
    advance(c);
  }

  /// Moves the greetings along; once the peer's is here, opens the way through UCX.
  void advance(Connection& c) {
    const auto greeting = c.on_lifeline();
    if (!greeting) return;
    if (!admitted(c, *greeting)) return;
    auto peer = peers_.at(worker_, greeting->fabric);
    if (!peer) return c.fail(std::move(peer).error());
    c.attach(*peer, greeting->key);
    if (c.inbound()) {
      Greeting ours{c.key(), fabric_, {}};
      admission_.answer(ours, *greeting);
      c.lifeline().say(ours);
      (void)c.on_lifeline();
    }
    if (c.has_work()) mark_busy(c);
  }

  /// Before anything of the greeting goes to UCX, which believes what it is given.
  bool admitted(Connection& c, const Greeting& g) {
    if (c.inbound() ? admission_.admits(g) : admission_.believes(c.id(), g, c.key())) return true;
    if (c.inbound() && options_.on_stranger) options_.on_stranger(c.lifeline().peer(true));
    c.fail({Errc::permission_denied,
            c.inbound() ? "it does not know the key of this address"
                        : "who listens there does not know the key of its address",
            {}});
    return false;
  }

  void announce(Connection& c) {
    const std::string lane = ucx::message_lane(c.peer()->ep.info());
    const std::string peer = c.lifeline().peer(!c.inbound());
    paths_.put(c.id(), {peer, lane, c.inbound()});
    if (c.has_work()) mark_busy(c);
    handler_.on_connected(c.id(), c.inbound());
    if (options_.on_slow_path && lane.starts_with("tcp/") && ucx::names_faster_than_tcp(options_.tls))
      options_.on_slow_path({c.id(), peer, lane});
  }

  void do_connect(ConnId id, const SockAddr& to, const std::string& address) {
    if (stopping_) return handler_.on_closed(id, {Errc::cancelled, "the transport was destroyed", {}});
    Connection& c = add(id, false);
    Greeting ours{c.key(), fabric_, {}};
    admission_.approach(id, address, ours);
    auto socket = GreetingSocket::connect(to, ours);
    if (!socket) return c.fail({Errc::unavailable, fmt::format("{}: {}", address, socket.error().message), {}});
    adopt(c, std::move(*socket));
  }

  void do_send(ConnId conn, ucx::Outgoing o) {
    Connection* const c = find(conn);
    if (!c || stopping_) {
      o.done(stopping_ ? fail(Errc::cancelled, "the transport was destroyed")
                       : fail(Errc::unavailable, "connection {} is closed", conn));
      return;
    }
    c->send(std::move(o));
    if (c->has_work()) mark_busy(*c);
  }

  void shut_down() {
    listeners_.clear();
    commands_.run(*this);
    for (auto& [id, c] : conns_) c->fail({Errc::cancelled, "the transport was destroyed", {}});
    peers_.condemn_all();
    const TimePoint give_up = clock_.now() + kShutdownPatience;
    for (unsettled_ = true; (!conns_.empty() || peers_.closing()) && clock_.now() < give_up;) {
      settle();
      worker_.progress();
    }
    peers_.abandon();
    worker_ = {};
    while (!conns_.empty()) {
      conns_.begin()->second->abandon();
      forget(conns_.begin());
    }
    while (commands_.run(*this)) {
    }
  }

  // --- UCX's callback, from worker_.progress() ---

  static ucs_status_t on_am(void* arg, const void* head, std::size_t head_bytes, void* data, std::size_t bytes,
                            const ucp_am_recv_param_t* p) {
    auto& t = *static_cast<UcxTransport*>(arg);
    ucx::ChunkHeader h;
    if (head_bytes < sizeof h) return UCS_OK;
    std::memcpy(&h, head, sizeof h);
    const auto it = t.by_key_.find(h.to);
    if (it == t.by_key_.end()) return UCS_OK;  // closed here meanwhile
    Connection& c = *it->second;
    if (p->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV)
      c.fail({Errc::data_corrupt, "the peer tried a rendezvous, which this protocol forbids", {}});
    else
      c.receive({static_cast<const std::byte*>(head), head_bytes}, {static_cast<const std::byte*>(data), bytes});
    return UCS_OK;
  }

  const UcxOptions options_;
  const net::PortRange ports_;
  TransportHandler& handler_;
  const SteadyClock clock_;
  std::atomic<std::uint64_t> last_id_ = 0;

  CommandQueue<UcxTransport> commands_;
  std::mutex introduced_mu_;
  std::unordered_map<std::string, std::string> introduced_;  // keys by address; guarded by introduced_mu_
  PathTable paths_;
  Wakeup wakeup_;

  // Progress thread only from here on.
  ucx::Context context_;
  ucx::Worker worker_;
  Connections conns_;
  std::vector<GreetingListener> listeners_;
  std::vector<std::byte> fabric_;  // our worker's address
  ucx::Peers peers_{[this](const ucx::Peer& peer, const Error& why) { lose(peer, why); }};
  std::unordered_map<std::uint64_t, Connection*> by_key_;
  Admission admission_{options_.admission_key};
  std::mt19937_64 random_{(std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()};
  std::uint64_t turns_ = 0;
  std::vector<Connection*> busy_;  // with messages to post
  bool unsettled_ = false;         // some connection is neither open nor gone
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_ucx_transport(const UcxOptions& o, TransportHandler& handler) {
  // UCX reads UCX_TCP_PORT_RANGE for its data sockets; our listener keeps to the same ports.
  const char* const from_env = std::getenv("UCX_TCP_PORT_RANGE");
  SLUICE_ASSIGN(const net::PortRange ports, net::parse_port_range(!o.port_range.empty() ? o.port_range
                                                                  : from_env            ? from_env
                                                                                        : ""));
  SLUICE_TRY(ucx::check_devices(o));
  SLUICE_ASSIGN(const auto config, ucx::configure(o));
  SLUICE_ASSIGN(auto context, ucx::Context::create(config));
  SLUICE_ASSIGN(auto worker, ucx::Worker::create(context));
  auto t = std::make_unique<UcxTransport>(o, ports, handler, std::move(context), std::move(worker));
  SLUICE_TRY(t->start());
  return t;
}

}  // namespace sluice::kv
