#include "coordinator/http/types.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace sluice::coordinator {

namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

struct HttpMeaning {
  int status;
  std::string_view type;
};

HttpMeaning meaning(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::unsupported:
      return {400, "invalid_request_error"};
    case Errc::not_found:
      return {404, "invalid_request_error"};
    case Errc::already_exists:
      return {409, "invalid_request_error"};
    case Errc::resource_exhausted:
      return {429, "rate_limit_error"};
    case Errc::deadline_exceeded:
      return {504, "timeout_error"};
    case Errc::cancelled:
      return {499, "cancelled_error"};
    case Errc::unavailable:
    case Errc::stale:
      return {503, "service_unavailable_error"};
    case Errc::permission_denied:
      return {403, "permission_error"};
    case Errc::data_corrupt:
    case Errc::internal:
      return {500, "server_error"};
  }
  return {500, "server_error"};
}

}  // namespace

bool equals_ignore_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string_view> HttpHeaders::find(std::string_view name) const {
  for (const auto& [n, v] : fields_)
    if (equals_ignore_case(n, name)) return v;
  return std::nullopt;
}

std::string_view name(Disconnect d) noexcept {
  switch (d) {
    case Disconnect::client_closed:
      return "client_closed";
    case Disconnect::slow_reader:
      return "slow_reader";
    case Disconnect::server_stopping:
      return "server_stopping";
  }
  return "client_closed";
}

ApiError ApiError::invalid(std::string message, std::string param, std::string code) {
  return {400, std::move(message), "invalid_request_error", std::move(param), std::move(code), std::nullopt};
}

ApiError ApiError::from(const Error& error, std::optional<Duration> retry_after) {
  auto [status, type] = meaning(error.code);
  return {status, error.message, std::string(type), error.param, std::string(sluice::name(error.code)), retry_after};
}

nlohmann::json error_json(const ApiError& e) {
  auto or_null = [](const std::string& s) { return s.empty() ? nlohmann::json(nullptr) : nlohmann::json(s); };
  return {
      {"error", {{"message", e.message}, {"type", e.type}, {"param", or_null(e.param)}, {"code", or_null(e.code)}}}};
}

HttpResponse error_response(const ApiError& e) {
  HttpResponse r = json_response(error_json(e), e.status);
  r.code = e.code;
  r.error = e;
  if (e.retry_after) {
    // Whole seconds, rounded up: a client that comes back on the dot must not be early.
    auto s = static_cast<long>(std::ceil(std::max(seconds(*e.retry_after), 0.0)));
    r.headers.add("retry-after", std::to_string(std::max(s, 1L)));
  }
  if (e.status == 401) r.headers.add("www-authenticate", "Bearer");
  return r;
}

HttpResponse json_response(const nlohmann::json& body, int status) {
  return {status, {{"content-type", "application/json"}}, dump(body)};
}

std::string dump(const nlohmann::json& j) { return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

std::string sanitize_request_id(std::string_view raw) {
  constexpr std::size_t kMax = 128;
  std::string id;
  for (char c : raw) {
    bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                c == '.' || c == ':';
    if (safe) id.push_back(c);
    if (id.size() == kMax) break;
  }
  return id;
}

std::string generate_request_id() {
  thread_local std::mt19937_64 rng{std::random_device{}()};
  return fmt::format("req-{:016x}{:016x}", rng(), rng());
}

std::optional<std::string> percent_decode(std::string_view s) {
  auto hex = [](char c) {
    c = lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '%') {
      out.push_back(s[i]);
      continue;
    }
    if (i + 2 >= s.size() || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0) return std::nullopt;
    out.push_back(static_cast<char>(hex(s[i + 1]) * 16 + hex(s[i + 2])));
    i += 2;
  }
  return out;
}

}  // namespace sluice::coordinator
