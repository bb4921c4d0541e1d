#pragma once
// A link that requests share evenly, as a sender's turns between requests share it: with n requests sending, each gets
// an n-th of the rate; a request's own chunks follow each other. Pure; time is given and never goes back; the owner
// calls next_end() after every change and leave() at that time.
#include <cstdint>
#include <vector>

#include "coordinator/sim/link.h"

namespace sluice::sim {

class SharedLink {
 public:
  /// What a chunk of KV is to the link.
  struct Piece {
    std::uint32_t request = 0, chunk = 0;
    double left = 0;       // bytes
    bool sending = false;  // else another chunk of its request is before it
  };
  /// Rate of the link: `timeline` times `bps`.
  struct Rate {
    const Timeline& timeline;
    double bps;
  };

  void enter(double now, Piece c, const Rate& r);
  /// When the next chunk's last byte is through if nothing else enters. Some chunk is on the link.
  [[nodiscard]] double next_end(const Rate& r) const;
  /// Takes the chunk that is through at next_end().
  Piece leave(double now, const Rate& r);
  /// A request's bytes beyond its next `keep` become `factor` of what they were. Returns what of each chunk did, in
  /// bytes before the change.
  struct Shrunk {
    std::uint32_t chunk = 0;
    double bytes = 0;
  };
  std::vector<Shrunk> shrink(double now, std::uint32_t request, double keep, double factor, const Rate& r);
  /// Brings the account up to `now`, at or before next_end().
  void advance(double now, const Rate& r);

  [[nodiscard]] bool idle() const noexcept { return chunks_.empty(); }
  [[nodiscard]] double backlog_bytes() const;
  [[nodiscard]] double backlog_bytes(std::uint32_t request) const;
  /// Requests that have bytes on the link, each once.
  [[nodiscard]] std::vector<std::uint32_t> requests() const;
  /// What has gone over the link ever, and the time it had bytes to send.
  [[nodiscard]] double sent_bytes() const noexcept { return sent_bytes_; }
  [[nodiscard]] double busy_s() const noexcept { return busy_s_; }

 private:
  /// Of the sending chunks the one with the least left.
  [[nodiscard]] std::size_t next() const;

  std::vector<Piece> chunks_;  // in order of coming
  std::uint32_t senders_ = 0;
  double at_s_ = 0;
  double sent_bytes_ = 0, busy_s_ = 0;
};

}  // namespace sluice::sim
