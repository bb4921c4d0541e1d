#include "node/machine_memory.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "common/files.h"
#include "engine/kv_sizing.h"

namespace sluice::node {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) { return read_file(file, 1U << 20).value_or(std::string()); }

/// One of the two kinds of control groups: what a line of /proc/self/cgroup has before the path, where the groups are,
/// and what their files are called.
struct GroupKind {
  std::string_view line;
  const char *mounted, *limit, *usage;
};
constexpr GroupKind kKinds[] = {{"0::", "sys/fs/cgroup", "memory.max", "memory.current"},
                                {":memory:", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"}};

/// What its group and those above it leave of `left`. In a container the path may be one that only the machine outside
/// knows; then it is the top that tells the container's limit.
std::uint64_t within_groups(const fs::path& root, const GroupKind& kind, std::string_view path, std::uint64_t left) {
  const fs::path top = root / kind.mounted;
  for (fs::path group = fs::path(path).relative_path();; group = group.parent_path()) {
    const fs::path at = top / group;
    const std::string limit = text_of(at / kind.limit);
    const std::string usage = text_of(at / kind.usage);
    const std::string stat = text_of(at / "memory.stat");
    left = std::min(left, engine::free_in_group({limit, usage, stat}).value_or(left));
    if (group.empty()) return left;
  }
}

}  // namespace

std::uint64_t free_memory(const fs::path& root) {
  const auto machine = engine::free_in_machine(text_of(root / "proc/meminfo"));
  std::uint64_t left = machine.value_or(UINT64_MAX);
  const std::string groups = text_of(root / "proc/self/cgroup");
  for (std::size_t at = 0; at < groups.size();) {
    const std::string_view line = std::string_view(groups).substr(at, groups.find('\n', at) - at);
    at += line.size() + 1;
    for (const GroupKind& kind : kKinds)
      if (const auto found = line.find(kind.line); found != line.npos)
        left = within_groups(root, kind, line.substr(found + kind.line.size()), left);
  }
  return left == UINT64_MAX ? 0 : left;
}

}  // namespace sluice::node
