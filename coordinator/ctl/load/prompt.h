#pragma once
// A prompt, and what prompts are made of when they are made up: ordinary tokens of the served vocabulary, or plain
// words where the server has no /tokenize or wants text. Pure; the same seed gives the same prompt.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::ctl::load {

/// One of the three.
struct Prompt {
  std::vector<std::uint32_t> tokens{};
  std::string text{};
  nlohmann::json messages{};  // of a chat, from a file; null: none
};

/// One question of a conversation.
struct Turn {
  Prompt prompt{};
  std::uint64_t input_tokens = 0;  // as far as we know; the server's own count wins
  std::uint64_t output_tokens = 0;
  bool clipped = false;  // it was shortened to the model's context
};

/// A number that stands for (seed, what, which): streams of random numbers that have nothing in common.
[[nodiscard]] std::uint64_t stream_of(std::uint64_t seed, std::uint64_t which, std::uint64_t what = 0);

class Material {
 public:
  /// ids: not empty.
  [[nodiscard]] static Material of_tokens(std::vector<std::uint32_t> ids);
  /// tokens_per_word: measured, or a guess.
  [[nodiscard]] static Material of_words(double tokens_per_word);
  /// Adds `tokens` tokens, or about as many in words, drawn from one stream of random numbers.
  void append(Prompt& to, std::uint64_t tokens, std::uint64_t stream) const;
  [[nodiscard]] bool exact() const { return !ids_.empty(); }

  /// All words, for measuring: their number and their text.
  [[nodiscard]] static std::size_t word_count();
  [[nodiscard]] static std::string all_words();

 private:
  std::vector<std::uint32_t> ids_;
  double tokens_per_word_ = 1;
};

}  // namespace sluice::ctl::load
