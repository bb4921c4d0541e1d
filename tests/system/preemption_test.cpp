// Answers on a decode node that has taken on more than its KV memory holds: sequences give up their blocks, all three
// ways, and each answer is the one of a node with plenty.
#include <catch2/catch.hpp>
#include <random>

#include "tests/system/hand_coordinator.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr std::size_t kAnswers = 252;  // on each of two nodes that are short of memory

std::vector<HandRequest> requests() {
  std::mt19937 rng(7);
  std::vector<HandRequest> out;
  for (std::size_t i = 0; i < kAnswers; ++i) {
    HandRequest r;
    constexpr const char* kProfiles[] = {"ll", "q8", "raw", "h4"};  // every other one lossless
    r.profile = kProfiles[i % 4];
    const std::size_t prompt = 20 + rng() % 120;
    for (std::size_t t = 0; t < prompt; ++t) r.prompt.push_back(static_cast<TokenId>(100 + rng() % 1000));
    r.max_new_tokens = 60 + rng() % 80;
    r.sampling.max_tokens = static_cast<int>(r.max_new_tokens);
    r.sampling.ignore_eos = true;
    r.sampling.temperature = i % 3 == 0 ? 0 : 0.9;
    r.sampling.seed = 1000 + i;
    r.sampling.logprobs = 2;
    r.priority = i % 7 == 0 ? -1 : 0;
    out.push_back(std::move(r));
  }
  return out;
}

struct Ways {
  std::size_t swapped = 0, recomputed = 0, returned = 0;
};

/// How each came back; whether all answers are those of `plain`.
Ways compare(const std::vector<HandAnswer>& got, const std::vector<HandAnswer>& plain) {
  Ways w;
  REQUIRE(got.size() == plain.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool same = got[i].tokens == plain[i].tokens && got[i].logprobs == plain[i].logprobs;
    if (same && got[i].reason == "length") {
      w.swapped += got[i].swapped;
      w.recomputed += got[i].recomputed;
      w.returned += got[i].returned;
      continue;
    }
    CAPTURE(i, got[i].reason, got[i].error, got[i].swapped, got[i].recomputed, got[i].returned);
    CHECK(same);
    CHECK(got[i].reason == "length");
  }
  return w;
}

}  // namespace

TEST_CASE("answers over many preemptions are the undisturbed ones", "[system]") {
  const auto all = requests();
  std::vector<HandAnswer> plain;
  {
    HandCoordinator c({"--kv-memory-mib", "64", "--kv-on-demand", "off"});
    plain = c.serve(all, 24);
    CHECK(c.beat().preemptions == 0);
  }
  {
    HandCoordinator c({"--kv-memory-mib", "4", "--swap-mib", "64"});
    const Ways w = compare(c.serve(all, 24), plain);
    CHECK(w.swapped > 20);
    CHECK(w.returned == 0);
    CHECK(c.beat().preemptions > 20);
    CHECK(c.idle());
  }
  {
    HandCoordinator c({"--kv-memory-mib", "4", "--swap-mib", "0"});
    const Ways w = compare(c.serve(all, 24), plain);
    CHECK(w.swapped == 0);
    CHECK(w.recomputed > 10);
    CHECK(w.returned > 10);
    CHECK(c.idle());
  }
}
