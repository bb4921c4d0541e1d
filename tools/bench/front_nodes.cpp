#include "tools/bench/front_nodes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "common/control/messages.h"
#include "node/node_link.h"
#include "tools/bench/front_clients.h"

namespace sluice::bench {
namespace {

namespace ctl = control;
using nlohmann::json;

ctl::RegisterRequest node_info(ctl::Role role, const std::string& name) {
  ctl::RegisterRequest r;
  r.role = role;
  r.node = NodeId(name);
  r.incarnation = Incarnation(1);
  r.model = {.name = "bench",
             .hash = "bench",
             .layers = 4,
             .kv_heads = 2,
             .head_dim = 64,
             .vocab_size = 3072,
             .max_context = 4096,
             .backend = "none",
             .precision = {},
             .version = {}};
  r.data_address = role == ctl::Role::decode ? "127.0.0.1:9" : "";
  r.block_size = 16;
  r.total_blocks = 1'000'000;
  r.max_seqs = 1024;
  r.profiles = {{"raw", 0.0, 1.0, 1e10, 1e10}, {"q8", 0.001, 2.0, 1e10, 1e10}};
  return r;
}

ctl::Heartbeat heartbeat() {
  return {.free_blocks = 1'000'000,
          .total_blocks = 1'000'000,
          .prefill_tokens_per_s = 1e6,
          .step_s = 0.001,
          .step_batch = 64,
          .links = {},
          .profiles = {}};
}

class Nodes final : public CoordinatorNodes {
 public:
  Nodes(boost::asio::io_context& io, const std::string& control, std::size_t decodes) {
    prefill_ = link(io, control, ctl::Role::prefill, "prefill", 0);
    for (std::size_t i = 0; i < decodes; ++i)
      decodes_.push_back(link(io, control, ctl::Role::decode, fmt::format("decode-{}", i), i));
    prefill_->start();
    for (auto& d : decodes_) d->start();
  }
  ~Nodes() override {
    prefill_->stop();
    for (auto& d : decodes_) d->stop();
  }
  Nodes(const Nodes&) = delete;

  [[nodiscard]] bool ready() const override {
    return prefill_->up() && std::ranges::all_of(decodes_, [](const auto& d) { return d->up(); });
  }
  [[nodiscard]] NodeBytes bytes() const override { return bytes_; }

  void step(std::size_t node, const std::vector<std::size_t>& clients, std::uint32_t index) override {
    ctl::Tokens t;
    t.items.reserve(clients.size());
    for (const std::size_t c : clients)
      t.items.push_back(
          {legs_.at(c).id, index, {.id = kWords[(index + c) % kWords.size()], .logprob = -1.25F, .top = {}}});
    json message = to_json(t);
    if (bytes_.token == 0) bytes_.token = json::to_cbor(message).size() / clients.size();
    decodes_[node]->notify(ctl::type::kTokens, std::move(message));
  }
  void finish(std::size_t node, std::size_t client) override {
    decodes_[node]->notify(ctl::type::kFinished,
                           to_json(ctl::Finished{.request = legs_.at(client).id, .reason = "length", .error = {}}));
  }

 private:
  struct Leg {
    RequestId id;
    std::size_t client = 0, node = 0;
  };
  /// Ids of the bundled model's vocabulary whose text is a whole word.
  static constexpr std::array<TokenId, 4> kWords{300, 400, 500, 600};

  std::unique_ptr<node::NodeLink> link(boost::asio::io_context& io, const std::string& control, ctl::Role role,
                                       const std::string& name, std::size_t number) {
    return std::make_unique<node::NodeLink>(
        io, control, node_info(role, name),
        node::NodeLink::Handlers{
            .on_call = [this, number](const std::string& t, const json& b,
                                      const ctl::Connection::Reply& r) { answer(number, t, b, r); },
            .heartbeat = heartbeat,
            .on_lost = [] {},
            .on_refused = [](const Error& e) { fmt::print(stderr, "{}\n", e.message); }});
  }

  void answer(std::size_t number, const std::string& type, const json& body, const ctl::Connection::Reply& reply) {
    if (type == ctl::type::kReserve) {
      if (bytes_.reserve == 0) bytes_.reserve = json::to_cbor(body).size();
      const auto& name = body.at("trace_id").get_ref<const std::string&>();
      Leg leg{RequestId(body.at("request").get<std::uint64_t>()), 0, number};
      std::from_chars(name.data(), name.data() + name.size(), leg.client);
      leg.client -= std::min<std::size_t>(leg.client, kFirstClient);
      legs_[leg.client] = leg;
      clients_[leg.id] = leg.client;
      return reply(to_json(ctl::ReserveReply{{{"id", leg.id.value()}}, "127.0.0.1:9", {}}));
    }
    reply(json::object());
    if (type == ctl::type::kPrefill) computed(RequestId(body.at("request").get<std::uint64_t>()), body);
  }
  void computed(RequestId id, const json& body) {
    if (bytes_.prefill == 0) bytes_.prefill = json::to_cbor(body).size();
    const auto found = clients_.extract(id);
    if (found.empty()) return;
    const Leg& leg = legs_.at(found.mapped());
    ctl::PrefillDone done{.request = id, .error = {}, .compute_s = 1e-4, .wall_s = 1e-4, .changed_to = {}};
    done.raw_bytes = done.wire_bytes = 40960;
    prefill_->notify(ctl::type::kPrefillDone, to_json(done));
    decodes_[leg.node]->notify(ctl::type::kKvReady, to_json(ctl::KvReady{.request = id, .change = {}}));
    placed_(leg.client, leg.node);
  }

  std::unique_ptr<node::NodeLink> prefill_;
  std::vector<std::unique_ptr<node::NodeLink>> decodes_;
  std::unordered_map<std::size_t, Leg> legs_;           // by client, its last
  std::unordered_map<RequestId, std::size_t> clients_;  // whose prompt is not computed yet
  NodeBytes bytes_;
};

}  // namespace

std::unique_ptr<CoordinatorNodes> CoordinatorNodes::join(boost::asio::io_context& io, const std::string& control,
                                                         std::size_t decodes) {
  return std::make_unique<Nodes>(io, control, decodes);
}

}  // namespace sluice::bench
