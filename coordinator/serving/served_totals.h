#pragma once
// What was served since the start, by class and by profile: of all that the decision log forgot, too. Pure state; not
// thread-safe. Bounded: classes and profiles are named by the operator and the nodes, not by clients.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "coordinator/serving/session.h"

namespace sluice::coordinator {

class ServedTotals {
 public:
  explicit ServedTotals(double started_unix_s) : started_unix_s_(started_unix_s) {}
  /// A leg ended; outcome as in DecisionLog::record.
  void add(const Session& s, std::string_view outcome);
  /// {"started": UNIX_S, "classes": {NAME: {"finished", "met"}}, "profiles": {NAME: {"transfers", "kv_raw_bytes",
  /// "kv_wire_bytes"}}}. "started" tells a reader that the process is another one, and counts from 0 again.
  [[nodiscard]] nlohmann::json to_json() const;

 private:
  struct OfClass {
    std::uint64_t finished = 0, met = 0;  // met: both latency objectives
  };
  struct OfProfile {
    std::uint64_t transfers = 0, raw_bytes = 0, wire_bytes = 0;
  };
  double started_unix_s_;
  std::map<std::string, OfClass> classes_;
  std::map<std::string, OfProfile> profiles_;
};

}  // namespace sluice::coordinator
