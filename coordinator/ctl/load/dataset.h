#pragma once
// What a load test sends: conversations of one turn or several, each the same whoever asks for it and whenever. They
// are made when asked for, so a long test needs no memory for what it has not sent yet.
// Threading: const, for any thread. Failure (of making one): not_found, data_corrupt with the file's line,
// invalid_argument with the flag at fault.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/result.h"
#include "coordinator/ctl/load/options.h"
#include "coordinator/ctl/load/prompt.h"

namespace sluice::ctl::load {

class Dataset {
 public:
  virtual ~Dataset() = default;
  /// Conversations in it.
  [[nodiscard]] virtual std::size_t size() const = 0;
  [[nodiscard]] virtual std::size_t turns() const { return 1; }
  /// Turn `t` of conversation `i`. Beyond size() a made-up dataset goes on, and a recorded one begins again.
  [[nodiscard]] virtual Turn turn(std::size_t i, std::size_t t) const = 0;
  /// When conversation `i` begins, in seconds after the test's start, where that is recorded.
  [[nodiscard]] virtual std::optional<double> due_s(std::size_t) const { return std::nullopt; }
  /// Whether answers have the length asked for, whatever the model wants to say.
  [[nodiscard]] virtual bool fixed_output() const { return true; }
  /// What a reader of the figures should know; empty: nothing.
  [[nodiscard]] virtual std::string note() const { return {}; }
};

/// What a dataset needs to know of the server.
struct Surroundings {
  Material material;          // for prompts of exactly so many tokens, or of text
  Material text;              // for prompts that must be text
  std::uint64_t context = 0;  // tokens that prompt and answer have together; 0: not known
  bool chat = false;
  /// Tokens of a text. A guess by its length where the server cannot say.
  std::function<Result<std::uint64_t>(const std::string&)> count_tokens;
};

[[nodiscard]] Result<std::unique_ptr<Dataset>> make_dataset(const LoadOptions& o, const Surroundings& s);

/// Shortens what does not fit the context, the prompt before the answer; tells whether it did. context 0: anything
/// fits.
bool fit_context(std::uint64_t& input_tokens, std::uint64_t& output_tokens, std::uint64_t context);

}  // namespace sluice::ctl::load
