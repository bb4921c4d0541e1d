#include "node/export/profile_choice.h"

#include <algorithm>

namespace sluice::node {

std::size_t ProfileChoice::pick(std::uint64_t sequence, const kv::FrameSpec& f, const TransferState& now) {
  std::size_t picked = 0;
  if (plan_.order) {
    picked = changed(*plan_.order, f.tokens.begin, f.layers.begin) ? 1 : 0;
  } else {
    // A frame that was overtaken stays: later ones went under the chosen profile.
    if (way_ == 0 && sequence >= next_) {
      way_ = tighten(now, plan_.ways);
      if (way_ != 0) from_ = sequence;
    }
    next_ = std::max(next_, sequence + 1);
    picked = sequence >= from_ ? way_ : 0;
  }
  if (picked != 0) used_ = picked;
  return picked;
}

}  // namespace sluice::node
