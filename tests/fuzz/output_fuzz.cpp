// Any text, as each format's parser reads it: whole, in two pieces, and byte by byte it comes to the same. Calls have
// names and arguments; a text without a call or reasoning is content, to the byte.
//
// Input: a byte for the format and how it is read, one for the place of the cut; then the text.
#include <cstdlib>
#include <string_view>

#include "text/output/formats.h"

using namespace sluice::text::output;

namespace {

Output read(const OutputFormats& formats, const ParserOptions& options, std::string_view text, std::size_t cut,
            bool bytes) {
  const auto parser = make_parser(formats, options);
  Output out;
  if (bytes) {
    for (const char& c : text) out.add(parser->push({&c, 1}));
  } else {
    out.add(parser->push(text.substr(0, cut)));
    out.add(parser->push(text.substr(cut)));
  }
  out.add(parser->finish());
  if (parser->calls() != out.calls.size()) std::abort();
  for (const auto& c : out.calls)
    if (c.name.empty() || c.arguments.empty()) std::abort();
  return out;
}

bool same(const Output& a, const Output& b) {
  if (a.reasoning != b.reasoning || a.content != b.content || a.calls.size() != b.calls.size()) return false;
  for (std::size_t i = 0; i < a.calls.size(); ++i)
    if (a.calls[i].name != b.calls[i].name || a.calls[i].arguments != b.calls[i].arguments) return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  constexpr ToolFormat kTools[] = {ToolFormat::hermes, ToolFormat::llama3_json, ToolFormat::mistral,
                                   ToolFormat::pythonic};
  constexpr ReasoningFormat kReasoning[] = {ReasoningFormat::none, ReasoningFormat::deepseek_r1, ReasoningFormat::qwen3,
                                            ReasoningFormat::granite};
  const OutputFormats formats{kTools[data[0] & 3U], kReasoning[(data[0] >> 2U) & 3U]};
  const ParserOptions options{.calls = true, .eager = (data[0] & 16U) != 0, .inside = (data[0] & 32U) != 0};
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  const Output whole = read(formats, options, text, 0, false);
  if (!same(whole, read(formats, options, text, data[1] % (text.size() + 1), false))) std::abort();
  if (!same(whole, read(formats, options, text, 0, true))) std::abort();
  if (whole.calls.empty() && formats.reasoning == ReasoningFormat::none && whole.content != text) std::abort();
  return 0;
}
