#pragma once
// Spans as the body of an OTLP/HTTP request, in OTLP's JSON form: ids in hex, 64-bit integers as strings, enums as
// numbers.
//
// Why JSON and not protobuf: receivers of OTLP/HTTP take both, we have a JSON writer and no protobuf, and what is sent
// can be read with `nc -l`. It costs three times the bytes, on a thread of its own, for a dozen spans a request.
// Pure; any thread.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/trace/span.h"

namespace sluice::trace {

/// Who tells: attributes of the OpenTelemetry resource.
struct Resource {
  std::string service;   // service.name
  std::string instance;  // service.instance.id
};

[[nodiscard]] std::string to_otlp(std::span<const Span> spans, const Resource& resource);

/// Spans that the receiver says it did not take, of its answer's body; 0 where it says nothing of the kind.
[[nodiscard]] std::uint64_t rejected_spans(std::string_view answer);

}  // namespace sluice::trace
