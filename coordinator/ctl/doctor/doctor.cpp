#include "coordinator/ctl/doctor/doctor.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "common/json/parse.h"
#include "coordinator/ctl/doctor/canary.h"
#include "coordinator/ctl/doctor/cluster_checks.h"
#include "coordinator/ctl/doctor/machine_checks.h"
#include "coordinator/ctl/doctor/perftest.h"
#include "coordinator/ctl/doctor/places.h"
#include "coordinator/ctl/doctor/program.h"
#include "coordinator/ctl/process.h"

namespace sluice::ctl::doctor {
namespace {

using nlohmann::json;

constexpr const char* kHost = "This host";

/// UCX is the daemons' to see, so one of them is asked; they lie beside us.
Result<Machine> this_host(const HostPlan& plan) {
  SLUICE_ASSIGN(const auto bin, own_directory());
  Program p{.argv = {(bin / "sluice-decode").string()}};
  for (const auto& [flag, value] :
       {std::pair{"--model", &plan.model}, {"--ucx-tls", &plan.ucx_tls}, {"--ucx-net-devices", &plan.ucx_net_devices}})
    if (!value->empty()) p.argv.insert(p.argv.end(), {flag, *value});
  if (plan.threads > 0) p.argv.insert(p.argv.end(), {"--threads", std::to_string(plan.threads)});
  if (plan.kv_memory_mib > 0) p.argv.insert(p.argv.end(), {"--kv-memory-mib", std::to_string(plan.kv_memory_mib)});
  p.argv.emplace_back("--host-report");
  SLUICE_ASSIGN(const std::string text, output_of(p));
  SLUICE_ASSIGN(const json report, parse_json_object(text, {.what = "the host report", .code = Errc::data_corrupt}));
  return parse_machine(report);
}

/// UCX's own figure, or why there is none.
std::optional<Perftest> perftest(Report& r) {
  auto figures = run_perftest();
  Notebook n(kHost, "ucx_perftest");
  if (figures) {
    n.ok("perftest",
         fmt::format(
             "over the loopback {:.1f} Gb/s, round trip {:.3f} ms (two processes that poll: less on a busy machine)",
             figures->bytes_per_s * 8e-9, figures->round_trip_s * 1000));
    r.measured["perftest"] = {{"bytes_per_s", figures->bytes_per_s}, {"round_trip_s", figures->round_trip_s}};
  } else {
    n.note("perftest-absent", figures.error().message,
           "with it the speed of links stands beside what UCX alone reaches here", "apt-get install ucx-utils");
  }
  append(r.findings, n.take());
  return figures ? std::optional(*figures) : std::nullopt;
}

/// The machine's boot id; empty when it is not known.
std::string examine_host(const Options& o, Report& r) {
  const auto machine = this_host(o.host);
  if (machine) {
    Load load{.nodes = static_cast<double>(o.host.nodes),
              .threads = static_cast<double>(o.host.threads * o.host.nodes),
              .max_connections = static_cast<double>(o.host.max_connections)};
    append(r.findings, judge_machine(*machine, load, kHost, ""));
    append(r.findings, judge_fabric(*machine, kHost, ""));
    append(r.findings, judge_limits(*machine, load, kHost, ""));
    append(r.findings, judge_model(*machine, kHost, ""));
  } else {
    Notebook n(kHost, "");
    n.error("no-host-report", fmt::format("sluice-decode cannot say what is here: {}", machine.error().message),
            "only the node daemons see UCX; without one beside sluicectl this host cannot be judged",
            "install sluice-decode beside sluicectl, of the same version");
    append(r.findings, n.take());
  }
  std::vector<Place> places;
  for (const auto& address : o.host.listen) places.push_back(try_place(address));
  append(r.findings, judge_places(places, o.host.several_machines));
  return machine ? machine->boot_id : std::string();
}

void examine_cluster(const Options& o, const std::string& here, const std::optional<Perftest>& figures, Report& r) {
  const auto limit = std::chrono::milliseconds(static_cast<std::int64_t>(o.node_timeout_s * 1000));
  const ClusterFacts c = gather_cluster({*o.cluster, o.expected, limit});
  append(r.findings, judge_members(c));
  append(r.findings, judge_nodes(c, static_cast<double>(o.host.max_connections), here));
  append(r.findings, judge_links(c, figures));
  r.measured["links"] = links_json(c);
  if (c.error || !c.ready) return;
  if (o.canary) {
    const CanaryFacts canary = run_canary(*o.cluster, o.slo_class);
    append(r.findings, judge_canary(canary));
    r.measured["canary"] = canary_json(canary);
  }
  if (o.pd) {
    const PdFacts pd = measure_pd(*o.cluster, o.pd_options);
    append(r.findings, judge_pd(pd));
    r.measured["pd"] = pd_json(pd);
  }
}

}  // namespace

Findings merged(const Findings& all) {
  Findings out;
  std::vector<std::vector<std::string>> subjects;  // of each in `out`
  for (const auto& f : all) {
    const auto same = std::ranges::find_if(out, [&](const Finding& k) {
      return k.severity == f.severity && k.id == f.id && k.area == f.area && k.found == f.found && k.set == f.set;
    });
    if (same == out.end()) {
      out.push_back(f);
      subjects.push_back({f.subject});
      continue;
    }
    auto& known = subjects[static_cast<std::size_t>(same - out.begin())];
    if (std::ranges::find(known, f.subject) != known.end()) continue;
    known.push_back(f.subject);
    same->subject += ", " + f.subject;
  }
  return out;
}

Report examine(const Options& o) {
  Report r;
  const std::string here = examine_host(o, r);
  append(r.findings, judge_certificates(read_certificates(o.certificates),
                                        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())));
  const auto figures = o.perftest ? perftest(r) : std::nullopt;
  if (o.cluster) examine_cluster(o, here, figures, r);
  r.findings = merged(r.findings);
  return r;
}

int run(const Options& o) {
  const Report r = examine(o);
  if (o.json)
    fmt::print("{}\n", report_json(r).dump(2, ' ', false, json::error_handler_t::replace));
  else
    fmt::print("{}", report_text(r, ::isatty(STDOUT_FILENO) == 1));
  return exit_code(r.findings);
}

}  // namespace sluice::ctl::doctor
