#pragma once
// The machine that a test runs on: in words for its report, and what it lets a program have. Thread-safe; what cannot
// be read is left out.
#include <string>

namespace sluice::ctl::load {

/// "AMD EPYC 9654, 8 cores, 31 GiB, Linux 6.1"
[[nodiscard]] std::string machine_text();
/// Now, UTC: "2026-11-30 17:00:00 UTC"
[[nodiscard]] std::string date_text();

/// As many descriptors as the system lets this process have: each request in flight holds a socket.
void allow_many_sockets();

}  // namespace sluice::ctl::load
