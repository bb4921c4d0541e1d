#include "engine/policy/sampling_params.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>

using namespace sluice;
using namespace sluice::engine;

TEST_CASE("defaults are valid, and validate names the parameter at fault") {
  REQUIRE(SamplingParams{}.validate());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  using Set = std::function<void(SamplingParams&)>;
  const std::vector<std::pair<std::string, Set>> bad = {
      {"temperature", [=](auto& p) { p.temperature = nan; }},
      {"temperature", [=](auto& p) { p.temperature = inf; }},
      {"temperature", [](auto& p) { p.temperature = -0.1; }},
      {"top_k", [](auto& p) { p.top_k = -2; }},
      {"top_p", [](auto& p) { p.top_p = 0; }},
      {"top_p", [](auto& p) { p.top_p = 1.01; }},
      {"top_p", [=](auto& p) { p.top_p = nan; }},
      {"min_p", [](auto& p) { p.min_p = -0.1; }},
      {"min_p", [](auto& p) { p.min_p = 1.1; }},
      {"min_p", [=](auto& p) { p.min_p = nan; }},
      {"repetition_penalty", [](auto& p) { p.repetition_penalty = 0; }},
      {"repetition_penalty", [=](auto& p) { p.repetition_penalty = nan; }},
      {"repetition_penalty", [=](auto& p) { p.repetition_penalty = inf; }},
      {"presence_penalty", [](auto& p) { p.presence_penalty = 2.1; }},
      {"presence_penalty", [=](auto& p) { p.presence_penalty = nan; }},
      {"frequency_penalty", [](auto& p) { p.frequency_penalty = -2.1; }},
      {"frequency_penalty", [=](auto& p) { p.frequency_penalty = nan; }},
      {"logit_bias", [=](auto& p) { p.logit_bias[3] = nan; }},
      {"logit_bias", [](auto& p) { p.logit_bias[-1] = 1; }},
      {"stop_token_ids", [](auto& p) { p.stop_token_ids = {-5}; }},
      {"max_tokens", [](auto& p) { p.max_tokens = 0; }},
      {"min_tokens",
       [](auto& p) {
         p.max_tokens = 3;
         p.min_tokens = 4;
       }},
      {"logprobs", [](auto& p) { p.logprobs = 21; }},
  };
  for (const auto& [param, set] : bad) {
    SamplingParams p;
    set(p);
    const auto r = p.validate();
    INFO(param);
    REQUIRE_FALSE(r);
    CHECK(r.error().param == param);
    CHECK(r.error().code == Errc::invalid_argument);
  }
}

TEST_CASE("the ends of the ranges are allowed") {
  SamplingParams p;
  p.temperature = 0;
  p.top_k = -1;
  p.top_p = 1;
  p.min_p = 1;
  p.presence_penalty = -2;
  p.frequency_penalty = 2;
  p.logit_bias = {{0, 1e9}};
  p.min_tokens = 4;
  p.max_tokens = 4;
  p.logprobs = 20;
  CHECK(p.validate());
  CHECK(p.greedy());
}
