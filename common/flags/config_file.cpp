#include "common/flags/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <iterator>
#include <sstream>

#include "common/json/nearest.h"

namespace sluice {
namespace {

/// Larger files are no configuration of ours.
constexpr std::size_t kMostBytes = 1U << 20U;

[[noreturn]] void refuse(const std::string& why) { throw CLI::ConfigError(why, CLI::ExitCodes::ConfigError); }

std::string at(const toml::node& n) { return fmt::format("--config: line {}: ", n.source().begin.line); }

/// An option, and the commands that lead to it.
struct Found {
  const CLI::Option* option = nullptr;
  std::vector<std::string> commands;
};

Found find(const CLI::App& app, const std::string& key) {
  if (const auto* o = app.get_option_no_throw("--" + key)) return {o, {}};
  for (const CLI::App* given : app.get_subcommands()) {
    Found f = find(*given, key);
    if (f.option == nullptr) continue;
    f.commands.insert(f.commands.begin(), given->get_name());
    return f;
  }
  return {};
}

void names_of(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* o : app.get_options())
    for (const std::string& name : o->get_lnames()) names.push_back(name);
  for (const CLI::App* given : app.get_subcommands()) names_of(*given, names);
}

/// What `key` should have been, as a sentence, or how to find out.
std::string advice(std::string_view key, const CLI::App& app) {
  std::vector<std::string> names;
  names_of(app, names);
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string_view near = nearest_name(key, known);
  return near.empty() ? std::string("--help lists the options") : fmt::format("did you mean '{}'?", near);
}

/// A value as its flag would be given.
std::string text_of(std::string_view key, const toml::node& n) {
  if (const auto* s = n.as_string()) return s->get();
  if (const auto* i = n.as_integer()) return std::to_string(i->get());
  if (const auto* f = n.as_floating_point()) return fmt::format("{}", f->get());
  if (const auto* b = n.as_boolean()) return b->get() ? "true" : "false";
  refuse(fmt::format("{}'{}' takes a string, a number, true or false, or a list of those", at(n), key));
}

CLI::ConfigItem item_of(const std::string& key, const toml::node& n, const CLI::App& app) {
  if (n.is_table())
    refuse(fmt::format("{}there are no sections: options stand at the top of the file, and '{}' is none; {}", at(n),
                       key, advice(key, app)));
  const auto [option, commands] = find(app, key);
  if (option == nullptr) refuse(fmt::format("{}unknown option '{}'; {}", at(n), key, advice(key, app)));
  if (!option->get_configurable() || key == "config")
    refuse(fmt::format("{}'{}' is for the command line only", at(n), key));
  CLI::ConfigItem item{.parents = commands, .name = key, .inputs = {}};
  const auto* list = n.as_array();
  if (list == nullptr) {
    item.inputs.push_back(text_of(key, n));
    return item;
  }
  if (option->get_items_expected_max() < 2) refuse(fmt::format("{}'{}' takes one value, not a list", at(n), key));
  for (const toml::node& v : *list) item.inputs.push_back(text_of(key, v));
  return item;
}

}  // namespace

std::vector<CLI::ConfigItem> ConfigFile::from_config(std::istream& in) const {
  std::string text;
  for (char block[4096]; in.read(block, sizeof block) || in.gcount() > 0;) {
    text.append(block, static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMostBytes) refuse("--config: the file is larger than 1 MiB; that is no configuration");
  }
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& e) {
    refuse(fmt::format("--config: line {}: this is not TOML: {}; a line is: option = value", e.source().begin.line,
                       e.description()));
  }
  std::vector<CLI::ConfigItem> items;
  for (const auto& [key, value] : table) {
    items.push_back(item_of(std::string(key.str()), value, app_));
    if (!objection_) continue;
    if (const std::string why = objection_(items.back().name); !why.empty())
      refuse(fmt::format("{}'{}': {}", at(value), items.back().name, why));
  }
  return items;
}

}  // namespace sluice
