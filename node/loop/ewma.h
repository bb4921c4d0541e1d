#pragma once
// An exponentially weighted mean that starts at its first sample. Pure; the owner serialises calls.

namespace sluice::node {

class Ewma {
 public:
  /// weight: of a new sample. first: what is known before any; 0 = nothing.
  explicit Ewma(double weight, double first = 0) : weight_(weight), value_(first) {}
  void add(double sample) noexcept { value_ = value_ == 0 ? sample : value_ + weight_ * (sample - value_); }
  [[nodiscard]] double value() const noexcept { return value_; }

 private:
  double weight_, value_;
};

}  // namespace sluice::node
