#pragma once
// The process's limit of file descriptors, each connection being one. Threading: at start-up. Failure: a hard limit
// that is too low is said in the log; connections beyond it make room for each other as those beyond max_connections.
#include <cstdint>

namespace sluice::coordinator {

/// Raises the soft limit to the hard one if it is below `need`; returns the limit in force.
std::uint64_t raise_descriptor_limit(std::uint64_t need);

}  // namespace sluice::coordinator
