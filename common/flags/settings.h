#pragma once
// A program's options as they are in effect, whoever gave them (flags, --config, environment), as text that a --config
// file may hold: one process hands them on to another. They may be secrets: such text belongs into private files only.
// Threading: start-up only. Failure: UsageError that names the flag.
#include <set>
#include <string>

#include "common/flags/flags.h"

namespace sluice {

/// Long names of all options that a program has now.
[[nodiscard]] std::set<std::string> option_names(const flags::App& app);

/// TOML of those of `names` that somebody gave a value. Parse first.
[[nodiscard]] std::string settings_in_effect(const flags::App& app, const std::set<std::string>& names);

/// A file of options that may be another program's.
struct SettingsFile {
  std::string text;
  std::set<std::string> names;
};
/// `flag` named the file. It must be TOML without sections; one that holds a secret of `app` must be private.
[[nodiscard]] SettingsFile read_settings(flags::App& app, const std::string& flag, const std::string& file);

}  // namespace sluice
