#pragma once
// Internal to the HTTP server: who has to go when all seats are taken and somebody new is at the door.
//
// A seat is one connection's entry. Two kinds can be taken away: those that wait for a complete request head (before
// their first byte, inside the head, kept alive between requests, or lingering after a refusal), and those whose body
// comes too slowly. Whoever is being answered is in neither. Of those who wait, the peer with most of them loses its
// oldest: a client that opens thousands pays itself, and its neighbours keep theirs.
// Peers are told apart by IPv4 address or IPv6 /64, which one customer has all of.
//
// Cost: O(log peers) to wait and to leave, and to pick among the waiting. A body that kept its rate when it was looked
// at is measured anew, so each is looked at once a second at most, however many knock.
// Threading: the lane's thread, but for largest(). Lifetime: a seat leaves before it is destroyed.
#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <utility>

#include "common/clock.h"
#include "coordinator/http/http_count.h"

namespace sluice::coordinator {

class HttpConnection;

class EvictionQueue {
 public:
  using Peer = std::array<unsigned char, 16>;
  [[nodiscard]] static Peer peer_of(const boost::asio::ip::address& address);

  static constexpr std::chrono::seconds kBodyPatience{1};
  static constexpr double kSlowBodyBytesPerSecond = 4096;

  struct Seat {
    HttpConnection* owner = nullptr;
    Peer peer{};
    const std::uint64_t* received = nullptr;  // bytes that came on this connection

   private:
    friend class EvictionQueue;
    enum class In { none, waiting, body };
    In in_ = In::none;
    std::list<Seat*>::iterator at_;
    TimePoint measured_since_;
    std::uint64_t received_then_ = 0;
  };

  /// It waits for a request head from now on.
  void wait(Seat& seat);
  /// It reads a body from now on.
  void read_body(Seat& seat, TimePoint now);
  /// It can't be taken away from now on.
  void leave(Seat& seat);

  /// How many wait of the peer with the most. On any thread.
  [[nodiscard]] std::size_t largest() const { return largest_; }
  /// Who goes first; it left the queue. Null: nobody can.
  [[nodiscard]] Seat* pick(TimePoint now);

 private:
  [[nodiscard]] Seat* slow_body(TimePoint now);
  void measure(Seat& seat, TimePoint now);
  /// Keeps by_count_ right when the number of a peer's waiting changes.
  void resized(const Peer& peer, std::size_t before, std::size_t after);

  std::map<Peer, std::list<Seat*>> waiting_;         // of each peer the oldest first; none is empty
  std::set<std::pair<std::size_t, Peer>> by_count_;  // the same peers, by how many wait
  HttpCount largest_;                                // of by_count_
  std::list<Seat*> bodies_;                          // by measured_since_
};

}  // namespace sluice::coordinator
