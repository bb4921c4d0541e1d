#include <fmt/ranges.h>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <thread>

#include "common/flags/program.h"
#include "common/secret_file.h"
#include "coordinator/ctl/bench_flags.h"
#include "coordinator/ctl/chat.h"
#include "coordinator/ctl/coordinators.h"
#include "coordinator/ctl/doctor/command.h"
#include "coordinator/ctl/down.h"
#include "coordinator/ctl/keys.h"
#include "coordinator/ctl/load/load.h"
#include "coordinator/ctl/profile.h"
#include "coordinator/ctl/simulate.h"
#include "coordinator/ctl/up.h"
#include "coordinator/ctl/views.h"

namespace {

using namespace sluice;
using namespace sluice::ctl;
using nlohmann::json;

/// What every command may say.
struct Common {
  std::string url;
  std::string api_key;
  std::string api_key_file;
  tls::Files tls;  // of https
  std::string run_dir = default_run_dir().string();
  bool json = false;

  [[nodiscard]] RunDir dir() const { return RunDir(run_dir); }

  /// --url, else the local cluster's, else the default port: coordinators of which any will do.
  [[nodiscard]] Result<std::vector<std::string>> urls() const {
    if (!url.empty()) return split_urls(url);
    SLUICE_ASSIGN(const auto state, dir().load());
    if (state && !state->url.empty() && serves(*state)) return state->urls();
    return std::vector<std::string>{"127.0.0.1:8000"};
  }
  [[nodiscard]] Result<Endpoint> endpoint_of(const std::string& at) const {
    SLUICE_ASSIGN(const auto address, address_of_url(at));
    SLUICE_ASSIGN(std::string key, secret());
    Endpoint e{address, std::move(key)};
    if (!is_https(at)) {
      if (!tls.ca.empty() || !tls.cert.empty()) return fail_param("ca", "--ca and --cert are for https:// URLs");
      return e;
    }
    SLUICE_ASSIGN(e.tls, tls::Context::load({tls::Side::client, tls}));
    return e;
  }
  /// The URL of the one to speak to.
  [[nodiscard]] Result<std::string> where() const {
    SLUICE_ASSIGN(const auto all, urls());
    std::vector<Endpoint> coordinators;
    for (const std::string& at : all) {
      SLUICE_ASSIGN(coordinators.emplace_back(), endpoint_of(at));
    }
    SLUICE_ASSIGN(const auto chosen, first_answering(coordinators));
    return all[chosen];
  }
  [[nodiscard]] Result<Endpoint> endpoint() const {
    SLUICE_ASSIGN(const std::string at, where());
    return endpoint_of(at);
  }

  [[nodiscard]] Result<std::string> secret() const {
    return api_key_file.empty() ? Result<std::string>(api_key) : read_secret_line(api_key_file);
  }
};

using Body = std::function<Result<int>()>;

void print(const json& j) { fmt::print("{}\n", j.dump(2, ' ', false, json::error_handler_t::replace)); }

/// A command: `body` runs when it was given.
flags::App* command(flags::App& app, Body& chosen, const std::string& name, const std::string& help, Body body) {
  flags::App* c = app.add_subcommand(name, help);
  c->fallthrough();  // the common options may follow the command
  c->callback([&chosen, body = std::move(body)] { chosen = body; });
  return c;
}

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

/// A pass-through option: it reaches the daemons as it was given, and is checked by them.
void pass_on(flags::App& c, std::vector<std::string>& args, const std::string& flag, const std::string& help) {
  c.add_option_function(flag, [&args, flag](const std::string& v) { args.insert(args.end(), {flag, v}); }, help);
}

void add_up(flags::App& app, const Common& c, Body& chosen, UpOptions& o) {
  flags::App* s = command(app, chosen, "up", "Start a cluster on this machine", [&]() -> Result<int> {
    SLUICE_ASSIGN(o.api_key, c.secret());
    SLUICE_ASSIGN(o.tls, tls::Context::load({tls::Side::client, c.tls}));
    o.json = c.json;
    return up(o, c.dir());
  });
  s->add_option("--model", o.model, "Hugging Face model directory")->required();
  s->add_option("--coordinators", o.coordinators, "Coordinators; several need --registry")
      ->capture_default_str()
      ->check(flags::range(1, 16));
  s->add_option_function(
      "--registry",
      [&o](const std::string& v) {
        o.registry = v;
        o.every_flag.insert(o.every_flag.end(), {"--registry", v});
      },
      "What coordinators share, and where nodes find them: etcd://host:2379[,host:2379...]");
  pass_on(*s, o.every_flag, "--cluster-name", "Of the cluster within the registry");
  s->add_option("--prefill", o.prefill, "Prefill nodes")->capture_default_str()->check(flags::range(1, 64));
  s->add_option("--decode", o.decode, "Decode nodes")->capture_default_str()->check(flags::range(1, 64));
  s->add_option("--host", o.host, "HTTP address")->capture_default_str();
  s->add_option("--port", o.port,
                "HTTP port, of the first coordinator; the others have the next ones; 0 takes free ones")
      ->capture_default_str()
      ->check(flags::range(0, 65535));
  s->add_flag("--detach", o.detach, "Return once ready; `sluicectl down` ends it");
  s->add_option("--transport", o.transport, "What carries KV")
      ->capture_default_str()
      ->check(flags::one_of({"tcp", "shm"}));
  s->add_option("--threads", o.threads, "Compute threads of one node; 0 shares the cores out")
      ->check(flags::non_negative());
  s->add_option("--kv-memory-mib", o.kv_memory_mib, "KV memory of one node; 0 shares the machine's memory out")
      ->check(flags::non_negative());
  s->add_option("--ready-timeout-s", o.ready_timeout_s, "Give up after this long")
      ->capture_default_str()
      ->check(flags::positive());
  pass_on(*s, o.every_flag, "--model-name", "Name clients ask for");
  pass_on(*s, o.every_flag, "--log-format", "text or json");
  pass_on(*s, o.every_flag, "--log-level", "debug, info, warn or error");
  pass_on(*s, o.every_flag, "--otlp-endpoint", "Send spans of requests to this OTLP/HTTP receiver");
  pass_on(*s, o.node_flag, "--kv-profiles", "Library of KV profiles for all nodes, as `sluicectl profile` writes it");
  s->add_option("--state-file", o.state_file,
                "Keeps what was learned and set, over restarts; FILE.1, FILE.2, ... of further coordinators");
  for (const char* flag : {"--slo-ttft-ms", "--slo-tpot-ms", "--quality-kl", "--probe-share", "--quality-probe-share",
                           "--tie-share", "--max-model-len", "--max-wait-s", "--max-tpot-ms", "--max-waiting",
                           "--request-timeout-s", "--drain-timeout-s", "--lease-ms", "--trace-share"})
    pass_on(*s, o.coordinator_flag, flag, "As for sluice-coordinator");
  s->add_option("--coordinator-arg", o.coordinator_arg, "Further argument for the coordinator, as it is (--x=y)");
  s->add_option("--prefill-arg", o.prefill_arg, "Further argument for every prefill node");
  s->add_option("--decode-arg", o.decode_arg, "Further argument for every decode node");
}

void add_down(flags::App& app, const Common& c, Body& chosen, int& drain_s) {
  flags::App* s = command(app, chosen, "down", "Drain and stop the cluster that `up` started",
                          [&] { return down(c.dir(), drain_s, c.json); });
  s->add_option("--timeout-s", drain_s, "Time for running requests")
      ->capture_default_str()
      ->check(flags::non_negative());
}

struct SloChange {
  std::string name = "default";
  std::optional<double> ttft_ms, tpot_ms, attainment, quality_kl;
  std::string objective;
  std::optional<int> priority;
  std::optional<bool> seeded_lossy;

  [[nodiscard]] json body() const {
    json j = json::object();
    if (ttft_ms) j["ttft_ms"] = *ttft_ms;
    if (tpot_ms) j["tpot_ms"] = *tpot_ms;
    if (attainment) j["attainment"] = *attainment;
    if (quality_kl) j["quality_kl"] = *quality_kl;
    if (!objective.empty()) j["objective"] = objective;
    if (priority) j["priority"] = *priority;
    if (seeded_lossy) j["seeded_lossy"] = *seeded_lossy;
    return j;
  }
};

/// Sends or asks, and shows the answer.
Result<int> show_slo(const Common& c, const char* method, const std::string& path, const json& body,
                     std::string (*view)(const json&)) {
  SLUICE_ASSIGN(const auto e, c.endpoint());
  const std::string target = "/sluice/v1/slo" + path;
  SLUICE_ASSIGN(const auto j, method == std::string_view("GET") ? get(e, target) : send(e, method, target, body));
  if (c.json)
    print(j);
  else
    fmt::print("{}", view(j));
  return 0;
}

void add_slo(flags::App& app, const Common& c, Body& chosen, SloChange& change) {
  flags::App* s = app.add_subcommand("slo", "The service's objectives, by class");
  s->require_subcommand(1)->fallthrough();
  command(*s, chosen, "get", "Show them", [&] { return show_slo(c, "GET", "", {}, slo_classes_text); });
  flags::App* set = command(*s, chosen, "set", "Change a class, or make one", [&]() -> Result<int> {
    json body = change.body();
    if (body.empty()) return fail(Errc::invalid_argument, "say what to set");
    body["class"] = change.name;
    return show_slo(c, "PUT", "", body, slo_classes_text);
  });
  set->add_option("--ttft-ms", change.ttft_ms, "Time to first token");
  set->add_option("--tpot-ms", change.tpot_ms, "Time per output token");
  set->add_option("--attainment", change.attainment, "Share of requests that must meet both");
  set->add_option("--quality-kl", change.quality_kl, "Mean KL to bf16 KV, nats per token");
  set->add_option("--objective", change.objective,
                  "quality: the least lossy profile that meets the objectives; latency: the fastest within the budget")
      ->check(flags::one_of({"quality", "latency"}));
  set->add_option("--priority", change.priority, "Smaller is served sooner");
  set->add_option("--seeded-lossy", change.seeded_lossy,
                  "true: requests with a seed may use lossy profiles; the same seed may then give another answer");
  flags::App* remove = command(*s, chosen, "remove", "Remove a class",
                               [&] { return show_slo(c, "DELETE", "/" + change.name, {}, slo_classes_text); });
  flags::App* explain =
      command(*s, chosen, "explain", "Which objectives the nodes and links can reach, what binds, what to change",
              [&] { return show_slo(c, "GET", "/explain/" + change.name, {}, slo_explain_text); });
  set->add_option("class", change.name, "Its name")->capture_default_str();
  explain->add_option("class", change.name, "Its name")->capture_default_str();
  remove->add_option("class", change.name, "Its name")->required();
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
  const char* what = "Give a node no more requests; it ends when it has finished those it has";
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
        SLUICE_ASSIGN(o.url, c.where());
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
  made->add_flag("--admin", o.admin, "May change objectives and drain nodes");
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
  s->add_option("--experiment", o.experiment, "Registered scenarios with comparators and seeds (JSON)")
      ->check(flags::existing_file());
  s->add_option("--scenario", o.scenario, "A cluster and load (JSON); flags win over it")
      ->check(flags::existing_file());
  s->add_option("--policy", o.policy,
                "sluice, sluice-fast, sluice-keep, static:PROFILE, break-even, kvserve, kvserve-alone or ucb1; a "
                "search takes several")
      ->capture_default_str();
  s->add_option("--trace", o.trace, "Azure or BurstGPT CSV, or Mooncake JSONL")->check(flags::existing_file());
  s->add_option("--time-scale", o.time_scale, "Stretches (> 1) or presses (< 1) a trace's time")
      ->capture_default_str()
      ->check(flags::positive());
  s->add_option("--model", o.model, "llama-3.1-8b, or a JSON file");
  s->add_option("--prefill-hardware", o.prefill_hardware, "a100, h100, h200, rtx5090, cpu, or a JSON file");
  s->add_option("--decode-hardware", o.decode_hardware, "As --prefill-hardware");
  s->add_option("--profiles", o.profiles, "published or sluice, or a JSON file; default: the hardware's own");
  s->add_option(
       "--hardware", o.hardware,
       "Of all nodes: a name or JSON file. In a search, those to choose from, NAME:PRICE with a price per hour")
      ->delimiter(',');
  s->add_flag("--search", o.search, "Rank splits of --nodes, or of --budget, by goodput within the objectives");
  s->add_option("--nodes", o.nodes, "Of a search: nodes at most; default: 8, or as many as --budget buys, up to 64")
      ->check(flags::range(2, 10000));
  s->add_option("--budget", o.budget, "Of a search: price per hour at most")->check(flags::positive());
  s->add_option("--attainment", o.attainment, "Of a search: share of requests that must meet both objectives")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  s->add_option("--prefill", o.prefill, "Prefill nodes")->check(flags::range(1, 10000));
  s->add_option("--decode", o.decode, "Decode nodes")->check(flags::range(1, 10000));
  s->add_option("--link-gbps", o.link_gbps, "Each link's rate, Gb/s")->check(flags::positive());
  s->add_option("--requests", o.requests, "How many; a trace is repeated as needed")
      ->check(flags::range(1, 100'000'000));
  s->add_option("--rate", o.rate, "Arrivals per second")->check(flags::positive());
  s->add_option("--burstiness", o.burstiness, "Variation of the gaps; 1 is Poisson, above it a gamma process")
      ->check(flags::positive());
  s->add_option("--input-len", o.input_len, "Mean prompt tokens")->check(flags::positive());
  s->add_option("--output-len", o.output_len, "Mean output tokens")->check(flags::positive());
  for (auto& [flag, values] : {std::pair{"--slo-ttft-ms", &o.slo_ttft_ms}, {"--slo-tpot-ms", &o.slo_tpot_ms}})
    s->add_option(flag, *values, "Objective; a search takes several, with commas, and ranks for each")
        ->delimiter(',')
        ->check(flags::positive());
  s->add_option("--max-tpot-ms", o.max_tpot_ms, "Refuse what is expected to be decoded slower, as the coordinator's")
      ->check(flags::positive());
  s->add_flag("--no-admission", o.no_admission, "Let requests wait that are not expected to start in time");
  s->add_flag("--regret", o.regret, "Runs every static profile too: regret to the best, and to each interval's best");
  s->add_option("--interval-s", o.interval_s, "Of --regret")->capture_default_str()->check(flags::positive());
  s->add_option("--quality-kl", o.quality_kl, "Quality budget")->check(flags::non_negative());
  s->add_option("--objective", o.objective,
                "quality (the default): the least lossy profile in time; latency: the fastest")
      ->check(flags::one_of({"quality", "latency"}));
  s->add_option("--seed", o.seed, "Of load, noise and probing")->capture_default_str();
  s->add_option("--out", o.out, "Directory for result.json and plots");
}

}  // namespace

int main(int argc, char** argv) {
  Common common;
  UpOptions up_options;
  int drain_s = up_options.stop_timeout_s;
  SloChange slo;
  DecisionOptions decision_options;
  DrainOptions drain_options;
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
  app.add_option("--url", common.url,
                 "Coordinator, http(s)://host:port; several with commas, of which the first that is ready will do; "
                 "default: the local cluster, else 127.0.0.1:8000");
  app.add_option("--api-key", common.api_key, "Bearer key; not on the command line")
      ->secret("SLUICE_API_KEY", "--api-key-file FILE");
  app.add_option("--api-key-file", common.api_key_file, "File with the bearer key, of mode 600");
  app.add_option("--ca", common.tls.ca,
                 "Authorities that https servers' certificates come from; default: the system's");
  app.add_option("--cert", common.tls.cert, "Certificate to show to https servers that demand one");
  app.add_option("--key", common.tls.key, "Its private key, of mode 600");
  app.add_option("--run-dir", common.run_dir, "Where the local cluster keeps its state and logs")
      ->capture_default_str();
  app.add_flag("--json", common.json, "Print JSON");
  add_up(app, common, chosen, up_options);
  add_down(app, common, chosen, drain_s);
  add_status(app, common, chosen);
  add_view(app, common, chosen, "nodes", "The nodes that have joined", nodes_text);
  add_view(app, common, chosen, "coordinators", "The coordinators of the cluster, and who leads", coordinators_text);
  add_slo(app, common, chosen, slo);
  add_view(app, common, chosen, "profiles", "KV profiles and their measured speeds", profiles_text);
  add_decisions(app, common, chosen, decision_options);
  add_drain(app, common, chosen, drain_options);
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
