#pragma once
// Requests of the doctor's own, through the API as any client's: made-up prompts of a given length, greedy, streamed,
// with the explanation of what was decided. No two prompts are alike, so none is answered from what another left.
// Threading: ask() may be called from several threads. Failure: the API's errors.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/ctl/api.h"

namespace sluice::ctl::doctor {

struct Question {
  std::uint64_t prompt_tokens = 64;
  std::uint64_t output_tokens = 16;
  std::string mode;  // empty: automatic; else split or colocated
};

struct Answer {
  double ttft_ms = 0;
  std::vector<double> gaps_ms;  // between consecutive tokens
  nlohmann::json explained;     // the answer's `sluice` object
  /// Mean time per token after the first; 0 for a single token.
  [[nodiscard]] double tpot_ms() const;
};

class Asker {
 public:
  using Clock = std::chrono::steady_clock;
  /// What the cluster serves, and tokens to make prompts of.
  [[nodiscard]] static Result<Asker> look_at(const Endpoint& e);
  Asker(Asker&& o) noexcept
      : e_(std::move(o.e_)),
        model_(std::move(o.model_)),
        max_len_(o.max_len_),
        tokens_(std::move(o.tokens_)),
        seed_(o.seed_.load()) {}

  /// on_token: called with the time of each, from the caller's thread; return false to hang up (then the answer so
  /// far).
  [[nodiscard]] Result<Answer> ask(const Question& q,
                                   const std::function<bool(Clock::time_point)>& on_token = {}) const;
  /// The decode node of the request that was last hung up, as the decision log has it a moment later; else empty.
  [[nodiscard]] std::string last_cancelled_on() const;
  /// Prompt and answer together, at most.
  [[nodiscard]] std::uint64_t max_tokens() const noexcept { return max_len_; }

 private:
  Asker() = default;
  [[nodiscard]] nlohmann::json body(const Question& q) const;

  Endpoint e_;
  std::string model_;
  std::uint64_t max_len_ = 0;
  std::vector<std::uint32_t> tokens_;
  mutable std::atomic<std::uint64_t> seed_{0};
};

[[nodiscard]] double median(std::vector<double> v);

}  // namespace sluice::ctl::doctor
