#pragma once
// Whether files are still those that were read: cheap enough to ask every second. Threading: any; a value.
// A stamp follows links and holds what every way of replacing a file changes (rename, link swap as Kubernetes does,
// writing in place): device, inode, size, times. A file that cannot be looked at has a stamp too.
#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

using FileStamp = std::vector<std::int64_t>;

/// Empty names are left out.
[[nodiscard]] FileStamp stamp_of(const std::vector<std::string>& files);

}  // namespace sluice
