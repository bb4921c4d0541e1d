#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include "tests/support/cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/support/poll_until.h"

namespace sluice::test {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// Generous: the machine may be building something else meanwhile.
constexpr auto kReadyLimit = 60s;
constexpr auto kStopLimit = 20s;

std::vector<const Cluster*>& live() {
  static std::vector<const Cluster*> clusters;
  return clusters;
}

std::string read_file(const std::filesystem::path& p) {
  std::ifstream in(p);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string fetch(const std::string& address, const std::string& target) {
  auto r = http::request({.address = address, .target = target});
  if (!r) throw std::runtime_error(r.error().message);
  return r->body;
}

/// A failed assertion alone does not say what the daemons thought.
class PrintLogsOnFailure final : public Catch::TestEventListenerBase {
 public:
  using TestEventListenerBase::TestEventListenerBase;
  bool assertionEnded(const Catch::AssertionStats& s) override {
    if (!s.assertionResult.isOk() && !std::exchange(printed_, true))
      for (const Cluster* c : live()) c->print_logs();
    return false;
  }

 private:
  bool printed_ = false;
};
CATCH_REGISTER_LISTENER(PrintLogsOnFailure)

}  // namespace

// ---- Process ----

Process::Process(const std::string& program, std::vector<std::string> args, const std::string& log_file) {
  const int out = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0) throw std::runtime_error("cannot write " + log_file);
  args.insert(args.begin(), program);
  std::vector<char*> argv;
  for (auto& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {  // only async-signal-safe calls from here
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(125);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(126);
  }
  ::close(out);
  if (pid_ < 0) throw std::runtime_error("fork failed");
  handle_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));  // glibc 2.36 declares it for C only
  if (handle_ < 0) throw std::runtime_error("pidfd_open failed");
}

Process::~Process() {
  if (!ended()) {
    signal(SIGKILL);
    wait(kStopLimit);
  }
  ::close(handle_);
}

void Process::signal(int number) const {
  if (!ended()) ::kill(pid_, number);
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
  if (ended()) return status_;
  pollfd p{handle_, POLLIN, 0};
  if (::poll(&p, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return status_;
}

// ---- Cluster ----

std::string Cluster::model_dir() { return SLUICE_SOURCE_DIR "/models/sluice-tiny"; }

Cluster::Cluster(ClusterOptions o) : options_(std::move(o)) {
  std::string dir = (std::filesystem::temp_directory_path() / "sluice-cluster-XXXXXX").string();
  if (::mkdtemp(dir.data()) == nullptr) throw std::runtime_error("cannot make a temporary directory");
  dir_ = dir;
  live().push_back(this);
  try {
    start_coordinator();
    for (int i = 0; i < options_.prefills; ++i) start_node(fmt::format("p{}", i));
    for (int i = 0; i < options_.decodes; ++i) start_node(fmt::format("d{}", i));
    wait_ready();
  } catch (...) {
    print_logs();
    std::erase(live(), this);
    processes_.clear();
    std::filesystem::remove_all(dir_);
    throw;
  }
}

Cluster::~Cluster() {
  std::erase(live(), this);
  for (auto& [who, p] : processes_) {
    p->signal(SIGCONT);  // a frozen process would not hear the rest
    p->signal(SIGTERM);
  }
  for (auto& [who, p] : processes_) p->wait(kStopLimit);
  processes_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void Cluster::start_coordinator() {
  const auto ready = dir_ / "ready";
  std::vector<std::string> args{"--model", model_dir(), "--port", "0", "--ready-file", ready.string()};
  // A loaded machine must not turn slowness into refusals; tests of refusals lower these.
  args.insert(args.end(), {"--max-wait-s", "300", "--log-level", "debug"});
  if (!options_.local_prefill) args.insert(args.end(), {"--local-prefill", "off"});
  if (const char* threads = std::getenv("SLUICE_TEST_FRONT_THREADS"))
    args.insert(args.end(), {"--front-threads", threads});
  args.insert(args.end(), options_.coordinator_flags.begin(), options_.coordinator_flags.end());
  auto& p = processes_["coordinator"] =
      std::make_unique<Process>(SLUICE_BIN_DIR "/sluice-coordinator", args, log_file("coordinator").string());
  const auto up = poll_until([&] { return std::filesystem::exists(ready) || p->wait(0ms); }, kReadyLimit);
  if (!up || p->ended()) throw std::runtime_error("the coordinator did not start");
  const json addresses = json::parse(read_file(ready));
  http_ = addresses.at("http");
  control_ = addresses.at("control");
}

void Cluster::start_node(const std::string& name) {
  const bool decode = name[0] == 'd';
  std::vector<std::string> args{"--name", name, "--coordinator", control_, "--model", model_dir(), "--threads", "1"};
  args.insert(args.end(), {"--kv-memory-mib", std::to_string(options_.kv_memory_mib), "--ucx-tls", options_.tls});
  const auto& more = decode ? options_.decode_flags : options_.prefill_flags;
  args.insert(args.end(), more.begin(), more.end());
  processes_[name] = std::make_unique<Process>(
      decode ? SLUICE_BIN_DIR "/sluice-decode" : SLUICE_BIN_DIR "/sluice-prefill", args, log_file(name).string());
}

void Cluster::wait_ready() const {
  const auto up = poll_until(
      [&] {
        for (const auto& [who, p] : processes_)
          if (p->wait(0ms)) throw std::runtime_error(who + " ended before it was ready");
        const json h = get("/health");
        return h.at("prefill_nodes") == options_.prefills && h.at("decode_nodes") == options_.decodes;
      },
      kReadyLimit);
  if (!up) throw std::runtime_error("the cluster did not become ready");
}

void Cluster::signal(const std::string& who, int number) { processes_.at(who)->signal(number); }

void Cluster::kill(const std::string& who) {
  signal(who, SIGKILL);
  if (!processes_.at(who)->wait(kStopLimit)) throw std::runtime_error(who + " survived SIGKILL");
}

void Cluster::restart(const std::string& node) {
  processes_.erase(node);
  start_node(node);
  wait_ready();
}

std::optional<int> Cluster::wait_exit(const std::string& who) { return processes_.at(who)->wait(kStopLimit); }

std::vector<std::string> Cluster::names() const {
  std::vector<std::string> out;
  for (const auto& [who, p] : processes_) out.push_back(who);
  return out;
}

json Cluster::get(const std::string& target) const { return json::parse(fetch(http_, target)); }

json Cluster::node(const std::string& name) const {
  const json all = get("/sluice/v1/nodes");
  for (const json& n : all.at("nodes"))
    if (n.at("node") == name) return n;
  return nullptr;
}

double Cluster::metric(const std::string& who, const std::string& name, const std::string& label) const {
  const std::string address = who == "coordinator" ? http_ : node(who).at("admin_address").get<std::string>();
  std::istringstream lines(fetch(address, "/metrics"));
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name) || (line[name.size()] != ' ' && line[name.size()] != '{')) continue;
    if (line.find(label) != std::string::npos) sum += std::stod(line.substr(line.rfind(' ') + 1));
  }
  return sum;
}

std::string Cluster::log(const std::string& who) const { return read_file(log_file(who)); }

bool Cluster::idle() const {
  const json all = get("/sluice/v1/nodes");
  for (const json& n : all.at("nodes")) {
    const std::string who = n.at("node");
    if (metric(who, "sluice_kv_blocks_free") != metric(who, "sluice_kv_blocks_capacity")) return false;
    if (metric(who, "sluice_legs") != 0 || metric(who, "sluice_prefill_requests_open") != 0) return false;
  }
  return get("/health").at("active") == 0;
}

void Cluster::print_logs() const {
  constexpr std::size_t kTail = 3000;
  for (const auto& e : std::filesystem::directory_iterator(dir_)) {
    if (e.path().extension() != ".log") continue;
    const std::string all = read_file(e.path());
    fmt::print("---- {} (its end)\n{}\n", e.path().filename().string(),
               all.substr(all.size() > kTail ? all.size() - kTail : 0));
  }
}

}  // namespace sluice::test
