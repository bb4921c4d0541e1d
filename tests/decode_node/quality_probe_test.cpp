#include "decode_node/quality_probe.h"

#include <catch2/catch.hpp>

#include "kvtransfer/wire/reference.h"
#include "node/quality/divergence.h"
#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::decode;

namespace {

struct Rig {
  test::ManualClock clock;
  Metrics metrics;
  std::vector<control::ProbeResult> results;
  QualityProbe probe{clock, metrics, [this](const control::ProbeResult& r) { results.push_back(r); }};

  static kv::Ticket ticket(std::uint64_t request) {
    kv::Ticket t;
    REQUIRE(kv::draw_secrets(t));
    t.request = RequestId(request);
    t.profile = "h4";
    t.valid_for = std::chrono::seconds(60);
    return t;
  }
  static std::vector<std::byte> reference(const kv::Ticket& t, const std::vector<float>& logits) {
    return *kv::write_reference(t, *node::head_of(logits, kv::kMaxReferenceTokens));
  }
  double outcome(const std::string& o) {
    return metrics.counter("sluice_quality_probes_total", "Quality probes of this node by outcome.", {{"outcome", o}})
        .value();
  }
};

const std::vector<float> kExact{3, 1, 0, -2};
const std::vector<float> kReceived{1, 3, 0, -2};

}  // namespace

TEST_CASE("own logits and reference give one result, whichever comes first") {
  const bool own_first = GENERATE(true, false);
  Rig r;
  const auto t = Rig::ticket(7);
  REQUIRE(r.probe.expect(t));
  if (own_first) r.probe.on_own(RequestId(7), kReceived);
  r.probe.on_note(Rig::reference(t, kExact));
  if (!own_first) r.probe.on_own(RequestId(7), kReceived);
  REQUIRE(r.results.size() == 1);
  CHECK(r.results[0].request == RequestId(7));
  CHECK(r.results[0].profile == "h4");
  CHECK(r.results[0].kl == Approx(node::divergence(*node::head_of(kExact, 4), kReceived)->kl));
  CHECK(r.results[0].kl > 0.5);
  CHECK_FALSE(r.results[0].top1);
  CHECK(r.probe.open() == 0);
  r.probe.on_note(Rig::reference(t, kExact));
  r.probe.on_own(RequestId(7), kExact);
  CHECK(r.results.size() == 1);
}

TEST_CASE("only the ticket's bearer is believed, and once") {
  Rig r;
  const auto t = Rig::ticket(7);
  REQUIRE(r.probe.expect(t));
  auto forged = t;
  forged.key[0] ^= 1;
  r.probe.on_note(Rig::reference(forged, kReceived));
  CHECK(r.outcome("data_corrupt") == 1);
  r.probe.on_note(Rig::reference(Rig::ticket(7), kReceived));
  CHECK(r.outcome("not_found") == 1);
  r.probe.on_note(std::vector<std::byte>(40));  // no reference at all: a newer peer's note
  r.probe.on_note(Rig::reference(t, kExact));
  r.probe.on_note(Rig::reference(t, kReceived));
  CHECK(r.outcome("already_exists") == 1);
  r.probe.on_own(RequestId(7), kExact);
  REQUIRE(r.results.size() == 1);
  CHECK(r.results[0].kl < 1e-6);
  CHECK(r.results[0].top1);
}

TEST_CASE("a probe ends with its request, with its ticket and with patience") {
  Rig r;
  for (const std::uint64_t id : {1, 2, 3}) REQUIRE(r.probe.expect(Rig::ticket(id)));
  r.probe.drop(RequestId(1));
  r.probe.on_own(RequestId(1), kExact);
  CHECK(r.probe.open() == 2);
  r.probe.on_own(RequestId(2), kExact);
  r.clock.advance(QualityProbe::kPatience);
  r.probe.expire();
  CHECK(r.probe.open() == 1);
  r.clock.advance(std::chrono::seconds(60));
  r.probe.expire();
  CHECK(r.probe.open() == 0);
  CHECK(r.outcome("deadline_exceeded") == 2);
  CHECK(r.results.empty());
}

TEST_CASE("open probes are bounded in number") {
  Rig r;
  for (std::uint64_t i = 0; i < QualityProbe::kMostOpen; ++i) CHECK(r.probe.expect(Rig::ticket(i)));
  CHECK_FALSE(r.probe.expect(Rig::ticket(1000)));
  CHECK(r.probe.expect(Rig::ticket(3)));  // placed again: the same request, another ticket
  CHECK(r.probe.open() == QualityProbe::kMostOpen);
  r.probe.drop_all({});
  CHECK(r.probe.open() == 0);
}

TEST_CASE("a reference with tokens that this model has not gives no result") {
  Rig r;
  const auto t = Rig::ticket(7);
  REQUIRE(r.probe.expect(t));
  r.probe.on_own(RequestId(7), kExact);
  r.probe.on_note(Rig::reference(t, {1, 2, 3, 4, 5}));
  CHECK(r.results.empty());
  CHECK(r.probe.open() == 0);
  CHECK(r.outcome("invalid_argument") == 1);
}
