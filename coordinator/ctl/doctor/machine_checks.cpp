#include "coordinator/ctl/doctor/machine_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "coordinator/ctl/table.h"

namespace sluice::ctl::doctor {
namespace {

constexpr double kMiB = 1U << 20;
constexpr double kSpareFiles = 128;    // descriptors of a coordinator besides its clients'
constexpr double kLeastMemory = 0.85;  // share of what is free that may be planned for

void judge_processor(const Machine& m, Notebook& n) {
  if (!m.cpu_model.empty() && !m.avx2)
    n.warning("isa", fmt::format("{} has no AVX2", m.cpu_model),
              "the engine and the codecs fall back to scalar code, many times slower",
              "use machines with AVX2, better AVX-512 with BF16");
  else if (m.avx2 && !m.bf16)
    n.note("isa", fmt::format("{}: {}, no AVX-512 BF16", m.cpu_model, m.avx512 ? "AVX-512" : "AVX2"),
           "prompts are computed about half as fast as with AVX-512 BF16, and nodes of another kind compute other bits",
           "nothing, or machines of one kind for all nodes");
  else if (m.avx2)
    n.ok("isa", fmt::format("{}: AVX-512 with BF16", m.cpu_model));
  for (const auto& g : m.governors)
    if (g != "performance")
      n.note("governor", fmt::format("CPU governor {}", printable(g)),
             "a clock that follows the load makes short requests slower and times uneven",
             "cpupower frequency-set -g performance");
}

void judge_cores(const Machine& m, const Load& load, Notebook& n) {
  if (m.cores <= 0) return;
  if (m.quota && *m.quota + 0.01 < m.cores)
    n.warning(
        "cpu-quota", fmt::format("a control group allows {:.2g} of {:.0f} cores", *m.quota, m.cores),
        "the kernel halts all threads for the rest of each period once the quota is used, so tokens come in bursts",
        fmt::format("--threads {:.0f} on the node, or a larger CPU limit of the container",
                    std::max(1.0, std::floor(*m.quota))));
  const double threads = load.threads > 0 ? load.threads : load.nodes * m.cores;
  if (threads > m.cores + 0.01)
    n.warning(
        "threads",
        fmt::format("{:.0f} node{} with {:.0f} compute threads in all on {:.0f} cores", load.nodes,
                    load.nodes == 1 ? "" : "s", threads, m.cores),
        "threads that share a core wait for each other in every layer, which costs more than it computes",
        fmt::format("--threads {:.0f} on each node", std::max(1.0, std::floor(m.cores / std::max(1.0, load.nodes)))));
  else
    n.ok("threads", fmt::format("{:.0f} compute thread{} on {:.0f} cores", threads, threads == 1 ? "" : "s", m.cores));
}

void judge_memory(const Machine& m, const Load& load, Notebook& n) {
  if (!m.free) return;
  if (m.machine_free && *m.free < 0.9 * *m.machine_free)
    n.note("memory-limit",
           fmt::format("control groups leave {} of the {} that the machine has free", bytes_text(*m.free),
                       bytes_text(*m.machine_free)),
           "nodes size their KV pool from what their own group leaves",
           "a larger memory limit of the container, if the KV pool is too small");
  const double weights = m.model ? m.model->weight_bytes : 0;
  const double wanted = load.nodes * (weights + m.kv_memory_mib * kMiB);
  if (wanted > *m.free)
    n.error("memory",
            fmt::format("{:.0f} node{} need {} for weights and KV, {} are free", load.nodes, load.nodes == 1 ? "" : "s",
                        bytes_text(wanted), bytes_text(*m.free)),
            "a node that runs out of memory is killed by the kernel, with all requests it holds",
            "a smaller --kv-memory-mib, fewer nodes on this machine, or a smaller model");
  else if (wanted > kLeastMemory * *m.free)
    n.warning("memory",
              fmt::format("{} for weights and KV leave {} of {}", bytes_text(wanted), bytes_text(*m.free - wanted),
                          bytes_text(*m.free)),
              "staging buffers and the system need room, too",
              "a smaller --kv-memory-mib, or --memory-share for each of several nodes");
  else
    n.ok("memory", fmt::format("{} free", bytes_text(*m.free)));
  if (m.huge_pages == "never")
    n.note("huge-pages", "transparent huge pages are off", "weights in small pages cost up to a tenth of the speed",
           "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
}

bool is_named(std::string_view list, std::string_view name) {
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(',', at), list.size());
    if (list.substr(at, end - at) == name) return true;
    at = end + 1;
  }
  return false;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(',', at), list.size());
    if (end > at) out.emplace_back(list.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

/// UCX's short names for several transports at once.
bool stands_for(std::string_view said, std::string_view transport) {
  if (said == transport || said == "all") return true;
  if (said == "ib") return transport.starts_with("rc_") || transport.starts_with("ud_") || transport.starts_with("dc_");
  if (said == "sm" || said == "shm" || said == "mm")
    return transport == "posix" || transport == "sysv" ||
           (said != "mm" && (transport == "cma" || transport == "xpmem"));
  return transport.starts_with(std::string(said) + "_");  // rc: rc_verbs, rc_mlx5; cuda: cuda_copy, cuda_ipc
}

bool is_rdma(std::string_view transport) {
  return transport == "ib" || transport == "all" || transport.starts_with("rc") || transport.starts_with("ud") ||
         transport.starts_with("dc");
}

std::string devices_of(const Ucx& u) {
  std::vector<std::string> names;
  for (const auto& l : u.found)
    if (!l.device.starts_with("memory") && std::ranges::find(names, l.device) == names.end()) names.push_back(l.device);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

/// Devices that --ucx-net-devices names, without the ^ that excludes.
void judge_devices(const Machine& m, Notebook& n) {
  const Ucx& u = m.ucx;
  bool blamed = false;
  for (std::string device : split(u.net_devices)) {
    if (device.starts_with('^')) device.erase(0, 1);
    const auto known = std::ranges::find(m.interfaces, device, &Interface::name);
    const bool seen =
        device == "all" || std::ranges::any_of(u.found, [&](const Lane& l) { return l.device == device; });
    if (known != m.interfaces.end() && !known->up) {
      blamed = true;
      n.error("device-down", fmt::format("--ucx-net-devices names {}, which is down", device),
              "KV cannot travel over an interface that is down",
              fmt::format("ip link set {} up, or name another of: {}", device, devices_of(u)));
    } else if (!seen) {
      blamed = true;
      n.error("device-missing", fmt::format("--ucx-net-devices names {}, which is not here", device),
              "a node that is bound to a device that is not there reaches nobody, and does not start",
              fmt::format("--ucx-net-devices to one of: {}", devices_of(u)));
    }
  }
  if (!u.why_none.empty() && !blamed)
    n.error("ucx-refuses", "UCX does not start with these options: " + u.why_none,
            "a node would end at its start with these words",
            "--ucx-tls and --ucx-net-devices to what the message names");
}

void judge_transports(const Machine& m, Notebook& n) {
  const Ucx& u = m.ucx;
  for (const auto& said : split(u.tls)) {
    const bool here = std::ranges::any_of(u.found, [&](const Lane& l) { return stands_for(said, l.transport); });
    if (here || said == "self" || said == "rdmacm") continue;
    n.warning("transport-missing", fmt::format("--ucx-tls names {}, which UCX does not find here", said),
              "UCX leaves it out without a word, and KV takes the next, slower transport of the list",
              is_rdma(said)
                  ? "install the RDMA drivers and give the container /dev/infiniband, or take it out of --ucx-tls"
                  : "take it out of --ucx-tls, or install UCX with it");
  }
  const bool active = std::ranges::any_of(m.rdma, &RdmaPort::active);
  const bool found = std::ranges::any_of(u.found, [](const Lane& l) { return is_rdma(l.transport); });
  for (const auto& port : m.rdma)
    if (!port.active)
      n.warning("rdma-down", fmt::format("RDMA port {} is not active", port.device),
                "KV would go over another, slower way", "check cable, switch and subnet manager (ibstat)");
  // Bound to the loopback, as `sluicectl up` does, TCP is what is meant.
  const bool reaches_out = std::ranges::any_of(u.usable, [&](const Lane& l) {
    const Interface* i = l.transport == "tcp" ? interface_of(m, l.device) : nullptr;
    return i != nullptr && !i->loopback;
  });
  if (active && !found)
    n.warning("rdma-unseen", fmt::format("RDMA device {} is here, but UCX does not see it", m.rdma.front().device),
              "KV goes over TCP, at a fraction of the device's speed",
              "install UCX's InfiniBand part (Debian: ibverbs-providers), give the container /dev/infiniband");
  else if (active && !names_rdma(u.tls))
    n.warning("rdma-unused", fmt::format("RDMA device {} is here, but --ucx-tls is {}", m.rdma.front().device, u.tls),
              "KV goes over TCP, at a fraction of the device's speed", "--ucx-tls rc,tcp,self on every node");
  else if (!active && u.why_none.empty() && reaches_out)
    n.note("tcp-only", fmt::format("no RDMA here: KV between machines goes over TCP ({})", u.tls),
           "TCP costs processor time for each byte; compressed KV makes up for much of it");
}

}  // namespace

bool names_rdma(std::string_view tls) {
  const auto names = split(tls);
  return std::ranges::any_of(names, [](const std::string& t) { return is_rdma(t); });
}

bool names_shared_memory(std::string_view tls) {
  for (const char* t : {"posix", "sysv", "sm", "shm", "mm", "all"})
    if (is_named(tls, t)) return true;
  return false;
}

const Interface* interface_of(const Machine& m, std::string_view lane) {
  std::string_view device = lane.substr(lane.find('/') == std::string_view::npos ? 0 : lane.find('/') + 1);
  device = device.substr(0, device.find(':'));
  const auto it = std::ranges::find(m.interfaces, device, &Interface::name);
  return it == m.interfaces.end() ? nullptr : &*it;
}

Findings judge_machine(const Machine& m, const Load& load, const std::string& area, const std::string& subject) {
  Notebook n(area, subject);
  judge_processor(m, n);
  judge_cores(m, load, n);
  judge_memory(m, load, n);
  if (m.clock_synchronized && !*m.clock_synchronized)
    n.note("clock-unsynchronized", "nobody keeps this machine's clock right, as far as the kernel knows",
           "logs and traces of several machines can only be laid side by side when their clocks agree",
           "run chrony or systemd-timesyncd; in a container or virtual machine the host may do it");
  return n.take();
}

Findings judge_fabric(const Machine& m, const std::string& area, const std::string& subject) {
  Notebook n(area, subject);
  const Ucx& u = m.ucx;
  judge_devices(m, n);
  judge_transports(m, n);
  if (u.why_none.empty()) {
    std::vector<std::string> lanes;
    for (const auto& l : u.usable) lanes.push_back(l.transport + "/" + l.device);
    n.ok("ucx", fmt::format("UCX {} with {}: {}", u.version, u.tls, fmt::join(lanes, ", ")));
  }
  for (const auto& i : m.interfaces) {
    const bool used = std::ranges::any_of(u.usable, [&](const Lane& l) { return l.device == i.name; });
    if (used && !i.loopback && i.speed_mbps.value_or(0) >= 10000 && i.mtu > 0 && i.mtu <= 1500)
      n.note("mtu-small", fmt::format("{} has {:.0f} Gb/s and an MTU of {:.0f}", i.name, *i.speed_mbps / 1000, i.mtu),
             "small packets cost a fast link much of its speed under TCP",
             fmt::format("ip link set {} mtu 9000, on all machines and switches of the way", i.name));
  }
  if (names_shared_memory(u.tls) && m.shm) {
    if (*m.shm < 256 * kMiB)
      n.warning("shm", fmt::format("/dev/shm holds {}", bytes_text(*m.shm)),
                "UCX's shared memory lies there; when it is full, nodes of one machine do not reach each other",
                "a larger /dev/shm: docker run --shm-size 1g; in Kubernetes an emptyDir with medium Memory; mount -o "
                "remount,size=1G /dev/shm");
    else
      n.ok("shm", fmt::format("/dev/shm holds {}", bytes_text(*m.shm)));
  }
  return n.take();
}

Findings judge_limits(const Machine& m, const Load& load, const std::string& area, const std::string& subject) {
  Notebook n(area, subject);
  const auto lock = m.memlock_bytes.soft;
  if (names_rdma(m.ucx.tls) && lock) {
    constexpr double kLeast = 64 * kMiB, kGood = 1024 * kMiB;
    const std::string found = std::isinf(*lock) ? "memory may be locked without a limit"
                                                : fmt::format("{} of memory may be locked", bytes_text(*lock));
    const std::string why =
        "an RDMA device reads and writes only memory that is locked; without it UCX falls back or fails";
    const std::string set =
        "LimitMEMLOCK=infinity in the unit, ulimit -l unlimited, or the capability IPC_LOCK of the container";
    if (*lock < kLeast)
      n.error("memlock", found, why, set);
    else if (*lock < kGood)
      n.warning("memlock", found, why, set);
    else
      n.ok("memlock", found);
  }
  const auto files = m.open_files.hard;
  if (load.max_connections > 0 && files) {
    if (*files < load.max_connections + kSpareFiles)
      n.warning("open-files",
                fmt::format("{:.0f} files may be open, --max-connections is {:.0f}", *files, load.max_connections),
                "a client too many is turned away before --max-connections are reached",
                fmt::format("LimitNOFILE={:.0f} in the unit (ulimit -Hn), or a smaller --max-connections",
                            load.max_connections + kSpareFiles));
    else
      n.ok("open-files", std::isinf(*files)
                             ? "open files without a limit"
                             : fmt::format("{:.0f} open files, for {:.0f} connections", *files, load.max_connections));
  }
  return n.take();
}

Findings judge_model(const Machine& m, const std::string& area, const std::string& subject) {
  Notebook n(area, subject);
  if (!m.model) return {};
  if (!m.model->readable)
    n.error("model-dir", fmt::format("{} cannot be served: {}", m.model->dir, m.model->why),
            "a node reads configuration, tokenizer and weights from it at its start",
            "--model to a Hugging Face model directory that this user can read");
  else
    n.ok("model-dir", fmt::format("{} with {} of weights", m.model->dir, bytes_text(m.model->weight_bytes)));
  return n.take();
}

}  // namespace sluice::ctl::doctor
