#pragma once
// How long outputs are, learned from those that ended: what running requests still hold is predicted from it.
//
// Most outputs end by themselves, the others are cut off at their own limit, and of those it is only known that they
// would have been longer. So this is a product-limit estimate (Kaplan and Meier 1958) over buckets that grow with the
// length, which forgets slowly; the first few outputs weigh little against a prior in which every length up to the
// limit is as likely. Pure; not thread-safe.
#include <array>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "common/result.h"

namespace sluice::coordinator {

class OutputLengths {
 public:
  /// Fewer outputs than this say nothing that a request should be refused for.
  static constexpr double kKnown = 16;

  /// An output ended: by itself, or it was cut off (its limit, its client).
  void observe(double tokens, bool by_itself);
  /// The chance that an output with this limit is longer than `tokens`.
  [[nodiscard]] double survival(double tokens, double limit) const;
  /// The chance that one which has `emitted` tokens and still runs is longer than `tokens`.
  [[nodiscard]] double survival(double tokens, double emitted, double limit) const;
  /// What was seen alone, limits and prior aside: the share of outputs that were longer than `tokens`; and how many
  /// outputs that counts for.
  [[nodiscard]] double seen(double tokens) const;
  [[nodiscard]] double weight() const noexcept { return weight_ + borrowed_weight_; }
  /// How long an output with this limit is expected to be, in tokens.
  [[nodiscard]] double mean(double limit) const;
  [[nodiscard]] bool known() const noexcept { return weight() >= kKnown; }
  /// What other observers saw, as their save() says, from now on; it adds to what was seen here, and stays apart from
  /// it: save() does not tell it, so nobody counts it twice. What cannot be read is left out. All of them together
  /// weigh no more than one memory.
  void borrow(const std::vector<nlohmann::json>& others);
  /// What was seen here, for a file; and back. A state of another version, or a damaged one, is refused whole.
  [[nodiscard]] nlohmann::json save() const;
  [[nodiscard]] Result<> load(const nlohmann::json& j);

 private:
  static constexpr double kMemory = 1000;  // outputs
  static constexpr std::size_t kBuckets = 128;
  static constexpr double kPerOctave = 8;  // buckets for each doubling of (tokens + 1)
  [[nodiscard]] static double position(double tokens);
  void rebuild();

  struct Seen {
    std::array<double, kBuckets> ended{}, left{};  // by themselves; in any way
    double weight = 0;
  };
  [[nodiscard]] static Result<Seen> read(const nlohmann::json& j);

  std::array<double, kBuckets> ended_{}, left_{};  // by themselves; in any way
  std::array<double, kBuckets> borrowed_ended_{}, borrowed_left_{};
  std::array<double, kBuckets + 1> survival_ = [] {
    std::array<double, kBuckets + 1> s{};
    s.fill(1);
    return s;
  }();  // at each bucket's lower edge
  double weight_ = 0, borrowed_weight_ = 0;
};

}  // namespace sluice::coordinator
