#pragma once
// The automaton's tables. A unit is a finite automaton over bytes and calls of other units. It never matches the empty
// text: whoever calls a nullable unit may also go past the call. A call reads its unit's text, then goes on at `back`.
//
// A unit that counts matches its body `least` to `most` times: a thread in it carries how many are complete.
// Every place can still come to its unit's end. Const once made; any thread.
#include <cstdint>
#include <span>
#include <vector>

namespace sluice::text::grammar {

using PlaceIndex = std::uint32_t;
using UnitIndex = std::uint32_t;

struct ByteEdge {
  std::uint8_t first = 0, last = 0;
  PlaceIndex to = 0;
  auto operator<=>(const ByteEdge&) const = default;
};

struct CallEdge {
  UnitIndex unit = 0;
  PlaceIndex back = 0;
  auto operator<=>(const CallEdge&) const = default;
};

struct Place {
  std::uint32_t edges_begin = 0, edges_end = 0;
  std::uint32_t calls_begin = 0, calls_end = 0;
  UnitIndex unit = 0;
  bool final = false;  // the unit's text, or the body's, may end here
  /// Final and no more, and nothing is counted: a call that comes back here need not come back at all.
  bool ends = false;
};

/// Units are ordered: what a unit's first place calls comes behind it.
struct Unit {
  PlaceIndex start = 0;
  bool counts = false;
  std::uint32_t least = 1, most = 1;  // of a unit that counts; most may be kUnbounded
  /// It counts, and what it counts has no calls, and is over as soon as it may be: one thread reads it.
  bool flat = false;
  /// The first place of the first unit that counts the same with other bounds, place for place.
  PlaceIndex twin = 0;
  static constexpr std::uint32_t kUnbounded = 0xFFFFFFFF;
};

struct Network {
  std::vector<Place> places;
  std::vector<ByteEdge> edges;  // of a place: ascending by first
  std::vector<CallEdge> calls;
  std::vector<Unit> units;
  UnitIndex root = 0;
  bool matches_empty = false;

  [[nodiscard]] std::span<const ByteEdge> edges_of(const Place& p) const {
    return {edges.data() + p.edges_begin, edges.data() + p.edges_end};
  }
  [[nodiscard]] std::span<const CallEdge> calls_of(const Place& p) const {
    return {calls.data() + p.calls_begin, calls.data() + p.calls_end};
  }
  [[nodiscard]] std::size_t memory_bytes() const {
    return places.size() * sizeof(Place) + edges.size() * sizeof(ByteEdge) + calls.size() * sizeof(CallEdge) +
           units.size() * sizeof(Unit);
  }
};

}  // namespace sluice::text::grammar
