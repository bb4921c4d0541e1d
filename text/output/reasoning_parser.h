#pragma once
// Tells what a model thinks from what it answers: reasoning stands first, between an opening and a closing tag. Where
// the prompt holds the opening tag already, the text begins inside. What follows goes to another parser, if there is
// one. Pure logic; one thread at a time.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/output/output_parser.h"
#include "text/output/tag_search.h"

namespace sluice::text::output {

struct ReasoningTags {
  std::vector<std::string_view> open, close;  // literals; each of some spellings
};

class ReasoningParser final : public OutputParser {
 public:
  /// inside: the text begins with reasoning, though the opening tag may stand there once more. rest: null: all else is
  /// content.
  ReasoningParser(const ReasoningTags& tags, bool inside, std::unique_ptr<OutputParser> rest)
      : open_(tags.open), close_(tags.close), inside_(inside), rest_(std::move(rest)) {}

  [[nodiscard]] OutputDelta push(std::string_view text) override;
  [[nodiscard]] OutputDelta finish() override;
  [[nodiscard]] std::size_t calls() const override { return rest_ ? rest_->calls() : 0; }

 private:
  enum class At : std::uint8_t { begin, reasoning, answer };
  void begin(char c, OutputDelta& out, std::string& answer);
  void not_opened(std::string text, OutputDelta& out, std::string& answer);
  [[nodiscard]] OutputDelta answered(std::string text);

  At at_ = At::begin;
  TagSearch open_, close_;
  bool inside_;
  std::string space_;  // before the opening tag
  std::unique_ptr<OutputParser> rest_;
};

}  // namespace sluice::text::output
