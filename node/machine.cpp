#include "node/machine.h"

#include <sched.h>

#include <fstream>
#include <string_view>

#include "common/digest.h"

namespace sluice::node {

namespace {

std::string_view as_text(const Digest& d) { return {reinterpret_cast<const char*>(d.data()), d.size()}; }

}  // namespace

Machine this_machine(const std::filesystem::path& root) {
  Machine m;
  std::string cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    m.cores = static_cast<std::uint32_t>(CPU_COUNT(&set));
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) cores += std::to_string(i) + ",";
  }
  // The same in all containers of one machine, and another one in each virtual machine.
  std::string boot;
  if (std::ifstream in(root / "proc/sys/kernel/random/boot_id"); in && std::getline(in, boot) && !boot.empty())
    m.name = hex(as_text(sha256(boot + ":" + cores))).substr(0, 16);
  return m;
}

}  // namespace sluice::node
