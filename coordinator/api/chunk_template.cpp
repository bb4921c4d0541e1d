#include "coordinator/api/chunk_template.h"

#include <fmt/format.h>

#include <iterator>

#include "common/utf8.h"

namespace sluice::coordinator {
namespace {

/// What stands for a character that JSON cannot have as it is; empty: it can.
std::string_view escape_of(char c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\t':
      return "\\t";
    case '\n':
      return "\\n";
    case '\f':
      return "\\f";
    case '\r':
      return "\\r";
    default:
      return {};
  }
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
  const bool valid = utf8_valid_prefix(text) == text.size();
  const std::string replaced = valid ? std::string() : utf8_lossy(text);
  if (!valid) text = replaced;
  std::size_t plain = 0;  // begin of what can go as it is
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    if (const auto e = escape_of(c); !e.empty())
      out.append(e);
    else
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
  }
  out.append(text, plain);
}

ChunkTemplate::ChunkTemplate(const std::function<std::string(std::string_view)>& render) {
  const std::string rendered = render(kMark);
  const std::size_t at = rendered.find(kMark);
  before_ = rendered.substr(0, at);
  after_ = rendered.substr(at + kMark.size());
}

std::string ChunkTemplate::with(std::string_view text) const {
  std::string out;
  out.reserve(before_.size() + text.size() + after_.size() + 8);
  out = before_;
  append_json_text(out, text);
  return out.append(after_);
}

}  // namespace sluice::coordinator
