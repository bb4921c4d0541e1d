#pragma once
// A program's flags and subcommands. The words are CLI11's, which does the work behind this wall: a file that includes
// CLI11 costs ten seconds of compile time, and every program has flags.
//
// Threading: start-up only. Failure: App::parse() throws; run_main() (program.h) makes of that an exit code.
// Lifetime: values that flags fill must outlive the App; Options and subcommands live as long as their App.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace sluice::flags {

/// What a value must be. Numbers are compared as doubles.
struct Check {
  enum class Kind { range, positive, non_negative, one_of, existing_file, existing_directory };
  Kind kind = Kind::range;
  double least = 0, most = 0;      // of a range, both included
  std::vector<std::string> names;  // of one_of
};
[[nodiscard]] inline Check range(double least, double most) { return {Check::Kind::range, least, most, {}}; }
[[nodiscard]] inline Check positive() { return {Check::Kind::positive, 0, 0, {}}; }
[[nodiscard]] inline Check non_negative() { return {Check::Kind::non_negative, 0, 0, {}}; }
[[nodiscard]] inline Check one_of(std::vector<std::string> names) {
  return {Check::Kind::one_of, 0, 0, std::move(names)};
}
[[nodiscard]] inline Check existing_file() { return {Check::Kind::existing_file, 0, 0, {}}; }
[[nodiscard]] inline Check existing_directory() { return {Check::Kind::existing_directory, 0, 0, {}}; }

class App;

class Option {
 public:
  Option(CLI::Option& option, App& app) : option_(&option), app_(&app) {}
  Option* required();
  /// --help shows the value of before parsing.
  Option* capture_default_str();
  Option* check(const Check& check);
  /// The variable that gives the value when no flag does.
  Option* envname(const std::string& name);
  /// The value is a secret: on the command line, which every user of the machine can read, it is refused in words that
  /// name `instead`; a --config file that holds it must be private; the variable `env` is emptied once it was read.
  Option* secret(const std::string& env, const std::string& instead);
  /// One argument may hold several values with this between them.
  Option* delimiter(char c);

 private:
  CLI::Option* option_;
  App* app_;  // that keeps it
};

class App {
 public:
  explicit App(const std::string& description, const std::string& name = {});
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// `names`: "--long", "-s,--long", or "word" for a positional one. T: those listed in flags.cpp.
  template <class T>
  Option* add_option(const std::string& names, T& value, const std::string& help);
  Option* add_flag(const std::string& names, bool& value, const std::string& help);
  /// `take` gets the value as it was written.
  /// A flag that is all the program does: `act` runs once every flag before it was read, also where required ones are
  /// missing, and the program ends well. It must not throw.
  Option* add_flag_that_ends(const std::string& name, std::function<void()> act, const std::string& help);
  Option* add_option_function(const std::string& names, const std::function<void(const std::string&)>& take,
                              const std::string& help);

  App* add_subcommand(const std::string& name, const std::string& help);
  /// Of a subcommand: flags that it does not know are its parent's.
  App* fallthrough();
  /// Runs once the subcommand and its flags were read.
  App* callback(std::function<void()> done);
  App* require_subcommand(std::size_t count);
  /// All arguments after the subcommand's name are kept for remaining(), flags too.
  App* prefix_command();
  /// Drops --help.
  App* no_help_flag();
  [[nodiscard]] std::vector<std::string> remaining() const;
  [[nodiscard]] bool got_subcommand(const std::string& name) const;

  App* version(const std::string& text);
  App* footer(const std::string& text);
  [[nodiscard]] std::string name() const;

  /// Arguments without the program's name. Throws a std::exception that says what is wrong with which flag.
  void parse(std::vector<std::string> arguments);
  void parse(int argc, char** argv);

  /// For this room.
  [[nodiscard]] CLI::App& cli() noexcept { return *app_; }
  [[nodiscard]] const CLI::App& cli() const noexcept { return *app_; }
  struct Secret {
    std::string flag, env, instead;
  };
  void keep_secret(Secret s) { secrets_.push_back(std::move(s)); }
  [[nodiscard]] const std::vector<Secret>& secrets() const noexcept { return secrets_; }

 private:
  explicit App(CLI::App& of_parent);
  Option* keep(CLI::Option& option);

  std::unique_ptr<CLI::App> own_;  // null for a subcommand, which its parent's CLI::App owns
  CLI::App* app_;
  std::vector<std::unique_ptr<Option>> options_;
  std::vector<std::unique_ptr<App>> subcommands_;
  std::vector<Secret> secrets_;
};

}  // namespace sluice::flags
