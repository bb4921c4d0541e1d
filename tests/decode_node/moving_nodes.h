#pragma once
// Decode nodes whose sequences move between them over the in-process network, a sender of prompts' KV, and who tells
// them what to do: what coordinator and daemons are to a DecodeService.
//
// Threading: a node's calls run on its own control thread, as in the daemon; Heard is told from any.
#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "decode_node/decode_service.h"
#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/flow/two_way.h"
#include "kvtransfer/wire/handshake.h"
#include "node/export/sender_out.h"
#include "node/kv/pool_layout.h"
#include "tests/support/io_thread.h"

namespace sluice::decode::test {

using sluice::test::IoThread;

/// A token as a client would be told.
struct Told {
  TokenId id = 0;
  float logprob = 0;
  std::vector<std::pair<TokenId, float>> top;
  friend bool operator==(const Told&, const Told&) = default;
};

/// Who a message is of: a leg's attempt is its name at one node.
using At = std::pair<std::string, RequestId>;

/// What nodes have said.
class Heard {
 public:
  void take(const std::string& node, const std::string& type, const nlohmann::json& body) {
    {
      const std::lock_guard lock(mutex_);
      if (type == control::type::kTokens) {
        const auto sent = control::parse<control::Tokens>(body).value();
        for (const auto& i : sent.items) add(node, i);
      } else if (type == control::type::kFinished) {
        const auto f = control::parse<control::Finished>(body).value();
        finished_[{node, f.request}].push_back(f);
      } else if (type == control::type::kHalted) {
        const auto h = control::parse<control::Halted>(body).value();
        halted_[{node, h.request}].push_back(h);
      } else if (type == control::type::kMoved) {
        const auto m = control::parse<control::Moved>(body).value();
        moved_[{node, m.request}].push_back(m);
      } else if (type == control::type::kKvReady) {
        ++ready_[{node, control::parse<control::KvReady>(body).value().request}];
      }
    }
    changed_.notify_all();
  }
  template <class P>
  [[nodiscard]] bool wait(P holds, std::chrono::milliseconds limit = std::chrono::seconds(60)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return holds(*this); });
  }

  // Within wait(), or when nothing is told any more.
  std::map<RequestId, std::vector<Told>> answers;    // in order, from whichever node
  std::map<At, std::vector<std::uint32_t>> indexes;  // of what each node told
  std::map<At, std::vector<TimePoint>> times;        // when
  bool contradicted = false;                         // two nodes told different tokens of one place
  /// With so many tokens: one that was called off may have halted before.
  [[nodiscard]] bool halted(const At& at, std::uint32_t tokens) {
    return std::ranges::find(halted_[at], tokens, &control::Halted::tokens) != halted_[at].end();
  }
  [[nodiscard]] std::size_t halts(const At& at) { return halted_[at].size(); }
  [[nodiscard]] const std::vector<control::Moved>& moved(const At& at) { return moved_[at]; }
  [[nodiscard]] const std::vector<control::Finished>& finished(const At& at) { return finished_[at]; }
  [[nodiscard]] std::size_t ready(const At& at) { return ready_[at]; }
  [[nodiscard]] std::vector<Told> answer(RequestId id) {
    const std::lock_guard lock(mutex_);
    return answers[id];
  }
  [[nodiscard]] std::vector<TokenId> tokens(RequestId id) {
    std::vector<TokenId> out;
    for (const Told& t : answer(id)) out.push_back(t.id);
    return out;
  }

 private:
  void add(const std::string& node, const control::Tokens::Item& i) {
    Told t{i.token.id, i.token.logprob, {}};
    for (const auto& top : i.token.top) t.top.emplace_back(top.id, top.logprob);
    indexes[{node, i.request}].push_back(i.index);
    times[{node, i.request}].push_back(SteadyClock().now());
    auto& all = answers[i.request];
    if (i.index == all.size())
      all.push_back(std::move(t));
    else
      contradicted = contradicted || i.index > all.size() || !(all[i.index] == t);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<At, std::vector<control::Finished>> finished_;
  std::map<At, std::vector<control::Halted>> halted_;
  std::map<At, std::vector<control::Moved>> moved_;
  std::map<At, std::size_t> ready_;
};

/// What nodes that share KV have in common.
struct World {
  std::shared_ptr<kv::LoopbackHub> hub = kv::make_loopback_hub();
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  SteadyClock clock;
  Heard heard;
  VocabularyPtr vocabulary;  // null: no grammars
};

inline node::KvIdentity identity(const std::string& name, const engine::KvPool& pool) {
  return {NodeId(name), Incarnation(7), 0xfa4e, node::layout_of(pool.shape())};
}

inline std::vector<std::byte> hello(const World& w, const node::KvIdentity& me) {
  return kv::write_hello({me.node, me.incarnation, me.model_hash, me.layout, w.codecs->format_hash()});
}

class Node {
 public:
  static constexpr std::uint32_t kBlocks = 1024;

  Node(World& world, std::string name, std::unique_ptr<engine::Model> model)
      : name(std::move(name)),
        world_(world),
        model_(std::move(model)),
        pool_(*engine::KvPool::create(model_->kv_shape(16, kBlocks, engine::DType::bf16))),
        me_(identity(this->name, *pool_)),
        sender_(hello(world, me_), {}, world.clock,
                {.on_note = [this](const std::string&, std::span<const std::byte> n) { service_.on_note(n); },
                 .on_peer_down = [this](const std::string& a, const Error& why) { service_.on_peer_down(a, why); }}),
        frames_(sender_),
        service_(
            me_, *world.codecs,
            {*model_, *pool_, {.max_batch_tokens = 128, .max_seqs = 32, .prefill_chunk = 64}, {}, world.vocabulary},
            {.max_seqs = 64}, world.clock, metrics,
            [this](RequestId, const char* type, const nlohmann::json& body) {
              world_.heard.take(this->name, type, body);
            },
            nullptr,
            MovesOutside{.frames = frames_,
                         .post = [this](std::function<void()> f) { boost::asio::post(control_.io(), std::move(f)); }}),
        receiver_({}, service_.frames()),
        flow_(receiver_, sender_),
        transport_(*kv::make_loopback_transport(world.hub, flow_)) {
    receiver_.attach(*transport_);
    sender_.attach(*transport_);
    service_.set_note_sender(
        [this](kv::ConnId conn, std::vector<std::byte> note) { (void)receiver_.send_note(conn, note); });
    address = *transport_->listen(this->name + ":0");
  }
  ~Node() {
    unplug();
    service_.stop();
    control_.join();
  }

  /// Its end of the network is gone, as when the process dies; the rest can still be looked at.
  void unplug() {
    receiver_.detach();
    sender_.detach();
    transport_.reset();
  }
  [[nodiscard]] Result<std::optional<kv::Ticket>> reserve(const control::ReserveRequest& r) {
    return control_.on_io([&] { return service_.reserve(r); });
  }
  [[nodiscard]] Result<control::MoveReply> move(const control::MoveRequest& r) {
    return control_.on_io([&] { return service_.move(r); });
  }
  [[nodiscard]] Result<> go_on(const control::GoOnRequest& r) {
    return control_.on_io([&] { return service_.go_on(r); });
  }
  [[nodiscard]] Result<> stay(RequestId id, std::uint32_t attempt) {
    return control_.on_io([&] { return service_.stay({id, attempt}); });
  }
  bool cancel(RequestId id) {
    return control_.on_io([&] { return service_.cancel(id).has_value(); });
  }
  void cancel_all() {
    control_.on_io([&] { service_.cancel_all({}); });
  }
  /// Housekeeping, until `holds`.
  template <class P>
  [[nodiscard]] bool keeps_house(P holds) {
    for (int i = 0; i < 1000; ++i) {
      control_.on_io([&] { service_.expire(); });
      if (world_.heard.wait(holds, std::chrono::milliseconds(20))) return true;
    }
    return false;
  }
  [[nodiscard]] std::uint32_t legs() const { return service_.figures().legs; }
  [[nodiscard]] std::size_t open_work() const { return service_.open_work(); }
  /// Whether every block is free, once workers have let go.
  [[nodiscard]] bool empty() {
    for (int i = 0; i < 2000; ++i) {
      const DecodeFigures f = service_.figures();
      if (f.legs == 0 && f.counters.free_blocks == kBlocks) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  [[nodiscard]] engine::Model& model() { return *model_; }

  const std::string name;
  std::string address;
  Metrics metrics;

 private:
  World& world_;
  std::unique_ptr<engine::Model> model_;
  std::unique_ptr<engine::KvPool> pool_;
  node::KvIdentity me_;
  IoThread control_;
  kv::KvSender sender_;
  node::SenderOut frames_;
  DecodeService service_;
  kv::KvReceiver receiver_;
  kv::TwoWay flow_;
  std::unique_ptr<kv::Transport> transport_;
};

/// Computes prompts and sends their KV, one after another.
class Prompts {
 public:
  Prompts(World& world, std::unique_ptr<engine::Model> model)
      : model_(std::move(model)),
        pool_(*engine::KvPool::create(model_->kv_shape(16, 64, engine::DType::bf16))),
        me_(identity("p", *pool_)),
        sender_(hello(world, me_), {}, world.clock,
                {.on_note =
                     [this](const std::string&, std::span<const std::byte> n) {
                       if (const auto note = kv::parse_note(n)) export_.on_note(*note);
                     },
                 .on_peer_down = [](const std::string&, const Error&) {}}),
        frames_(sender_),
        export_(me_.layout, *pool_, world.clock, {.target_frame_bytes = 8192}, metrics_, frames_,
                {.on_end = [](const node::ExportEnd&) {}, .release = [](const std::vector<engine::BlockHandle>&) {}}),
        codecs_(*world.codecs),
        transport_(*kv::make_loopback_transport(world.hub, sender_)) {
    sender_.attach(*transport_);
  }
  ~Prompts() {
    sender_.detach();
    transport_.reset();
    export_.stop();
  }

  void send(const kv::Ticket& t, const std::string& address, std::span<const TokenId> prompt) {
    const auto positions = t.tokens.count;
    std::vector<engine::BlockHandle> blocks;
    std::vector<BlockId> ids;
    for (std::uint32_t i = 0; i * 16 < positions; ++i) {
      const BlockId id((next_ + i) % 64);
      blocks.push_back({id, 1});
      ids.push_back(id);
    }
    next_ += static_cast<std::uint32_t>(ids.size());  // the ones before are still read
    const engine::ForwardSeq seq{prompt.first(positions), 0, ids, false};
    REQUIRE(model_->forward({&seq, 1}, *pool_, {}, nullptr));
    export_.begin({.request = t.request,
                   .address = address,
                   .ticket = t,
                   .profile = codecs_.profile(t.profile),
                   .blocks = std::move(blocks),
                   .plan = {}});
    for (std::uint32_t layer = 0; layer < me_.layout.layers; ++layer)
      export_.layer_done(t.request, {0, positions}, layer);
    export_.computed(t.request);
  }

 private:
  std::unique_ptr<engine::Model> model_;
  std::unique_ptr<engine::KvPool> pool_;
  node::KvIdentity me_;
  Metrics metrics_;
  kv::KvSender sender_;
  node::SenderOut frames_;
  node::KvExport export_;
  const kv::CodecRegistry& codecs_;
  std::unique_ptr<kv::Transport> transport_;
  std::uint32_t next_ = 0;
};

/// A sequence and where it is.
struct Moving {
  control::ReserveRequest call;  // as it began
  Node* at = nullptr;
  std::uint32_t attempt = 1;  // there
  unsigned moves = 0;
  [[nodiscard]] RequestId id() const { return call.request; }
  [[nodiscard]] At here() const { return {at->name, call.request}; }
};

/// The calls of one move, whose parts tests may take apart.
struct Handover {
  control::ReserveRequest room;
  control::MoveRequest move;
  std::uint32_t known = 0;  // tokens of the answer that the target was told with the reservation

  [[nodiscard]] control::GoOnRequest go_on(const std::vector<TokenId>& answer) const {
    control::GoOnRequest g{.request = room.request, .attempt = room.attempt, .tokens = {}};
    const std::size_t all = room.kv_tokens + 1 - room.prompt_tokens;
    g.tokens.assign(answer.begin() + known, answer.begin() + static_cast<std::ptrdiff_t>(all));
    return g;
  }
};

/// What would be asked of both to have it halt `ahead` tokens from now; nothing where its answer ends sooner.
inline std::optional<Handover> plan_move(Heard& heard, const Moving& m, std::uint32_t ahead) {
  Handover h;
  const std::vector<TokenId> answer = heard.tokens(m.id());
  h.known = static_cast<std::uint32_t>(answer.size());
  h.room = m.call;
  h.room.attempt = m.attempt + 1;
  h.room.tokens.insert(h.room.tokens.end(), answer.begin(), answer.end());
  h.room.kv_tokens = m.call.prompt_tokens + h.known - 1 + ahead;
  h.room.continues = true;
  h.room.profile = "ll";
  h.room.prefill_node = NodeId(m.at->name);
  h.room.prefill_incarnation = Incarnation(7);
  h.move = {.request = m.id(), .attempt = m.attempt, .ticket = {}, .profile = "ll", .stop = h.room.kv_tokens};
  if (h.room.kv_tokens + 1 >= m.call.prompt_tokens + m.call.max_new_tokens) return std::nullopt;
  return h;
}

/// Room at the target and the copy under way. False: it was too fast, or has ended; the target holds nothing then.
inline bool begin_move(Handover& h, const Moving& m, Node& to) {
  const auto ticket = to.reserve(h.room);
  REQUIRE(ticket);
  REQUIRE(*ticket);
  h.move.ticket = kv::to_json(**ticket);
  h.move.data_address = to.address;
  const auto begun = m.at->move(h.move);
  if (begun) return true;
  CHECK((begun.error().code == Errc::stale || begun.error().code == Errc::not_found));
  CHECK(to.cancel(m.id()));
  return false;
}

/// The rest of a move that has begun. False where the answer ended first.
inline bool end_move(Heard& heard, Moving& m, Node& to, const Handover& h) {
  const At source = m.here(), target{to.name, m.id()};
  bool halted = false;
  std::size_t before = 0;
  REQUIRE(heard.wait([&](Heard& e) {
    halted = e.halted(source, h.move.stop + 1);
    before = e.indexes[target].size();
    return halted || !e.finished(source).empty();
  }));
  if (!halted) {
    CHECK(to.cancel(m.id()));
    return false;
  }
  REQUIRE(to.go_on(h.go_on(heard.tokens(m.id()))));
  REQUIRE(heard.wait([&](Heard& e) { return e.indexes[target].size() > before || !e.finished(target).empty(); }));
  CHECK(m.at->cancel(m.id()));
  m.at = &to;
  m.attempt = h.room.attempt;
  ++m.moves;
  return true;
}

}  // namespace sluice::decode::test
