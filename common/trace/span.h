#pragma once
// What is told of one step of a request: a span as OpenTelemetry has it, and whoever takes it. Prompts and answers are
// never in one.
//
// Whoever makes spans holds a Parent; one without a sink costs a branch and nothing else. Times are those of the
// process's monotonic clock, and become wall time on their way out.
// Threading: a Span is a value. A SpanSink takes spans from any thread and never blocks.
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/trace/context.h"

namespace sluice::trace {

using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

struct Attribute {
  std::string key;
  Value value;
};

class Attributes {
 public:
  template <class T>
  void set(std::string_view key, const T& value) {
    list_.push_back({std::string(key), value_of(value)});
  }
  [[nodiscard]] const std::vector<Attribute>& list() const noexcept { return list_; }
  /// Null when there is none. For tests.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;

 private:
  template <class T>
  static Value value_of(const T& v) {
    if constexpr (std::same_as<T, bool>)
      return v;
    else if constexpr (std::integral<T>)
      return static_cast<std::int64_t>(v);
    else if constexpr (std::floating_point<T>)
      return static_cast<double>(v);
    else if constexpr (std::same_as<T, std::vector<std::string>>)
      return v;
    else
      return std::string(std::string_view(v));
  }
  std::vector<Attribute> list_;
};

/// Something that happened at one moment of a span.
struct Event {
  std::string name;
  TimePoint at{};
  Attributes attributes;
};

enum class Kind : std::uint8_t { internal = 1, server = 2, client = 3 };  // OTLP's numbers

struct Span {
  SpanContext context;
  SpanId parent;  // zero: the trace's first
  std::string name;
  Kind kind = Kind::internal;
  TimePoint begin{}, end{};
  Attributes attributes;
  std::vector<Event> events;
  std::optional<std::string> error;  // why it failed; its status is then an error
};

class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void add(Span span) = 0;
};

/// Whose children spans will be, and where they go. Without a sink nothing is traced. The sink outlives all who hold
/// this.
struct Parent {
  SpanContext context;
  SpanSink* sink = nullptr;
  [[nodiscard]] explicit operator bool() const noexcept { return sink != nullptr; }
};

/// A child of `parent`, without attributes.
[[nodiscard]] Span child_span(const SpanContext& parent, std::string_view name, TimePoint begin, TimePoint end);

/// The parent that another process named in a message. Nothing: it named none that is sampled, or one that cannot be
/// read, which is logged; or there is no sink.
[[nodiscard]] Parent named_parent(const std::string& traceparent, const std::string& tracestate, SpanSink* sink);

/// Unix time of a moment of the monotonic clock, in nanoseconds. All calls use one distance between the two clocks, so
/// that spans stay nested, until the wall clock is set (by more than a millisecond). Any thread.
[[nodiscard]] std::int64_t unix_nanos(TimePoint t) noexcept;

}  // namespace sluice::trace
