#pragma once
// Where in a trace something happens, and how that is told to others: the headers `traceparent` and `tracestate` of the
// W3C's Trace Context, level 1. Pure, but for ids, which are random. Threading: values; any thread.
// Failure: invalid_argument with what is wrong. The specification has a receiver begin a trace of its own then: that is
// join_trace(), which never fails.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice::trace {

/// Of all requests that belong to one trace. All zeroes: none.
struct TraceId {
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] explicit operator bool() const noexcept { return *this != TraceId{}; }
  [[nodiscard]] std::string hex() const;
  friend bool operator==(const TraceId&, const TraceId&) = default;
};

/// Of one span. All zeroes: none.
struct SpanId {
  std::array<std::uint8_t, 8> bytes{};
  [[nodiscard]] explicit operator bool() const noexcept { return *this != SpanId{}; }
  [[nodiscard]] std::string hex() const;
  friend bool operator==(const SpanId&, const SpanId&) = default;
};

[[nodiscard]] TraceId random_trace_id();
[[nodiscard]] SpanId random_span_id();

/// A span, as others are told of it.
struct SpanContext {
  TraceId trace;
  SpanId span;
  bool sampled = false;
  std::string state;  // tracestate: what vendors keep there, handed on as it is

  /// Of a further span of the same trace.
  [[nodiscard]] SpanContext child() const { return {trace, random_span_id(), sampled, state}; }
};

inline constexpr std::size_t kMaxTraceparent = 128;  // a later version's may be longer than 55
inline constexpr std::size_t kMaxTracestate = 512;   // that is handed on; the specification asks for no less

/// Strict: lower-case hex, no version ff, no id of zeroes, nothing after a header of version 00. Of a later version its
/// first four fields count, as the specification says.
[[nodiscard]] Result<SpanContext> parse_traceparent(std::string_view text);
/// Version 00.
[[nodiscard]] std::string format_traceparent(const SpanContext& c);

/// A checked list without blanks and empty members. Of one that is too long the long members go first, then the last
/// ones.
[[nodiscard]] Result<std::string> parse_tracestate(std::string_view text);

/// The span of a request that came in, and whose child it is.
struct Joined {
  SpanContext context;
  SpanId parent;  // zero: it begins the trace
};

/// A request's span. A sampled parent is followed, one that is not sampled is not; without a parent, or with one that
/// cannot be read, a new trace begins, and `share` of those are sampled.
[[nodiscard]] Joined join_trace(std::optional<std::string_view> traceparent, std::string_view tracestate, double share);

/// Whether a trace that begins here is among this share of all: goes by its id, so that all who ask agree.
[[nodiscard]] bool within_share(const TraceId& id, double share) noexcept;

}  // namespace sluice::trace
