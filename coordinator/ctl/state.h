#pragma once
// What `up` leaves for the other commands: where the cluster answers and which processes it is. The file may be old,
// half edited or someone's joke; parse() believes nothing that it has not checked.
// Threading: pure values. Failure: data_corrupt says what is wrong with the file.
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "coordinator/ctl/process.h"

namespace sluice::ctl {

struct Member {
  std::string name;  // "coordinator", "prefill-0", ...
  std::string role;  // coordinator, prefill or decode
  ProcessId process;
  std::vector<std::string> shared_memory;  // files seen in use while it was well
};

struct ClusterState {
  std::string url;  // empty until the coordinator has bound its port
  std::string model;
  std::vector<Member> members;           // in start order, the coordinators first
  std::vector<std::string> others = {};  // URLs of further coordinators
  /// Those of all coordinators.
  [[nodiscard]] std::vector<std::string> urls() const;
};

/// Some coordinator of it runs.
[[nodiscard]] bool serves(const ClusterState& s);

[[nodiscard]] std::string to_text(const ClusterState& s);
[[nodiscard]] Result<ClusterState> parse_state(std::string_view text);

/// "http://host:port", "host:port" or "http://host:port/v1" -> "host:port".
[[nodiscard]] Result<std::string> address_of_url(std::string_view url);
[[nodiscard]] bool is_https(std::string_view url);

}  // namespace sluice::ctl
