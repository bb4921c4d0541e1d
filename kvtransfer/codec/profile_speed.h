#pragma once
// First figures of every profile on this machine, measured in a few milliseconds at start; live traffic corrects them.
// Threading: one call at a time.
#include <string>
#include <vector>

#include "kvtransfer/codec/codec.h"

namespace sluice::kv {

struct ProfileSpeedFigure {
  std::string profile;
  double stated_kl = 0;
  double ratio = 1;       // raw / encoded bytes on synthetic KV
  double encode_bps = 0;  // raw bytes per second, one thread
  double decode_bps = 0;
};

/// Profiles that can carry `layout` and are no comparators, in registry order, each measured on one synthetic segment
/// of K and of V.
[[nodiscard]] std::vector<ProfileSpeedFigure> measure_speeds(const CodecRegistry& codecs, const KvLayout& layout);

}  // namespace sluice::kv
