#pragma once
// UCX's own measure of this machine, by ucx_perftest over the loopback: what UCX reaches here without Sluice. Optional.
// Threading: any; blocks for two seconds, 20 at most. Failure: not_found when the tool is not installed, else its
// words.
#include <string>

#include "common/result.h"

namespace sluice::ctl::doctor {

struct Perftest {
  double bytes_per_s = 0;
  double round_trip_s = 0;
};

[[nodiscard]] Result<Perftest> run_perftest();

/// From its final line: iterations, overheads in us, average and overall MB/s (of 2^20 bytes), two message rates.
struct PerftestLine {
  double typical_us = 0, mib_per_s = 0;
};
[[nodiscard]] Result<PerftestLine> parse_perftest(const std::string& text);

}  // namespace sluice::ctl::doctor
