// Suite `transport`: goodput of KV transfer between two processes of this machine, beside ucx_perftest's active message
// bandwidth in the same run. Sides take turns within every round, and each figure is the median over the rounds.
//
// ucx_perftest polls and so needs a core for each of its two processes; our transport sleeps and does not. On a machine
// that is busy with other work the reference starves first and every ratio would flatter us (we saw 45). So the suite
// measures the CPU time of other processes over the run, and when there was any to speak of it gives no ratios at all.
//
// Two references for each of our figures, because our UCX configuration is narrower than UCX's own choice:
//   same     the transports and settings that ours uses (eager only, segments of 65280 bytes)
//   default  the same kind of link with every other setting left to UCX (rendezvous; over shared memory also CMA)
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "tools/bench/bench_util.h"
#include "tools/bench/transport_links.h"

namespace sluice::bench {
namespace {

constexpr int kReferencePatience = 15;  // seconds; a starved reference may never finish
constexpr double kQuiet = 0.1;          // cores that others may have used for figures worth comparing

/// CPU seconds since boot of every process (interrupts apart: those of our own traffic are among them).
double system_cpu_seconds() {
  std::ifstream in("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0;
  in >> cpu >> user >> nice >> system;
  return (user + nice + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// CPU seconds of this process and of the children it has waited for.
double own_cpu_seconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage u{};
    getrusage(who, &u);
    for (const timeval& t : {u.ru_utime, u.ru_stime})
      sum += static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  }
  return sum;
}

/// How many cores other processes used since this was made. Ask when no child is running.
class OthersMeter {
 public:
  [[nodiscard]] double cores() const {
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return std::max(0.0, system_cpu_seconds() - system_ - (own_cpu_seconds() - own_)) / wall;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double system_ = system_cpu_seconds(), own_ = own_cpu_seconds();
};

struct LinkKind {
  std::string name;
  std::string tls;
  Child::Environment same, standard;
};

std::vector<LinkKind> kinds() {
  return {{"tcp",
           "tcp,self",
           {{"UCX_TLS", "tcp,self"},
            {"UCX_RNDV_THRESH", "inf"},
            {"UCX_TCP_RX_SEG_SIZE", "65280"},
            {"UCX_TCP_TX_SEG_SIZE", "65280"}},
           {{"UCX_TLS", "tcp,self"}}},
          {"shm",
           "posix,tcp,self",
           {{"UCX_TLS", "posix,tcp,self"}, {"UCX_RNDV_THRESH", "inf"}, {"UCX_POSIX_SEG_SIZE", "65280"}},
           {{"UCX_TLS", "posix,sysv,cma,tcp,self"}}}};
}

std::string text(const Child::Environment& env) {
  std::string s;
  for (const auto& [name, value] : env) s += name + "=" + value + " ";
  return s;
}

std::string size_name(std::size_t bytes) {
  return bytes >= 1U << 20 ? fmt::format("{} MiB", bytes >> 20) : fmt::format("{} KiB", bytes >> 10);
}

/// Bytes per second of ucx_perftest's ucp_am_bw; nothing when the program is missing or fails.
std::optional<double> perftest(const Child::Environment& env, std::size_t bytes, std::size_t count) {
  const int number = free_port();
  const std::string port = std::to_string(number);
  auto server = Child::start({"ucx_perftest", "-p", port}, env);
  if (!server) return std::nullopt;
  if (!wait_for_listener(number)) return std::nullopt;
  auto client = Child::start({"ucx_perftest", "127.0.0.1", "-p", port, "-t", "ucp_am_bw", "-s", std::to_string(bytes),
                              "-n", std::to_string(count), "-w", "2", "-f"},
                             env);
  if (!client) return std::nullopt;
  // The final line: iterations, three latencies, bandwidth average and overall (MiB/s), two message rates.
  std::istringstream words(client->rest(kReferencePatience));
  std::vector<double> numbers;
  for (std::string w; words >> w;) {
    char* end = nullptr;
    const double v = std::strtod(w.c_str(), &end);
    if (end != w.c_str() && *end == '\0') numbers.push_back(v);
  }
  if (numbers.size() < 8) return std::nullopt;
  return numbers[numbers.size() - 3] * 1048576.0;
}

struct Samples {
  std::vector<double> raw, flow, same, standard;  // bytes per second
};

void add_figures(std::vector<Figure>& out, const LinkKind& k, std::size_t bytes, const Samples& s, bool quiet) {
  const auto gbps = [](const std::vector<double>& v) { return median(v) * 1e-9; };
  const std::array<std::pair<const char*, const std::vector<double>*>, 2> theirs{
      {{"ucx_perftest, same settings", &s.same}, {"ucx_perftest, UCX defaults", &s.standard}}};
  for (const auto& [part, ours] : {std::pair{"transport", &s.raw}, {"KvSender-KvReceiver", &s.flow}}) {
    const Figure mine{fmt::format("{} {}, {}", k.name, part, size_name(bytes)), gbps(*ours), "GB/s", std::nullopt};
    bool compared = false;
    for (const auto& [what, samples] : theirs) {
      if (!quiet || samples->empty()) continue;
      out.push_back(mine);
      out.back().reference = Measured{what, gbps(*samples), "GB/s"};
      compared = true;
    }
    if (!compared) out.push_back(mine);
  }
  for (const auto& [what, samples] : theirs)
    if (!quiet && !samples->empty())
      out.push_back(
          {fmt::format("{} {}, {} (starved)", k.name, what, size_name(bytes)), gbps(*samples), "GB/s", std::nullopt});
}

SuiteResult run(const BenchOptions& o) {
  if (o.arguments.size() == 3 && o.arguments[0] == "peer") {
    if (run_peer(o.arguments[1], o.arguments[2]) != 0) return fail(Errc::unavailable, "the peer could not start");
    return std::vector<Figure>{};
  }
  std::vector<std::size_t> sizes{64U << 10, 256U << 10, 1U << 20, 4U << 20, 16U << 20, 64U << 20};
  if (o.quick) sizes = {64U << 10, 4U << 20};
  const std::size_t rounds = o.quick ? 1 : 5;
  const std::size_t volume = o.quick ? 64U << 20 : 512U << 20;  // bytes per sample
  const bool have_reference = perftest(kinds()[0].standard, 65536, 10).has_value();
  if (!have_reference)
    std::cerr << "transport: ucx_perftest did not run; install Debian's ucx-utils for the reference figures\n";

  const OthersMeter others;
  std::map<std::string, std::map<std::size_t, Samples>> by_kind;
  for (const LinkKind& k : kinds()) {
    SLUICE_ASSIGN(const auto raw, open_link("raw", k.tls));
    SLUICE_ASSIGN(const auto flow, open_link("flow", k.tls));
    std::cerr << fmt::format("{}: messages run over {}; reference 'same settings' {}; 'UCX defaults' {}\n", k.name,
                             raw->describe(), text(k.same), text(k.standard));
    auto& samples = by_kind[k.name];
    for (std::size_t round = 0; round < rounds; ++round)
      for (const std::size_t bytes : sizes) {
        const std::size_t count = std::max<std::size_t>(volume / bytes, 4);
        const auto rate = [&](double seconds) { return static_cast<double>(bytes * count) / seconds; };
        Samples& s = samples[bytes];
        SLUICE_ASSIGN(const double raw_s, raw->move(bytes, count));
        SLUICE_ASSIGN(const double flow_s, flow->move(bytes, count));
        s.raw.push_back(rate(raw_s));
        s.flow.push_back(rate(flow_s));
        if (!have_reference) continue;
        for (const auto& [env, into] : {std::pair{&k.same, &s.same}, {&k.standard, &s.standard}}) {
          if (const auto r = perftest(*env, bytes, count))
            into->push_back(*r);
          else
            std::cerr << fmt::format("transport: ucx_perftest failed or fell silent on {} of {} with {}\n", count,
                                     size_name(bytes), text(*env));
        }
      }
  }
  const double busy = others.cores();
  if (busy > kQuiet)
    std::cerr << fmt::format("transport: other processes used {:.2f} cores: no ratios, ucx_perftest starves first\n",
                             busy);
  std::vector<Figure> figures;
  for (const LinkKind& k : kinds())
    for (const std::size_t bytes : sizes) add_figures(figures, k, bytes, by_kind[k.name][bytes], busy <= kQuiet);
  return figures;
}

const SuiteRegistration registration{"transport",
                                     "goodput of KV transfer over TCP and shared memory, beside ucx_perftest", run};

}  // namespace
}  // namespace sluice::bench
