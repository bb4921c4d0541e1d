#pragma once
// Under which profile each frame of one export goes: the chosen one, or from some frame on another that the request
// allows, because the link gave way (common/tightening) or because an earlier transfer of the request did so. Pure; the
// owner serialises calls.
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "common/transfer/tightening.h"
#include "kvtransfer/codec/codec.h"
#include "kvtransfer/transfer_plan.h"
#include "node/kv/profile_change.h"

namespace sluice::node {

struct ProfilePlan {
  std::vector<const kv::Profile*> profiles;  // the chosen one, then those that it may change to
  std::vector<Way> ways;                     // of each
  double planned_bps = 0;                    // wire bytes per second that the choice rests on; 0 = not known
  double compute_bps = 0;                    // raw bytes of KV per second that this node computes; 0 = not known
  /// Change to profiles[1] exactly here, and for no other reason.
  std::optional<std::vector<ChangeStep>> order;
};

class ProfileChoice {
 public:
  explicit ProfileChoice(ProfilePlan plan) : plan_(std::move(plan)) {}

  [[nodiscard]] const ProfilePlan& plan() const noexcept { return plan_; }
  /// Index of the profile of the frame with this number. Frames are numbered as they are queued; pickers may overtake
  /// each other, and still a change parts the numbers in two.
  [[nodiscard]] std::size_t pick(std::uint64_t sequence, const kv::FrameSpec& f, const TransferState& now);
  /// Index of the profile that some frame went under, other than the chosen one; 0 = none.
  [[nodiscard]] std::size_t changed_to() const noexcept { return used_; }

 private:
  ProfilePlan plan_;
  std::size_t way_ = 0, used_ = 0;
  std::uint64_t from_ = std::numeric_limits<std::uint64_t>::max();  // first frame of way_
  std::uint64_t next_ = 0;                                          // above all numbers picked for
};

}  // namespace sluice::node
