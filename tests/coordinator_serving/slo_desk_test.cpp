// SLO classes that several coordinators share: what is written first, what comes back, who wins.
#include "coordinator/serving/slo_desk.h"

#include <catch2/catch.hpp>
#include <deque>

#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::coordinator;
using nlohmann::json;

namespace {

/// Answers when the test says so, as a registry far away does. (With a real etcd: shared_settings_test.cpp.)
struct FarStore final : SloStore {
  struct Write {
    std::string name;
    json slo;  // null: removed
    Done done;
  };
  std::deque<Write> writes;
  void put(const std::string& name, const json& slo, Done done) override {
    writes.push_back({name, slo, std::move(done)});
  }
  void remove(const std::string& name, Done done) override { writes.push_back({name, nullptr, std::move(done)}); }
  void answer(Result<> r) {
    REQUIRE_FALSE(writes.empty());
    const Done done = std::move(writes.front().done);
    writes.pop_front();
    done(std::move(r));
  }
};

struct Desk {
  test::ManualClock clock;
  ClusterView view{std::chrono::seconds(1)};
  Placement placement{{}};
  DecisionLog log{100};
  int saved = 0;
  SloDesk desk{{view, placement, log, clock, [this] { ++saved; }}, Slo{.ttft_s = 1, .tpot_s = 0.1}};
  FarStore store;
  bool heard = false;
  Result<> said;

  Desk() { desk.share(store); }
  void hear(Result<> r) {
    heard = true;
    said = std::move(r);
  }
  void ask(const json& settings, const std::string& name = "gold") {
    heard = false;
    desk.request_change(name, settings, "somebody", [this](Result<> r) { hear(std::move(r)); });
  }
  void ask_remove(const std::string& name = "gold") {
    heard = false;
    desk.request_remove(name, "somebody", [this](Result<> r) { hear(std::move(r)); });
  }
  [[nodiscard]] bool has(const std::string& name) const { return desk.book().find(name).has_value(); }
  [[nodiscard]] double ttft(const std::string& name = "gold") const { return desk.book().find(name)->ttft_s; }
  /// Who changed what, in the order of the log.
  [[nodiscard]] std::vector<std::string> noted() const {
    std::vector<std::string> out;
    for (const json& e : log.since(0, 100))
      out.push_back(e["slo_class"].get<std::string>() + " by " + e["peer"].get<std::string>());
    return out;
  }
};

Result<> stale() { return fail(Errc::stale, "another coordinator was faster"); }

}  // namespace

TEST_CASE("a change takes effect once the store has confirmed it") {
  Desk d;
  d.ask({{"ttft_ms", 500}});
  REQUIRE(d.store.writes.size() == 1);
  CHECK(d.store.writes[0].name == "gold");
  CHECK(d.store.writes[0].slo["ttft_ms"] == 500);
  CHECK(d.store.writes[0].slo["tpot_ms"] == 100);  // a class is written whole
  CHECK_FALSE(d.heard);
  CHECK_FALSE(d.has("gold"));
  CHECK(d.saved == 0);
  d.store.answer({});
  REQUIRE(d.heard);
  CHECK(d.said);
  CHECK(d.ttft() == 0.5);
  CHECK(d.saved == 1);
  CHECK(d.noted() == std::vector<std::string>{"gold by somebody"});
}

TEST_CASE("what the store refuses is not done here either, and says why") {
  Desk d;
  d.ask({{"ttft_ms", 500}});
  d.store.answer(fail(Errc::unavailable, "the registry is out of reach"));
  REQUIRE(d.heard);
  REQUIRE_FALSE(d.said);
  CHECK(d.said.error().code == Errc::unavailable);
  CHECK_FALSE(d.has("gold"));
  CHECK(d.noted().empty());
}

TEST_CASE("a setting that makes no sense never reaches the store") {
  Desk d;
  d.ask({{"ttft_ms", -1}});
  REQUIRE(d.heard);
  CHECK(d.said.error().code == Errc::invalid_argument);
  d.ask_remove("nobody");
  CHECK(d.said.error().code == Errc::not_found);
  d.ask_remove(kDefaultClass);
  CHECK_FALSE(d.said);
  CHECK(d.store.writes.empty());
}

TEST_CASE("of two changes to one class both parts stay: who was slower looks again") {
  Desk d;
  d.ask({{"ttft_ms", 500}});
  d.desk.take_over({{"default", slo_json(d.desk.book().defaults())}, {"gold", {{"ttft_ms", 900}, {"tpot_ms", 20}}}});
  CHECK(d.ttft() == 0.9);  // theirs, meanwhile
  d.store.answer(stale());
  REQUIRE(d.store.writes.size() == 1);
  CHECK(d.store.writes[0].slo["ttft_ms"] == 500);
  CHECK(d.store.writes[0].slo["tpot_ms"] == 20);
  d.store.answer({});
  REQUIRE(d.heard);
  CHECK(d.said);
  CHECK(d.ttft() == 0.5);
  CHECK(d.desk.book().find("gold")->tpot_s == 0.02);
}

TEST_CASE("who is always slower is told so, after a few tries") {
  Desk d;
  d.ask({{"ttft_ms", 500}});
  int tries = 0;
  for (; !d.heard && tries < 100; ++tries) d.store.answer(stale());
  CHECK(tries == 4);
  REQUIRE(d.heard);
  CHECK(d.said.error().code == Errc::stale);
  CHECK_FALSE(d.has("gold"));
}

TEST_CASE("news of our own change that outruns the answer is noted once, as ours") {
  Desk d;
  d.ask({{"ttft_ms", 500}});
  d.desk.take_over({{"default", slo_json(d.desk.book().defaults())}, {"gold", d.store.writes[0].slo}});
  CHECK(d.ttft() == 0.5);
  d.store.answer({});
  CHECK(d.noted() == std::vector<std::string>{"gold by somebody"});
}

TEST_CASE("what others changed, made and removed is taken over, and what is the same is no change") {
  Desk d;
  d.desk.take_over({{"gold", {{"ttft_ms", 300}}}, {"default", slo_json(d.desk.book().defaults())}});
  CHECK(d.ttft() == 0.3);
  d.desk.take_over({{"gold", {{"ttft_ms", 300}}}, {"default", slo_json(d.desk.book().defaults())}});
  CHECK(d.noted() == std::vector<std::string>{"gold by another coordinator"});
  d.desk.take_over({{"silver", {{"ttft_ms", 400}}}});
  CHECK_FALSE(d.has("gold"));
  CHECK(d.has("silver"));
  CHECK(d.has(kDefaultClass));  // always
  // One that cannot be read stays as it is here, and hides no other.
  d.desk.take_over({{"silver", {{"speed", 3}}}, {"bronze", {{"ttft_ms", 2000}}}});
  CHECK(d.ttft("silver") == 0.4);
  CHECK(d.ttft("bronze") == 2);
}

TEST_CASE("a class is removed once the store has, whoever tells of it first") {
  Desk d;
  d.ask({{"ttft_ms", 500}});
  d.store.answer({});
  SECTION("the answer first") {
    d.ask_remove();
    CHECK(d.has("gold"));
    d.store.answer({});
    CHECK(d.said);
  }
  SECTION("the news first") {
    d.ask_remove();
    d.desk.take_over({{"default", slo_json(d.desk.book().defaults())}});
    d.store.answer({});
    CHECK(d.said);
  }
  CHECK_FALSE(d.has("gold"));
  CHECK(d.noted().size() == 2);
}

TEST_CASE("a removal that the store refuses leaves the class") {
  Desk d;
  d.ask({{"ttft_ms", 500}});
  d.store.answer({});
  d.ask_remove();
  d.store.answer(fail(Errc::unavailable, "the registry is out of reach"));
  CHECK_FALSE(d.said);
  CHECK(d.has("gold"));
}

TEST_CASE("alone, changes take effect at once") {
  test::ManualClock clock;
  ClusterView view{std::chrono::seconds(1)};
  Placement placement{{}};
  DecisionLog log{100};
  SloDesk desk{{view, placement, log, clock, [] {}}, Slo{}};
  bool done = false;
  desk.request_change("gold", {{"ttft_ms", 500}}, "somebody", [&](const Result<>& r) { done = r.has_value(); });
  CHECK(done);
  CHECK(desk.book().find("gold")->ttft_s == 0.5);
}
