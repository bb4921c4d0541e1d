#include "coordinator/registry/learned_exchange.h"

#include "tests/coordinator_registry/registry_rig.h"

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;
using nlohmann::json;
using test::EtcdRig;
using test::RealEtcd;

namespace {

json link(const std::string& prefill, int samples) {
  return {{"prefill", prefill}, {"decode", "d0"}, {"bandwidth", {{"value", 1e9}, {"var", 0.1}, {"count", samples}}}};
}

struct Learner {
  json state;
  std::vector<json> taken;
  std::vector<json> borrowed;
  etcd::Client client;
  LearnedExchange exchange;
  Learner(EtcdRig& r, const etcd::Options& o, const std::string& id, json links)
      : state{{"policy", {{"version", 1}, {"latency", {{"links", std::move(links)}}}}}, {"outputs", {{"of", id}}}},
        client(r.io, o, nullptr),
        exchange(r.io, client, "c", id,
                 {.state = [this] { return state; },
                  .take = [this](const json& s) { taken.push_back(s); },
                  .borrow = [this](const std::vector<json>& b) { borrowed = b; }}) {}
  /// One turn now.
  void turn(EtcdRig& r) {
    const auto before = exchange.turns();
    exchange.start();
    REQUIRE(r.until([&] { return exchange.turns() > before; }));
  }
};

}  // namespace

TEST_CASE("a newcomer begins with what others learned, and nobody takes his own back") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  EtcdRig r(etcd.options());
  Learner a(r, etcd.options(), "a", json::array({link("p0", 40), link("p1", 3)}));
  a.turn(r);
  CHECK(a.taken.empty());
  CHECK(a.borrowed.empty());
  Learner b(r, etcd.options(), "b", json::array({link("p1", 40)}));
  b.turn(r);
  REQUIRE(b.taken.size() == 1);
  const json& links = b.taken[0]["policy"]["latency"]["links"];
  REQUIRE(links.size() == 1);  // of p1 it knows more itself
  CHECK(links[0]["prefill"] == "p0");
  CHECK(b.borrowed == std::vector<json>{{{"of", "a"}}});
  b.state["policy"]["latency"]["links"].push_back(link("p0", 40));  // it took it
  a.turn(r);
  REQUIRE(a.taken.size() == 1);
  CHECK(a.taken[0]["policy"]["latency"]["links"][0]["prefill"] == "p1");
  a.state["policy"]["latency"]["links"][1] = link("p1", 40);
  for (int i = 0; i < 3; ++i) {
    b.turn(r);
    a.turn(r);
  }
  CHECK(a.taken.size() == 1);
  CHECK(b.taken.size() == 1);
  CHECK(a.borrowed == std::vector<json>{{{"of", "b"}}});
}

TEST_CASE("a state too large for one key goes in parts, and half of one is not believed") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  EtcdRig r(etcd.options());
  json many = json::array();
  for (int i = 0; i < 12000; ++i) many.push_back(link("prefill-" + std::to_string(i), 10));
  Learner a(r, etcd.options(), "a", many);
  a.turn(r);
  const auto keys = r.range(etcd::KeyRange::prefix(etcd::learned_prefix("c")), 1);
  REQUIRE(keys);
  REQUIRE(keys->keys.size() >= 3);
  Learner b(r, etcd.options(), "b", json::array());
  b.turn(r);
  REQUIRE(b.taken.size() == 1);
  CHECK(b.taken[0]["policy"]["latency"]["links"].size() == 12000);

  REQUIRE(r.commit({{}, {{keys->keys[1].key, std::nullopt}}}));
  Learner c(r, etcd.options(), "c", json::array());
  c.exchange.start();
  REQUIRE(r.until([&] { return c.exchange.turns() == 1; }));
  CHECK(c.borrowed == std::vector<json>{{{"of", "b"}}});  // b's is whole

  // Smaller again, and nobody there who would tell it what it has forgotten: no part is left over.
  for (const std::string other : {"b", "c"}) {
    const auto theirs = r.range(etcd::KeyRange::prefix(etcd::learned_prefix("c") + other + "/"), 1);
    REQUIRE(theirs);
    for (const auto& k : theirs->keys) REQUIRE(r.commit({{}, {{k.key, std::nullopt}}}));
  }
  a.state["policy"]["latency"]["links"] = json::array({link("p0", 11)});
  a.turn(r);
  const auto left = r.range(etcd::KeyRange::prefix(etcd::learned_prefix("c") + "a/"));
  CHECK(left->keys.size() == 1);
}
