#pragma once
// Datasets that are made up: random prompts, prompts that share prefixes, conversations of several turns. And recorded
// traces, whose lengths and times are real and whose words are made up. Pure.
#include <cstdint>
#include <vector>

#include "coordinator/ctl/load/dataset.h"
#include "coordinator/ctl/load/trace.h"

namespace sluice::ctl::load {

/// Token counts around a mean, each as likely as the others.
struct Lengths {
  std::uint64_t mean = 1;
  double range = 0;  // share of the mean, below and above
  [[nodiscard]] std::uint64_t draw(std::uint64_t stream) const;
};

struct SyntheticSpec {
  std::size_t conversations = 0;
  Lengths input, output;
  std::uint64_t seed = 0;
};

class RandomDataset : public Dataset {
 public:
  RandomDataset(SyntheticSpec spec, Surroundings around) : spec_(spec), around_(std::move(around)) {}
  [[nodiscard]] std::size_t size() const override { return spec_.conversations; }
  [[nodiscard]] Turn turn(std::size_t i, std::size_t t) const override;

 protected:
  SyntheticSpec spec_;
  Surroundings around_;
};

/// Each prompt is the prefix of one of `groups` groups, then words of its own (spec.input).
class PrefixDataset final : public RandomDataset {
 public:
  PrefixDataset(SyntheticSpec spec, Surroundings around, std::uint64_t groups, std::uint64_t prefix_len)
      : RandomDataset(spec, std::move(around)), groups_(groups), prefix_len_(prefix_len) {}
  [[nodiscard]] Turn turn(std::size_t i, std::size_t t) const override;

 private:
  std::uint64_t groups_, prefix_len_;
};

/// Every turn is text: it goes into the prompt of the next one, after the real answer.
class MultiTurnDataset final : public RandomDataset {
 public:
  MultiTurnDataset(SyntheticSpec spec, Surroundings around, std::size_t turns)
      : RandomDataset(spec, std::move(around)), turns_(turns) {}
  [[nodiscard]] std::size_t turns() const override { return turns_; }
  [[nodiscard]] Turn turn(std::size_t i, std::size_t t) const override;

 private:
  std::size_t turns_;
};

/// A recorded plan. Where it names blocks of prompts, prompts that name the same first blocks begin with the same
/// words.
class TraceDataset final : public Dataset {
 public:
  TraceDataset(Plan plan, Surroundings around, std::uint64_t seed)
      : plan_(std::move(plan)), around_(std::move(around)), seed_(seed) {}
  [[nodiscard]] std::size_t size() const override { return plan_.size(); }
  [[nodiscard]] Turn turn(std::size_t i, std::size_t t) const override;
  [[nodiscard]] std::optional<double> due_s(std::size_t i) const override { return plan_[i % plan_.size()].at_s; }

 private:
  Plan plan_;
  Surroundings around_;
  std::uint64_t seed_;
};

}  // namespace sluice::ctl::load
