#pragma once
// `key new` and `key check`: API keys for the coordinator's --api-keys file. Neither needs a coordinator.
// Threading: the caller's thread. Failure: words about the option or the file.
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::ctl {

struct NewKeyOptions {
  std::string tenant;
  std::string id;  // empty: the tenant's name and a few random digits
  bool admin = false;
  std::optional<int> requests_per_minute, tokens_per_minute, concurrent;
  std::vector<std::string> models, slo_classes;
  std::string expires;
  bool json = false;
};

/// The line for the file goes to standard output, the key itself, which is shown this once, to standard error:
/// `sluicectl key new --tenant acme >> keys` does it.
[[nodiscard]] Result<int> new_key(const NewKeyOptions& o);
[[nodiscard]] Result<int> check_keys(const std::string& file, bool json);

}  // namespace sluice::ctl
