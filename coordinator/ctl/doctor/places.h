#pragma once
// Addresses that daemons are to listen at: free or taken, here or not, and within reach of other machines.
// Threading: any; each is bound for a moment and let go. Judging is pure.
#include <string>
#include <vector>

#include "coordinator/ctl/doctor/finding.h"

namespace sluice::ctl::doctor {

struct Place {
  std::string address;  // as it was given
  bool well_formed = true;
  int bind_error = 0;  // errno; 0: it is free
  bool loopback = false;
  bool every_address = false;  // 0.0.0.0, [::] or no host
};

[[nodiscard]] Place try_place(const std::string& address);
/// several_machines: others must reach it.
[[nodiscard]] Findings judge_places(const std::vector<Place>& places, bool several_machines);

/// "127.0.0.1:9", "localhost:9", "[::1]:9"
[[nodiscard]] bool is_loopback(const std::string& address);

}  // namespace sluice::ctl::doctor
