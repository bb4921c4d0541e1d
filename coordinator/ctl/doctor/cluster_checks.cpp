#include "coordinator/ctl/doctor/cluster_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "coordinator/ctl/doctor/machine_checks.h"
#include "coordinator/ctl/doctor/places.h"
#include "coordinator/ctl/table.h"

namespace sluice::ctl::doctor {
namespace {

constexpr const char* kMembers = "Cluster";
constexpr const char* kNodes = "Nodes";
constexpr const char* kLinks = "Links";
constexpr double kRecentS = 600;
constexpr double kSilentMs = 1000;        // four heartbeats
constexpr double kClockOffset = 0.1;      // seconds
constexpr double kSlowShare = 0.3;        // of the interface's nominal speed
constexpr double kLongRoundTrip = 0.005;  // seconds

void judge_unreachable(const ClusterFacts& c, Notebook& n) {
  const Error& e = *c.error;
  if (e.code == Errc::permission_denied)
    n.error("api-key", fmt::format("refuses the API key: {}", e.message),
            "without the key nothing but /health can be asked",
            "SLUICE_API_KEY, or --api-key-file, to a key that the coordinator knows");
  else if (e.code == Errc::data_corrupt)
    n.error("not-sluice", e.message, "something else listens at that address",
            "--url to the coordinator's HTTP address");
  else
    n.error("coordinator-unreachable", fmt::format("cannot be asked: {}", e.message),
            "all requests enter through the coordinator",
            "start sluice-coordinator, or --url to where it listens; from another machine it must listen at an address "
            "of the network (--host)");
}

std::string cure_of(const std::string& why) {
  if (why.find("model hash") != std::string::npos)
    return "start it with the same --model directory as the others, byte for byte";
  if (why.find("--kv-dtype") != std::string::npos) return "the same --kv-dtype on all nodes";
  if (why.find("token") != std::string::npos) return "--cluster-token (SLUICE_CLUSTER_TOKEN) to the coordinator's";
  if (why.find("named") != std::string::npos || why.find("already registered") != std::string::npos)
    return "another --name for it, unique in the cluster";
  if (why.find("profiles") != std::string::npos) return "the same --kv-profiles file on all nodes";
  return "run one version of Sluice, with the flags of the other nodes";
}

void judge_refused(const RefusedNode& r, Notebook& n) {
  n.about(r.name);
  const std::string found = fmt::format("was refused {:.0f} s ago: {}", r.age_s, r.why);
  const std::string why = "nodes that could not work together must not be mixed";
  if (r.age_s < kRecentS)
    n.error("node-refused", found, why, cure_of(r.why));
  else
    n.note("node-refused", found, why, cure_of(r.why));  // perhaps given up since
}

void judge_expected(const ClusterFacts& c, Notebook& n) {
  for (const auto& e : c.expected) {
    if (std::ranges::find(c.nodes, e.name, &NodeFacts::name) != c.nodes.end()) continue;
    if (std::ranges::find(c.refused, e.name, &RefusedNode::name) != c.refused.end()) continue;  // said already
    n.about(e.name);
    const std::string why = "requests that it held were placed again or failed, and what is left carries its share";
    if (e.ended)
      n.error("node-ended",
              fmt::format("its process has ended{}", e.log_end.empty() ? "" : "; its log ends: " + e.log_end), why,
              "start it again; its log says why it ended");
    else
      n.error("node-missing", "has not joined, or is lost", why,
              "look at its log: wrong --coordinator address, a refusal, or it has ended");
  }
}

void judge_page(const NodeFacts& f, Notebook& n) {
  n.about(f.name);
  if (f.machine) {
    if (!f.machine->node.empty() && f.machine->node != f.name)
      n.warning("page-of-another", fmt::format("at {} answers node {}", f.admin_address, f.machine->node),
                "its metrics would be taken for those of another node",
                "--admin-listen, or --advertise, to an address that is its own");
    return;
  }
  const bool local = is_loopback(f.admin_address);
  n.warning(
      "admin-unreachable",
      fmt::format("its pages at {} cannot be read: {}", f.admin_address.empty() ? "-" : f.admin_address, f.page_error),
      local ? "127.0.0.1 is every machine's own: from here it means this machine, not the node's"
            : "metrics and this report of the node come from there",
      local ? "--admin-listen to an address of the network on that node, or run the doctor on its machine"
            : "--admin-listen and --advertise on that node to an address that is reached from here, and let the "
              "firewall pass it");
}

void judge_same(const ClusterFacts& c, Notebook& n) {
  std::set<std::string> versions;
  if (!c.version.empty()) versions.insert(c.version);
  std::map<std::string, std::set<std::string>> bits;  // by role
  for (const auto& f : c.nodes) {
    if (!f.version.empty()) versions.insert(f.version);
    bits[f.role].insert(fmt::format("{}, {}", f.backend, f.precision));
  }
  n.about("all nodes");
  if (versions.size() > 1)
    n.warning("versions", fmt::format("versions {} run side by side", fmt::join(versions, ", ")),
              "they work together, but an answer is only resumed by nodes of the version that began it",
              "one version on all machines");
  else if (!versions.empty())
    n.ok("versions", fmt::format("one version, {}", *versions.begin()));
  for (const auto& [role, kinds] : bits)
    if (kinds.size() > 1)
      n.warning("bits", fmt::format("{} nodes compute different bits: {}", role, fmt::join(kinds, "; ")),
                "an answer that was begun can only go on after a failure on a node that computes the same bits",
                "the same --isa and --precision on all nodes of a role (--isa to what the weakest machine has)");
}

void judge_clocks(const ClusterFacts& c, Notebook& n) {
  if (!c.clock_offset_s) return;
  for (const auto& f : c.nodes) {
    if (!f.clock_offset_s) continue;
    const double apart = *f.clock_offset_s - *c.clock_offset_s;
    const double unsure = f.clock_error_s + c.clock_error_s;
    n.about(f.name);
    if (std::abs(apart) > kClockOffset + unsure)
      n.warning("clock",
                fmt::format("its clock is {:.3f} s {} the coordinator's (give or take {:.3f} s)", std::abs(apart),
                            apart > 0 ? "ahead of" : "behind", unsure),
                "logs, traces and certificates go by the clock; intervals that Sluice measures do not",
                "chrony or systemd-timesyncd on both machines");
    else
      n.ok("clock",
           fmt::format("its clock is within {:.0f} ms of the coordinator's", 1000 * (std::abs(apart) + unsure)));
  }
}

/// Nodes by machine. Those that do not say where they run are each on one of their own.
std::map<std::string, std::vector<const NodeFacts*>> by_machine(const ClusterFacts& c) {
  std::map<std::string, std::vector<const NodeFacts*>> out;
  for (const auto& f : c.nodes)
    if (f.machine) out[f.machine->boot_id.empty() ? f.name : f.machine->boot_id].push_back(&f);
  return out;
}

double gbit(double bytes_per_s) { return bytes_per_s * 8e-9; }

std::string speed_text(double bytes_per_s) {
  const double g = gbit(bytes_per_s);
  return g >= 1 ? fmt::format("{:.1f} Gb/s", g) : fmt::format("{:.0f} Mb/s", g * 1000);
}

/// The prefill node's open connection to a decode node's data address.
const OpenPath* path_to(const Machine& m, const std::string& address) {
  const auto it = std::ranges::find_if(m.paths, [&](const OpenPath& p) { return !p.inbound && p.peer == address; });
  return it == m.paths.end() ? nullptr : &*it;
}

struct Link {
  const NodeFacts& prefill;
  const NodeFacts& decode;
  const LinkFacts* measured;  // null: not yet
  const OpenPath* path;       // null: none open, or not known
  const Interface* from;      // null: not known, or no network device
  const Interface* to;
};

/// The decode node's interface with the address that KV is sent to.
const Interface* interface_at(const Machine& m, const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  for (const auto& i : m.interfaces)
    for (const auto& a : i.addresses)
      if (a == host || "[" + a + "]" == host) return &i;
  return nullptr;
}

std::vector<Link> links_of(const ClusterFacts& c) {
  std::vector<Link> out;
  for (const auto& p : c.nodes)
    for (const auto& d : c.nodes) {
      if (p.role != "prefill" || d.role != "decode") continue;
      const auto measured = std::ranges::find(p.links, d.data_address, &LinkFacts::address);
      Link l{p, d, measured == p.links.end() ? nullptr : &*measured, nullptr, nullptr, nullptr};
      if (p.machine) {
        l.path = path_to(*p.machine, d.data_address);
        if (l.path != nullptr) l.from = interface_of(*p.machine, l.path->lane);
      }
      if (d.machine) l.to = interface_at(*d.machine, d.data_address);
      out.push_back(l);
    }
  return out;
}

void judge_speed(const Link& l, Notebook& n) {
  if (l.measured == nullptr || l.measured->bytes_per_s <= 0) {
    n.note("link-unmeasured", "not measured yet",
           "the coordinator measures a link when its nodes join, and whenever it was idle for long");
    return;
  }
  const double bps = l.measured->bytes_per_s;
  std::string found = fmt::format("{}, round trip {}", speed_text(bps), millis_text(l.measured->rtt_s * 1000));
  if (l.path != nullptr) found += fmt::format(" over {}", l.path->lane);
  const auto nominal = l.from != nullptr ? l.from->speed_mbps : std::nullopt;
  if (nominal) found += fmt::format(", {:.1f} Gb/s nominal", *nominal / 1000);
  if (nominal && bps * 8e-6 < kSlowShare * *nominal)
    n.warning("link-slow", found,
              fmt::format("KV travels at {:.0f}% of what {} is built for, and every split request waits for it",
                          100 * bps * 8e-6 / *nominal, l.from->name),
              "look for a limit on the way (tc, a busy switch, a cable at a lower speed: ethtool), MTU, and "
              "--ucx-net-devices; RDMA where there is some");
  else
    n.ok("link", found);
  if (l.measured->rtt_s > kLongRoundTrip)
    n.note("link-far", fmt::format("a round trip takes {}", millis_text(l.measured->rtt_s * 1000)),
           "each split request pays about one round trip before its first token",
           "prefill and decode nodes nearer to each other, where latency counts");
}

void judge_way(const Link& l, Notebook& n) {
  const bool apart = l.prefill.machine && l.decode.machine && l.prefill.machine->boot_id != l.decode.machine->boot_id;
  if (apart && is_loopback(l.decode.data_address))
    n.error("data-loopback",
            fmt::format("KV is to be sent to {}, which is the prefill node's own machine", l.decode.data_address),
            "127.0.0.1 is every machine's own, so KV never arrives",
            "--data-listen on the decode node to an address of the network, or 0.0.0.0 with --advertise");
  if (l.prefill.machine && l.path != nullptr && l.path->lane.starts_with("tcp/")) {
    const std::string& tls = l.prefill.machine->ucx.tls;
    if (names_rdma(tls) || (names_shared_memory(tls) && !apart))
      n.warning("lane-slow", fmt::format("UCX chose {} although --ucx-tls is {}", l.path->lane, tls),
                "a faster transport was meant, and none of them reaches this peer",
                "the same --ucx-tls on both nodes; shared memory needs one machine and a common /dev/shm, RDMA a "
                "common fabric");
  }
  if (l.from != nullptr && l.to != nullptr && !l.from->loopback && l.from->mtu != l.to->mtu)
    n.warning("mtu-mismatch",
              fmt::format("{} has an MTU of {:.0f}, {} at the other end {:.0f}", l.from->name, l.from->mtu, l.to->name,
                          l.to->mtu),
              "large packets may be dropped on the way without a word, and transfers then hang or crawl",
              "the same MTU at both ends and on all switches between: ip link set DEVICE mtu N");
}

}  // namespace

Findings judge_members(const ClusterFacts& c) {
  Notebook n(kMembers, "coordinator " + c.address);
  if (c.error) {
    judge_unreachable(c, n);
    judge_expected(c, n);
    return n.take();
  }
  if (c.ready)
    n.ok("ready", fmt::format("serves {}, version {}", c.model, c.version));
  else
    n.error("not-ready", fmt::format("is not ready: {}", c.reason),
            "requests get 503 until a prefill and a decode node are there",
            "start the missing nodes; what keeps one away stands below or in its log");
  for (const auto& r : c.refused) judge_refused(r, n);
  judge_expected(c, n);
  for (const auto& f : c.nodes) {
    n.about(f.name);
    if (f.heartbeat_age_ms > kSilentMs)
      n.warning("node-silent", fmt::format("was last heard {:.1f} s ago", f.heartbeat_age_ms / 1000),
                "a node that misses its heartbeats is lost, and its requests are placed again",
                "look whether its machine is overloaded, or the way to the coordinator is broken");
    if (f.state == "draining")
      n.note("node-draining", "is draining", "it gets no new requests, and ends when it has finished those it has");
    judge_page(f, n);
  }
  return n.take();
}

Findings judge_nodes(const ClusterFacts& c, double max_connections, const std::string& this_machine) {
  Notebook n(kNodes, "");
  if (c.error) return {};
  judge_same(c, n);
  judge_clocks(c, n);
  Findings all = n.take();
  for (const auto& [id, nodes] : by_machine(c)) {
    Load load{.nodes = static_cast<double>(nodes.size())};
    for (const auto* f : nodes) load.threads += f->machine->threads > 0 ? f->machine->threads : f->machine->cores;
    Machine m = *nodes.front()->machine;
    m.model.reset();  // weights and KV are in memory already
    m.kv_memory_mib = 0;
    const std::string subject =
        fmt::format("machine {} ({} node{})", m.host, nodes.size(), nodes.size() == 1 ? "" : "s");
    Findings of_machine = judge_machine(m, load, kNodes, subject);
    if (id == this_machine) std::erase_if(of_machine, [](const Finding& f) { return f.id != "threads"; });
    append(all, std::move(of_machine));
  }
  for (const auto& f : c.nodes) {
    if (!f.machine) continue;
    append(all, judge_fabric(*f.machine, kNodes, f.name));
    append(all, judge_limits(*f.machine, {}, kNodes, f.name));
  }
  if (c.max_files) {
    Machine coordinator;
    coordinator.open_files.hard = c.max_files;
    append(all, judge_limits(coordinator, {.max_connections = max_connections}, kNodes, "coordinator"));
  }
  return all;
}

Findings judge_links(const ClusterFacts& c, const std::optional<Perftest>& perftest) {
  Notebook n(kLinks, "");
  double best = 0;
  for (const auto& l : links_of(c)) {
    n.about(fmt::format("{} -> {}", l.prefill.name, l.decode.name));
    judge_speed(l, n);
    judge_way(l, n);
    const bool here = l.from != nullptr && l.from->loopback;
    if (here && l.measured != nullptr) best = std::max(best, l.measured->bytes_per_s);
  }
  if (perftest && best > 0) {
    n.about("loopback");
    const double share = best / perftest->bytes_per_s;
    const std::string found =
        fmt::format("links of this machine reach {}, ucx_perftest {} (round trip {})", speed_text(best),
                    speed_text(perftest->bytes_per_s), millis_text(1000 * perftest->round_trip_s));
    if (share < kSlowShare)
      n.note("below-perftest", found,
             "UCX alone is much faster here; nodes that compute share the processor with their transfers",
             "fewer --threads, so that a core is left for transfers");
    else
      n.ok("perftest", found);
  }
  return n.take();
}

nlohmann::json links_json(const ClusterFacts& c) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& l : links_of(c)) {
    nlohmann::json j{{"prefill_node", l.prefill.name},
                     {"decode_node", l.decode.name},
                     {"bytes_per_s", nullptr},
                     {"rtt_s", nullptr},
                     {"lane", nullptr},
                     {"nominal_mbps", nullptr}};
    if (l.measured != nullptr) {
      j["bytes_per_s"] = l.measured->bytes_per_s;
      j["rtt_s"] = l.measured->rtt_s;
    }
    if (l.path != nullptr) j["lane"] = l.path->lane;
    if (l.from != nullptr && l.from->speed_mbps) j["nominal_mbps"] = *l.from->speed_mbps;
    out.push_back(std::move(j));
  }
  return out;
}

}  // namespace sluice::ctl::doctor
