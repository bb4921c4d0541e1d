#pragma once
// One unit's automaton while it is made: states joined by bytes, calls and empty steps, written from a piece. Then
// empty steps are taken out, it is made deterministic where that stays small, and equal states become one.
#include <cstdint>
#include <functional>
#include <vector>

#include "common/result.h"
#include "text/grammar/automaton/network.h"
#include "text/grammar/automaton/plan.h"

namespace sluice::text::grammar {

/// An automaton without empty steps; state 0 is the start, has no way in, and is not final.
struct Reduced {
  struct State {
    std::vector<ByteEdge> edges;
    std::vector<CallEdge> calls;
    bool final = false;
    bool operator==(const State&) const = default;
  };
  std::vector<State> states;
};

class Fragment {
 public:
  /// Which unit a piece is (asked for units only).
  using UnitOf = std::function<UnitIndex(PieceIndex)>;

  /// The text of `piece` even if it is a unit itself: its own body. A repetition that counts: that of its part.
  Fragment(const Plan& plan, const UnitOf& unit_of, PieceIndex piece);

  /// `work`: what is left of the whole grammar's budget, in edges.
  [[nodiscard]] Result<Reduced> reduce(std::size_t& work) const;

 private:
  struct State {
    std::vector<ByteEdge> edges;
    std::vector<CallEdge> calls;
    std::vector<std::uint32_t> empty;
  };
  std::uint32_t add();
  void step(std::uint32_t from, std::uint32_t to) { states_[from].empty.push_back(to); }
  /// Writes the piece out from a state; the state where it ends.
  std::uint32_t write(PieceIndex piece, std::uint32_t from);
  std::uint32_t write_body(PieceIndex piece, std::uint32_t from);
  std::uint32_t write_literal(const Piece& p, std::uint32_t from);
  std::uint32_t write_chars(const Piece& p, std::uint32_t from);
  std::uint32_t write_repeat(const Piece& p, std::uint32_t from);

  const Plan& plan_;
  const UnitOf& unit_of_;
  std::vector<State> states_;
  std::uint32_t end_ = 0;
};

/// Makes it deterministic over bytes; unchanged where that would take too many states.
[[nodiscard]] Reduced determined(Reduced in, std::size_t& work);
/// States with the same future, as far as a few rounds tell, become one.
[[nodiscard]] Reduced merged(Reduced in);

}  // namespace sluice::text::grammar
