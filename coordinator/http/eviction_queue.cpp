#include "coordinator/http/eviction_queue.h"

#include <algorithm>
#include <utility>

namespace sluice::coordinator {

namespace ip = boost::asio::ip;

EvictionQueue::Peer EvictionQueue::peer_of(const ip::address& address) {
  if (address.is_v4()) return ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes();
  auto bytes = address.to_v6().to_bytes();
  if (!address.to_v6().is_v4_mapped()) std::fill(bytes.begin() + 8, bytes.end(), 0);
  return bytes;
}

void EvictionQueue::resized(const Peer& peer, std::size_t before, std::size_t after) {
  if (before > 0) by_count_.erase({before, peer});
  if (after > 0) by_count_.insert({after, peer});
  largest_ = by_count_.empty() ? 0 : by_count_.rbegin()->first;
}

void EvictionQueue::wait(Seat& seat) {
  leave(seat);
  auto& waiting = waiting_[seat.peer];
  seat.at_ = waiting.insert(waiting.end(), &seat);
  seat.in_ = Seat::In::waiting;
  resized(seat.peer, waiting.size() - 1, waiting.size());
}

void EvictionQueue::measure(Seat& seat, TimePoint now) {
  seat.measured_since_ = now;
  seat.received_then_ = *seat.received;
}

void EvictionQueue::read_body(Seat& seat, TimePoint now) {
  leave(seat);
  seat.at_ = bodies_.insert(bodies_.end(), &seat);
  seat.in_ = Seat::In::body;
  measure(seat, now);
}

void EvictionQueue::leave(Seat& seat) {
  const auto in = std::exchange(seat.in_, Seat::In::none);
  if (in == Seat::In::body) bodies_.erase(seat.at_);
  if (in != Seat::In::waiting) return;
  const auto group = waiting_.find(seat.peer);
  auto& waiting = group->second;
  waiting.erase(seat.at_);
  resized(seat.peer, waiting.size() + 1, waiting.size());
  if (waiting.empty()) waiting_.erase(group);
}

EvictionQueue::Seat* EvictionQueue::pick(TimePoint now) {
  if (by_count_.empty()) return slow_body(now);
  Seat* oldest = waiting_.at(by_count_.rbegin()->second).front();
  leave(*oldest);
  return oldest;
}

EvictionQueue::Seat* EvictionQueue::slow_body(TimePoint now) {
  while (!bodies_.empty()) {
    Seat& s = *bodies_.front();
    const auto age = now - s.measured_since_;
    if (age < kBodyPatience) return nullptr;  // the others began later still
    const auto bytes = static_cast<double>(*s.received - s.received_then_);
    if (bytes < kSlowBodyBytesPerSecond * seconds(age)) {
      leave(s);
      return &s;
    }
    bodies_.splice(bodies_.end(), bodies_, s.at_);
    measure(s, now);
  }
  return nullptr;
}

}  // namespace sluice::coordinator
