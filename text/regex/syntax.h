#pragma once
// A regular expression as a tree, between regex/parser and regex/compiler.
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "text/unicode/code_point_set.h"

namespace sluice::text::regex {

struct Node;
using NodePtr = std::unique_ptr<Node>;

enum class Mode : std::uint8_t { greedy, lazy, possessive };
enum class Place : std::uint8_t {
  text_begin,
  text_end,
  text_end_or_last_newline,
  line_begin,
  line_end,
  word_edge,
  no_word_edge
};

struct Node {
  enum class Kind : std::uint8_t { literal, set, concatenation, alternation, repeat, look, atomic, place };
  static constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

  explicit Node(Kind k) : kind(k) {}

  Kind kind;
  std::string literal;            // literal: UTF-8
  CodePointSet set;               // set
  std::vector<NodePtr> children;  // concatenation (none: matches the empty text), alternation; else exactly one
  std::uint32_t min = 0;          // repeat
  std::uint32_t max = kNoLimit;
  Mode mode = Mode::greedy;
  bool behind = false;  // look
  bool negative = false;
  Place place = Place::text_begin;
};

}  // namespace sluice::text::regex
