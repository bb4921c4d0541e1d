#pragma once
// score() for codecs that come one after another, as a search proposes them: the unchanged model is run once and kept,
// and a codec costs its own forced tokens only, all windows in one batch.
//
// Threading: as the Lab's, which must outlive it; its first rows belong to the Scorer.
#include <optional>

#include "tools/quality/score.h"

namespace sluice::quality {

class Scorer {
 public:
  /// Runs the unchanged model over the windows. Keeps windows x (window - prompt - 1) x vocab logits.
  /// invalid_argument if the lab's memory cannot hold two rows for each window.
  [[nodiscard]] static Result<Scorer> make(Lab& lab, std::span<const TokenId> windows, const ScoreOptions& o);

  /// The very figures that score() gives for this codec and these windows.
  [[nodiscard]] Result<Score> score(const kv::Codec& codec);

  /// The unchanged KV of each window's prompt.
  [[nodiscard]] std::span<const Row> reference() const noexcept { return reference_; }

 private:
  Scorer(Lab& lab, const ScoreOptions& o) : lab_(&lab), o_(o) {}
  [[nodiscard]] std::size_t forced() const noexcept { return o_.window - o_.prompt - 1; }
  /// Logits of the unchanged model after forced token t of window w.
  [[nodiscard]] std::span<float> kept(std::size_t w, std::size_t t);
  template <class Fn>
  Result<> force(std::vector<Row>& rows, Fn&& each);

  Lab* lab_;
  ScoreOptions o_;
  std::vector<TokenId> tokens_;  // [windows, window]
  std::vector<Row> reference_;
  std::vector<float> logits_;      // [windows, forced, vocab]
  std::vector<double> offset_;     // [windows, forced]
  std::vector<std::size_t> best_;  // [windows, forced]
  double nll_ = 0;
};

}  // namespace sluice::quality
