#pragma once
// Whole small files, bounded. Thread-safe. Failure: not_found when it cannot be opened, unavailable when it cannot be
// read, invalid_argument when it is larger than allowed; each names the file.
#include <cstddef>
#include <filesystem>
#include <string>

#include "common/result.h"

namespace sluice {

[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace sluice
