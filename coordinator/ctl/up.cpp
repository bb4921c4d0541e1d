#include "coordinator/ctl/up.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "coordinator/ctl/api.h"
#include "coordinator/ctl/down.h"
#include "coordinator/ctl/targets.h"
#include "coordinator/ctl/views.h"

namespace sluice::ctl {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLogLines = 15;
constexpr auto kPoll = std::chrono::milliseconds(50);
constexpr auto kWatch = std::chrono::seconds(1);

/// The signals this command waits for instead of being interrupted by them.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set_, s);
    sigprocmask(SIG_BLOCK, &set_, nullptr);
  }
  /// Sleeps until a signal or the limit; true once somebody asked us to stop.
  bool wait(std::chrono::milliseconds limit) {
    const auto s = std::chrono::duration_cast<std::chrono::seconds>(limit);
    const timespec t{s.count(), std::chrono::nanoseconds(limit - s).count()};
    const int got = sigtimedwait(&set_, nullptr, &t);
    stopped_ |= got == SIGINT || got == SIGTERM || got == SIGHUP;
    reap();
    return stopped_;
  }

 private:
  sigset_t set_{};
  bool stopped_ = false;
};

class Launch {
 public:
  Launch(const UpOptions& o, const RunDir& dir) : o_(o), dir_(dir) {}

  Result<int> run() {
    SLUICE_TRY(check(o_));
    SLUICE_ASSIGN(bin_, own_directory());
    SLUICE_TRY(dir_.create());
    {
      SLUICE_ASSIGN(const auto lock, dir_.lock(false));
      SLUICE_TRY(refuse_second());
      if (auto started = start(); !started) {
        (void)take_down(state_, dir_, 0);
        if (signals_.wait({})) return 130;
        return std::unexpected(started.error());
      }
    }
    say(fmt::format("ready: {}  (logs in {})", fmt::join(state_.urls(), ", "), dir_.path().string()));
    if (o_.json) {
      std::fputs(to_text(state_).c_str(), stdout);
      std::fflush(stdout);
    }
    return o_.detach ? 0 : watch();
  }

 private:
  void say(const std::string& line) const {
    std::FILE* out = o_.json ? stderr : stdout;
    std::fputs((line + "\n").c_str(), out);
    std::fflush(out);
  }

  Result<> refuse_second() {
    SLUICE_ASSIGN(const auto before, dir_.load());
    if (!before) return {};
    const auto running = std::ranges::count_if(before->members, [](const Member& m) { return alive(m.process); });
    if (running > 0)
      return fail(
          Errc::already_exists,
          "a cluster is already running at {} ({} processes); `sluicectl down` ends it, --run-dir starts another",
          before->url, running);
    (void)take_down(*before, dir_, 0);  // all dead: only their shared memory can be left
    return {};
  }

  Result<> start() {
    deadline_ = Clock::now() + std::chrono::seconds(o_.ready_timeout_s);
    std::error_code ec;
    const fs::path model = fs::canonical(o_.model, ec);
    if (ec || !fs::exists(model / "config.json", ec))
      return fail_param("model", "{} is not a model directory (it has no config.json)", o_.model);
    state_.model = model.string();
    for (int i = 0; i < o_.coordinators; ++i) {
      const std::string name = coordinator_name(o_, i);
      const fs::path ready = dir_.ready_file(name);
      fs::remove(ready, ec);
      SLUICE_TRY(add(name, "coordinator", coordinator_args(o_, state_.model, ready.string(), i)));
    }
    std::string control;
    for (int i = 0; i < o_.coordinators; ++i) {
      SLUICE_ASSIGN(const auto one, bound_addresses(dir_.ready_file(coordinator_name(o_, i))));
      control += (i == 0 ? "" : ",") + one;
    }
    write_targets(false);
    const int threads = threads_per_node(o_.threads, std::thread::hardware_concurrency(), o_.prefill + o_.decode);
    say(fmt::format("coordinator listens at {}; {} compute thread(s) per node, KV over {}",
                    fmt::join(state_.urls(), ", "), threads, o_.transport));
    for (int i = 0; i < o_.prefill; ++i)
      SLUICE_TRY(
          add(fmt::format("prefill-{}", i), "prefill", node_args(o_, state_.model, control, threads, o_.prefill_arg)));
    for (int i = 0; i < o_.decode; ++i)
      SLUICE_TRY(
          add(fmt::format("decode-{}", i), "decode", node_args(o_, state_.model, control, threads, o_.decode_arg)));
    SLUICE_TRY(wait_ready());
    write_targets(true);
    for (auto& m : state_.members) m.shared_memory = shared_memory_of(m.process.pid);
    return dir_.save(state_);
  }

  /// Starts a daemon and writes it down at once, so that `down` finds it whatever becomes of us.
  Result<> add(const std::string& name, const std::string& role, std::vector<std::string> args) {
    Command c{bin_ / ("sluice-" + role), std::move(args), {}, dir_.log(name)};
    if (role != "coordinator") c.args.insert(c.args.begin(), {"--name", name});
    // By environment, not by flag: other users can read a process's flags.
    if (role == "coordinator" && !o_.api_key.empty()) c.env.emplace_back("SLUICE_API_KEY", o_.api_key);
    SLUICE_ASSIGN(const auto process, spawn(c));
    state_.members.push_back({name, role, process, {}});
    return dir_.save(state_);
  }

  /// One turn of waiting: fails when a daemon died, somebody asked us to stop, or time is up.
  Result<> turn(const std::string& what) {
    if (signals_.wait(kPoll)) return fail(Errc::cancelled, "interrupted");
    for (const auto& m : state_.members)
      if (!alive(m.process))
        return fail(Errc::unavailable, "{} ended while starting; its log ends:\n{}", m.name,
                    last_lines(dir_.log(m.name), kLogLines));
    if (Clock::now() >= deadline_)
      return fail(Errc::deadline_exceeded, "not ready within {} s ({}); logs are in {}", o_.ready_timeout_s, what,
                  dir_.path().string());
    return {};
  }

  /// A coordinator's control address, from its ready file; adds its URL to the state.
  Result<std::string> bound_addresses(const fs::path& ready) {
    for (;;) {
      std::ifstream in(ready);
      const json j = in ? json::parse(in, nullptr, false) : json();
      if (word(j, "http") != "-" && word(j, "control") != "-") {
        std::string address = word(j, "http");
        if (address.starts_with("0.0.0.0:")) address.replace(0, 7, "127.0.0.1");
        if (address.starts_with("[::]:")) address.replace(0, 4, "[::1]");
        std::string& url = state_.url.empty() ? state_.url : state_.others.emplace_back();
        url = (word(j, "scheme") == "https" ? "https://" : "http://") + address;
        SLUICE_TRY(dir_.save(state_));
        return word(j, "control");
      }
      SLUICE_TRY(turn("the coordinator is still loading"));
    }
  }

  Result<> wait_ready() {
    std::vector<Endpoint> coordinators;
    for (const std::string& url : state_.urls()) {
      SLUICE_ASSIGN(const auto address, address_of_url(url));
      coordinators.push_back({address, {}, is_https(url) ? o_.tls : nullptr});
    }
    std::string shown;
    for (;;) {
      int prefill = o_.prefill, decode = o_.decode;  // at the one that has fewest
      for (const Endpoint& c : coordinators) {
        const auto h = health(c);
        prefill = std::min(prefill, h ? static_cast<int>(number(*h, "prefill_nodes")) : 0);
        decode = std::min(decode, h ? static_cast<int>(number(*h, "decode_nodes")) : 0);
      }
      auto joined =
          fmt::format("{}/{} prefill and {}/{} decode nodes have joined", prefill, o_.prefill, decode, o_.decode);
      if (joined != shown) say(joined);
      shown = std::move(joined);
      if (prefill >= o_.prefill && decode >= o_.decode) return {};
      SLUICE_TRY(turn(shown));
    }
  }

  /// For Prometheus, once the coordinator is there and once the nodes are. Without the list a cluster serves all the
  /// same, so what goes wrong is only said.
  void write_targets(bool with_nodes) const {
    if (const auto written = try_write_targets(with_nodes); !written)
      say("no list for Prometheus: " + written.error().message);
  }
  Result<> try_write_targets(bool with_nodes) const {
    std::vector<std::pair<std::string, std::string>> coordinators;
    for (const std::string& url : state_.urls()) {
      SLUICE_ASSIGN(auto address, address_of_url(url));
      coordinators.emplace_back(coordinator_name(o_, static_cast<int>(coordinators.size())), std::move(address));
    }
    const Endpoint endpoint{coordinators.at(0).second, o_.api_key, is_https(state_.url) ? o_.tls : nullptr};
    json nodes;
    if (with_nodes) {
      SLUICE_ASSIGN(nodes, get(endpoint, "/sluice/v1/nodes"));
    }
    SLUICE_ASSIGN(const auto models, get(endpoint, "/v1/models"));
    const json served = list(models, "data");
    return dir_.save_targets(to_targets(coordinators, served.empty() ? "" : word(served[0], "id"), nodes));
  }

  /// The foreground: until a signal, or until every coordinator is gone. What else is lost is reported, the rest serves
  /// on.
  Result<int> watch() {
    say("Ctrl-C stops the cluster");
    std::vector<std::string> reported;
    while (!signals_.wait(kWatch)) {
      for (const auto& m : state_.members) {
        if (alive(m.process) || std::ranges::find(reported, m.name) != reported.end()) continue;
        const auto lock = dir_.lock(false);
        if (!lock) break;  // a `down` is at work; look again when it is done
        SLUICE_ASSIGN(const bool ours, still_ours());
        if (!ours) {
          say("the cluster was taken down");
          return 0;
        }
        reported.push_back(m.name);
        say(fmt::format("{} ended; its log ends:\n{}", m.name, last_lines(dir_.log(m.name), kLogLines)));
        if (m.role != "coordinator" || serves(state_)) continue;
        (void)take_down(state_, dir_, o_.stop_timeout_s);
        return 1;
      }
    }
    say("stopping");
    SLUICE_ASSIGN(const auto lock, dir_.lock(true));
    SLUICE_ASSIGN(const bool ours, still_ours());
    if (ours) (void)take_down(state_, dir_, o_.stop_timeout_s);
    say("stopped");
    return 0;
  }

  Result<bool> still_ours() const {
    SLUICE_ASSIGN(const auto now, dir_.load());
    return now && !now->members.empty() && now->members.front().process == state_.members.front().process;
  }

  const UpOptions& o_;
  const RunDir& dir_;
  Signals signals_;
  fs::path bin_;
  ClusterState state_;
  Clock::time_point deadline_;
};

}  // namespace

int threads_per_node(int asked, unsigned cores, int nodes) {
  if (asked > 0) return asked;
  return std::max(1, static_cast<int>(cores) / std::max(1, nodes));
}

std::string ucx_list(const std::string& transport) { return transport == "shm" ? "posix,tcp,self" : "tcp,self"; }

Result<> check(const UpOptions& o) {
  if (o.coordinators > 1 && o.registry.empty())
    return fail_param("coordinators",
                      "several coordinators need what they share: --registry etcd://host:2379 (Debian: etcd-server)");
  if (o.port != 0 && o.port + o.coordinators - 1 > 65535)
    return fail_param("port", "{} coordinators have ports from {} on, and 65535 is the last", o.coordinators, o.port);
  return {};
}

std::string coordinator_name(const UpOptions& o, int index) {
  return o.coordinators == 1 ? "coordinator" : fmt::format("coordinator-{}", index);
}

std::vector<std::string> coordinator_args(const UpOptions& o, const std::string& model, const std::string& ready_file,
                                          int index) {
  const int port = o.port == 0 ? 0 : o.port + index;
  std::vector<std::string> a{
      "--model",          model,         "--host",       o.host,    "--port", std::to_string(port),
      "--control-listen", "127.0.0.1:0", "--ready-file", ready_file};
  // In the registry each is known by its own; alone it keeps the one in its state file.
  if (o.coordinators > 1) a.insert(a.end(), {"--name", coordinator_name(o, index)});
  if (!o.state_file.empty())
    a.insert(a.end(), {"--state-file", index == 0 ? o.state_file : fmt::format("{}.{}", o.state_file, index)});
  for (const auto* more : {&o.every_flag, &o.coordinator_flag, &o.coordinator_arg})
    a.insert(a.end(), more->begin(), more->end());
  return a;
}

std::vector<std::string> node_args(const UpOptions& o, const std::string& model, const std::string& control,
                                   int threads, const std::vector<std::string>& extra) {
  std::vector<std::string> a{
      "--coordinator",      control, "--model", model, "--threads", std::to_string(threads), "--ucx-tls",
      ucx_list(o.transport)};
  // A local cluster is nobody else's business: UCX listens on every device otherwise.
  const auto names_device = [](const std::string& arg) { return arg.starts_with("--ucx-net-devices"); };
  if (std::ranges::none_of(o.node_flag, names_device) && std::ranges::none_of(extra, names_device))
    a.insert(a.end(), {"--ucx-net-devices", "lo"});
  if (o.kv_memory_mib > 0) a.insert(a.end(), {"--kv-memory-mib", std::to_string(o.kv_memory_mib)});
  // All of them live on this machine.
  a.insert(a.end(), {"--memory-share", fmt::format("{:.4g}", 1.0 / (o.prefill + o.decode))});
  for (const auto* more : {&o.every_flag, &o.node_flag, &extra}) a.insert(a.end(), more->begin(), more->end());
  return a;
}

Result<int> up(const UpOptions& o, const RunDir& dir) { return Launch(o, dir).run(); }

}  // namespace sluice::ctl
