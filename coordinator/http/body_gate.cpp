#include "coordinator/http/body_gate.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace sluice::coordinator {

// ---- Turns ----

std::size_t BodyTurns::held_by(const std::string& client) const {
  const auto held = held_.find(client);
  return held == held_.end() ? 0 : held->second;
}

void BodyTurns::take_in(Body& body) {
  body.inside = true;
  held_[body.client] += body.bytes;
  total_ += body.bytes;
}

void BodyTurns::give_back(const Body& body, std::size_t bytes) {
  const auto held = held_.find(body.client);
  held->second -= bytes;
  if (held->second == 0) held_.erase(held);
  total_ -= bytes;
}

void BodyTurns::enter(Id id, std::string client, std::size_t bytes) {
  bytes = std::max<std::size_t>(1, std::min({bytes, limits_.client_bytes, limits_.total_bytes}));
  auto& body = bodies_[id] = {std::move(client), bytes};
  line_.push_back(id);
  advance();
  if (body.inside) admitted_.pop_back();  // it is the last in line, and did not wait
}

void BodyTurns::shrink(Id id, std::size_t bytes) {
  const auto body = bodies_.find(id);
  bytes = std::max<std::size_t>(1, bytes);
  if (body == bodies_.end() || bytes >= body->second.bytes) return;
  if (body->second.inside) give_back(body->second, body->second.bytes - bytes);
  body->second.bytes = bytes;
  advance();
}

void BodyTurns::leave(Id id) {
  const auto body = bodies_.find(id);
  if (body == bodies_.end()) return;
  if (body->second.inside)
    give_back(body->second, body->second.bytes);
  else
    line_.remove(id);
  bodies_.erase(body);
  advance();
}

bool BodyTurns::inside(Id id) const {
  const auto body = bodies_.find(id);
  return body != bodies_.end() && body->second.inside;
}

void BodyTurns::advance() {
  for (auto at = line_.begin(); at != line_.end();) {
    auto& body = bodies_.at(*at);
    if (held_by(body.client) + body.bytes > limits_.client_bytes) {
      ++at;
      continue;
    }
    if (total_ + body.bytes > limits_.total_bytes) return;
    take_in(body);
    admitted_.push_back(*at);
    at = line_.erase(at);
  }
}

std::vector<BodyTurns::Id> BodyTurns::admitted() { return std::exchange(admitted_, {}); }

// ---- Gate ----

template <class F>
void BodyGate::change(F f) {
  std::vector<Admitted> told;
  {
    const std::lock_guard lock(mutex_);
    f();
    for (const auto id : turns_.admitted())
      if (auto node = waiting_.extract(id)) told.push_back(std::move(node.mapped()));
  }
  for (auto& t : told) boost::asio::post(t.on, std::move(t.call));
}

BodyGate::Place::~Place() {
  gate_->change([this] {
    gate_->waiting_.erase(id_);
    gate_->turns_.leave(id_);
  });
}

bool BodyGate::Place::inside() const {
  const std::lock_guard lock(gate_->mutex_);
  return gate_->turns_.inside(id_);
}

void BodyGate::Place::shrink(std::size_t bytes) {
  gate_->change([this, bytes] { gate_->turns_.shrink(id_, bytes); });
}

std::shared_ptr<BodyGate::Place> BodyGate::enter(std::string client, std::size_t bytes, Admitted admitted) {
  BodyTurns::Id id = 0;
  change([&] {
    id = ++last_;
    turns_.enter(id, std::move(client), bytes);
    if (!turns_.inside(id)) waiting_.emplace(id, std::move(admitted));
  });
  return std::make_shared<Place>(shared_from_this(), id);
}

}  // namespace sluice::coordinator
