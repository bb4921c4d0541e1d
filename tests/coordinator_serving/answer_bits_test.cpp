// Equal fingerprints mean equal bits: what changes the bits changes the fingerprint, and what does not, does not.
#include "coordinator/serving/answer_bits.h"

#include "coordinator/serving/fingerprint_memo.h"
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

Session session() {
  Session s;
  s.run.profile = "q8";
  s.run.kl = 0.001;
  s.answer.model = {"abc", "bf16", 7};
  s.answer.prefill_bits = {"avx2", "bf16", 512, 256, "1.0"};
  s.answer.decode_bits = {"avx2", "bf16", 0, 0, "1.0"};
  s.answer.first_token = TimePoint{};
  return s;
}

template <class F>
std::string with(F change) {
  Session s = session();
  change(s);
  // One memo for all: what it remembers of other answers must not show.
  static FingerprintMemo memo;
  for (int asked = 0; asked < 2 && s.answer.first_token; ++asked) CHECK(memo.of(s) == answer_fingerprint(s));
  return answer_fingerprint(s);
}

void lossless(Session& s) {
  s.run.kl = 0;
  s.run.profile = "raw";
}

/// An answer to a seeded request on nodes of these kinds.
struct Played {
  std::string fingerprint;
  LegStats stats;
};
Played play(ctl::RegisterRequest prefill, ctl::RegisterRequest decode, LegSpec spec) {
  Bench b;
  FakeNode& p0 = b.join(std::move(prefill));
  FakeNode& d0 = b.join(std::move(decode));
  const bool colocated = spec.mode == LegMode::colocated;
  const auto heard = b.start(std::move(spec));
  REQUIRE(b.until([&] { return colocated ? d0.reserves.size() == 1 : p0.prefills.size() == 1; }));
  CHECK(heard->fingerprint.empty());
  d0.tokens(b.last, 0, {1, 2});
  if (!colocated) p0.prefill_done(b.last);
  d0.finished(b.last);
  REQUIRE(b.until([&] { return heard->over(); }));
  REQUIRE(heard->end);
  return {heard->fingerprint, heard->stats};
}

}  // namespace

TEST_CASE("whatever decides the bits is in the fingerprint") {
  const std::string base = with([](Session&) {});
  CHECK_THAT(base, Catch::Matches("fp_[0-9a-f]{16}"));
  CHECK(with([](Session&) {}) == base);
  const std::vector<std::string> others{with([](Session& s) { s.answer.model.hash = "abd"; }),
                                        with([](Session& s) { s.answer.model.kv_dtype = "f32"; }),
                                        with([](Session& s) { s.answer.model.codecs = 8; }),
                                        with([](Session& s) { s.answer.prefill_bits.backend = "avx512"; }),
                                        with([](Session& s) { s.answer.prefill_bits.precision = "f32"; }),
                                        with([](Session& s) { s.answer.prefill_bits.version = "1.1"; }),
                                        with([](Session& s) { s.answer.prefill_bits.chunk_tokens = 256; }),
                                        with([](Session& s) { s.answer.prefill_bits.frame_kib = 64; }),
                                        with([](Session& s) { s.answer.decode_bits.backend = "avx512"; }),
                                        with([](Session& s) { s.answer.decode_bits.version = "1.1"; }),
                                        with([](Session& s) { s.run.profile = "q4"; }),
                                        with([](Session& s) { s.answer.change = {"q4", {{16, 0}}}; }),
                                        with([](Session& s) { s.answer.change = {"q4", {{32, 0}}}; }),
                                        with(lossless)};
  for (std::size_t i = 0; i < others.size(); ++i) {
    CAPTURE(i);
    CHECK(others[i] != base);
    CHECK(std::ranges::count(others, others[i]) == 1);
  }
}

TEST_CASE("what does not change the bits is not") {
  const std::string base = with([](Session&) {});
  CHECK(with([](Session& s) { s.run.prefill = NodeId("p9"); }) == base);
  CHECK(with([](Session& s) { s.answer.resumes = 2; }) == base);
  // Lossless KV is the same under any lossless profile, wherever it was cut, and where it did not travel at all.
  const std::string exact = with(lossless);
  CHECK(with([](Session& s) { lossless(s), s.run.profile = "ll"; }) == exact);
  CHECK(with([](Session& s) { lossless(s), s.answer.prefill_bits.chunk_tokens = 64; }) == exact);
  CHECK(with([](Session& s) { lossless(s), s.answer.model.codecs = 8; }) == exact);
  CHECK(with([](Session& s) { lossless(s), s.answer.change = {"ll", {{16, 0}}}; }) == exact);
  CHECK(with([](Session& s) { s.run.local = true, s.answer.prefill_bits = {}, s.run.kl = 0; }) == exact);
  CHECK(with([](Session& s) { s.answer.first_token.reset(); }).empty());
}

TEST_CASE("the client hears the fingerprint before the first token, and the parts with the figures") {
  const auto p = node_info(ctl::Role::prefill, "p0");
  const auto d = node_info(ctl::Role::decode, "d0");
  const Played split = play(p, d, {.seeded = true});
  CHECK_THAT(split.fingerprint, Catch::StartsWith("fp_"));
  CHECK(split.stats.fingerprint == split.fingerprint);
  CHECK(split.stats.extra.at("bits").at("model") == "abc");
  CHECK(split.stats.extra.at("bits").at("kv") == "lossless");
  CHECK(play(p, d, {.seeded = true, .mode = LegMode::colocated}).fingerprint == split.fingerprint);
  const Played lossy = play(p, d, {.profile = "q8"});
  CHECK(lossy.fingerprint != split.fingerprint);
  CHECK(lossy.stats.extra.at("bits").at("kv").at("profile") == "q8");
  auto other = d;
  other.model.version = "other";
  CHECK(play(p, other, {.seeded = true}).fingerprint != split.fingerprint);
}
