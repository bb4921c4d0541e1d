#include "common/flags/settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <sstream>

#include "common/files.h"
#include "common/flags/program.h"
#include "common/flags/secrets.h"

namespace sluice {
namespace {

constexpr std::size_t kMostBytes = 1U << 20U;  // as of a --config file

/// A flag counts how often it was given; true is what a file says of it.
toml::array texts_of(const CLI::Option& o) {
  toml::array out;
  for (const std::string& v : o.results()) out.push_back(v);
  return out;
}

}  // namespace

std::set<std::string> option_names(const flags::App& app) {
  std::set<std::string> names;
  for (const CLI::Option* o : app.cli().get_options())
    if (!o->get_lnames().empty()) names.insert(o->get_lnames().front());
  return names;
}

std::string settings_in_effect(const flags::App& app, const std::set<std::string>& names) {
  toml::table all;
  for (const CLI::Option* o : app.cli().get_options()) {
    if (o->count() == 0 || !o->get_configurable() || o->get_lnames().empty()) continue;
    const std::string& name = o->get_lnames().front();
    if (!names.contains(name)) continue;
    if (o->get_items_expected_max() > 1)
      all.insert(name, texts_of(*o));
    else
      all.insert(name, o->results().back());
  }
  std::ostringstream out;
  out << toml::toml_formatter{all, toml::toml_formatter::default_flags & ~toml::format_flags::allow_literal_strings &
                                       ~toml::format_flags::allow_multi_line_strings}
      << '\n';
  return std::move(out).str();
}

SettingsFile read_settings(flags::App& app, const std::string& flag, const std::string& file) {
  auto text = read_file(file, kMostBytes);
  if (!text) throw UsageError(flag, text.error().message);
  SettingsFile out{.text = std::move(*text), .names = {}};
  toml::table table;
  try {
    table = toml::parse(out.text);
  } catch (const toml::parse_error& e) {
    throw UsageError(flag, fmt::format("line {}: this is not TOML: {}; a line is: option = value",
                                       e.source().begin.line, e.description()));
  }
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (value.is_table())
      throw UsageError(flag, fmt::format("line {}: there are no sections: options stand at the top of the file",
                                         value.source().begin.line));
    if (is_secret(app, name))
      if (const std::string why = not_private(file); !why.empty())
        throw UsageError(flag, fmt::format("line {}: '{}': {}", value.source().begin.line, name, why));
    out.names.insert(name);
  }
  return out;
}

}  // namespace sluice
