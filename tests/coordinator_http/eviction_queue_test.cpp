// Who goes first, without sockets or clocks.
#include "coordinator/http/eviction_queue.h"

#include <catch2/catch.hpp>
#include <deque>

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;

namespace {

struct Seats {
  EvictionQueue q;
  std::deque<EvictionQueue::Seat> seats;
  std::deque<std::uint64_t> received;

  EvictionQueue::Seat& seat(const char* address) {
    auto& s = seats.emplace_back();
    s.peer = EvictionQueue::peer_of(boost::asio::ip::make_address(address));
    s.received = &received.emplace_back(0);
    return s;
  }
  ~Seats() {
    for (auto& s : seats) q.leave(s);
  }
};

}  // namespace

TEST_CASE("the peer with most waiting connections loses its oldest") {
  Seats s;
  auto& early = s.seat("10.0.0.1");
  auto& crowd1 = s.seat("10.0.0.2");
  auto& crowd2 = s.seat("10.0.0.2");
  auto& crowd3 = s.seat("10.0.0.2");
  for (auto* seat : {&early, &crowd1, &crowd2, &crowd3}) s.q.wait(*seat);
  s.q.leave(crowd2);  // it is being answered
  CHECK(s.q.pick({}) == &crowd1);
  s.q.wait(crowd2);  // and waits again, as the youngest
  CHECK(s.q.pick({}) == &crowd3);
  // One of each is left.
  CHECK(s.q.pick({}) != nullptr);
  CHECK(s.q.pick({}) != nullptr);
  CHECK(s.q.pick({}) == nullptr);
}

TEST_CASE("an IPv6 customer is a /64, an IPv4 one an address, mapped or not") {
  const auto peer = [](const char* a) { return EvictionQueue::peer_of(boost::asio::ip::make_address(a)); };
  CHECK(peer("2001:db8::1") == peer("2001:db8::ffff:1"));
  CHECK(peer("2001:db8::1") != peer("2001:db8:0:1::1"));
  CHECK(peer("10.0.0.1") != peer("10.0.0.2"));
  CHECK(peer("::ffff:10.0.0.1") == peer("10.0.0.1"));
}

TEST_CASE("a slow body goes when nobody waits, a fast or fresh one never") {
  Seats s;
  const TimePoint t0{};
  auto& fast = s.seat("10.0.0.1");
  auto& slow = s.seat("10.0.0.1");
  auto& waiting = s.seat("10.0.0.9");
  s.q.read_body(fast, t0);
  s.q.read_body(slow, t0 + 100ms);
  s.received[0] = 100'000;
  s.received[1] = 100;
  s.q.wait(waiting);
  CHECK(s.q.pick(t0 + 2s) == &waiting);
  CHECK(s.q.pick(t0 + 900ms) == nullptr);
  CHECK(s.q.pick(t0 + 2s) == &slow);
  CHECK(s.q.pick(t0 + 2s) == nullptr);
  // It is measured anew: what it sent before does not excuse it.
  CHECK(s.q.pick(t0 + 2900ms) == nullptr);
  CHECK(s.q.pick(t0 + 3s) == &fast);
}
