#pragma once
// Which machine a node computes on, as others need to know it: nodes with the same name share cores.
// Threading: any; reads files. Failure: none; a machine that does not say who it is has no name.
#include <cstdint>
#include <filesystem>
#include <string>

namespace sluice::node {

struct Machine {
  std::string name;         // a digest of the system's boot and of the cores that this process may use
  std::uint32_t cores = 1;  // of those
};

/// root: where proc is found.
[[nodiscard]] Machine this_machine(const std::filesystem::path& root = "/");

}  // namespace sluice::node
