#pragma once
// A copy of a range of keys that follows etcd, for as long as it can be reached; and after that, the last one.
//
//   load (a range, at one revision) -> stream (events from the next revision on) -> broken -> load ...
//
// Whatever breaks the stream (an endpoint that died, a token that ran out, events that were compacted away, another
// etcd with other data behind the same address) is healed in the same way: the range is read anew. It is small. A
// stream that is silent because nothing happens and one whose other end is stopped look alike, so etcd is asked
// every kPing how many keys there are: no answer, a store that went back in time, or a number that stays another than
// ours ends the stream. Keys that are known stay known while etcd cannot be reached.
// Threading: one io_context thread. Lifetime: stop() or the destructor ends it; the client outlives it.
#include <boost/asio/steady_timer.hpp>
#include <map>

#include "common/etcd/client.h"

namespace sluice::etcd {

class Watch {
 public:
  using Keys = std::map<std::string, KeyValue>;
  struct Handlers {
    /// The range as it is now: after the first load, and whenever it has changed.
    std::function<void(const Keys&)> on_keys;
    /// etcd can be reached, or no longer (why). Called when that changes, and with the first failure.
    std::function<void(const Result<>&)> on_reach;
  };
  static constexpr std::chrono::milliseconds kPing{1000}, kLeastBackoff{100}, kMostBackoff{1000};

  Watch(boost::asio::io_context& io, Client& client, KeyRange range, Handlers handlers);
  ~Watch() { stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  void start() { load(); }
  void stop();

  /// The keys are those of etcd, as far as one can know.
  [[nodiscard]] bool in_touch() const noexcept { return in_touch_; }
  [[nodiscard]] const Keys& keys() const noexcept { return keys_; }

 private:
  void load();
  void loaded(Result<RangeAnswer> r);
  void open_stream();
  void on_line(std::string_view line);
  void apply(const std::vector<WatchEvent>& events);
  void ping();
  void ponged(const Result<RangeAnswer>& r);
  void broken(const Error& why);
  void reach(const Result<>& r);
  void after(std::chrono::milliseconds wait, void (Watch::*next)());

  Client& client_;
  const KeyRange range_;
  Handlers handlers_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  std::shared_ptr<HttpCall> stream_;
  std::size_t stream_endpoint_ = 0;
  Keys keys_;
  std::int64_t revision_ = 0;
  std::uint64_t life_ = 0;  // answers to questions of an earlier one are late
  std::chrono::milliseconds backoff_ = kLeastBackoff;
  int unlike_ = 0;  // pings in a row with another number of keys
  bool loaded_ = false, in_touch_ = false, said_ = false, last_ = false, stopped_ = false;
};

}  // namespace sluice::etcd
