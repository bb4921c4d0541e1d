#pragma once
// Formats whose calls are JSON objects behind a tag. Pure logic; one thread at a time.
#include <string>

#include "text/output/call_object.h"
#include "text/output/call_parser.h"
#include "text/output/tag_search.h"

namespace sluice::text::output {

/// <tool_call>{"name": ..., "arguments": {...}}</tool_call>, as Hermes and Qwen write it. The closing tag may be
/// missing.
class HermesParser final : public CallParser {
 public:
  explicit HermesParser(bool eager) : CallParser(eager) {}

 private:
  enum class At : std::uint8_t { text, open, object, close };
  void step(char c) override;
  void stop() override;
  void step_text(char c);
  void step_close(char c);

  At at_ = At::text;
  TagSearch search_{{"<tool_call>"}};
  CallObject object_;
  std::string closing_;  // white space and a part of the closing tag
};

/// {"name": ..., "parameters": {...}} at the start of the text or behind <|python_tag|>, several with ";" between them:
/// Llama 3.1 and 3.2.
class Llama3JsonParser final : public CallParser {
 public:
  explicit Llama3JsonParser(bool eager) : CallParser(eager) {}

 private:
  enum class At : std::uint8_t { begin, text, open, object, after, next };
  void step(char c) override;
  void stop() override;
  void step_text(char c);

  At at_ = At::begin;
  TagSearch search_{{"<|python_tag|>"}};
  CallObject object_;
};

/// [TOOL_CALLS] and a list of objects with name and arguments, or, newer, [TOOL_CALLS]name{...} for each call, perhaps
/// with [CALL_ID]id and [ARGS] behind the name.
class MistralParser final : public CallParser {
 public:
  explicit MistralParser(bool eager) : CallParser(eager) {}

 private:
  enum class At : std::uint8_t { text, open, item, object, separator, name, mark, id, arguments_or_mark, arguments };
  void step(char c) override;
  void stop() override;
  void step_text(char c);
  void step_mark(char c);
  void step_arguments(char c);
  void begin_arguments(char c);
  void refuse(char c);

  At at_ = At::text;
  TagSearch search_{{"[TOOL_CALLS]"}};
  CallObject object_;
  JsonScanner scanner_;
  std::string name_, mark_;
};

}  // namespace sluice::text::output
