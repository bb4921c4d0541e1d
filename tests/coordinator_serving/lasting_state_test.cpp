// What outlives a coordinator, part by part.
#include "coordinator/serving/lasting_state.h"

#include <catch2/catch.hpp>

#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::coordinator;
using nlohmann::json;

namespace {

struct Parts {
  test::ManualClock clock;
  Placement placement{{}};
  OutputLengths lengths;
  SloBook slos{Slo{}};
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

TEST_CASE("whoever keeps the state hears of a change, and nobody need") {
  Parts p;
  p.state.changed();
  int heard = 0;
  p.state.on_change([&] { ++heard; });
  p.state.changed();
  CHECK(heard == 1);
}
