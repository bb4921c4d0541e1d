#include "common/trace/endpoint.h"

#include <algorithm>

#include "common/net/address.h"

namespace sluice::trace {

Result<Endpoint> parse_endpoint(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  constexpr std::string_view kForm = "it must be a URL such as http://localhost:4318";
  const auto wrong = [&](std::string_view why) { return fail(Errc::invalid_argument, "'{}': {}", url, why); };
  if (url.starts_with("https://"))
    return wrong("spans are sent without TLS; give the http:// address of a collector nearby, which sends them on");
  if (!url.starts_with(kScheme)) return wrong(kForm);
  const bool clean = std::ranges::all_of(url, [](char c) { return c > ' ' && c <= '~'; });
  if (!clean || url.find_first_of("?#@") != std::string_view::npos)
    return wrong("it must hold host, port and path alone");
  const std::string_view rest = url.substr(kScheme.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const auto at = net::parse_address(rest.substr(0, slash));
  if (!at) return wrong(fmt::format("{}; the port of OTLP over HTTP is mostly 4318", at.error().message));
  std::string_view path = rest.substr(slash);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.ends_with("/v1/traces")) return wrong("leave /v1/traces out, it is added");
  return Endpoint{at->str(), std::string(path) + "/v1/traces"};
}

}  // namespace sluice::trace
