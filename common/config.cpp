#include "common/config.h"

#include <fmt/format.h>

#include <iostream>
#include <random>

#include "common/config_file.h"

namespace sluice {
namespace {

std::uint64_t random_u64() {
  std::random_device rd;
  return static_cast<std::uint64_t>(rd()) << 32 | rd();
}

}  // namespace

void add_common_options(CLI::App& app, LogOptions& log) {
  app.set_config("--config", "", "Read options from a TOML file; flags win over it");
  app.config_formatter(std::make_shared<ConfigFile>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_version_flag("--version", std::string("sluice ") + SLUICE_VERSION);
  app.add_option("--log-level", log.level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_option("--log-format", log.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

int run_main(CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  try {
    return body();
  } catch (const std::exception& e) {
    std::cerr << app.get_name() << ": " << e.what() << '\n';
    return 1;
  }
}

std::string random_name(const std::string& role) {
  return fmt::format("{}-{:08x}", role, static_cast<std::uint32_t>(random_u64()));
}

std::uint64_t random_incarnation() {
  const std::uint64_t v = random_u64();
  return v == 0 ? 1 : v;
}

}  // namespace sluice
