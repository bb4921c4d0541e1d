#include "coordinator/http/server_core.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "common/log.h"
#include "coordinator/http/connection.h"

namespace sluice::coordinator {

std::expected<std::shared_ptr<const Caller>, ApiError> HttpServerCore::caller(const HttpHeaders& headers) const {
  static const auto kAnybody = std::make_shared<const Caller>();
  if (!options.identify) return kAnybody;
  constexpr std::string_view kScheme = "Bearer ";
  const auto value = headers.find("authorization");
  const bool bearer =
      value && value->size() >= kScheme.size() && equals_ignore_case(value->substr(0, kScheme.size()), kScheme);
  if (bearer) return options.identify(value->substr(kScheme.size()));
  return options.identify(headers.find("x-api-key").value_or(std::string_view()));  // as Anthropic's clients say it
}

std::optional<std::string> HttpServerCore::allowed_origin(const HttpHeaders& headers) const {
  auto origin = headers.find("origin");
  if (!origin) return std::nullopt;
  for (const auto& allowed : options.cors_origins)
    if (allowed == "*" || allowed == *origin) return std::string(allowed == "*" ? "*" : *origin);
  return std::nullopt;
}

bool HttpServerCore::make_room() {
  const auto* seat = evictable.pick(std::chrono::steady_clock::now());
  if (seat == nullptr) return false;
  seat->owner->evict();
  return true;
}

void HttpServerCore::write_soon(const std::shared_ptr<HttpServerCore>& self, std::weak_ptr<HttpConnection> connection) {
  to_write.push_back(std::move(connection));
  if (to_write.size() == 1) boost::asio::post(io, [self] { self->write_due(self); });
}

/// Some at a time, so that whoever else wants the thread does not wait for all of them; and many, since a round of
/// others may be a long one.
void HttpServerCore::write_due(const std::shared_ptr<HttpServerCore>& self) {
  constexpr std::size_t kAtOnce = 512;
  for (std::size_t n = std::min(kAtOnce, to_write.size()); n > 0; --n) {
    const auto connection = to_write.front().lock();
    if (connection) connection->write_queued();
    to_write.pop_front();
  }
  if (!to_write.empty()) boost::asio::post(io, [self] { self->write_due(self); });
}

std::vector<std::shared_ptr<HttpConnection>> HttpServerCore::alive() const {
  std::vector<std::shared_ptr<HttpConnection>> all;
  for (auto* c : connections)
    if (auto alive = c->weak_from_this().lock()) all.push_back(std::move(alive));
  return all;
}

void HttpServerCore::cut_all() {
  // A cut can end a connection and with it its place in the set.
  for (auto& c : alive()) c->cut(Disconnect::server_stopping);
}

void HttpServerCore::drain(std::function<void()> released) {
  draining = true;
  on_released = std::move(released);
  for (auto& c : alive()) c->drain();
  if (held == 0 && on_released) std::exchange(on_released, nullptr)();
}

void HttpServerCore::expire() {
  log::warn("http drain deadline passed; cutting what is left", {{"connections", connections.size()}});
  drain_expired = true;
  cut_all();
}

void HttpServerCore::end(std::function<void()> empty) {
  ended = true;
  on_empty = std::move(empty);
  for (auto& c : alive()) drain_expired ? c->cut(Disconnect::server_stopping) : c->end_soon();
  if (connections.empty() && on_empty) std::exchange(on_empty, nullptr)();
}

}  // namespace sluice::coordinator
