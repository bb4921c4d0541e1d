#pragma once
// Reads --config files strictly: TOML, and nothing else. Every key is an option of the program, or of the command
// it was given, by its long name without dashes. A line that is no TOML, a section, an unknown key (the error names the
// nearest known one) or a value of a kind that no option takes ends the program at its start. Values are never printed:
// they may be secrets. Threading: start-up only. Failure: CLI::ConfigError, which run_main() prints.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace sluice {

class ConfigFile final : public CLI::Config {
 public:
  /// `app` must outlive this and have all its options when a file is read.
  /// `objection` to an option in this file, in words; empty: none.
  explicit ConfigFile(const CLI::App& app, std::function<std::string(const std::string& option)> objection = {})
      : app_(app), objection_(std::move(objection)) {}

  [[nodiscard]] std::vector<CLI::ConfigItem> from_config(std::istream& in) const override;
  /// What --config would have to hold; not offered by any program.
  [[nodiscard]] std::string to_config(const CLI::App*, bool, bool, std::string) const override { return {}; }

 private:
  const CLI::App& app_;
  std::function<std::string(const std::string&)> objection_;
};

}  // namespace sluice
