#include "tools/quality/scorer.h"

#include <catch2/catch.hpp>

using namespace sluice;

TEST_CASE("a codec scored alone gets the figures it gets beside others") {
  const std::string model = SLUICE_SOURCE_DIR "/models/sluice-tiny";
  auto lab = or_throw(quality::Lab::open(model, {.threads = 1, .kv_memory_mib = 64}));
  const quality::ScoreOptions o{.window = 96, .prompt = 80, .windows = 2};
  const auto text = or_throw(quality::text_windows(lab, model + "/eval/heldout.txt", o.window));
  const auto registry = or_throw(kv::load_registry(model, ""));
  std::vector<const kv::Codec*> codecs;
  for (const char* name : {"h4", "mix8r", "raw"}) codecs.push_back(registry->profile(name)->codec);
  const auto together = or_throw(quality::score(lab, codecs, text, o));
  auto scorer = or_throw(quality::Scorer::make(lab, text, o));
  for (std::size_t i = 0; i < codecs.size(); ++i) {
    CAPTURE(codecs[i]->name());
    const auto alone = or_throw(scorer.score(*codecs[i]));
    // Sums are taken in another order; nothing else differs.
    CHECK(alone.kl_mean == Approx(together[i].kl_mean).epsilon(1e-9).margin(1e-15));
    CHECK(alone.kl_error == Approx(together[i].kl_error).epsilon(1e-6).margin(1e-15));
    CHECK(alone.kl_p99 == together[i].kl_p99);
    CHECK(alone.kl_first == Approx(together[i].kl_first).epsilon(1e-9).margin(1e-15));
    CHECK(alone.kl_first_error == Approx(together[i].kl_first_error).epsilon(1e-6).margin(1e-15));
    CHECK(alone.top1 == Approx(together[i].top1));
    CHECK(alone.perplexity_change == Approx(together[i].perplexity_change).margin(1e-12));
    CHECK(alone.ratio == together[i].ratio);
  }
  CHECK(together[2].kl_mean == 0);
  CHECK(together[1].kl_first > 0);
  CHECK_FALSE(quality::Scorer::make(lab, text, {.window = 96, .prompt = 96, .windows = 2}));
}
