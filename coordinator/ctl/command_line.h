#pragma once
// What every command of sluicectl may be told, and what makes a command of a name and a body. Start-up only; a
// coordinator that cannot be asked, or a file that cannot be read, is an error of the command.
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/flags/flags.h"
#include "common/result.h"
#include "common/tls/context.h"
#include "coordinator/ctl/api.h"
#include "coordinator/ctl/run_dir.h"

namespace sluice::ctl {

struct Common {
  std::string url;
  std::string api_key;
  std::string api_key_file;
  tls::Files tls;  // of https
  std::string run_dir = default_run_dir().string();
  bool json = false;

  [[nodiscard]] RunDir dir() const { return RunDir(run_dir); }
  /// --url, else the local cluster's, else the default port: coordinators of which any will do.
  [[nodiscard]] Result<std::vector<std::string>> urls() const;
  [[nodiscard]] Result<Endpoint> endpoint_of(const std::string& at) const;
  /// The URL of the one to speak to.
  [[nodiscard]] Result<std::string> where() const;
  [[nodiscard]] Result<Endpoint> endpoint() const;
  [[nodiscard]] Result<std::string> secret() const;
};
void add_common_flags(flags::App& app, Common& common);

using Body = std::function<Result<int>()>;

/// A command: `body` runs when it was given.
flags::App* command(flags::App& app, Body& chosen, const std::string& name, const std::string& help, Body body);

void print(const nlohmann::json& j);

}  // namespace sluice::ctl
