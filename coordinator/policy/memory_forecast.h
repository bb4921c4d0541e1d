#pragma once
// What the sequences of one decode node will hold of its KV memory at the same time, where it takes blocks as positions
// come (docs/adr/0010). Who is admitted is decided by it: a newcomer fits when the most that all of them are expected
// to hold together, it included, stays below the pool.
//
// The formula. Sequences run side by side, a token a step, so that a time ahead is a number of tokens, the same for
// all. It is parted into kCells cells that grow like the time itself. In a cell a sequence holds, with the chance that
// it still runs in the middle of the cell, the blocks that it would have at the cell's end; else nothing. Over the
// sequences of a node this is a sum of independent variables, whose mean and variance are the sums of theirs:
//
//   mean(cell) = sum of s * b         var(cell) = sum of s * (1 - s) * b^2
//   peak       = the largest mean(cell) + kDoubt * sqrt(var(cell)) of all cells
//
// A newcomer fits when the peak with its own part in it is at most pool * (1 - margin). One sequence alone always fits,
// since what needs more than the pool at its limit is refused before.
//
// The margin is learned: each preemption that the node reports adds kStep of the pool, each sequence that leaves takes
// kForget of the margin away. So where one sequence of ten is preempted it settles at a seventeenth of the pool, and it
// makes up for whatever the learned lengths miss: that lengths depend on each other, say, or have just changed. A
// preempted sequence stalls for a while; a newcomer that is kept out for fear of that stalls as well.
// kDoubt and these two were chosen by the simulator's loads (docs/evidence/memory.md), which ADR 10 tells of.
//
// The chance to run still is OutputLengths' product-limit estimate, given what the sequence has emitted, with another
// prior than there: beyond what has been seen, the longer an answer is already, the longer it goes on (a Pareto tail).
// Limits are no prior: most answers end long before them. So with nothing learned the forecast is bold, and a node that
// runs out parks.
//
// Cost: a part is made in kCells look-ups, at each block of a sequence; adding, taking away and asking are sums over
// kCells. Pure values; not thread-safe.
#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::coordinator {

class OutputLengths;

/// The chance that a sequence still runs, in the middle of each cell. Without knowledge it runs until its limit.
struct Staying {
  static constexpr std::size_t kCells = 20;
  /// Where cells end, in tokens from now; the last has no end.
  static constexpr std::array<std::uint32_t, kCells> kEnds{
      16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192, 16384, 32768, UINT32_MAX};
  std::array<float, kCells> chance = [] {
    std::array<float, kCells> all{};
    all.fill(1);
    return all;
  }();
};
/// The chance that one which has emitted so many tokens, of `limit` at most, makes more than `tokens` of them.
[[nodiscard]] double longer_than(const OutputLengths& lengths, double tokens, double emitted, double limit);
/// Of one that has emitted so many tokens of the `limit` that it may.
[[nodiscard]] Staying expected_stay(const OutputLengths& lengths, std::uint32_t emitted, std::uint32_t limit);
/// The tokens that it is expected to make yet, `left` at most.
[[nodiscard]] double expected_left(const Staying& stay, std::uint32_t left);
[[nodiscard]] inline double expected_left(const OutputLengths& lengths, std::uint32_t emitted, std::uint32_t limit) {
  return emitted < limit ? expected_left(expected_stay(lengths, emitted, limit), limit - emitted) : 0;
}

/// A sequence, as its node's memory sees it.
struct Growing {
  std::uint32_t tokens = 0;  // positions that it has blocks for: its prompt and what it has emitted
  std::uint32_t left = 0;    // that it may emit yet
  std::uint32_t block_size = 16;
};

/// Its part in a forecast, in blocks. Whoever adds one keeps it, to take the very same away.
struct MemoryPart {
  std::array<float, Staying::kCells> mean{}, var{};
};
[[nodiscard]] MemoryPart memory_part(const Growing& g, const Staying& stay);

class MemoryForecast {
 public:
  static constexpr double kDoubt = 1;  // standard deviations
  static constexpr double kStep = 0.003, kForget = 0.005, kMostMargin = 0.5;

  /// `times`: so many sequences alike.
  void add(const MemoryPart& p, std::uint32_t times = 1);
  void remove(const MemoryPart& p, std::uint32_t times = 1);
  /// A sequence has come to another block: its part is another one.
  void replace(const MemoryPart& before, const MemoryPart& after);
  /// Nobody is there; what was learned stays. For looks at an idle node.
  void clear();

  /// The most blocks held at one time: expected; and with doubt, which is what a newcomer's part comes on top of.
  [[nodiscard]] double expected_peak() const;
  [[nodiscard]] double peak() const;
  /// Whether one more keeps the peak within a pool of so many blocks, and the margin.
  [[nodiscard]] bool fits(const Growing& newcomer, const Staying& stay, std::uint32_t pool) const;

  /// Of the pool, that stays free.
  [[nodiscard]] double margin() const noexcept { return margin_; }
  /// The node says that so many sequences had to give up their blocks, since it said so last.
  void preempted(std::uint64_t times);
  /// A sequence has left.
  void ended();

 private:
  std::array<double, Staying::kCells> mean_{}, var_{};
  std::uint32_t seqs_ = 0;
  double margin_ = 0;
};

}  // namespace sluice::coordinator
