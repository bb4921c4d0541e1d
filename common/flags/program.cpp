#include "common/flags/program.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "common/flags/config_file.h"

namespace sluice {

void add_config_option(flags::App& app) {
  CLI::App& cli = app.cli();
  cli.set_config("--config", "", "Read options from a TOML file; flags win over it");
  cli.config_formatter(std::make_shared<ConfigFile>(cli));
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
