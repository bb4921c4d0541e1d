#include "common/flags/program.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "common/flags/config_file.h"
#include "common/flags/secrets.h"
#include "common/secret_file.h"

namespace sluice {

bool is_secret(const flags::App& app, const std::string& option) {
  return std::ranges::any_of(app.secrets(), [&](const auto& s) { return s.flag == "--" + option; });
}

std::string not_private(const std::string& file) {
  struct stat s{};
  if (::stat(file.c_str(), &s) != 0) return {};  // whoever reads it says so
  const std::string why = secret_mode_problem(s.st_mode, s.st_uid);
  return why.empty() ? why : fmt::format("this file holds a secret, but {}: chmod 600 {}", why, file);
}

void add_config_option(flags::App& app) {
  CLI::App& cli = app.cli();
  cli.set_config("--config", "", "Read options from a TOML file; flags win over it");
  cli.config_formatter(std::make_shared<ConfigFile>(cli, [&app](const std::string& option) {
    return is_secret(app, option) ? not_private(app.cli().get_config_ptr()->as<std::string>()) : std::string();
  }));
  cli.allow_config_extras(CLI::config_extras_mode::error);
}

void add_common_options(flags::App& app, LogOptions& log) {
  add_config_option(app);
  app.version(std::string("sluice ") + SLUICE_VERSION);
  app.add_option("--log-level", log.level, "debug, info, warn or error")
      ->check(flags::one_of({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_option("--log-format", log.format, "text or json")
      ->check(flags::one_of({"text", "json"}))
      ->capture_default_str();
}

int run_main(flags::App& app, int argc, char** argv, const std::function<int()>& body) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.cli().exit(e) == 0 ? kExitOk : kExitUsage;
  }
  const auto said = [&app](const std::exception& e, int code) {
    std::cerr << app.name() << ": " << e.what() << '\n';
    return code;
  };
  try {
    return body();
  } catch (const UsageError& e) {
    return said(e, kExitUsage);
  } catch (const std::exception& e) {
    return said(e, kExitFailure);
  }
}

}  // namespace sluice
