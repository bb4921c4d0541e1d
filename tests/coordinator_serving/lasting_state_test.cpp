// What outlives a coordinator, part by part.
#include "coordinator/serving/lasting_state.h"

#include <catch2/catch.hpp>

#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::coordinator;
using nlohmann::json;

namespace {

struct Parts {
  explicit Parts(const Slo& flags = {}) : slos(flags) {}
  test::ManualClock clock;
  Placement placement{{}};
  OutputLengths lengths;
  SloBook slos;
  QualityWatch quality{{}};
  LastingState state{{placement, lengths, slos, quality}, clock};
};

}  // namespace

TEST_CASE("what one process saved another one knows") {
  Parts before;
  REQUIRE(before.slos.change("batch", {{"ttft_ms", 9000}}));
  for (int i = 0; i < 100; ++i) before.lengths.observe(50 + i, true);
  Parts after;
  after.state.load(before.state.save());
  CHECK(after.slos.find("batch")->ttft_s == 9);
  CHECK(after.lengths.known());
  CHECK(after.state.save() == before.state.save());
}

TEST_CASE("a part that cannot be used is left out, and the others are taken") {
  Parts before;
  for (int i = 0; i < 100; ++i) before.lengths.observe(50 + i, true);
  json state = before.state.save();
  state["slo"] = {{"default", {{"speed", 7}}}};
  state["policy"] = 3;
  Parts after;
  after.state.load(state);
  CHECK(after.lengths.known());
  CHECK(after.slos.to_json() == Parts().slos.to_json());
  after.state.load(json::object());  // an empty state changes nothing
  CHECK(after.lengths.known());
}

// An objective changed in the configuration once had no effect after the first start, and no line said so.
TEST_CASE("of flags and state whoever spoke last is heard") {
  Slo flags{.ttft_s = 0.5, .tpot_s = 0.05};
  Parts first(flags);
  REQUIRE(first.slos.change("default", {{"tpot_ms", 30}, {"quality_kl", 0.004}}));
  REQUIRE(first.slos.change("gold", {{"ttft_ms", 300}}));
  const json saved = first.state.save();

  Parts same(flags);  // a person's words outlive the process
  same.state.load(saved);
  CHECK(slo_json(same.slos.defaults()) == slo_json(first.slos.defaults()));

  flags.ttft_s = 0.2;
  Parts next(flags);  // the operator's are newer where he changed them, and only there
  next.state.load(saved);
  CHECK(next.slos.defaults().ttft_s == 0.2);
  CHECK(next.slos.defaults().tpot_s == 0.03);
  CHECK(next.slos.defaults().quality_kl == 0.004);
  CHECK(next.slos.find("gold")->ttft_s == 0.3);

  Parts again(flags);  // and stay so
  again.state.load(next.state.save());
  CHECK(slo_json(again.slos.defaults()) == slo_json(next.slos.defaults()));
  REQUIRE(again.slos.change("default", {{"ttft_ms", 800}}));
  Parts last(flags);
  last.state.load(again.state.save());
  CHECK(last.slos.defaults().ttft_s == 0.8);
}

TEST_CASE("a state that does not say what the flags were wins over them") {
  Parts before;
  REQUIRE(before.slos.change("default", {{"ttft_ms", 800}}));
  json saved = before.state.save();
  for (const json& wrong : {json(nullptr), json(7), json{{"slo", 7}}}) {
    CAPTURE(wrong);
    saved["configured"] = wrong;
    Parts after;
    after.state.load(saved);

    CHECK(after.slos.defaults().ttft_s == 0.8);
  }
  saved.erase("configured");
  Parts after;
  after.state.load(saved);
  CHECK(after.slos.defaults().ttft_s == 0.8);
}

TEST_CASE("whoever keeps the state hears of a change, and nobody need") {
  Parts p;
  p.state.changed();
  int heard = 0;
  p.state.on_change([&] { ++heard; });
  p.state.changed();
  CHECK(heard == 1);
}
