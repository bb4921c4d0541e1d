#pragma once
// How much memory this process may still take: the machine's, within the limits of the control groups it runs in
// (a container's, a service's). Threading: any; reads files. Failure: what cannot be read sets no limit; 0 when
// nothing can be read at all.
#include <cstdint>
#include <filesystem>

namespace sluice::node {

/// `root`: where proc and sys are found.
[[nodiscard]] std::uint64_t free_memory(const std::filesystem::path& root = "/");

}  // namespace sluice::node
