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

/// Adds --config, --version, --log-level and --log-format.
void add_common_options(flags::App& app, LogOptions& log);
/// Adds --config alone, for programs that log nothing.
void add_config_option(flags::App& app);

/// Parses argv and runs `body`. Exceptions (bad configuration, port in use) become one line on stderr and exit code 1;
/// usage errors exit with CLI11's code.
int run_main(flags::App& app, int argc, char** argv, const std::function<int()>& body);

}  // namespace sluice
