#pragma once
// What every Sluice program shares: --config FILE (TOML), --version, logging, and how a program ends on bad ones.
// Only main.cpp files and this room read flags and files. Threading: start-up only.
#include <functional>
#include <stdexcept>
#include <string>

#include "common/flags/flags.h"

namespace sluice {

struct LogOptions {
  std::string level = "info";
  std::string format = "text";
};

/// What parsing cannot see of a flag's value, and makes no sense all the same.
class UsageError : public std::runtime_error {
 public:
  UsageError(const std::string& flag, const std::string& why) : std::runtime_error(flag + ": " + why) {}
};

/// How every program of the house ends. `sluicectl up` and `sluice-profiler` also give 130 when Ctrl-C ended them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;  // it could not do what it was asked
inline constexpr int kExitUsage = 2;    // it was told what makes no sense, by flag or file: trying again is no use

/// Adds --config, --version, --log-level and --log-format.
void add_common_options(flags::App& app, LogOptions& log);
/// Adds --config alone, for programs that log nothing.
void add_config_option(flags::App& app);

/// Parses argv and runs `body`, whose result is the exit code. What parsing refuses and exceptions of `body` become a
/// message on stderr; UsageError and bad flags end with kExitUsage, others with kExitFailure.
int run_main(flags::App& app, int argc, char** argv, const std::function<int()>& body);

}  // namespace sluice
