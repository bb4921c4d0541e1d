#pragma once
// What is under way on one link, or through one codec (in seconds of its work instead of bytes), as the coordinator
// knows it: transfers in the order they were placed, each with when its KV begins to exist, when the last of it does,
// and its bytes. Kept in bytes, so that a bandwidth learned later
// also corrects the wait for what was placed before.
//
// Pure; time is given; not thread-safe. place() may allocate beyond kUsual transfers, wait_s() does not.
#include <cstdint>
#include <vector>

#include "common/clock.h"

namespace sluice::coordinator {

class LinkAccount {
 public:
  static constexpr std::size_t kUsual = 4;  // transfers under way at once for which place() allocates nothing
  LinkAccount() { flights_.reserve(kUsual); }

  /// Seconds until everything placed so far has been sent at `bytes_per_s`. The oldest transfer being late is news of
  /// the link that nobody has measured yet: it is taken to need as long again as it is late already.
  [[nodiscard]] double wait_s(TimePoint now, double bytes_per_s) const { return end_s(now, bytes_per_s, true); }
  /// The work alone, of a codec that takes what is there: it does not wait for what is still computed, and a transfer
  /// that is late waits elsewhere.
  [[nodiscard]] double backlog_s(TimePoint now, double bytes_per_s) const { return end_s(now, bytes_per_s, false); }

  /// Returns a number that names the transfer in done() and drop().
  std::uint32_t place(TimePoint begin, TimePoint computed, double bytes);
  void done(std::uint32_t id, TimePoint now);
  void drop(std::uint32_t id);
  /// No transfer is under way any more.
  void clear() noexcept { flights_.clear(); }
  /// Transfers under way. Each holds a new one up by no more than the new one's own bytes: requests share a link.
  [[nodiscard]] std::size_t size() const noexcept { return flights_.size(); }
  [[nodiscard]] bool idle() const noexcept { return flights_.empty(); }

 private:
  struct Flight {
    TimePoint begin, computed;
    float bytes;
    std::uint32_t id;
  };
  [[nodiscard]] double end_s(TimePoint now, double bytes_per_s, bool link) const;
  std::vector<Flight> flights_;
  TimePoint last_end_{};
  std::uint32_t next_ = 0;
};

}  // namespace sluice::coordinator
