// One export's states, without threads.
#include "node/export/export.h"

#include <catch2/catch.hpp>

#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::node;

namespace {

const kv::KvLayout kLayout{3, 2, 16, kv::KvDType::bf16};
constexpr std::uint32_t kTokens = 64;

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  test::ManualClock clock;
  std::size_t released = 0;

  std::shared_ptr<Export> make(std::uint64_t id = 1, const ProfilePlan& plan = {}, bool overlap = true) {
    kv::Ticket t;
    REQUIRE(kv::draw_secrets(t));
    t.request = RequestId(id);
    t.layout = kLayout;
    t.profile = "raw";
    t.codec = codecs->profile("raw")->codec->id();
    t.tokens = {0, kTokens};
    return std::make_shared<Export>(
        ExportStart{RequestId(id), "here", t, codecs->profile("raw"), {{BlockId(1), 1}, {BlockId(2), 1}}, plan},
        kLayout, ExportOptions{.target_frame_bytes = 2048, .overlap = overlap},
        [this](const std::vector<engine::BlockHandle>& b) { released += b.size(); });
  }
};

}  // namespace

TEST_CASE("blocks go back when the export is closed and its last job is gone") {
  Rig r;
  const auto e = r.make();
  auto jobs = e->layer_done({0, kTokens}, 0, r.clock.now());
  REQUIRE(jobs.size() > 1);
  const auto one = jobs.back();
  REQUIRE(e->close({}, r.clock.now()));
  CHECK(e->closed());
  CHECK(r.released == 0);
  jobs.clear();
  CHECK(r.released == 0);  // one job is at work still
  CHECK(one.blocks->blocks().size() == 2);
}

TEST_CASE("a closed export plans nothing and does not close again") {
  Rig r;
  const auto e = r.make();
  REQUIRE(e->close(fail(Errc::cancelled, "away"), r.clock.now()));
  CHECK(r.released == 2);
  CHECK(e->layer_done({0, kTokens}, 0, r.clock.now()).empty());
  CHECK(e->computed(r.clock.now()).empty());
  CHECK_FALSE(e->close({}, r.clock.now()));
  CHECK(r.released == 2);
}

TEST_CASE("an export is complete once computed and confirmed, whichever comes first") {
  Rig r;
  const bool computed_first = GENERATE(true, false);
  const auto e = r.make();
  CHECK_FALSE(e->complete());
  if (computed_first) CHECK(e->computed(r.clock.now()).empty());
  if (!computed_first) e->confirm(r.clock.now());
  CHECK_FALSE(e->complete());
  r.clock.advance(std::chrono::seconds(2));
  if (computed_first) e->confirm(r.clock.now());
  if (!computed_first) CHECK(e->computed(r.clock.now()).empty());
  CHECK(e->complete());
  r.clock.advance(std::chrono::seconds(5));
  const auto c = e->close({}, r.clock.now());
  REQUIRE(c);
  CHECK(c->end.exposed_s == Approx(computed_first ? 2 : 0));  // until it was confirmed, not until somebody noticed
}

TEST_CASE("what frames took is counted for the profile they went under") {
  Rig r;
  const kv::Profile* ll = r.codecs->profile("ll");
  const ProfilePlan plan{
      .profiles = {r.codecs->profile("raw"), ll}, .ways = {{1e12, 1}, {1e12, 4}}, .planned_bps = 1e9};
  const auto e = r.make(1, plan);
  CHECK(e->may_change());
  const auto jobs = e->layer_done({0, kTokens}, 0, r.clock.now());
  REQUIRE(jobs.size() >= 2);
  REQUIRE(e->pick(jobs[0].frame, {1e9, 0}) == 0);
  e->encoded(jobs[0].frame, 0, 2000, 0.5, r.clock.now());
  r.clock.advance(std::chrono::seconds(1));
  REQUIRE(e->pick(jobs[1].frame, {1e3, 0}) == 1);
  CHECK(&e->profile(1) == ll);
  e->encoded(jobs[1].frame, 1, 700, 0.25, r.clock.now());
  const auto c = e->close({}, r.clock.now());
  REQUIRE(c);
  CHECK(c->kept.wire_bytes == 2000);
  CHECK(c->changed.wire_bytes == 700);
  CHECK(c->end.wire_bytes == 2700);
  CHECK(c->end.raw_bytes == c->kept.raw_bytes + c->changed.raw_bytes);
  CHECK(c->end.encode_s == Approx(0.75));
  CHECK(c->end.wire_s == Approx(1));
  CHECK(c->end.changed_to == ll);
}

TEST_CASE("a process that stops gets the blocks back without an end") {
  Rig r;
  const auto e = r.make();
  e->abandon();
  CHECK(r.released == 2);
  CHECK_FALSE(e->close({}, r.clock.now()));
}
