#pragma once
// `bench`: load on /v1/completions, measured where a client stands. A fixed crew of threads, each with one blocking
// request at a time; a request starts at its planned time or as soon as somebody is free (the summary tells how late).
// Threading: the caller's thread waits for the crew.
#include <string>
#include <vector>

#include "coordinator/ctl/api.h"

namespace sluice::ctl {

struct BenchOptions {
  std::size_t requests = 100;
  std::size_t concurrency = 0;  // 0: 8, or 256 when arrivals are timed
  double rate = 0;              // requests per second; 0: as fast as concurrency allows
  std::uint64_t input_len = 128;
  std::uint64_t output_len = 64;
  std::string trace;  // file; replaces rate and lengths; its first `requests` are sent
  double time_scale = 1;
  std::uint64_t seed = 0;
  std::vector<std::string> goodput;
  std::string profile;
  std::string mode;
  int timeout_s = 600;  // without progress
  bool progress = false;
  bool json = false;
};

/// 1 when no request completed.
[[nodiscard]] Result<int> bench(const Endpoint& e, const BenchOptions& o);

}  // namespace sluice::ctl
