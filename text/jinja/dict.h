#pragma once
// dict: keys of any hashable kind, in order of insertion, found by hash.
#include <span>

#include "text/jinja/value.h"

namespace sluice::text::jinja {

class Dict {
 public:
  struct Entry {
    Value key, value;
  };

  [[nodiscard]] const Value* find(std::string_view key) const;
  /// Faults on a key that cannot be hashed.
  [[nodiscard]] const Value* find(const Value& key, Budget& budget) const;
  /// Replaces the value of an equal key, which keeps its place.
  void set(Value key, Value v, Budget& budget);
  void set(std::string_view key, Value v, Budget& budget) {
    set(Value::string(std::string(key), budget), std::move(v), budget);
  }
  [[nodiscard]] const std::vector<Entry>& items() const noexcept { return items_; }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] std::uint32_t depth() const noexcept { return depth_; }

 private:
  [[nodiscard]] std::optional<std::size_t> place(const Value& key, std::uint64_t hash, Budget& budget) const;
  void index(std::size_t from, Budget& budget);

  std::vector<Entry> items_;
  std::vector<std::uint64_t> hashes_;  // of each item, once there are more than a few
  std::vector<std::uint32_t> slots_;   // open addressing, linear probing: position + 1
  std::uint32_t depth_ = 1;
};

/// Of the bytes of a str; differs from process to process, so that nobody can prepare keys that collide.
[[nodiscard]] std::uint64_t hash_bytes(std::string_view s) noexcept;
/// Equal values have equal hashes, as 1, 1.0 and True do. Faults where Python has "unhashable type".
[[nodiscard]] std::uint64_t hash_of(const Value& v, Budget& budget);

}  // namespace sluice::text::jinja
