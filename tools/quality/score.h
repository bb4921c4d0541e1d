#pragma once
// What a model is worth under each KV profile. Definitions: a window is the beginning token and consecutive text; its
// first part is the prompt, whose KV goes through the codec in segments; the rest is forced on both, and
// KL(p_unchanged || p_codec) in nats is taken at each of its tokens.
#include <functional>
#include <optional>

#include "tools/quality/lab.h"

namespace sluice::quality {

struct ScoreOptions {
  std::uint32_t window = 1024, prompt = 768;  // tokens
  std::size_t windows = 0;                    // of the text; 0: all
  std::function<void(std::size_t done, std::size_t of)> progress;
};

struct Interval {
  double low = 0, high = 0;
};

struct Score {
  double ratio = 0, ratio_p50 = 0, ratio_worst = 0;  // raw over wire bytes: all, and of single segments
  double key_error = 0, value_error = 0;             // squared error over power, of the worst layer
  double kl_mean = 0, kl_error = 0, kl_p99 = 0;      // nats per token; error: of the mean, over windows
  double kl_first = 0, kl_first_error = 0;           // of the first token after the prompt, which leans on it most
  double top1 = 0;                                   // share of tokens where both have the same best token
  Interval top1_95;                                  // bootstrap over windows
  double perplexity_change = 0;                      // relative
};

/// One Score per codec; invalid_argument if the lab's memory cannot hold a window for each.
[[nodiscard]] Result<std::vector<Score>> score(Lab& lab, std::span<const kv::Codec* const> codecs,
                                               std::span<const TokenId> windows, const ScoreOptions& o);

/// exp of the mean NLL over windows, every token but a window's first.
[[nodiscard]] Result<double> perplexity(Lab& lab, std::span<const TokenId> windows, const ScoreOptions& o);

struct Recall {
  double share = 0, standard_error = 0;  // of prompts whose greedy continuation equals the answer
};

/// For unchanged KV and then each codec: over at most `most` lines {"prompt", "answer"} of `file`.
[[nodiscard]] Result<std::vector<Recall>> recall(Lab& lab, std::span<const kv::Codec* const> codecs,
                                                 const std::filesystem::path& file, std::size_t most);

}  // namespace sluice::quality
