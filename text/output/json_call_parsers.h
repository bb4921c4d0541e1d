#pragma once
// Formats whose calls are JSON objects behind a tag. Pure logic; one thread at a time.
#include <cstdint>
#include <string>
#include <string_view>

#include "text/output/call_object.h"
#include "text/output/call_parser.h"
#include "text/output/tag_search.h"

namespace sluice::text::output {

/// What they share: the text outside calls, up to the tag.
class TaggedParser : public CallParser {
 protected:
  TaggedParser(bool eager, std::string_view tag) : CallParser(eager), search_({tag}) {}

  /// A byte outside calls. True: it completed the tag, which is attempted.
  [[nodiscard]] bool ends_tag(char c);
  void stop() override;

 private:
  TagSearch search_;
};

/// <tool_call>{"name": ..., "arguments": {...}}</tool_call>, as Hermes and Qwen write it. The closing tag may be
/// missing.
class HermesParser final : public TaggedParser {
 public:
  explicit HermesParser(bool eager) : TaggedParser(eager, "<tool_call>") {}

 private:
  enum class At : std::uint8_t { text, open, object, close };
  void step(char c) override;
  void stop() override;
  void step_text(char c);
  void step_close(char c);

  At at_ = At::text;
  CallObject object_;
  std::string closing_;  // white space and a part of the closing tag
};

/// {"name": ..., "parameters": {...}} at the start of the text or behind <|python_tag|>, several with ";" between them:
/// Llama 3.1 and 3.2.
class Llama3JsonParser final : public TaggedParser {
 public:
  explicit Llama3JsonParser(bool eager) : TaggedParser(eager, "<|python_tag|>") {}

 private:
  enum class At : std::uint8_t { begin, text, open, object, after, next };
  void step(char c) override;
  void step_text(char c);

  At at_ = At::begin;
  CallObject object_;
};

/// [TOOL_CALLS] and a list of objects with name and arguments, or, newer, [TOOL_CALLS]name{...} for each call, perhaps
/// with [CALL_ID]id and [ARGS] behind the name.
class MistralParser final : public TaggedParser {
 public:
  explicit MistralParser(bool eager) : TaggedParser(eager, "[TOOL_CALLS]") {}

 private:
  enum class At : std::uint8_t { text, open, item, object, separator, name, mark, id, arguments_or_mark, arguments };
  void step(char c) override;
  void step_text(char c);
  void step_mark(char c);
  void step_arguments(char c);
  void begin_arguments(char c);
  void refuse(char c);

  At at_ = At::text;
  CallObject object_;
  JsonScanner scanner_;
  std::string name_, mark_;
};

}  // namespace sluice::text::output
