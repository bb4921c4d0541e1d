#pragma once
// Child processes and processes of an earlier run: start, recognise, signal. A process is its pid and its start time,
// because a pid alone may have been recycled since it was written down.
// Threading: any. Failure: unavailable or not_found, with the system's words.
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace sluice::ctl {

struct ProcessId {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat: clock ticks after boot
  bool operator==(const ProcessId&) const = default;
};

struct ProcStat {
  char state = '?';
  std::uint64_t start_ticks = 0;
};
/// One line of /proc/PID/stat. The command's name may hold spaces and parentheses.
[[nodiscard]] std::optional<ProcStat> parse_proc_stat(std::string_view line);

struct Command {
  std::filesystem::path program;
  std::vector<std::string> args;                         // without argv[0]
  std::vector<std::pair<std::string, std::string>> env;  // on top of ours
  std::filesystem::path log;                             // stdout and stderr; emptied first
};

/// Starts it in a session of its own, so that a terminal's Ctrl-C reaches only us.
[[nodiscard]] Result<ProcessId> spawn(const Command& c);

/// Whether that very process still runs; a zombie does not.
[[nodiscard]] bool alive(const ProcessId& p);
/// Signals that very process; false when it is gone.
bool signal(const ProcessId& p, int number);
/// Collects children that ended. Others are left alone.
void reap();

/// The files below /dev/shm that a process has open or mapped, e.g. "/dev/shm/ucx_shm_posix_2f00".
[[nodiscard]] std::vector<std::string> shared_memory_of(pid_t pid);
/// Paths below /dev/shm in the text of /proc/PID/maps.
[[nodiscard]] std::vector<std::string> shared_memory_in_maps(std::string_view maps);
/// Removes those of the files that UCX made, that are ours, and that no process uses; gives the names removed.
std::vector<std::string> remove_unused_shared_memory(const std::vector<std::string>& files);

/// Where our own executable lies: the daemons lie beside it.
[[nodiscard]] Result<std::filesystem::path> own_directory();
/// The last lines of a file; empty when it cannot be read.
[[nodiscard]] std::string last_lines(const std::filesystem::path& file, std::size_t lines);

}  // namespace sluice::ctl
