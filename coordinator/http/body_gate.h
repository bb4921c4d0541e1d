#pragma once
// Whose large bodies are read now. Reading costs a server's thread time and all its bytes memory, until whoever
// handles the request has freed them; so each client has a number of bytes that may be in the house at once, and all
// clients together have one. Those beyond wait unread: the client's sending is held up by TCP, and nobody else is.
// Small bodies need no place.
//
// BodyTurns is the pure part. First come, first served, but that a client over its own bound lets others pass; one that
// fits its own and not the common bound is waited for, so that small ones do not starve it.
#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice::coordinator {

struct BodyLimits {
  std::size_t client_bytes = std::size_t{32} << 20;
  std::size_t total_bytes = std::size_t{256} << 20;
};

/// Pure: no threads, no clock.
class BodyTurns {
 public:
  using Id = std::uint64_t;
  explicit BodyTurns(BodyLimits limits) : limits_(limits) {}

  /// `bytes` counts as what fits the bounds at most. The id is in the house, or waits.
  void enter(Id id, std::string client, std::size_t bytes);
  /// It turned out to be smaller (larger is not believed).
  void shrink(Id id, std::size_t bytes);
  void leave(Id id);
  [[nodiscard]] bool inside(Id id) const;
  /// Those that came in since the last call, though they had to wait.
  [[nodiscard]] std::vector<Id> admitted();

  [[nodiscard]] std::size_t bytes() const noexcept { return total_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return line_.size(); }

 private:
  struct Body {
    std::string client;
    std::size_t bytes = 0;
    bool inside = false;
  };
  [[nodiscard]] std::size_t held_by(const std::string& client) const;
  void take_in(Body& body);
  void give_back(const Body& body, std::size_t bytes);
  void advance();

  BodyLimits limits_;
  std::unordered_map<Id, Body> bodies_;
  std::list<Id> line_;
  std::unordered_map<std::string, std::size_t> held_;  // by client; none is 0
  std::size_t total_ = 0;
  std::vector<Id> admitted_;
};

/// Threading: any thread; one short mutex. Lifetime: the executor of a place that waits outlives it.
class BodyGate : public std::enable_shared_from_this<BodyGate> {
 public:
  explicit BodyGate(BodyLimits limits) : turns_(limits) {}

  /// A body's place in the house or in the line; dropping it gives the place up.
  class Place {
   public:
    Place(std::shared_ptr<BodyGate> gate, BodyTurns::Id id) : gate_(std::move(gate)), id_(id) {}
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    [[nodiscard]] bool inside() const;
    void shrink(std::size_t bytes);

   private:
    std::shared_ptr<BodyGate> gate_;
    BodyTurns::Id id_;
  };
  /// Posted once when a place that waited has come in; it may run a moment after the place was dropped.
  struct Admitted {
    boost::asio::any_io_executor on;
    std::function<void()> call;
  };
  [[nodiscard]] std::shared_ptr<Place> enter(std::string client, std::size_t bytes, Admitted admitted);

 private:
  /// Changes the turns under the mutex, and tells those that came in by it.
  template <class F>
  void change(F f);

  std::mutex mutex_;  // guards what follows
  BodyTurns turns_;
  BodyTurns::Id last_ = 0;
  std::unordered_map<BodyTurns::Id, Admitted> waiting_;
};

}  // namespace sluice::coordinator
