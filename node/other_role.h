#pragma once
// The program of the other role, which a node may go on as: whether it is there and takes this node's options, and how
// this process becomes it.
//
// Options go over in two private files of memory: all that the other program is to have, and all that this one has, so
// that a change back restores it. What both kinds of node have goes over as it is in effect here; what only the other
// role has comes from --role-config, which also wins over the former. That file is read, and the other program asked
// whether it takes the result, when this process starts: a mistake is an error then.
//
// Threading: prepare() at the start, before there are threads; become() at the end, when there are none any more.
// Failure: prepare() throws UsageError for a --role-config that makes no sense; a program that is not there, or is of
// another version, is no error: such a node keeps its role. become() returns only when it failed.
#include <set>
#include <string>

#include "common/control/messages.h"
#include "common/flags/flags.h"
#include "common/result.h"

namespace sluice::node {

struct RoleFlags {
  std::string file;         // --role-config
  bool whole = false;       // --role-config-whole
  bool check_only = false;  // --check-config
  std::set<std::string> shared;
};

/// Adds the three, once the options that both kinds of node have are there.
void add_role_flags(flags::App& app, RoleFlags& f);

/// How a daemon's work ended.
struct RunEnd {
  int code = 0;
  bool changes_role = false;
};

class OtherRole {
 public:
  /// `name`: the node's, which stays. Once `app` was parsed.
  static OtherRole prepare(flags::App& app, const RoleFlags& f, control::Role mine, const std::string& name);

  /// Why there is no other role to go on in; empty: there is.
  [[nodiscard]] const std::string& why_not() const noexcept { return why_not_; }
  [[nodiscard]] const std::string& program() const noexcept { return program_; }
  /// This process becomes the other program; returns what kept it from that.
  [[nodiscard]] Error become() const;
  /// What main() returns: become() where the daemon ended for that.
  [[nodiscard]] int after(const RunEnd& end) const;

  /// What the other program is given, for tests.
  [[nodiscard]] const std::string& settings() const noexcept { return theirs_; }

 private:
  std::string program_, name_;
  std::string theirs_, ours_;  // as --config of each
  std::string why_not_;
};

[[nodiscard]] constexpr control::Role other(control::Role r) noexcept {
  return r == control::Role::prefill ? control::Role::decode : control::Role::prefill;
}

}  // namespace sluice::node
