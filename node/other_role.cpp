#include "node/other_role.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "common/flags/program.h"
#include "common/flags/settings.h"
#include "common/log.h"
#include "node/private_file.h"
#include "node/run_program.h"

namespace sluice::node {

namespace fs = std::filesystem;

namespace {

/// Of the process, whatever its role.
constexpr std::array kOwn{"name", "config", "role-config", "role-config-whole", "check-config"};

bool own(const std::string& option) { return std::ranges::find(kOwn, option) != kOwn.end(); }

/// Beside this program; empty where that cannot be told.
std::string program_of(control::Role role) {
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec);
  return ec ? std::string() : (self.parent_path() / fmt::format("sluice-{}", control::name(role))).string();
}

/// What --role-config says first, so that lines of errors are the file's.
std::string settings_of_other(flags::App& app, const RoleFlags& f) {
  SettingsFile given;
  if (!f.file.empty()) given = read_settings(app, "--role-config", f.file);
  for (const std::string& name : given.names)
    if (own(name))
      throw UsageError("--role-config", fmt::format("'{}' is this process's, whatever its role: give it by flag or "
                                                    "--config",
                                                    name));
  if (f.whole) return given.text;
  std::set<std::string> rest = f.shared;
  std::erase_if(rest, [&](const std::string& n) { return own(n) || given.names.contains(n); });
  return given.text + "\n" + settings_in_effect(app, rest);
}

std::set<std::string> but_own(std::set<std::string> names) {
  std::erase_if(names, own);
  return names;
}

}  // namespace

void add_role_flags(flags::App& app, RoleFlags& f) {
  f.shared = option_names(app);
  app.add_option("--role-config", f.file,
                 "Options for when this node changes its role, as in a --config file of the other program; those that "
                 "both programs have and that it does not name stay as they are")
      ->check(flags::existing_file());
  app.add_flag("--role-config-whole", f.whole,
               "It holds all of them: options that it does not name have their defaults there");
  app.add_flag("--check-config", f.check_only, "Say what is wrong with flags and files, and end");
}

OtherRole OtherRole::prepare(flags::App& app, const RoleFlags& f, control::Role mine, const std::string& name) {
  if (f.whole && f.file.empty()) throw UsageError("--role-config-whole", "takes --role-config");
  OtherRole o;
  o.name_ = name;
  o.program_ = program_of(other(mine));
  o.theirs_ = settings_of_other(app, f);
  o.ours_ = settings_in_effect(app, but_own(option_names(app)));
  if (!is_program(o.program_)) {
    o.why_not_ = fmt::format("there is no program {}", o.program_);
    if (!f.file.empty()) throw UsageError("--role-config", o.why_not_);
    return o;
  }
  const auto settings = PrivateFile::of(o.theirs_);
  const auto said = settings ? run_program({o.program_, "--name", name, "--config", "@", "--check-config"}, *settings)
                             : Result<ProgramEnd>(std::unexpected(settings.error()));
  if (said && said->code == kExitOk) return o;
  const std::string why = said ? said->output : said.error().message;
  if (said && !f.file.empty())
    throw UsageError("--role-config", fmt::format("{} does not take it: {}", o.program_, why));
  o.why_not_ = fmt::format("{} does not take this node's options: {}", o.program_, why);
  log::warn("this node cannot change its role", {{"why", o.why_not_}});
  return o;
}

Error OtherRole::become() const {
  const auto theirs = PrivateFile::of(theirs_);
  if (!theirs) return theirs.error();
  const auto ours = PrivateFile::of(ours_);
  if (!ours) return ours.error();
  return replace_process(
      {program_, "--name", name_, "--config", theirs->path(), "--role-config", ours->path(), "--role-config-whole"},
      {theirs->descriptor(), ours->descriptor()});
}

int OtherRole::after(const RunEnd& end) const {
  if (!end.changes_role) return end.code;
  log::info("going on in the other role", {{"program", program_}});
  const Error why = become();
  log::error("the other role's program does not start", {{"program", program_}, {"why", why.message}});
  return kExitFailure;
}

}  // namespace sluice::node
