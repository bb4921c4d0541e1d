#include "common/trace/span.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>

#include "common/log.h"

namespace sluice::trace {
namespace {

constexpr std::int64_t kStep = 1'000'000;  // ns: less is how well two clocks can be read at once

std::int64_t nanos(auto since_epoch) noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count();
}

}  // namespace

const Value* Attributes::find(std::string_view key) const noexcept {
  const auto it = std::ranges::find(list_, key, &Attribute::key);
  return it == list_.end() ? nullptr : &it->value;
}

Span child_span(const SpanContext& parent, std::string_view name, TimePoint begin, TimePoint end) {
  Span s;
  s.context = parent.child();
  s.parent = parent.span;
  s.name = name;
  s.begin = begin;
  s.end = end;
  return s;
}

Parent named_parent(const std::string& traceparent, const std::string& tracestate, SpanSink* sink) {
  if (sink == nullptr || traceparent.empty()) return {};
  auto c = parse_traceparent(traceparent);
  if (!c) {
    log::warn("a request is not traced here", {{"why", c.error().message}});
    return {};
  }
  if (!c->sampled) return {};
  c->state = parse_tracestate(tracestate).value_or("");
  return {std::move(*c), sink};
}

std::int64_t unix_nanos(TimePoint t) noexcept {
  static std::atomic<std::int64_t> distance{0};
  const std::int64_t steady = nanos(std::chrono::steady_clock::now().time_since_epoch());
  const std::int64_t now = nanos(std::chrono::system_clock::now().time_since_epoch()) - steady;
  std::int64_t kept = distance.load(std::memory_order_relaxed);
  if (std::abs(now - kept) > kStep) {
    distance.store(now, std::memory_order_relaxed);
    kept = now;
  }
  return nanos(t.time_since_epoch()) + kept;
}

}  // namespace sluice::trace
