#pragma once
// A grammar made ready for the automaton: equal parts are one piece, recursion is cut, and it is decided which pieces
// are units (automata of their own, called) and which are written out where they stand. Pieces that match nothing are
// marked, so that the automaton has no dead ends.
//
// Units are: what cuts a recursion; a repetition whose copies would be many (it counts instead); what is used in many
// places and is large, or loops: a mask made for a place inside it then serves all of them.
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "text/grammar/automaton/utf8_graph.h"
#include "text/grammar/grammar.h"

namespace sluice::text::grammar {

using PieceIndex = std::uint32_t;

struct Piece {
  Op op = Op::literal;                // rule: a cut; it says what `content` says
  std::string_view bytes{};           // literal; the grammar's
  const CodePointSet* set = nullptr;  // chars; the grammar's
  std::vector<PieceIndex> parts{};    // sequence, choice, repeat
  std::uint32_t least = 0, most = 0;  // repeat
  PieceIndex content = 0;             // cut
  bool nullable = false;
  bool matches = false;                 // some text
  bool loops = false;                   // some part of it does
  bool counted = false;                 // a repetition that counts
  bool unit = false;                    // called, not written out
  std::optional<std::uint32_t> spells;  // chars: in Plan::spellings

  [[nodiscard]] bool unbounded() const { return most == Node::kUnbounded; }
};

struct Plan {
  std::vector<Piece> pieces;  // parts before what they are parts of; contents of cuts anywhere
  std::vector<Utf8Graph> spellings;
  PieceIndex root = 0;
  std::size_t states = 0;  // that all units take, written out
};

/// The states that writing everything out takes are bounded.
struct PlanLimits {
  std::size_t states = 400'000;
};

/// `grammar` has passed its check() and outlives the plan.
[[nodiscard]] Result<Plan> make_plan(const Grammar& grammar, const PlanLimits& limits = {});

}  // namespace sluice::text::grammar
