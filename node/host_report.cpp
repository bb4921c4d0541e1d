#include "node/host_report.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "node/host_facts.h"
#include "node/node_transport.h"

namespace sluice::node {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;  // of the report

json resources_json(const std::vector<kv::FabricResource>& all) {
  json out = json::array();
  for (const auto& r : all) out.push_back({{"transport", r.transport}, {"device", r.device}});
  return out;
}

json fabric_json(const NodeOptions& o) {
  const kv::FabricReport r = kv::report_fabric(ucx_options(o));
  return {{"version", r.version},
          {"tls", o.ucx_tls},
          {"net_devices", o.ucx_net_devices},
          {"usable", resources_json(r.usable)},
          {"why_none", r.why_none},
          {"found", resources_json(r.found)}};
}

/// UCX writes its warnings to standard output, which is the report's. While this lives they go to standard error.
class StandardOutputAside {
 public:
  StandardOutputAside() : kept_(::dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  StandardOutputAside(const StandardOutputAside&) = delete;
  StandardOutputAside& operator=(const StandardOutputAside&) = delete;
  ~StandardOutputAside() {
    std::fflush(stdout);
    ::dup2(kept_, STDOUT_FILENO);
    ::close(kept_);
  }

 private:
  int kept_;
};

json report_aside(const NodeOptions& o, const std::string& role) {
  const StandardOutputAside aside;
  json report = HostReport(o, role).now({});
  // Of a running node it would be no news, and a file server that hangs would hold its control thread.
  if (!o.model_dir.empty()) report["model"] = model_facts(o.model_dir);
  return report;
}

}  // namespace

json HostReport::now(const std::vector<kv::OpenPath>& paths) {
  if (!fabric_) fabric_ = fabric_json(o_);
  json j = host_facts();
  j["format"] = kFormat;
  j["version"] = SLUICE_VERSION;
  j["role"] = role_;
  j["node"] = o_.name;
  j["ucx"] = *fabric_;
  j["paths"] = json::array();
  for (const auto& p : paths) j["paths"].push_back({{"peer", p.peer}, {"lane", p.lane}, {"inbound", p.inbound}});
  j["threads"] = o_.threads;
  j["kv_memory_mib"] = o_.kv_memory_mib;
  // Last, and so nearest to the moment at which it is sent.
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  j["wall_time_ns"] = std::chrono::duration_cast<std::chrono::nanoseconds>(wall).count();
  return j;
}

void add_host_report(flags::App& app, const NodeOptions& o, const std::string& role) {
  app.add_flag_that_ends(
      "--host-report",
      [&o, role] {
        const json report = report_aside(o, role);
        std::puts(report.dump(2, ' ', false, json::error_handler_t::replace).c_str());
      },
      "Print what this machine offers a node with these flags, UCX's part of it too, as JSON, and end");
}

}  // namespace sluice::node
