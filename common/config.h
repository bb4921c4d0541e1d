#pragma once
// Options every Sluice program shares: --config FILE (TOML), --version, logging, and how a program ends on bad ones.
// Only main.cpp files and this room read flags and files. Threading: start-up only.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace sluice {

struct LogOptions {
  std::string level = "info";
  std::string format = "text";
};

/// Adds --config, --version, --log-level and --log-format.
void add_common_options(CLI::App& app, LogOptions& log);

/// Parses argv and runs `body`. Exceptions (bad configuration, port in use) become one line on stderr and exit code 1;
/// usage errors exit with CLI11's code.
int run_main(CLI::App& app, int argc, char** argv, const std::function<int()>& body);

/// "role-<8 hex>" from the system's randomness; the default node name.
[[nodiscard]] std::string random_name(const std::string& role);
/// A non-zero random number, new per process start.
[[nodiscard]] std::uint64_t random_incarnation();

}  // namespace sluice
