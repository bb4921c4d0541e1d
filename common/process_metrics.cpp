#include "common/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <vector>

namespace sluice {
namespace {

/// The fields of /proc/self/stat from the third on, its numbers of proc(5): behind the program's name, which may hold
/// blanks. Empty when it cannot be read.
std::vector<std::string> stat_fields() {
  std::ifstream in("/proc/self/stat");
  std::string line;
  std::getline(in, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(line.substr(name_end + 1));
  std::vector<std::string> fields(3);  // 0 is none; 1 and 2 are pid and name
  for (std::string f; rest >> f;) fields.push_back(f);
  return fields;
}

/// The machine's boot time, seconds since 1970; 0 when it is not said.
double boot_time() {
  std::ifstream in("/proc/stat");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  return 0;
}

class Process {
 public:
  explicit Process(Metrics& m)
      : cpu_(m.counter("process_cpu_seconds_total", "User and system CPU time spent.")),
        resident_(m.gauge("process_resident_memory_bytes", "Resident memory.")),
        virtual_(m.gauge("process_virtual_memory_bytes", "Virtual memory.")),
        open_fds_(m.gauge("process_open_fds", "Open file descriptors.")),
        max_fds_(m.gauge("process_max_fds", "File descriptors it may have open.")),
        started_(m.gauge("process_start_time_seconds", "When it started, since 1970.")) {}

  void refresh() const {
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    if (const auto f = stat_fields(); f.size() > 24) {
      cpu_.raise_to((std::stod(f[14]) + std::stod(f[15])) / ticks);
      started_.set(boot_ + std::stod(f[22]) / ticks);
      virtual_.set(std::stod(f[23]));
      resident_.set(std::stod(f[24]) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    }
    std::error_code ec;
    const std::filesystem::directory_iterator fds("/proc/self/fd", ec);
    if (!ec) open_fds_.set(static_cast<double>(std::distance(begin(fds), end(fds)) - 1));  // one is this look itself
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) max_fds_.set(static_cast<double>(limit.rlim_cur));
  }

 private:
  double boot_ = boot_time();
  Counter cpu_;
  Gauge resident_, virtual_, open_fds_, max_fds_, started_;
};

}  // namespace

void export_process(Metrics& metrics, const std::string& role) {
  metrics.gauge("sluice_build_info", "1; which build this is.", {{"version", SLUICE_VERSION}, {"role", role}}).set(1);
  metrics.before_text([process = Process(metrics)] { process.refresh(); });
}

}  // namespace sluice
