#pragma once
// Internal to the HTTP server: what an answer that says nothing for a while has to do about it.
//
// Two things. A stream is kept alive: proxies give up on a response that is silent for a minute. And a client that has
// sent its last byte (FIN) is asked whether it still listens. After FIN nobody can tell a client that has only ended
// its sending (it waits for its answer) from one that closed altogether (its answer is in vain and holds a model's
// time): the kernel answers the next byte we send with RST where nobody is left, with a mere ACK where somebody is. So
// a harmless byte is sent: before the status line "100 Continue", which a client that did not ask for it discards
// (RFC 9110, section 15.2.1; not 102: some clients take any other 1xx for the answer), and in a stream of events a
// comment. It is repeated, ever more rarely: a client may half-close now and leave later. Where nothing harmless can be
// said (HTTP/1.0 before its answer, streams of other types) FIN means gone, as it does to nginx, Envoy and uvicorn
// always, but only after a grace in which answers that are at hand are still delivered.
// Threading: the server's thread. No clock, no timer: the connection asks and waits.
#include <algorithm>
#include <optional>

#include "common/clock.h"

namespace sluice::coordinator {

class AnswerWatch {
 public:
  enum class Act { none, keep_alive, probe, give_up };

  static constexpr std::chrono::seconds kFirstProbeGap{5};  // doubled each time

  /// An answer begins; nothing of it was sent. `grace`: for clients that ended and can't be asked.
  AnswerWatch(TimePoint now, Duration grace) : sent_(now), grace_(grace) {}

  /// `interval`: of silence that an answer may keep; zero: any.
  void keep_alive_every(Duration interval) { interval_ = interval; }
  void sent(TimePoint now) { sent_ = now; }
  /// The client has sent its last byte.
  void ended(TimePoint now) {
    if (!ended_) ended_ = next_probe_ = now;
  }

  /// What is due. `can_probe`: there is something harmless to say.
  [[nodiscard]] Act due(TimePoint now, bool can_probe) {
    if (ended_ && !can_probe && now >= *ended_ + grace_) return Act::give_up;
    if (ended_ && can_probe && now >= next_probe_) {
      next_probe_ = now + gap_;
      gap_ *= 2;
      return Act::probe;
    }
    return interval_ > Duration::zero() && now >= sent_ + interval_ ? Act::keep_alive : Act::none;
  }
  /// When something will be due next.
  [[nodiscard]] TimePoint next(bool can_probe) const {
    TimePoint t = interval_ > Duration::zero() ? sent_ + interval_ : TimePoint::max();
    if (ended_) t = std::min(t, can_probe ? next_probe_ : *ended_ + grace_);
    return t;
  }

 private:
  TimePoint sent_;
  Duration grace_;
  Duration interval_ = Duration::zero();
  std::optional<TimePoint> ended_;
  TimePoint next_probe_{};
  Duration gap_ = kFirstProbeGap;
};

}  // namespace sluice::coordinator
