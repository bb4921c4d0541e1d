#pragma once
// Walking over a value as Python's iter() does: a list, tuple or range, a dict's keys, a view, a text's characters, an
// iterator. An iterator that was walked over is empty afterwards, also for others that hold it.
#include "text/jinja/value.h"

namespace sluice::text::jinja {

class Cursor {
 public:
  /// Faults on what cannot be walked over. `budget` outlives the cursor.
  Cursor(Value v, Budget& budget);
  [[nodiscard]] std::optional<Value> next();
  /// len() of what it walks over, where that is known.
  [[nodiscard]] std::optional<std::size_t> size() const;
  [[nodiscard]] std::uint32_t depth() const noexcept { return over_.depth(); }

 private:
  Value over_;
  Budget* budget_;
  std::size_t at_ = 0;
};

[[nodiscard]] bool iterable(const Value& v);
/// All that is left of it.
[[nodiscard]] std::vector<Value> iterate(const Value& v, Budget& budget);

}  // namespace sluice::text::jinja
