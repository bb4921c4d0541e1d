#pragma once
// What a model wrote, told apart while it comes: reasoning, content, tool calls. One parser per choice, chosen by name
// (--tool-call-parser, --reasoning-parser) or from the chat template.
//
// The outcome depends on the text alone, not on how it was cut into pieces. Whatever is no well-formed call stays
// content: nothing is lost. Pure logic; one thread at a time.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::text::output {

/// A piece of a tool call. The first piece of each call has its name; arguments are JSON text, pieces join to a whole.
struct ToolCallDelta {
  std::size_t index = 0;            // among the answer's calls, from 0
  std::optional<std::string> name;  // in the call's first piece
  std::string arguments{};
};

struct OutputDelta {
  std::string reasoning{};
  std::string content{};
  std::vector<ToolCallDelta> calls{};
  [[nodiscard]] bool empty() const { return reasoning.empty() && content.empty() && calls.empty(); }
  /// What came next.
  void append(OutputDelta next) {
    reasoning += next.reasoning;
    content += next.content;
    for (auto& c : next.calls) calls.push_back(std::move(c));
  }
};

struct ToolCall {
  std::string name;
  std::string arguments;  // JSON text
};

/// All of what one choice wrote.
struct Output {
  std::string reasoning{};
  std::string content{};
  std::vector<ToolCall> calls{};

  void add(OutputDelta delta) {
    reasoning += delta.reasoning;
    content += delta.content;
    for (auto& d : delta.calls) {
      if (calls.size() <= d.index) calls.resize(d.index + 1);
      if (d.name) calls[d.index].name = *std::move(d.name);
      calls[d.index].arguments += d.arguments;
    }
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t n = reasoning.size() + content.size();
    for (const auto& c : calls) n += c.name.size() + c.arguments.size();
    return n;
  }
};

class OutputParser {
 public:
  virtual ~OutputParser() = default;
  [[nodiscard]] virtual OutputDelta push(std::string_view text) = 0;
  /// The text has ended: what was held back.
  [[nodiscard]] virtual OutputDelta finish() = 0;
  /// Calls begun so far.
  [[nodiscard]] virtual std::size_t calls() const = 0;
};

}  // namespace sluice::text::output
