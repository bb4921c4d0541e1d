#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <thread>

#include "common/flags/program.h"
#include "coordinator/ctl/bench_flags.h"
#include "coordinator/ctl/chat.h"
#include "coordinator/ctl/command_line.h"
#include "coordinator/ctl/doctor/command.h"
#include "coordinator/ctl/down.h"
#include "coordinator/ctl/keys.h"
#include "coordinator/ctl/load/load.h"
#include "coordinator/ctl/profile.h"
#include "coordinator/ctl/simulate.h"
#include "coordinator/ctl/simulate_flags.h"
#include "coordinator/ctl/slo_command.h"
#include "coordinator/ctl/up.h"
#include "coordinator/ctl/up_flags.h"
#include "coordinator/ctl/views.h"

namespace {

using namespace sluice;
using namespace sluice::ctl;
using nlohmann::json;

/// A command that shows one document of the operator's API.
void add_view(flags::App& app, const Common& c, Body& chosen, const std::string& name, const std::string& help,
              std::string (*view)(const json&)) {
  command(app, chosen, name, help, [&c, name, view]() -> Result<int> {
    SLUICE_ASSIGN(const auto e, c.endpoint());
    SLUICE_ASSIGN(const auto j, get(e, "/sluice/v1/" + name));
    if (c.json)
      print(j);
    else
      fmt::print("{}", view(j));
    return 0;
  });
}

void add_status(flags::App& app, const Common& c, Body& chosen) {
  command(app, chosen, "status", "Readiness, model, load and SLO", [&c]() -> Result<int> {
    SLUICE_ASSIGN(const auto e, c.endpoint());
    SLUICE_ASSIGN(const auto j, get(e, "/sluice/v1/status"));
    if (c.json)
      print(j);
    else
      fmt::print("{}", status_text(j, e.address));
    return is_true(j, "ready") ? 0 : 1;
  });
}

void add_up(flags::App& app, const Common& c, Body& chosen, UpOptions& o) {
  flags::App* s = command(app, chosen, "up", "Start a cluster on this machine", [&]() -> Result<int> {
    SLUICE_ASSIGN(o.api_key, c.secret());
    SLUICE_ASSIGN(o.tls, tls::Context::load({tls::Side::client, c.tls}));
    o.json = c.json;
    return up(o, c.dir());
  });
  add_up_flags(*s, o);
}

void add_down(flags::App& app, const Common& c, Body& chosen, int& drain_s) {
  flags::App* s = command(app, chosen, "down", "Drain and stop the cluster that `up` started",
                          [&] { return down(c.dir(), drain_s, c.json); });
  s->add_option("--timeout-s", drain_s, "Time for running requests")
      ->capture_default_str()
      ->check(flags::non_negative());
}

struct DecisionOptions {
  bool follow = false;
  std::uint64_t limit = 20;
};

Result<int> decisions(const Common& c, const DecisionOptions& o) {
  SLUICE_ASSIGN(const auto e, c.endpoint());
  std::uint64_t after = 0;
  for (std::uint64_t limit = o.limit;; limit = 1000) {
    SLUICE_ASSIGN(const auto j, get(e, fmt::format("/sluice/v1/decisions?after={}&limit={}", after, limit)));
    const json found = list(j, "decisions");
    if (c.json && o.follow) {
      for (const auto& d : found) fmt::print("{}\n", d.dump());  // one a line, for whoever reads along
    } else if (c.json) {
      print(j);
    } else if (!found.empty() || !o.follow) {
      fmt::print("{}", decisions_text(j));
    }
    std::fflush(stdout);
    if (!o.follow) return 0;
    if (!found.empty()) after = static_cast<std::uint64_t>(number(found.back(), "seq"));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

void add_decisions(flags::App& app, const Common& c, Body& chosen, DecisionOptions& o) {
  flags::App* s = command(app, chosen, "decisions", "What was decided, predicted and measured, request by request",
                          [&] { return decisions(c, o); });
  s->add_flag("--follow", o.follow, "Go on showing new ones");
  s->add_option("--limit", o.limit, "The newest so many")->capture_default_str();
}

struct DrainOptions {
  std::string node;
  bool force = false;
};

void add_drain(flags::App& app, const Common& c, Body& chosen, DrainOptions& o) {
  const char* what =
      "Give a node no more requests; what it decodes moves to others, and it ends when it has nothing left";
  flags::App* s = command(app, chosen, "drain", what, [&]() -> Result<int> {
    SLUICE_ASSIGN(const auto e, c.endpoint());
    SLUICE_ASSIGN(const auto j,
                  send(e, "POST", "/sluice/v1/drain/" + o.node + (o.force ? "?force=1" : ""), json::object()));
    if (c.json)
      print(j);
    else
      fmt::print("{} is draining\n", o.node);
    return 0;
  });
  s->add_option("node", o.node, "Its name")->required();
  s->add_flag("--force", o.force, "Also the last node of its role, without which every request is refused");
}

struct RoleOptions {
  std::string node, to;
  bool force = false;
};

void add_role(flags::App& app, const Common& c, Body& chosen, RoleOptions& o) {
  const char* what = "Make a node go on in the other role; it finishes first what it has";
  flags::App* s = command(app, chosen, "role", what, [&]() -> Result<int> {
    SLUICE_ASSIGN(const auto e, c.endpoint());
    SLUICE_ASSIGN(const auto j,
                  send(e, "POST", "/sluice/v1/role/" + o.node + (o.force ? "?force=1" : ""), json{{"to", o.to}}));
    if (c.json)
      print(j);
    else
      fmt::print("{} is draining and becomes a {} node\n", o.node, o.to);
    return 0;
  });
  s->add_option("node", o.node, "Its name")->required();
  s->add_option("to", o.to, "prefill or decode")->required()->check(flags::one_of({"prefill", "decode"}));
  s->add_flag("--force", o.force, "Also the last node of its role, without which every request is refused");
}

struct MigrateOptions {
  std::string request, node;
};

void add_migrate(flags::App& app, const Common& c, Body& chosen, MigrateOptions& o) {
  const char* what = "Move a running request to another decode node; its stream goes on";
  flags::App* s = command(app, chosen, "migrate", what, [&]() -> Result<int> {
    SLUICE_ASSIGN(const auto e, c.endpoint());
    SLUICE_ASSIGN(const auto j, send(e, "POST", "/sluice/v1/migrate", json{{"request", o.request}, {"node", o.node}}));
    if (c.json)
      print(j);
    else
      fmt::print("{}", migrate_text(j));
    return 0;
  });
  s->add_option("request", o.request, "Its x-request-id, or the number of one of its legs")->required();
  s->add_option("node", o.node, "The decode node that it goes to")->required();
}

void add_chat(flags::App& app, const Common& c, Body& chosen, ChatOptions& o) {
  flags::App* s = command(app, chosen, "chat", "Ask one question and stream the answer", [&]() -> Result<int> {
    SLUICE_ASSIGN(const auto e, c.endpoint());
    if (o.text == "-") o.text.assign(std::istreambuf_iterator<char>(std::cin), {});
    o.json = c.json;
    return chat(e, o);
  });
  s->add_option("text", o.text, "The question; - reads it from standard input")->required();
  s->add_option("--system", o.system, "System message");
  s->add_option("--max-tokens", o.max_tokens, "Longest answer");
  s->add_option("--temperature", o.temperature, "0 is greedy; default: the model's");
  s->add_option("--profile", o.profile, "KV profile; default: the controller's choice");
  s->add_option("--mode", o.mode, "auto, colocated or split");
  s->add_flag("--explain", o.explain, "Show the pair, the profile and the stage times");
}

void add_bench(flags::App& app, const Common& c, Body& chosen, load::LoadOptions& o) {
  flags::App* s =
      command(app, chosen, "bench", "Put load on a server of OpenAI's API and measure it", [&]() -> Result<int> {
        // Alone it may be any server's, whose API may lie below a path.
        if (!c.url.empty() && !c.url.contains(',')) {
          o.url = c.url;
        } else {
          SLUICE_ASSIGN(o.url, c.where());
        }
        SLUICE_ASSIGN(o.api_key, c.secret());
        if (is_https(o.url)) {
          SLUICE_ASSIGN(o.tls, tls::Context::load({tls::Side::client, c.tls}));
        }
        o.json = c.json;
        return load::bench(o);
      });
  add_bench_flags(*s, o);
}

void add_doctor(flags::App& app, const Common& c, Body& chosen, doctor::CommandLine& line) {
  const char* what = "Look at this host and at a cluster: what is wrong, and what to set";
  flags::App* s = command(app, chosen, "doctor", what, [&]() -> Result<int> {
    line.options.json = c.json;
    SLUICE_ASSIGN(const auto local, c.dir().load());
    Common at = c;  // the local cluster's address, also when its coordinator has ended: that is to be said
    if (at.url.empty() && local) at.url = fmt::format("{}", fmt::join(local->urls(), ","));
    std::optional<Endpoint> cluster;
    if (!at.url.empty()) {
      SLUICE_ASSIGN(cluster, at.endpoint());
    }
    return doctor::run(doctor::with_cluster(line, std::move(cluster), local, c.dir()));
  });
  doctor::add_flags(*s, line);
}

void add_key(flags::App& app, const Common& c, Body& chosen, NewKeyOptions& o, std::string& file) {
  flags::App* s = app.add_subcommand("key", "API keys of the coordinator's --api-keys file");
  s->require_subcommand(1)->fallthrough();
  flags::App* made = command(*s, chosen, "new", "Draw a key; its line for the file goes to standard output", [&] {
    o.json = c.json;
    return new_key(o);
  });
  made->add_option("--tenant", o.tenant, "Whose key it is")->required();
  made->add_option("--id", o.id, "Names the key in logs and errors; default: drawn");
  made->add_flag("--admin", o.admin, "May change objectives, drain nodes and move requests");
  made->add_option("--requests-per-minute", o.requests_per_minute, "Budget of requests")->check(flags::positive());
  made->add_option("--tokens-per-minute", o.tokens_per_minute, "Budget of prompt and answer tokens")
      ->check(flags::positive());
  made->add_option("--concurrent", o.concurrent, "Requests at a time")->check(flags::positive());
  made->add_option("--models", o.models, "Models that it may ask for; default: all")->delimiter(',');
  made->add_option("--slo-classes", o.slo_classes, "SLO classes that it may name; default: all")->delimiter(',');
  made->add_option("--expires", o.expires, "2027-01-31 or 2027-01-31T12:00:00Z");
  flags::App* checked = command(*s, chosen, "check", "Read a file of keys as the coordinator would",
                                [&] { return check_keys(file, c.json); });
  checked->add_option("file", file, "The file")->required();
}

void add_profile(flags::App& app, const Common& c, Body& chosen) {
  flags::App* s = app.add_subcommand("profile", "Find the KV profiles worth offering (sluice-profiler search)");
  // What it takes is sluice-profiler's to say, --help included.
  s->no_help_flag();
  s->prefix_command();
  s->callback([&c, &chosen, s] { chosen = [&c, args = s->remaining()] { return profile(args, c.json); }; });
}

void add_simulate(flags::App& app, const Common& c, Body& chosen, SimulateOptions& o) {
  flags::App* s = command(app, chosen, "simulate", "Run the policies over a simulated cluster", [&] {
    o.json = c.json;
    return simulate(o);
  });
  add_simulate_flags(*s, o);
}

}  // namespace

int main(int argc, char** argv) {
  Common common;
  UpOptions up_options;
  int drain_s = up_options.stop_timeout_s;
  SloChange slo;
  DecisionOptions decision_options;
  DrainOptions drain_options;
  RoleOptions role_options;
  MigrateOptions migrate_options;
  ChatOptions chat_options;
  load::LoadOptions bench_options;
  bench_options.command = command_text(argc, argv);
  doctor::CommandLine doctor_line;
  SimulateOptions simulate_options;
  NewKeyOptions key_options;
  std::string key_file;
  Body chosen;
  flags::App app("Runs and inspects Sluice clusters", "sluicectl");
  add_config_option(app);
  app.version(std::string("sluice ") + SLUICE_VERSION);
  app.require_subcommand(1);
  add_common_flags(app, common);
  add_up(app, common, chosen, up_options);
  add_down(app, common, chosen, drain_s);
  add_status(app, common, chosen);
  add_view(app, common, chosen, "nodes", "The nodes that have joined", nodes_text);
  add_view(app, common, chosen, "coordinators", "The coordinators of the cluster, and who leads", coordinators_text);
  add_slo(app, common, chosen, slo);
  add_view(app, common, chosen, "profiles", "KV profiles and their measured speeds", profiles_text);
  add_decisions(app, common, chosen, decision_options);
  add_drain(app, common, chosen, drain_options);
  add_role(app, common, chosen, role_options);
  add_migrate(app, common, chosen, migrate_options);
  add_chat(app, common, chosen, chat_options);
  add_bench(app, common, chosen, bench_options);
  add_doctor(app, common, chosen, doctor_line);
  add_key(app, common, chosen, key_options, key_file);
  add_profile(app, common, chosen);
  add_simulate(app, common, chosen, simulate_options);
  return run_main(app, argc, argv, [&] {
    const auto code = chosen();
    if (code) return *code;
    throw std::runtime_error(code.error().message);
  });
}
