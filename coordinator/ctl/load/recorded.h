#pragma once
// Datasets out of files: ShareGPT's conversations, and prompts one a line. The files come from anywhere: lengths and
// nesting are bounded, nothing is coerced, and an error names the line.
#include <functional>
#include <string_view>
#include <vector>

#include "coordinator/ctl/load/dataset.h"

namespace sluice::ctl::load {

/// Turns that were read; of a list that is too short, the first ones come again.
class RecordedDataset final : public Dataset {
 public:
  RecordedDataset(std::vector<Turn> turns, std::size_t wanted, std::string note)
      : turns_(std::move(turns)), wanted_(wanted), note_(std::move(note)) {}
  [[nodiscard]] std::size_t size() const override { return wanted_; }
  [[nodiscard]] Turn turn(std::size_t i, std::size_t) const override { return turns_[i % turns_.size()]; }
  [[nodiscard]] bool fixed_output() const override { return false; }
  [[nodiscard]] std::string note() const override { return note_; }

 private:
  std::vector<Turn> turns_;  // not empty
  std::size_t wanted_;
  std::string note_;
};

struct ShareGptRules {
  std::size_t wanted = 100;
  std::uint64_t seed = 0;
  std::uint64_t context = 0;  // of the model; 0: not known
  std::function<Result<std::uint64_t>(const std::string&)> count_tokens;
};
/// A JSON list of {"conversations": [{"from", "value"}, ...]}. As vLLM's benchmark does: in an order drawn by the seed,
/// of each conversation the first message is the prompt and the second says how long the answer is; a prompt or answer
/// of less than 4 tokens, a prompt above 1024 and both above 2048 are left out. Only what is looked at is checked.
[[nodiscard]] Result<std::vector<Turn>> read_sharegpt(std::string_view text, const ShareGptRules& rules);

struct PromptFileRules {
  std::uint64_t output_len = 64;  // of a line that does not say
  bool chat = false;
};
/// A line each: {"prompt": "..."} or {"messages": [...]}, and "max_tokens".
[[nodiscard]] Result<std::vector<Turn>> read_prompts(std::string_view text, const PromptFileRules& rules);

}  // namespace sluice::ctl::load
