// Prompts that begin alike: what leaves for a decode node does not depend on what of a prompt was there already.
#include <map>
#include <tuple>

#include "kvtransfer/wire/frame_io.h"
#include "tests/prefill_node/service_rig.h"

using namespace sluice;
using namespace sluice::prefill;
using Rig = prefill::test::ServiceRig;

namespace {

constexpr std::uint32_t kTokens = 61;
const std::string kRoot = "000102030405060708090a0b0c0d0e0f", kOther = "ff0102030405060708090a0b0c0d0e0f";

/// A prompt whose first tokens are those of all prompts; from `own` on they depend on the id.
control::PrefillRequest call(const kv::Ticket& t, std::uint32_t own, const std::string& root = kRoot) {
  control::PrefillRequest c = prefill::test::call(t);
  for (std::uint32_t i = 0; i < c.tokens.size(); ++i) {
    const auto of = i < own ? 1 : t.request.value() + 1;
    c.tokens[i] = static_cast<TokenId>((i * i + 5 * i * of + of) % sluice::test::FakeModel::kVocab);
  }
  c.prefix_root = root;
  return c;
}

/// From its call to its report.
control::PrefillDone run(Rig& r, const kv::Ticket& t, const control::PrefillRequest& c) {
  const std::size_t before = r.reports.size();
  REQUIRE(r.start(c));
  r.left(t);
  r.note(t, true);
  r.reported(before + 1);
  return r.reports.back();
}

using Blobs = std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>,
                       std::vector<std::byte>>;

/// The payloads of what left, before they were sealed: by where their frames are cut, and by segment.
Blobs blobs(Rig& r, const kv::Ticket& t) {
  Blobs out;
  kv::FrameScratch scratch;
  const std::lock_guard lock(r.frames.mutex);
  for (auto& f : r.frames.frames[t.request]) {
    kv::OpenedFrame opened;
    REQUIRE(kv::open_frame(t, *r.codecs, f.header, f.payload, scratch, opened));
    const kv::FrameSpec& s = opened.header.spec;
    for (std::uint32_t i = 0; i < opened.segments.size(); ++i) {
      const auto blob = opened.segments[i].blob;
      const bool fresh = out.emplace(std::tuple(s.tokens.begin, s.tokens.count, s.layers.begin, s.layers.count, i),
                                     std::vector(blob.begin(), blob.end()))
                             .second;
      REQUIRE(fresh);
    }
  }
  return out;
}

kv::Ticket ticket(const Rig& r, std::uint64_t id, const std::string& profile, std::uint32_t tokens = kTokens) {
  return prefill::test::ticket(*r.codecs, id, tokens, profile);
}

}  // namespace

TEST_CASE(
    "frames behind a hit are those of a cold run, byte for byte, under every profile and whoever shares the pass") {
  const auto registry = kv::make_registry();
  for (const kv::Profile& profile : registry->profiles()) {
    INFO(profile.name);
    Rig cold(false);
    const kv::Ticket undisturbed = ticket(cold, 3, profile.name);
    CHECK(run(cold, undisturbed, call(undisturbed, 40)).cached_tokens == 0);
    const Blobs want = blobs(cold, undisturbed);
    REQUIRE(want.size() >= 8 * 6);  // columns of 8 positions, K and V of three layers
    // At and within a column, before and behind the end of a pass of 32 rows.
    for (const std::uint32_t alike : {4U, 8U, 12U, 32U, 36U}) {
      INFO(alike);
      Rig r;
      const kv::Ticket first = ticket(r, 1, "raw");
      run(r, first, call(first, alike));
      const kv::Ticket mate = ticket(r, 2, "raw", 7), again = ticket(r, 3, profile.name);
      REQUIRE(r.start(call(mate, 0)));
      const control::PrefillDone done = run(r, again, call(again, 40));
      CHECK_FALSE(done.error);
      CHECK(done.tokens == kTokens);
      CHECK(done.cached_tokens == alike);
      CHECK(blobs(r, again) == want);
    }
  }
}

TEST_CASE("a whole prompt that comes again computes its end alone, and holds nothing afterwards") {
  Rig r;
  for (const auto& [id, tokens, cached] :
       {std::tuple(1U, 61U, 0U), std::tuple(2U, 61U, 60U), std::tuple(3U, 64U, 60U), std::tuple(4U, 64U, 60U)}) {
    INFO(id);
    const kv::Ticket t = ticket(r, id, "raw", tokens);
    CHECK(run(r, t, call(t, tokens)).cached_tokens == cached);
    CHECK(r.comes([&] { return r.free() == 32; }));
  }
  const PrefillFigures f = r.service.figures();
  CHECK(f.queued_tokens == 0);
  CHECK(f.tokens == 61 + 1 + 4 + 4);
  CHECK(f.cache.queried_tokens == 61 + 61 + 64 + 64);
  CHECK(f.cache.hit_tokens == 180);
  CHECK(f.cache.blocks == 16);
}

TEST_CASE("nothing is shared with another root, without one, or where the cache is off") {
  Rig r;
  const kv::Ticket first = ticket(r, 1, "raw");
  run(r, first, call(first, kTokens));
  const kv::Ticket other = ticket(r, 2, "raw"), none = ticket(r, 3, "raw"), same = ticket(r, 4, "raw");
  CHECK(run(r, other, call(other, kTokens, kOther)).cached_tokens == 0);
  CHECK(run(r, same, call(same, kTokens)).cached_tokens == 60);
  CHECK(run(r, none, call(none, kTokens, "")).cached_tokens == 0);

  Rig off(false);
  for (const std::uint64_t id : {1, 2}) {
    const kv::Ticket t = ticket(off, id, "raw");
    CHECK(run(off, t, call(t, kTokens)).cached_tokens == 0);
  }
  CHECK(off.service.figures().cache.blocks == 0);
}

TEST_CASE("a rated prompt has all of its rows computed, and leaves them for others") {
  Rig r;
  for (const std::uint64_t id : {1, 2}) {
    const kv::Ticket t = ticket(r, id, "raw");
    control::PrefillRequest c = call(t, kTokens);
    c.prompt_logprobs = control::PromptRating{.top = 1, .last = 5};
    CHECK(run(r, t, c).cached_tokens == 0);
  }
  REQUIRE(r.logprobs.size() >= 4);
  CHECK(r.logprobs.front().tokens[7].logprob == r.logprobs[r.logprobs.size() / 2].tokens[7].logprob);
  const kv::Ticket t = ticket(r, 3, "raw");
  CHECK(run(r, t, call(t, kTokens)).cached_tokens == 60);
}

TEST_CASE("a root that is none is refused by its field's name") {
  Rig r;
  const kv::Ticket t = ticket(r, 1, "raw");
  CHECK(r.start(call(t, 0, "no root")).error().param == "prefix_root");
}
