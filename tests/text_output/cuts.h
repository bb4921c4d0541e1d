#pragma once
// Reads a text with a parser at every cut, and holds all outcomes to be one.
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "text/output/output_parser.h"

namespace sluice::test {

inline bool operator==(const text::output::ToolCall& a, const text::output::ToolCall& b) {
  return a.name == b.name && a.arguments == b.arguments;
}

/// As one line: the reasoning, the content, each call.
inline std::string shown(const text::output::Output& o) {
  std::string s;
  if (!o.reasoning.empty()) s += "think(" + o.reasoning + ")";
  s += o.content;
  for (const auto& c : o.calls) s += "|" + c.name + c.arguments;
  return s;
}

using MakeParser = std::function<std::unique_ptr<text::output::OutputParser>()>;

inline std::string read_pieces(const MakeParser& make, std::initializer_list<std::string_view> pieces) {
  const auto parser = make();
  text::output::Output out;
  std::size_t begun = 0;
  const auto take = [&](text::output::OutputDelta d) {
    for (const auto& c : d.calls) {
      // The first piece of a call has its name, and no other; calls come in order.
      REQUIRE(c.name.has_value() == (c.index == begun));
      if (c.name) ++begun;
      REQUIRE(c.index + 1 == begun);
    }
    out.add(std::move(d));
  };
  for (const auto piece : pieces) take(parser->push(piece));
  take(parser->finish());
  REQUIRE(parser->calls() == out.calls.size());
  return shown(out);
}

/// What all of it comes to, having seen that it does so however it is cut in two or three, and byte by byte.
inline std::string read_at_every_cut(const MakeParser& make, std::string_view text) {
  const std::string whole = read_pieces(make, {text});
  for (std::size_t i = 0; i <= text.size(); ++i)
    for (std::size_t j = i; j <= text.size(); j += text.size() > 200 ? 7 : 1)
      if (const auto cut = read_pieces(make, {text.substr(0, i), text.substr(i, j - i), text.substr(j)});
          cut != whole) {
        CAPTURE(i, j);
        CHECK(cut == whole);
        return cut;
      }
  const auto parser = make();
  text::output::Output out;
  for (const char c : text) out.add(parser->push({&c, 1}));
  out.add(parser->finish());
  CHECK(shown(out) == whole);
  return whole;
}

}  // namespace sluice::test
