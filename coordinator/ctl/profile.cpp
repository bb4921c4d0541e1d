#include "coordinator/ctl/profile.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "coordinator/ctl/process.h"

namespace sluice::ctl {

Result<int> profile(const std::vector<std::string>& args, bool json) {
  SLUICE_ASSIGN(const auto directory, own_directory());
  const std::string program = (directory / "sluice-profiler").string();
  std::vector<std::string> all{"sluice-profiler", "search"};
  all.insert(all.end(), args.begin(), args.end());
  if (json) all.emplace_back("--json");
  std::vector<char*> argv;
  for (std::string& a : all) argv.push_back(a.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return fail(Errc::not_found, "cannot start {}: {}", program, std::strerror(errno));
}

}  // namespace sluice::ctl
