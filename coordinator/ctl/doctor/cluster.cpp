#include "coordinator/ctl/doctor/cluster.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <thread>

#include "common/json/parse.h"
#include "coordinator/ctl/views.h"

namespace sluice::ctl::doctor {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxNodes = 1024;
constexpr std::size_t kMaxLinks = 1024;
constexpr std::size_t kMaxWord = 1024;
constexpr std::size_t kMaxPage = 1U << 20;
constexpr std::size_t kCrew = 16;  // nodes asked at once

std::string text(const json& j, const char* key) {
  const std::string w = word(j, key);
  return w == "-" ? std::string() : w.substr(0, kMaxWord);
}

double wall_s() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// A clock that was read somewhere between `before` and `after` of ours.
void compare_clocks(double theirs_ns, double before, double after, std::optional<double>& offset, double& error) {
  offset = theirs_ns * 1e-9 - (before + after) / 2;
  error = std::max(0.0, (after - before) / 2);
}

/// tls: of a page that is HTTPS; null: plain.
Result<json> page_of(const std::string& address, std::shared_ptr<const tls::Context> tls,
                     std::chrono::milliseconds limit) {
  http::ClientRequest q;
  q.address = address;
  q.tls = std::move(tls);
  q.target = "/host";
  q.timeout = q.total = limit;
  q.max_body = kMaxPage;
  SLUICE_ASSIGN(const auto r, http::request(q));
  if (r.status == 404) return fail(Errc::unsupported, "{} has no page /host; is it an older version?", address);
  if (r.status != 200) return fail(Errc::unavailable, "{} answers with HTTP {}", address, r.status);
  return parse_json_object(r.body, {.what = address + "/host", .code = Errc::data_corrupt, .max_bytes = kMaxPage});
}

void ask_node(NodeFacts& n, const Endpoint& coordinator, std::chrono::milliseconds limit) {
  if (n.admin_address.empty()) {
    n.page_error = "it does not say where its pages are";
    return;
  }
  if (n.admin_tls && !coordinator.tls) {
    n.page_error =
        "they are HTTPS and the coordinator is not, so nobody has said whom to believe; give an https URL and --ca";
    return;
  }
  const double before = wall_s();
  const auto page = page_of(n.admin_address, n.admin_tls ? coordinator.tls : nullptr, limit);
  const double after = wall_s();
  auto machine = page ? parse_machine(*page) : Result<Machine>(std::unexpected(page.error()));
  if (!machine) {
    n.page_error = machine.error().message;
    return;
  }
  if (machine->wall_time_ns) compare_clocks(*machine->wall_time_ns, before, after, n.clock_offset_s, n.clock_error_s);
  n.machine = std::move(*machine);
}

void ask_nodes(std::vector<NodeFacts>& nodes, const Endpoint& coordinator, std::chrono::milliseconds limit) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> crew;
  for (std::size_t i = 0; i < std::min(kCrew, nodes.size()); ++i)
    crew.emplace_back([&] {
      for (std::size_t k = next++; k < nodes.size(); k = next++) ask_node(nodes[k], coordinator, limit);
    });
}

Result<> ask_coordinator(const Endpoint& e, ClusterFacts& c) {
  const double before = wall_s();
  SLUICE_ASSIGN(const json status, get(e, "/sluice/v1/status"));
  const double after = wall_s();
  read_status(status, c);
  if (const double ns = number(status, "wall_time_ns"); ns > 0)
    compare_clocks(ns, before, after, c.clock_offset_s, c.clock_error_s);
  SLUICE_ASSIGN(const json nodes, get(e, "/sluice/v1/nodes"));
  read_nodes(nodes, c);
  return {};
}

/// Metrics are no JSON, so get() does not take them.
std::optional<double> max_files_of(const Endpoint& e, std::chrono::milliseconds limit) {
  http::ClientRequest q;
  q.address = e.address;
  q.target = "/metrics";
  q.timeout = q.total = limit;
  q.tls = e.tls;
  const auto r = http::request(q);
  return r && r->status == 200 ? sample_in(r->body, "process_max_fds") : std::nullopt;
}

}  // namespace

void read_status(const json& s, ClusterFacts& out) {
  out.ready = is_true(s, "ready");
  out.reason = text(s, "reason");
  out.model = text(s, "model");
  out.version = text(s, "version");
  out.control_address = text(s, "control_address");
}

void read_nodes(const json& answer, ClusterFacts& out) {
  for (const auto& n : list(answer, "nodes")) {
    if (!n.is_object() || out.nodes.size() >= kMaxNodes) continue;
    NodeFacts f;
    f.name = text(n, "node");
    f.role = text(n, "role");
    f.state = text(n, "state");
    f.admin_address = text(n, "admin_address");
    f.admin_tls = text(n, "admin_scheme") == "https";
    f.data_address = text(n, "data_address");
    f.backend = text(n, "backend");
    f.precision = text(n, "precision");
    f.version = text(n, "version");
    f.model_hash = text(n, "model_hash");
    f.heartbeat_age_ms = number(n, "heartbeat_age_ms");
    for (const auto& l : list(n, "links"))
      if (f.links.size() < kMaxLinks)
        f.links.push_back({text(l, "address"), number(l, "bandwidth_bps"), number(l, "rtt_s")});
    out.nodes.push_back(std::move(f));
  }
  for (const auto& r : list(answer, "refused"))
    if (out.refused.size() < kMaxNodes)
      out.refused.push_back({text(r, "node"), text(r, "why"), number(r, "age_ms") / 1000});
}

std::optional<double> sample_in(const std::string& metrics, const std::string& series) {
  const auto at = metrics.find('\n' + series + ' ');
  if (at == std::string::npos) return std::nullopt;
  const char* begin = metrics.data() + at + series.size() + 2;
  double v = 0;
  const auto r = std::from_chars(begin, metrics.data() + metrics.size(), v);
  return r.ec == std::errc() && std::isfinite(v) ? std::optional(v) : std::nullopt;
}

ClusterFacts gather_cluster(const ClusterQuestion& q) {
  ClusterFacts c;
  c.address = q.coordinator.address;
  c.expected = q.expected;
  if (auto asked = ask_coordinator(q.coordinator, c); !asked) {
    c.error = asked.error();
    return c;
  }
  c.max_files = max_files_of(q.coordinator, q.node_limit);
  ask_nodes(c.nodes, q.coordinator, q.node_limit);
  return c;
}

}  // namespace sluice::ctl::doctor
