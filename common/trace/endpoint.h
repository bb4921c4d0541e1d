#pragma once
// Where spans go: the base URL of an OTLP/HTTP receiver. Pure. Failure: invalid_argument that says how to write it.
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice::trace {

struct Endpoint {
  std::string address;  // host:port
  std::string target;   // the path of traces there
};

/// "http://host:4318", or with a path before the signal's own "/v1/traces".
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view url);

}  // namespace sluice::trace
