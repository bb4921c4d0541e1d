#include "common/flags/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace sluice::flags {
namespace {

/// A bound as --help prints it: whole numbers without a point.
std::string shown(double v) {
  const bool whole = std::floor(v) == v && std::abs(v) < 1e15;
  return whole ? std::to_string(static_cast<std::int64_t>(v)) : CLI::detail::to_string(v);
}

CLI::Validator range_check(double least, double most) {
  const std::string text = shown(least) + " to " + shown(most);
  return {[=](std::string& value) {
            double v = 0;
            const bool within = CLI::detail::lexical_cast(value, v) && v >= least && v <= most;
            return within ? std::string() : "'" + value + "' is not a number of " + text;
          },
          text, "range"};
}

CLI::Validator validator(const Check& c) {
  switch (c.kind) {
    case Check::Kind::range:
      return range_check(c.least, c.most);
    case Check::Kind::positive:
      return CLI::PositiveNumber;
    case Check::Kind::non_negative:
      return CLI::NonNegativeNumber;
    case Check::Kind::one_of:
      return CLI::IsMember(c.names);
    case Check::Kind::existing_file:
      return CLI::ExistingFile;
    case Check::Kind::existing_directory:
      return CLI::ExistingDirectory;
  }
  return {};
}

}  // namespace

Option* Option::required() {
  option_->required();
  return this;
}
Option* Option::capture_default_str() {
  option_->capture_default_str();
  return this;
}
Option* Option::check(const Check& check) {
  option_->check(validator(check));
  return this;
}
Option* Option::envname(const std::string& name) {
  option_->envname(name);
  return this;
}
Option* Option::secret(const std::string& env, const std::string& instead) {
  option_->envname(env);
  app_->keep_secret({"--" + option_->get_lnames().front(), env, instead});
  return this;
}
Option* Option::delimiter(char c) {
  option_->delimiter(c);
  return this;
}

App::App(const std::string& description, const std::string& name)
    : own_(std::make_unique<CLI::App>(description, name)), app_(own_.get()) {}
App::App(CLI::App& of_parent) : app_(&of_parent) {}
App::~App() = default;

Option* App::keep(CLI::Option& option) { return options_.emplace_back(std::make_unique<Option>(option, *this)).get(); }

template <class T>
Option* App::add_option(const std::string& names, T& value, const std::string& help) {
  return keep(*app_->add_option(names, value, help));
}
template Option* App::add_option(const std::string&, std::string&, const std::string&);
template Option* App::add_option(const std::string&, int&, const std::string&);
template Option* App::add_option(const std::string&, std::uint16_t&, const std::string&);
template Option* App::add_option(const std::string&, std::uint32_t&, const std::string&);
template Option* App::add_option(const std::string&, std::uint64_t&, const std::string&);
template Option* App::add_option(const std::string&, double&, const std::string&);
template Option* App::add_option(const std::string&, std::optional<bool>&, const std::string&);
template Option* App::add_option(const std::string&, std::optional<int>&, const std::string&);
template Option* App::add_option(const std::string&, std::optional<double>&, const std::string&);
template Option* App::add_option(const std::string&, std::vector<double>&, const std::string&);
template Option* App::add_option(const std::string&, std::vector<std::string>&, const std::string&);

Option* App::add_flag(const std::string& names, bool& value, const std::string& help) {
  return keep(*app_->add_flag(names, value, help));
}
Option* App::add_flag_that_ends(const std::string& name, std::function<void()> act, const std::string& help) {
  CLI::Option* const flag = app_->add_flag_callback(
      name,
      [act = std::move(act)] {
        act();
        throw CLI::Success();
      },
      help);
  flag->configurable(false);
  return keep(*flag);
}

Option* App::add_option_function(const std::string& names, const std::function<void(const std::string&)>& take,
                                 const std::string& help) {
  return keep(*app_->add_option_function<std::string>(names, take, help));
}

App* App::add_subcommand(const std::string& name, const std::string& help) {
  subcommands_.emplace_back(new App(*app_->add_subcommand(name, help)));
  return subcommands_.back().get();
}
App* App::fallthrough() {
  app_->fallthrough();
  return this;
}
App* App::callback(std::function<void()> done) {
  app_->callback(std::move(done));
  return this;
}
App* App::require_subcommand(std::size_t count) {
  app_->require_subcommand(static_cast<int>(count));
  return this;
}
App* App::prefix_command() {
  app_->prefix_command();
  return this;
}
App* App::no_help_flag() {
  app_->set_help_flag();
  return this;
}
std::vector<std::string> App::remaining() const { return app_->remaining(); }
bool App::got_subcommand(const std::string& name) const { return app_->got_subcommand(name); }

App* App::version(const std::string& text) {
  app_->set_version_flag("--version", text);
  return this;
}
App* App::footer(const std::string& text) {
  app_->footer(text);
  return this;
}
std::string App::name() const { return app_->get_name(); }

namespace {

/// Secrets stay out of argv, which ps shows to everybody.
void refuse_secrets(const std::vector<App::Secret>& secrets, const std::vector<std::string>& arguments) {
  for (const std::string& a : arguments) {
    if (a == "--") return;
    for (const auto& s : secrets)
      if (a == s.flag || a.starts_with(s.flag + "="))
        throw CLI::ValidationError(
            s.flag, fmt::format("a secret on the command line is seen by every user of this machine; give it by {}, "
                                "the variable {}, or in a --config file of mode 600",
                                s.instead, s.env));
  }
}

/// Once read they need not stand in /proc/PID/environ, nor go on to other programs.
void forget_secrets(const std::vector<App::Secret>& secrets) {
  for (const auto& s : secrets) {
    if (char* const value = std::getenv(s.env.c_str()); value != nullptr) ::explicit_bzero(value, std::strlen(value));
    ::unsetenv(s.env.c_str());
  }
}

}  // namespace

void App::parse(std::vector<std::string> arguments) {
  refuse_secrets(secrets_, arguments);
  std::ranges::reverse(arguments);  // CLI11 takes them from the last
  app_->parse(std::move(arguments));
  forget_secrets(secrets_);
}
void App::parse(int argc, char** argv) {
  refuse_secrets(secrets_, {argv + 1, argv + argc});
  app_->parse(argc, argv);
  forget_secrets(secrets_);
}

}  // namespace sluice::flags
