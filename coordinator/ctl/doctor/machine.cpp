#include "coordinator/ctl/doctor/machine.h"

#include <cmath>
#include <limits>

#include "coordinator/ctl/views.h"

namespace sluice::ctl::doctor {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxItems = 256;
constexpr std::size_t kMaxWord = 512;

std::string text(const json& j, const char* key) {
  const std::string w = word(j, key);
  return w == "-" ? std::string() : w.substr(0, kMaxWord);
}

std::optional<double> maybe(const json& j, const char* key) {
  if (!j.is_object()) return std::nullopt;
  const auto it = j.find(key);
  if (it == j.end() || !it->is_number()) return std::nullopt;
  const double v = it->get<double>();
  return std::isfinite(v) && v >= 0 ? std::optional(v) : std::nullopt;
}

/// Calls f for each object of a list, up to a bound.
template <class F>
void each(const json& j, const char* key, F f) {
  std::size_t n = 0;
  for (const auto& item : list(j, key)) {
    if (++n > kMaxItems) return;
    if (item.is_object()) f(item);
  }
}

std::vector<std::string> words(const json& j, const char* key) {
  std::vector<std::string> out;
  for (const auto& item : list(j, key))
    if (item.is_string() && out.size() < kMaxItems) out.push_back(item.get<std::string>().substr(0, kMaxWord));
  return out;
}

Limit limit(const json& limits, const char* key) {
  const json of = object_at(limits, key);
  const auto side = [&](const char* which) -> std::optional<double> {
    if (text(of, which) == "unlimited") return std::numeric_limits<double>::infinity();
    return maybe(of, which);
  };
  return {side("soft"), side("hard")};
}

std::vector<Lane> lanes(const json& ucx, const char* key) {
  std::vector<Lane> out;
  each(ucx, key, [&](const json& l) { out.push_back({text(l, "transport"), text(l, "device")}); });
  return out;
}

void read_cpu(const json& cpu, Machine& m) {
  m.cpu_model = text(cpu, "model");
  m.cores = maybe(cpu, "cores").value_or(0);
  m.quota = maybe(cpu, "quota");
  m.avx2 = is_true(cpu, "avx2");
  m.avx512 = is_true(cpu, "avx512");
  m.bf16 = is_true(cpu, "bf16");
  m.governors = words(cpu, "governors");
}

void read_network(const json& j, Machine& m) {
  each(j, "interfaces", [&](const json& i) {
    m.interfaces.push_back({text(i, "name"), is_true(i, "up"), is_true(i, "loopback"), maybe(i, "mtu").value_or(0),
                            maybe(i, "speed_mbps"), words(i, "addresses")});
  });
  each(j, "rdma", [&](const json& r) { m.rdma.push_back({text(r, "device"), is_true(r, "active"), text(r, "rate")}); });
  each(j, "paths",
       [&](const json& p) { m.paths.push_back({text(p, "peer"), text(p, "lane"), is_true(p, "inbound")}); });
  const json ucx = object_at(j, "ucx");
  m.ucx = {text(ucx, "version"),  text(ucx, "tls"),     text(ucx, "net_devices"),
           text(ucx, "why_none"), lanes(ucx, "usable"), lanes(ucx, "found")};
}

}  // namespace

Result<Machine> parse_machine(const json& j) {
  if (!j.is_object() || !j.contains("format") || !j.contains("ucx"))
    return fail(Errc::data_corrupt, "not a host report");
  Machine m;
  m.node = text(j, "node");
  m.role = text(j, "role");
  m.version = text(j, "version");
  m.host = text(j, "host");
  m.boot_id = text(j, "boot_id");
  m.wall_time_ns = maybe(j, "wall_time_ns");
  read_cpu(object_at(j, "cpu"), m);
  const json memory = object_at(j, "memory");
  m.total = maybe(memory, "total_bytes");
  m.machine_free = maybe(memory, "machine_free_bytes");
  m.free = maybe(memory, "free_bytes");
  m.huge_pages = text(memory, "huge_pages");
  m.shm = maybe(object_at(j, "shm"), "bytes");
  const json limits = object_at(j, "limits");
  m.memlock_bytes = limit(limits, "memlock_bytes");
  m.open_files = limit(limits, "open_files");
  const json clock = object_at(j, "clock");
  if (clock.contains("synchronized")) m.clock_synchronized = is_true(clock, "synchronized");
  read_network(j, m);
  m.threads = maybe(j, "threads").value_or(0);
  m.kv_memory_mib = maybe(j, "kv_memory_mib").value_or(0);
  if (const json model = object_at(j, "model"); !model.empty())
    m.model = ModelDir{text(model, "dir"), text(model, "why"), is_true(model, "readable"),
                       maybe(model, "weight_bytes").value_or(0)};
  return m;
}

}  // namespace sluice::ctl::doctor
