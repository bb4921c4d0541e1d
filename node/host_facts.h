#pragma once
// What a machine offers a node, read from /proc and /sys: processor, memory, limits, network interfaces, RDMA devices,
// clock. Facts only; whoever asks judges them (`sluicectl doctor`).
// Threading: any; reads files. Failure: none; a fact that cannot be read is null or left out.
#include <filesystem>
#include <nlohmann/json.hpp>

namespace sluice::node {

/// root: "/" but in tests. What comes from system calls (limits, addresses, clock) is this process's own.
[[nodiscard]] nlohmann::json host_facts(const std::filesystem::path& root = "/");

/// A model directory as a node would meet it: readable or why not, and the bytes of its weights.
[[nodiscard]] nlohmann::json model_facts(const std::filesystem::path& dir);

}  // namespace sluice::node
