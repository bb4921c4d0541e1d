#pragma once
// One choice's way from sampled tokens to text deltas: detokenizes, finds stop strings across token boundaries, and
// says when to cancel generation. Pure logic: no I/O, no clock. Not thread-safe; one per choice.
//
// Stop strings: the one that completes first in the text wins; of several completing at the same byte, the longest.
// That makes the outcome independent of how the text was cut into tokens or batches.
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/api/backend.h"
#include "coordinator/api/model_text.h"

namespace sluice::coordinator {

/// Finds the first of several strings in a text that comes piece by piece (Knuth-Morris-Pratt, one state a string).
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);

  struct Match {
    std::size_t end = 0;  // bytes of `text` up to and including the match's last
    std::size_t length = 0;
    std::size_t index = 0;  // which stop string
  };
  /// Feeds text; stops reading at the first match.
  [[nodiscard]] std::optional<Match> feed(std::string_view text);
  /// How many of the last bytes fed may yet turn out to begin a stop string.
  [[nodiscard]] std::size_t undecided() const;
  [[nodiscard]] const std::string& stop(std::size_t index) const { return stops_[index]; }

 private:
  std::vector<std::string> stops_;
  std::vector<std::vector<std::size_t>> borders_;  // borders_[s][k]: longest proper border of the first k bytes
  std::vector<std::size_t> matched_;               // bytes of each stop string matched so far
};

enum class FinishReason { stop, length, aborted };
[[nodiscard]] constexpr std::string_view name(FinishReason r) noexcept {
  return r == FinishReason::stop ? "stop" : r == FinishReason::length ? "length" : "abort";
}

struct TokenStreamOptions {
  std::vector<std::string> stop = {};
  bool include_stop_str = false;  // keep the stop string (or stop token) in the text
  int min_tokens = 0;             // text of this many first tokens is not looked at for stop strings
  bool keep_tokens = true;        // deltas list the tokens of their text
  bool keep_ids = true;           // deltas list the ids that were drawn
};

class TokenStream {
 public:
  TokenStream(std::unique_ptr<Detokenizer> detokenizer, TokenStreamOptions options);

  struct Delta {
    std::string text;                // now certain
    std::vector<TokenEvent> tokens;  // tokens that belong to the output, for log-probabilities; where kept
    std::vector<TokenId> ids;        // all that were drawn, the stopping one too; where kept
    bool cancel = false;             // a stop string hit: the backend should stop generating
  };
  /// Nothing after the end.
  [[nodiscard]] Delta push(std::span<const TokenEvent> tokens);
  /// The backend's end: releases what was held back.
  [[nodiscard]] Delta finish(LegEnd end);

  [[nodiscard]] std::optional<FinishReason> finish_reason() const noexcept { return reason_; }
  /// The stop string (as a string) or stop token (as a number) that ended the output; null otherwise.
  [[nodiscard]] const nlohmann::json& stop_reason() const noexcept { return stop_reason_; }
  /// Tokens generated up to the end, the stopping one included.
  [[nodiscard]] int token_count() const noexcept { return count_; }

 private:
  void add_text(std::string text, Delta& delta);

  std::unique_ptr<Detokenizer> detokenizer_;
  StopMatcher matcher_;
  bool include_stop_str_;
  int min_tokens_;
  bool keep_tokens_, keep_ids_;
  std::string held_;  // may begin a stop string
  int count_ = 0;
  std::optional<FinishReason> reason_;
  nlohmann::json stop_reason_ = nullptr;
};

}  // namespace sluice::coordinator
