#pragma once
// Which options are secrets, and which files may hold them. For this room. Threading: start-up only.
#include <string>

#include "common/flags/flags.h"

namespace sluice {

[[nodiscard]] bool is_secret(const flags::App& app, const std::string& option);
/// Why a file may not hold a secret; empty: it may.
[[nodiscard]] std::string not_private(const std::string& file);

}  // namespace sluice
