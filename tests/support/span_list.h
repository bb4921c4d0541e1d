#pragma once
// A SpanSink that keeps what it is told. Threading: add() from any thread; look once nobody adds.
#include <algorithm>
#include <mutex>
#include <string_view>
#include <vector>

#include "common/trace/span.h"

namespace sluice::test {

class SpanList final : public trace::SpanSink {
 public:
  void add(trace::Span span) override {
    const std::lock_guard lock(mutex_);
    spans_.push_back(std::move(span));
  }
  [[nodiscard]] std::vector<trace::Span> all() const {
    const std::lock_guard lock(mutex_);
    return spans_;
  }
  [[nodiscard]] std::size_t count(std::string_view name) const {
    const auto spans = all();
    return static_cast<std::size_t>(std::ranges::count(spans, name, &trace::Span::name));
  }
  /// The first of that name; an empty span when there is none.
  [[nodiscard]] trace::Span find(std::string_view name) const {
    const auto spans = all();
    const auto it = std::ranges::find(spans, name, &trace::Span::name);
    return it == spans.end() ? trace::Span{} : *it;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<trace::Span> spans_;
};

/// An attribute's value; the default of T when there is none of that name and type.
template <class T>
[[nodiscard]] T attribute(const trace::Attributes& a, std::string_view key) {
  const trace::Value* v = a.find(key);
  const T* value = v == nullptr ? nullptr : std::get_if<T>(v);
  return value == nullptr ? T{} : *value;
}

}  // namespace sluice::test
