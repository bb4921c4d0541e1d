#include "node/host_facts.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>

#include "common/files.h"
#include "common/lfs_pointer.h"
#include "node/machine_memory.h"

namespace sluice::node {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kMaxEntries = 256;  // interfaces, devices, processors listed

/// The text of a small file without its last line's end; empty when it cannot be read.
std::string text_of(const fs::path& file) {
  std::string t = read_file(file, 1U << 20).value_or(std::string());
  while (!t.empty() && (t.back() == '\n' || t.back() == ' ')) t.pop_back();
  return t;
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t v = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  if (r.ec != std::errc() || r.ptr != text.data() + text.size()) return std::nullopt;
  return v;
}

/// Names in a directory, sorted; none when it cannot be read.
std::vector<std::string> entries(const fs::path& dir) {
  std::vector<std::string> out;
  std::error_code ec;
  for (fs::directory_iterator it(dir, ec), end; !ec && it != end && out.size() < kMaxEntries; it.increment(ec))
    out.push_back(it->path().filename().string());
  std::ranges::sort(out);
  return out;
}

/// The value of "key : value" or "key: value" in text like /proc/cpuinfo's; its first one.
std::string value_of(std::string_view text, std::string_view key) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    at += line.size() + 1;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view name = line.substr(0, colon);
    while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
    if (name != key) continue;
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    return std::string(value);
  }
  return {};
}

/// The word in brackets: "always [madvise] never" gives "madvise".
std::string chosen_in(const std::string& text) {
  const auto open = text.find('[');
  const auto close = text.find(']', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) return {};
  return text.substr(open + 1, close - open - 1);
}

/// Processors that control groups allow, e.g. 1.5; null without a bound. The tightest group counts.
json cpu_quota(const fs::path& root) {
  std::optional<double> least;
  const auto take = [&](double quota, double period) {
    if (quota > 0 && period > 0) least = std::min(least.value_or(quota / period), quota / period);
  };
  std::istringstream groups(text_of(root / "proc/self/cgroup"));
  for (std::string line; std::getline(groups, line);) {
    const bool v2 = line.starts_with("0::");
    const auto v1 = line.find(":cpu");
    if (!v2 && v1 == std::string::npos) continue;
    const fs::path top = root / (v2 ? "sys/fs/cgroup" : "sys/fs/cgroup/cpu");
    for (fs::path group = fs::path(line.substr(line.rfind(':') + 1)).relative_path();; group = group.parent_path()) {
      if (v2) {
        std::istringstream max(text_of(top / group / "cpu.max"));
        double quota = 0, period = 0;
        if (max >> quota >> period) take(quota, period);
      } else {
        take(static_cast<double>(number_in(text_of(top / group / "cpu.cfs_quota_us")).value_or(0)),
             static_cast<double>(number_in(text_of(top / group / "cpu.cfs_period_us")).value_or(0)));
      }
      if (group.empty()) break;
    }
  }
  return least ? json(*least) : json(nullptr);
}

json cpu_facts(const fs::path& root) {
  const std::string info = text_of(root / "proc/cpuinfo");
  std::istringstream words(value_of(info, "flags"));
  const std::set<std::string> flags{std::istream_iterator<std::string>(words), {}};
  std::set<std::string> governors;
  for (const auto& cpu : entries(root / "sys/devices/system/cpu"))
    if (const auto g = text_of(root / "sys/devices/system/cpu" / cpu / "cpufreq/scaling_governor"); !g.empty())
      governors.insert(g);
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool known = ::sched_getaffinity(0, sizeof set, &set) == 0;
  return {{"model", value_of(info, "model name")},
          {"cores", known ? json(CPU_COUNT(&set)) : json(nullptr)},
          {"quota", cpu_quota(root)},
          {"avx2", flags.contains("avx2")},
          {"avx512", flags.contains("avx512f") && flags.contains("avx512bw")},
          {"bf16", flags.contains("avx512_bf16")},
          {"governors", governors}};
}

json memory_facts(const fs::path& root) {
  const std::string info = text_of(root / "proc/meminfo");
  const auto kib = [&](const char* key) -> json {
    const std::string v = value_of(info, key);
    const auto n = number_in(std::string_view(v).substr(0, v.find(' ')));
    return n ? json(*n * 1024) : json(nullptr);
  };
  return {{"total_bytes", kib("MemTotal")},
          {"machine_free_bytes", kib("MemAvailable")},
          {"free_bytes", free_memory(root)},  // within control groups
          {"huge_pages", chosen_in(text_of(root / "sys/kernel/mm/transparent_hugepage/enabled"))}};
}

json shm_facts(const fs::path& root) {
  struct statvfs s{};
  if (::statvfs((root / "dev/shm").c_str(), &s) != 0) return nullptr;
  return {{"bytes", std::uint64_t{s.f_blocks} * s.f_frsize}, {"free_bytes", std::uint64_t{s.f_bavail} * s.f_frsize}};
}

json limit_facts() {
  const auto of = [](int what) -> json {
    rlimit l{};
    if (::getrlimit(static_cast<__rlimit_resource_t>(what), &l) != 0) return nullptr;
    const auto value = [](rlim_t v) { return v == RLIM_INFINITY ? json("unlimited") : json(v); };
    return {{"soft", value(l.rlim_cur)}, {"hard", value(l.rlim_max)}};
  };
  return {{"memlock_bytes", of(RLIMIT_MEMLOCK)}, {"open_files", of(RLIMIT_NOFILE)}};
}

struct FreeAddresses {
  void operator()(ifaddrs* a) const noexcept { ::freeifaddrs(a); }
};

json interface_facts(const fs::path& root) {
  ifaddrs* raw = nullptr;
  const bool known = ::getifaddrs(&raw) == 0;
  const std::unique_ptr<ifaddrs, FreeAddresses> all(known ? raw : nullptr);
  json out = json::array();
  for (const auto& name : entries(root / "sys/class/net")) {
    const fs::path dir = root / "sys/class/net" / name;
    const auto mtu = number_in(text_of(dir / "mtu"));
    if (!mtu) continue;  // a file of the bonding driver, or gone meanwhile
    const auto speed = number_in(text_of(dir / "speed"));
    const std::int64_t flags = std::strtoll(text_of(dir / "flags").c_str(), nullptr, 16);
    const bool carrier = text_of(dir / "carrier") != "0";
    json addresses = json::array();
    for (const ifaddrs* a = all.get(); a != nullptr; a = a->ifa_next) {
      if (a->ifa_addr == nullptr || name != a->ifa_name) continue;
      const int family = a->ifa_addr->sa_family;
      if (family != AF_INET && family != AF_INET6) continue;
      std::array<char, INET6_ADDRSTRLEN> text{};
      const void* bits = family == AF_INET
                             ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(a->ifa_addr)->sin_addr)
                             : &reinterpret_cast<const sockaddr_in6*>(a->ifa_addr)->sin6_addr;
      if (::inet_ntop(family, bits, text.data(), text.size()) != nullptr) addresses.push_back(text.data());
    }
    out.push_back({{"name", name},
                   {"up", (flags & IFF_UP) != 0 && carrier},
                   {"loopback", (flags & IFF_LOOPBACK) != 0},
                   {"mtu", *mtu},
                   {"speed_mbps", speed && *speed > 0 ? json(*speed) : json(nullptr)},
                   {"addresses", std::move(addresses)}});
  }
  return out;
}

json rdma_facts(const fs::path& root) {
  json out = json::array();
  for (const auto& device : entries(root / "sys/class/infiniband"))
    for (const auto& port : entries(root / "sys/class/infiniband" / device / "ports")) {
      const fs::path dir = root / "sys/class/infiniband" / device / "ports" / port;
      const std::string state = text_of(dir / "state");  // "4: ACTIVE"
      out.push_back({{"device", fmt::format("{}:{}", device, port)},
                     {"active", state.find("ACTIVE") != std::string::npos},
                     {"rate", text_of(dir / "rate")},
                     {"layer", text_of(dir / "link_layer")}});
    }
  return out;
}

/// Whether somebody keeps the clock right. Read-only: nothing is adjusted.
json clock_facts() {
  timex t{};
  const int state = ::adjtimex(&t);
  if (state < 0) return nullptr;
  return {{"synchronized", state != TIME_ERROR && (t.status & STA_UNSYNC) == 0}, {"error_us", t.esterror}};
}

}  // namespace

json host_facts(const fs::path& root) {
  std::array<char, 256> host{};
  const bool named = ::gethostname(host.data(), host.size() - 1) == 0;
  return {{"host", named ? host.data() : ""},
          {"boot_id", text_of(root / "proc/sys/kernel/random/boot_id")},  // alike for all containers of a machine
          {"cpu", cpu_facts(root)},
          {"memory", memory_facts(root)},
          {"shm", shm_facts(root)},
          {"limits", limit_facts()},
          {"interfaces", interface_facts(root)},
          {"rdma", rdma_facts(root)},
          {"clock", clock_facts()}};
}

json model_facts(const fs::path& dir) {
  json j{{"dir", dir.string()}, {"readable", false}, {"why", ""}, {"weight_bytes", 0}};
  const auto config = read_file(dir / "config.json", 16U << 20);
  if (!config) {
    j["why"] = config.error().message;
    return j;
  }
  std::uint64_t bytes = 0;
  std::error_code ec;
  for (fs::directory_iterator it(dir, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->path().extension() != ".safetensors") continue;
    if (::access(it->path().c_str(), R_OK) != 0) {
      j["why"] = it->path().filename().string() + ": " + std::strerror(errno);
      return j;
    }
    std::array<char, 64> head{};
    std::ifstream(it->path(), std::ios::binary).read(head.data(), head.size());
    if (auto real = refuse_lfs_pointer({head.data(), head.size()}, it->path()); !real) {
      j["why"] = real.error().message;
      return j;
    }
    bytes += fs::file_size(it->path(), ec);
  }
  j["weight_bytes"] = bytes;
  j["readable"] = bytes > 0;
  if (bytes == 0) j["why"] = "it holds no *.safetensors";
  return j;
}

}  // namespace sluice::node
