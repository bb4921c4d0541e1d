#include "coordinator/http/preflight.h"

#include <algorithm>
#include <string_view>

namespace sluice::coordinator {

namespace {

/// A list of header names and nothing else.
bool are_header_names(std::string_view list) {
  constexpr std::size_t kMost = 2048;
  return !list.empty() && list.size() <= kMost && std::ranges::all_of(list, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == ',' || c == ' ';
  });
}

}  // namespace

HttpResponse options_response(const HttpRequest& request, const HttpRoutes::Match& match,
                              const std::optional<std::string>& origin) {
  HttpResponse r{204, {{"allow", match.allow.empty() ? "GET, HEAD, POST, OPTIONS" : match.allow}}, {}};
  if (!origin) return r;
  r.headers.add("access-control-allow-methods", match.allow);
  // What it asks for: keys and objectives are checked with the request itself, and clients bring headers of their own.
  const auto asked = request.headers.find("access-control-request-headers");
  r.headers.add("access-control-allow-headers",
                asked && are_header_names(*asked)
                    ? std::string(*asked)
                    : "authorization, content-type, x-request-id, x-slo-class, x-slo-ttft-ms, x-slo-tpot-ms");
  r.headers.add("access-control-max-age", "600");
  return r;
}

}  // namespace sluice::coordinator
