#include "coordinator/http/observer.h"

#include <algorithm>
#include <array>

#include "common/log.h"

namespace sluice::coordinator {

namespace {

/// Clients make methods up; a metric's labels must not grow with them.
std::string known_method(const std::string& method) {
  static constexpr std::array<std::string_view, 7> kMethods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  return std::ranges::find(kMethods, method) != kMethods.end() ? method : "other";
}

std::string outcome(const HttpExchange& x) {
  if (!x.code.empty()) return x.code;
  return x.cut ? std::string(name(*x.cut)) : "none";
}

void write(log::Level level, std::string_view message, const HttpExchange& x) {
  log::write(level, message,
             {{"request_id", x.request_id},
              {"method", std::string_view(x.method).substr(0, 16)},  // clients make them up
              {"route", x.route},
              {"status", x.status},
              {"code", outcome(x)},
              {"ms", millis(x.duration)},
              {"peer", x.peer}});
}

}  // namespace

HttpObserver::HttpObserver(boost::asio::io_context& io, Metrics& metrics)
    : requests_(metrics.counters("sluice_http_requests_total",
                                 "HTTP requests answered, refused or cut (status 0: before any answer).")),
      timer_(io) {}

void HttpObserver::operator()(const HttpExchange& x) {
  count(x);
  // "Not ready" is the answer that a probe asked for.
  const bool probe = x.route == "/health" || x.route == "/livez" || x.route == "/readyz";
  const bool refused = x.status >= 400 && !(probe && x.status == 503);
  if (refused)
    log_refused(x);
  else if (!probe && x.route != "/metrics")
    write(log::Level::debug, "http", x);
}

void HttpObserver::count(const HttpExchange& x) {
  requests_
      .with({{"method", known_method(x.method)},
             {"route", x.route},
             {"status", std::to_string(x.status)},
             {"code", outcome(x)}})
      .add();
}

void HttpObserver::log_refused(const HttpExchange& x) {
  if (rate_.admit(x.route, x.code, std::chrono::steady_clock::now())) write(log::Level::info, "http refused", x);
  if (!armed_) arm();
}

void HttpObserver::arm() {
  armed_ = true;
  timer_.expires_after(RefusalRate::kSecond);
  timer_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    for (const auto& s : rate_.over(std::chrono::steady_clock::now()))
      log::info("http refused, more like these", {{"route", s.route}, {"code", s.code}, {"left_out", s.count}});
    armed_ = false;
    if (!rate_.empty()) arm();
  });
}

}  // namespace sluice::coordinator
