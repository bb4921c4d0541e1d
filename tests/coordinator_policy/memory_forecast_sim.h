#pragma once
// A decode node under endless demand, with or without a forecast at its door: how much of its memory is used, and how
// often sequences must give up their blocks. What the constants of MemoryForecast bring there is in ADR 10.
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "coordinator/policy/memory_forecast.h"
#include "coordinator/policy/output_lengths.h"

namespace sluice::coordinator {

/// Who is let in while a sequence waits: whoever is expected to fit, or who fits with all it may emit, or who fits now.
enum class Door { forecast, whole, now };

struct SimulatedNode {
  /// Of the output that begins at a step.
  using Length = std::function<std::uint32_t(std::mt19937_64&, std::uint32_t step)>;
  static constexpr std::uint32_t kBlock = 16, kLimit = 4096, kMostSeqs = 256;
  struct Sequence {
    Growing g;
    std::uint32_t emitted, length, blocks;
    MemoryPart part;
  };

  Length length;
  Door door = Door::forecast;
  std::uint32_t pool = 1024;
  double prompt = 150;  // tokens, the median

  std::mt19937_64 random{5};
  OutputLengths lengths{};
  MemoryForecast forecast{};
  std::vector<Sequence> running{}, parked{};
  std::uint32_t used = 0, step = 0, next_prompt = 0;
  // Since clear_figures().
  double steps = 0, used_sum = 0, preempted = 0, answers = 0;

  [[nodiscard]] double used_share() const { return used_sum / steps / pool; }
  [[nodiscard]] double preempted_share() const { return preempted / std::max(answers, 1.0); }
  void clear_figures() { steps = used_sum = preempted = answers = 0; }

  void run(std::uint32_t n) {
    for (const std::uint32_t end = step + n; step < end; ++step) {
      take_back();
      while (parked.empty() && running.size() < kMostSeqs && take_one()) next_prompt = 0;
      for (std::size_t i = 0; i < running.size();) i = emit(i);
      used_sum += used;
      ++steps;
    }
  }

 private:
  static std::uint32_t blocks(std::uint32_t tokens) { return (tokens + kBlock - 1) / kBlock; }

  void take_back() {
    constexpr std::uint32_t kSpare = 4;
    while (!parked.empty() && (running.empty() || used + parked.back().blocks + kSpare <= pool)) {
      used += parked.back().blocks;
      running.push_back(parked.back());
      parked.pop_back();
    }
  }

  bool take_one() {
    if (next_prompt == 0) {
      std::lognormal_distribution<double> prompts(std::log(prompt), 0.7);
      next_prompt = static_cast<std::uint32_t>(std::clamp(prompts(random), 1.0, 4.0 * pool));
    }
    const Growing g{.tokens = next_prompt, .left = kLimit, .block_size = kBlock};
    const Staying stay = expected_stay(lengths, 0, kLimit);
    std::uint32_t whole = blocks(next_prompt + kLimit);
    for (const Sequence& s : running) whole += blocks(s.g.tokens + s.g.left);
    if (used + blocks(next_prompt) > pool || (door == Door::forecast && !forecast.fits(g, stay, pool)) ||
        (door == Door::whole && whole > pool))
      return false;
    running.push_back({.g = g,
                       .emitted = 0,
                       .length = std::clamp(length(random, step), 1U, kLimit),
                       .blocks = blocks(next_prompt),
                       .part = memory_part(g, stay)});
    used += running.back().blocks;
    forecast.add(running.back().part);
    return true;
  }

  /// A token of the sequence at i; who is next.
  std::size_t emit(std::size_t i) {
    Sequence& s = running[i];
    ++s.emitted;
    ++s.g.tokens;
    --s.g.left;
    if (s.emitted == s.length) {
      lengths.observe(s.emitted, s.length < kLimit);
      used -= s.blocks;
      forecast.remove(s.part);
      forecast.ended();
      ++answers;
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      return i;
    }
    if (blocks(s.g.tokens) == s.blocks) return i + 1;
    while (used >= pool && running.size() > i + 1) park();
    if (used >= pool) {  // it is the youngest itself
      park();
      return i;
    }
    ++used;
    ++s.blocks;
    const MemoryPart part = memory_part(s.g, expected_stay(lengths, s.emitted, kLimit));
    forecast.replace(s.part, part);
    s.part = part;
    return i + 1;
  }

  void park() {
    used -= running.back().blocks;
    parked.push_back(running.back());
    running.pop_back();
    forecast.preempted(1);
    ++preempted;
  }
};

/// Lengths as they may be: alike, spread, in two kinds, and all longer or shorter for a while.
struct NamedLengths {
  const char* name;
  SimulatedNode::Length length;
};
inline std::vector<NamedLengths> all_lengths() {
  const auto lognormal = [](double median, double spread) {
    return [=](std::mt19937_64& r, std::uint32_t) {
      return static_cast<std::uint32_t>(std::lognormal_distribution<double>(std::log(median), spread)(r));
    };
  };
  return {{"about 200", lognormal(200, 0.8)},
          {"about 60, a heavy tail", lognormal(60, 1.5)},
          {"11, or of three in ten 900", [](auto& r, auto) { return r() % 10 < 7 ? 11U : 900U; }},
          {"300", [](auto&, auto) { return 300U; }},
          {"1 to 1000", [](auto& r, auto) { return static_cast<std::uint32_t>(1 + r() % 1000); }},
          {"about 50, then 500, by turns",
           [=](auto& r, std::uint32_t step) { return lognormal(step / 2500 % 2 == 0 ? 50 : 500, 0.8)(r, step); }}};
}

}  // namespace sluice::coordinator
