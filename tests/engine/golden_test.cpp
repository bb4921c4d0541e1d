// Every family against transformers in f32 (tools/golden/engine_models.py): prompt logits, then greedy decoding.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/engine/model_runs.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr double kTolerance = 5e-4;

double worst(std::span<const float> got, std::span<const float> want) {
  REQUIRE(got.size() == want.size());
  double out = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(double{got[i]} - want[i]);
    out = d <= out ? out : d;  // NaN wins
  }
  return out;
}

}  // namespace

TEST_CASE("logits and greedy tokens equal transformers'", "[golden]") {
  for (const std::string& name : kGoldenModels)
    for (const std::string& isa : instruction_sets()) {
      INFO(name << " on " << isa);
      const Expected want = expected(name);
      const auto model = load(name, {.precision = Precision::f32, .isa = isa, .threads = 2});
      const auto steps = static_cast<std::uint32_t>(want.tokens.size());
      const Answer got = serve_one(*model, DType::f32, {.tokens = want.prompt, .steps = steps});
      CHECK(got.tokens == want.tokens);
      CHECK(worst(got.logits, want.step_logits) < kTolerance);
    }
}

TEST_CASE("logits inside the prompt equal transformers'", "[golden]") {
  for (const std::string& name : kGoldenModels) {
    const Expected want = expected(name);
    const auto model = load(name, {.precision = Precision::f32, .threads = 2});
    const std::size_t vocab = model->config().vocab_size;
    REQUIRE(want.prompt_logits.size() == want.positions.size() * vocab);
    for (std::size_t i = 0; i < want.positions.size(); ++i) {
      INFO(name << " at position " << want.positions[i]);
      const std::vector<TokenId> part(want.prompt.begin(), want.prompt.begin() + want.positions[i] + 1);
      const Answer got = serve_one(*model, DType::f32, {.tokens = part});
      CHECK(worst(got.logits, std::span(want.prompt_logits).subspan(i * vocab, vocab)) < kTolerance);
    }
  }
}

TEST_CASE("bf16 arithmetic and KV stay near f32", "[golden]") {
  for (const std::string& name : kGoldenModels)
    for (const std::string& isa : instruction_sets()) {
      const Expected want = expected(name);
      const auto model = load(name, {.precision = Precision::bf16, .isa = isa, .threads = 2});
      const Answer got = serve_one(*model, DType::bf16, {.tokens = want.prompt});
      const std::span<const float> first(want.step_logits.data(), got.logits.size());
      double error = 0, power = 0;
      for (std::size_t i = 0; i < first.size(); ++i) {
        error += std::pow(double{got.logits[i]} - first[i], 2);
        power += std::pow(double{first[i]}, 2);
      }
      INFO(name << " on " << isa << ": relative error " << std::sqrt(error / power));
      CHECK(std::sqrt(error / power) < 0.03);
    }
}
