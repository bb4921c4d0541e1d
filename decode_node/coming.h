#pragma once
// Sequences that come here from other decode nodes, until their last tokens are here: each has the time that its ticket
// has, since who is to bring them may be gone.
// Threading: one thread at a time (the control thread).
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "common/control/leg_space.h"
#include "common/ids.h"

namespace sluice::decode {

class Coming {
 public:
  struct Leg {
    RequestId id;
    std::uint32_t attempt = 0;
  };

  void expect(Leg leg, TimePoint until) { open_[leg.id] = {leg.attempt, until}; }
  /// Its tokens are here, or nobody waits for them any more.
  void forget(RequestId id) { open_.erase(id); }
  void forget_all(control::LegSpace of) {
    std::erase_if(open_, [of](const auto& o) { return control::space_of(o.first) == of; });
  }
  /// Takes those out whose time is over.
  [[nodiscard]] std::vector<Leg> late(TimePoint now) {
    std::vector<Leg> out;
    for (const auto& [id, o] : open_)
      if (now > o.until) out.push_back({id, o.attempt});
    for (const Leg& leg : out) open_.erase(leg.id);
    return out;
  }

 private:
  struct Open {
    std::uint32_t attempt = 0;
    TimePoint until{};
  };
  std::unordered_map<RequestId, Open> open_;
};

}  // namespace sluice::decode
