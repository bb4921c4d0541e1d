// Real prefill and decode daemons over UCX, with the test in the coordinator's place: it says what speed was reckoned
// with, so that a change in mid-transfer comes for certain, whatever this machine's links do.
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "common/control/messages.h"
#include "common/control/rpc.h"
#include "common/net/listener.h"
#include "node/kv/profile_change.h"
#include "tests/support/cluster.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::test;
using nlohmann::json;
namespace ctl = control;

namespace {

constexpr std::uint32_t kOutput = 24;

/// What one request gave.
struct Given {
  std::vector<TokenId> tokens;
  std::vector<ctl::TopToken> first;  // likeliest first tokens
  std::optional<ctl::KvReady> ready;
  std::optional<ctl::PrefillDone> sent;
  std::optional<ctl::Finished> finished;
  std::optional<ctl::ProbeResult> probed;
};

class Nodes {
 public:
  Nodes() : listener_(io_, "127.0.0.1:0", [this](boost::asio::ip::tcp::socket s) { take(std::move(s)); }) {
    start("p0", "/sluice-prefill", {"--frame-kib", "128", "--max-batch-tokens", "512", "--prefill-chunk", "256"});
    for (const char* d : {"d0", "d1"}) start(d, "/sluice-decode", {});
    if (!until([&] { return nodes_.size() == 3; })) throw std::runtime_error("the nodes did not register");
  }
  ~Nodes() {
    for (auto& [name, p] : processes_) p->signal(SIGTERM);
    (void)until([&] {
      return std::ranges::all_of(processes_,
                                 [](auto& p) { return p.second->wait(std::chrono::milliseconds(0)).has_value(); });
    });
    listener_.stop();
    for (auto& c : connections_) c->close(Error{Errc::cancelled, "over", {}});
    io_.run_for(std::chrono::milliseconds(100));
  }
  Nodes(const Nodes&) = delete;

  /// One greedy answer with a quality probe, prefilled by p0 for `decode`. `p` says under which profiles.
  Given answer(const std::string& decode, std::uint32_t prompt_tokens, ctl::PrefillRequest p) {
    const RequestId id(++last_);
    ctl::ReserveRequest r;
    r.request = p.request = id;
    for (std::uint32_t i = 0; i < prompt_tokens; ++i) r.tokens.push_back(static_cast<TokenId>(5 + i * 7919 % 2900));
    p.tokens.assign(r.tokens.begin(), r.tokens.end() - 1);
    r.prompt_tokens = prompt_tokens;
    r.kv_tokens = prompt_tokens - 1;
    r.max_new_tokens = kOutput;
    r.sampling.max_tokens = kOutput;
    r.sampling.temperature = 0;
    r.sampling.ignore_eos = true;
    r.sampling.logprobs = ctl::kMaxLogprobs;
    r.profile = p.profile;
    r.probe = true;
    p.probe_token = r.tokens.back();
    for (std::size_t i = 1; i < p.ways.size(); ++i) r.fallbacks.push_back(p.ways[i].profile);
    if (p.change) r.fallbacks = {p.change->to};
    r.prefill_node = NodeId("p0");
    r.prefill_incarnation = nodes_.at("p0").info.incarnation;
    const auto reply = ctl::parse<ctl::ReserveReply>(call(decode, ctl::type::kReserve, to_json(r)));
    REQUIRE(reply);
    p.ticket = reply->ticket;
    p.data_address = reply->data_address;
    p.data_key = reply->data_key;
    (void)call("p0", ctl::type::kPrefill, to_json(p));
    // A probe of changed KV would be said of the request's own profile.
    REQUIRE(until([&] {
      const Given& g = given_[id];
      return g.finished && g.sent && (g.probed || g.ready->change);
    }));
    return given_[id];
  }
  [[nodiscard]] std::size_t probed() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(given_, [](const auto& g) { return g.second.probed.has_value(); }));
  }
  /// Every KV block of every node is free, by what they say from now on.
  bool idle() {
    beats_.clear();
    return until([&] {
      return beats_.size() == nodes_.size() &&
             std::ranges::all_of(beats_, [](const auto& b) { return b.second.free_blocks == b.second.total_blocks; });
    });
  }

 private:
  struct Node {
    ctl::RegisterRequest info;
    std::shared_ptr<ctl::Connection> connection;
  };

  void start(const std::string& name, const char* program, const std::vector<std::string>& more) {
    std::vector<std::string> args{
        "--name",    name, "--coordinator", listener_.address(), "--model", Cluster::model_dir(), "--threads", "1",
        "--ucx-tls", kTcp};
    args.insert(args.end(), more.begin(), more.end());
    processes_[name] = std::make_unique<Process>(SLUICE_BIN_DIR + std::string(program), args, (dir_ / name).string());
  }
  void take(boost::asio::ip::tcp::socket s) {
    auto& c = connections_.emplace_back();
    ctl::Connection::Handlers h;
    h.on_call = [this, at = connections_.size() - 1](const std::string&, const json& b,
                                                     const ctl::Connection::Reply& r) {
      const auto me = ctl::parse<ctl::RegisterRequest>(b);
      if (!me) return r(std::unexpected(me.error()));
      nodes_[me->node.value()] = {*me, connections_[at]};
      r(to_json(ctl::RegisterReply{1, 100, 60000}));
    };
    h.on_notify = [this, at = connections_.size() - 1](const std::string& type, const json& b) {
      if (type == ctl::type::kHeartbeat) beats_[at] = *ctl::parse<ctl::Heartbeat>(b);
      hear(type, b);
    };
    h.on_close = [](const Error&) {};
    c = std::make_shared<ctl::Connection>(std::move(s), std::move(h));
    c->start();
  }
  void hear(const std::string& type, const json& b) {
    if (type == ctl::type::kKvReady) {
      const auto m = *ctl::parse<ctl::KvReady>(b);
      CHECK(given_[m.request].tokens.empty());  // where the profile changed is known before the first token
      given_[m.request].ready = m;
    } else if (type == ctl::type::kPrefillDone) {
      const auto m = *ctl::parse<ctl::PrefillDone>(b);
      given_[m.request].sent = m;
    } else if (type == ctl::type::kFinished) {
      const auto m = *ctl::parse<ctl::Finished>(b);
      given_[m.request].finished = m;
    } else if (type == ctl::type::kProbeResult) {
      const auto m = *ctl::parse<ctl::ProbeResult>(b);
      given_[m.request].probed = m;
    } else if (type == ctl::type::kTokens) {
      const auto m = *ctl::parse<ctl::Tokens>(b);
      for (const auto& item : m.items) {
        Given& g = given_[item.request];
        if (g.tokens.empty()) g.first = item.token.top;
        g.tokens.push_back(item.token.id);
      }
    }
  }
  json call(const std::string& node, const char* type, const json& body) {
    std::optional<Result<json>> answer;
    nodes_.at(node).connection->call(type, body, std::chrono::seconds(30),
                                     [&](Result<json> r) { answer = std::move(r); });
    REQUIRE(until([&] { return answer.has_value(); }));
    INFO(type << " at " << node << (*answer ? "" : ": " + answer->error().message));
    REQUIRE(*answer);
    return **answer;
  }
  /// Runs the io_context until pred holds; a minute is for a machine that builds something else meanwhile.
  template <class Pred>
  bool until(Pred pred) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!pred() && std::chrono::steady_clock::now() < end) io_.run_one_for(std::chrono::milliseconds(20));
    return pred();
  }

  TempDir dir_;
  boost::asio::io_context io_;
  net::Listener listener_;
  std::vector<std::shared_ptr<ctl::Connection>> connections_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  std::map<RequestId, Given> given_;
  std::map<std::size_t, ctl::Heartbeat> beats_;  // the latest, by connection
  std::uint64_t last_ = 0;
};

ctl::PrefillRequest under(const std::string& profile) {
  ctl::PrefillRequest p;
  p.profile = profile;
  return p;
}

/// KL of the first token's distribution over the likeliest tokens and one bucket for the rest.
double divergence(const Given& from, const Given& to) {
  double kl = 0;
  double rest_p = 1;
  double rest_q = 1;
  for (const ctl::TopToken& t : from.first) {
    const auto other = std::ranges::find(to.first, t.id, &ctl::TopToken::id);
    if (other == to.first.end()) continue;
    const double p = std::exp(t.logprob);
    const double q = std::exp(other->logprob);
    kl += p * std::log(p / q);
    rest_p -= p;
    rest_q -= q;
  }
  return rest_p > 0 && rest_q > 0 ? kl + rest_p * std::log(rest_p / rest_q) : kl;
}

}  // namespace

TEST_CASE("a transfer whose link falls short changes its profile on the way, and a resumed one does the same",
          "[system]") {
  constexpr std::uint32_t kPrompt = 2800;  // 5.7 MB of KV in six passes
  Nodes n;
  const Given exact = n.answer("d0", kPrompt, under("raw"));
  CHECK_FALSE(exact.ready->change);
  CHECK(exact.sent->changed_to.empty());
  CHECK(exact.tokens.size() == kOutput);

  // The way to d1 was not used before: its speed is not known while the first frames are encoded, and nothing changes;
  // once it is known it is no match for what was reckoned with.
  ctl::PrefillRequest p = under("raw");
  p.link_bps = 1e18;
  const std::string to = GENERATE("ll", "q8");
  p.ways = {{"raw", 1e-3, 1e12, 1e12}, {to, 1e6, 1e12, 1e12}};
  const Given mixed = n.answer("d1", kPrompt, p);
  REQUIRE(mixed.ready);
  REQUIRE(mixed.ready->change);
  const ctl::ProfileChange change = *mixed.ready->change;
  CHECK(change.to == to);
  CHECK(mixed.sent->changed_to == to);
  REQUIRE_FALSE(change.from.empty());
  CHECK(change.from.front() != ChangeStep{0, 0});
  CHECK_FALSE(node::changed(change.from, 0, 0));
  CHECK(node::changed(change.from, kPrompt - 256, 3));
  CHECK(mixed.ready->wire_bytes < exact.ready->wire_bytes);
  REQUIRE(mixed.tokens.size() == kOutput);
  if (to == "ll") CHECK(mixed.tokens == exact.tokens);
  const double kl = divergence(exact, mixed);
  std::printf("changed to %s: %.1f of %.1f MB, first token's KL %.2g\n", to.c_str(),
              static_cast<double>(mixed.ready->wire_bytes) * 1e-6, static_cast<double>(exact.ready->wire_bytes) * 1e-6,
              kl);
  CHECK(kl < 0.01);

  // Another decode node gets the very same KV when the sender is told where the change was.
  ctl::PrefillRequest again = under("raw");
  again.change = change;
  const Given resumed = n.answer("d0", kPrompt, again);
  REQUIRE(resumed.ready->change);
  CHECK(*resumed.ready->change == change);
  CHECK(resumed.sent->changed_to == to);
  CHECK(resumed.ready->wire_bytes == mixed.ready->wire_bytes);
  CHECK(resumed.tokens == mixed.tokens);
  CHECK(divergence(mixed, resumed) == 0);

  // One more on each node that is probed, so that other results would have come before it.
  for (const char* d : {"d0", "d1"}) CHECK(n.answer(d, kPrompt, under("raw")).probed->kl < 1e-6);
  CHECK(n.probed() == 3);
  CHECK(n.idle());
}
