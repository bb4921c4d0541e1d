// Suite `transport`: goodput of KV transfer between two processes of this machine, beside ucx_perftest's active message
// bandwidth in the same run. Sides take turns within every round, and each figure is the median over the rounds.
//
// ucx_perftest polls and so needs a core for each of its two processes; our transport sleeps and does not. On a machine
// that is busy with other work the reference starves first and every ratio would flatter us (we saw 45). So the suite
// measures the CPU time of other processes over each round and throws away rounds that were disturbed.
//
// Two references for each of our figures, because our UCX configuration is narrower than UCX's own choice:
//   same     the transports and settings that ours uses (eager only, segments of 65280 bytes)
//   default  the same kind of link with every other setting left to UCX (rendezvous; over shared memory also CMA)
// Over TCP ucx_perftest sends memory it never wrote (its resident size stays 0): one page of zeros, always in the
// cache. There ours is measured from such memory too, beside the figure from memory that was written.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "tools/bench/bench_util.h"
#include "tools/bench/transport_links.h"

namespace sluice::bench {
namespace {

constexpr int kReferencePatience = 15;  // seconds; a starved reference may never finish
constexpr double kQuiet = 0.1;          // cores that others may have used in a round worth keeping
constexpr std::size_t kPatience = 6;    // rounds tried for each that is kept

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

/// How many cores other processes used since this was made.
class OthersMeter {
 public:
  /// children: CPU seconds of children that still run.
  [[nodiscard]] double cores(double children) const {
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return std::max(0.0, system_cpu_seconds() - system_ - (own_cpu_seconds() - own_) - children) / wall;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double system_ = system_cpu_seconds(), own_ = own_cpu_seconds();
};

struct LinkKind {
  std::string name;
  std::string tls;
  std::size_t volume = 0;  // bytes per sample: a good part of a second
  Child::Environment same, standard;
  bool reference_unwritten = false;  // the reference's source is memory that was never written (Source)
};

std::vector<LinkKind> kinds() {
  return {{"tcp",
           "tcp,self",
           1ULL << 30,
           {{"UCX_TLS", "tcp,self"},
            {"UCX_RNDV_THRESH", "inf"},
            {"UCX_TCP_RX_SEG_SIZE", "65280"},
            {"UCX_TCP_TX_SEG_SIZE", "65280"}},
           {{"UCX_TLS", "tcp,self"}},
           true},
          {"shm",
           "posix,tcp,self",
           4ULL << 30,
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

/// Bytes per second of ucx_perftest's ucp_am_bw; 0 when the program is missing or fails.
double perftest(const Child::Environment& env, std::size_t bytes, std::size_t count) {
  const int number = free_port();
  const std::string port = std::to_string(number);
  auto server = Child::start({"ucx_perftest", "-p", port}, env);
  if (!server) return 0;
  if (!wait_for_listener(number)) return 0;
  auto client = Child::start({"ucx_perftest", "127.0.0.1", "-p", port, "-t", "ucp_am_bw", "-s", std::to_string(bytes),
                              "-n", std::to_string(count), "-w", "2", "-f"},
                             env);
  if (!client) return 0;
  // The final line: iterations, three latencies, bandwidth average and overall (MiB/s), two message rates.
  std::istringstream words(client->rest(kReferencePatience));
  std::vector<double> numbers;
  for (std::string w; words >> w;) {
    char* end = nullptr;
    const double v = std::strtod(w.c_str(), &end);
    if (end != w.c_str() && *end == '\0') numbers.push_back(v);
  }
  if (numbers.size() < 8) return 0;
  return numbers[numbers.size() - 3] * 1048576.0;
}

struct Samples {
  // Bytes per second, one of each per round; `unwritten` where the reference sends such memory.
  std::vector<double> raw, flow, raw_unwritten, flow_unwritten, same, standard;
};
/// Of one size. Disturbed rounds give figures only where there is no other, and no ratios.
struct Rounds {
  Samples quiet, disturbed;
};

/// What to measure. Arguments after "--" narrow it: tcp or shm, sizes such as 64K or 4M, rounds=N.
struct Plan {
  std::vector<LinkKind> links = kinds();
  std::vector<std::size_t> sizes{64U << 10, 256U << 10, 1U << 20, 4U << 20, 16U << 20, 64U << 20};  // bytes
  std::size_t rounds = 5;
  std::size_t share = 1;  // of a link's volume: 1/share
};

Result<std::size_t> parse_size(const std::string& text) {
  char* end = nullptr;
  const std::size_t n = std::strtoul(text.c_str(), &end, 10);
  const std::string_view unit(end);
  if (n == 0 || n > 64U << 10 || (unit != "K" && unit != "M") || n << (unit == "K" ? 10 : 20) > 64U << 20)
    return fail(Errc::invalid_argument, "'{}' is neither tcp, shm, rounds=N nor a size of up to 64M such as 256K",
                text);
  return n << (unit == "K" ? 10 : 20);
}

Result<Plan> make_plan(const BenchOptions& o) {
  Plan p;
  if (o.quick) p = {.sizes = {64U << 10, 4U << 20}, .rounds = 1, .share = 8};
  std::vector<LinkKind> links;
  std::vector<std::size_t> sizes;
  for (const std::string& a : o.arguments) {
    const auto kind = std::ranges::find(p.links, a, &LinkKind::name);
    if (kind != p.links.end()) {
      links.push_back(*kind);
    } else if (a.starts_with("rounds=")) {
      p.rounds = std::max<std::size_t>(1, std::strtoul(a.c_str() + 7, nullptr, 10));
    } else {
      SLUICE_ASSIGN(const std::size_t bytes, parse_size(a));
      sizes.push_back(bytes);
    }
  }
  if (!links.empty()) p.links = links;
  if (!sizes.empty()) p.sizes = sizes;
  return p;
}

/// One kind of link with its references, measured in turns.
class Comparison {
 public:
  static Result<Comparison> open(const LinkKind& kind, std::size_t volume, bool reference) {
    Comparison c(kind, volume, reference);
    SLUICE_ASSIGN(c.raw_, open_link("raw", kind.tls));
    SLUICE_ASSIGN(c.flow_, open_link("flow", kind.tls));
    return c;
  }

  /// One round of one size: ours and the references in turns.
  Result<> round(std::size_t bytes, Rounds& into) {
    const std::size_t count = std::max<std::size_t>(volume_ / bytes, 4);
    const double peers = peers_cpu();
    const OthersMeter others;
    Samples now;
    SLUICE_TRY(sample(*raw_, bytes, count, Source::written, now.raw));
    SLUICE_TRY(sample(*flow_, bytes, count, Source::written, now.flow));
    if (kind_.reference_unwritten) {
      SLUICE_TRY(sample(*raw_, bytes, count, Source::unwritten, now.raw_unwritten));
      SLUICE_TRY(sample(*flow_, bytes, count, Source::unwritten, now.flow_unwritten));
    }
    if (reference_)
      for (const auto& [env, rates] : {std::pair{&kind_.same, &now.same}, {&kind_.standard, &now.standard}}) {
        const double rate = perftest(*env, bytes, count);
        if (rate > 0) rates->push_back(rate);
        if (rate == 0)
          std::cerr << fmt::format("transport: ucx_perftest failed on {} of {}\n", count, size_name(bytes));
      }
    Samples& kept = others.cores(peers_cpu() - peers) <= kQuiet ? into.quiet : into.disturbed;
    for (const auto part : {&Samples::raw, &Samples::flow, &Samples::raw_unwritten, &Samples::flow_unwritten,
                            &Samples::same, &Samples::standard})
      (kept.*part).insert((kept.*part).end(), (now.*part).begin(), (now.*part).end());
    return {};
  }
  [[nodiscard]] std::string describe() const { return raw_->describe(); }

 private:
  Comparison(LinkKind kind, std::size_t volume, bool reference)
      : kind_(std::move(kind)), volume_(volume), reference_(reference) {}
  [[nodiscard]] double peers_cpu() const { return raw_->peer_cpu_seconds() + flow_->peer_cpu_seconds(); }
  /// ucx_perftest warms up before its clock starts, and so do we.
  static Result<> sample(Link& link, std::size_t bytes, std::size_t count, Source source, std::vector<double>& rates) {
    SLUICE_TRY(link.move(bytes, std::max<std::size_t>(count / 16, 2), source));
    SLUICE_ASSIGN(const double seconds, link.move(bytes, count, source));
    rates.push_back(static_cast<double>(bytes * count) / seconds);
    return {};
  }

  LinkKind kind_;
  std::size_t volume_;
  bool reference_;
  std::unique_ptr<Link> raw_, flow_;
};

void add_figures(std::vector<Figure>& out, const LinkKind& k, std::size_t bytes, const Rounds& rounds) {
  const bool quiet = !rounds.quiet.raw.empty();
  const Samples& s = quiet ? rounds.quiet : rounds.disturbed;
  const auto gbps = [](const std::vector<double>& v) { return median(v) * 1e-9; };
  const std::array<std::pair<const char*, const std::vector<double>*>, 2> references{
      {{"ucx_perftest, same settings", &s.same}, {"ucx_perftest, UCX defaults", &s.standard}}};
  const std::string note = quiet ? "" : " (disturbed)";
  for (const auto& [part, ours] : {std::pair{"transport", &s.raw},
                                   {"KvSender-KvReceiver", &s.flow},
                                   {"transport, unwritten source", &s.raw_unwritten},
                                   {"KvSender-KvReceiver, unwritten source", &s.flow_unwritten}}) {
    if (ours->empty()) continue;
    const Figure mine{fmt::format("{} {}, {}{}", k.name, part, size_name(bytes), note), gbps(*ours), "GB/s", {}};
    if (!quiet || (s.same.empty() && s.standard.empty())) out.push_back(mine);
    for (const auto& [what, theirs] : references) {
      if (!quiet || theirs->empty()) continue;
      out.push_back(mine);
      out.back().reference = Measured{what, gbps(*theirs), "GB/s"};
    }
  }
  for (const auto& [what, theirs] : references)
    if (!quiet && !theirs->empty())
      out.push_back({fmt::format("{} {}, {}{}", k.name, what, size_name(bytes), note), gbps(*theirs), "GB/s", {}});
}

Result<std::vector<Figure>> measure(const LinkKind& k, const Plan& plan, bool reference) {
  SLUICE_ASSIGN(Comparison c, Comparison::open(k, k.volume / plan.share, reference));
  std::cerr << fmt::format("{}: messages run over {}; reference 'same settings' {}; 'UCX defaults' {}\n", k.name,
                           c.describe(), text(k.same), text(k.standard));
  std::map<std::size_t, Rounds> rounds;
  for (std::size_t round = 0; round < plan.rounds * kPatience; ++round)
    for (const std::size_t bytes : plan.sizes)
      if (rounds[bytes].quiet.raw.size() < plan.rounds) SLUICE_TRY(c.round(bytes, rounds[bytes]));
  std::vector<Figure> figures;
  for (const std::size_t bytes : plan.sizes) {
    const Rounds& r = rounds[bytes];
    add_figures(figures, k, bytes, r);
    if (!r.disturbed.raw.empty())
      std::cerr << fmt::format("transport: {} {}: other processes disturbed {} of {} rounds{}\n", k.name,
                               size_name(bytes), r.disturbed.raw.size(), r.disturbed.raw.size() + r.quiet.raw.size(),
                               r.quiet.raw.empty() ? ": no ratios, ucx_perftest starves first" : "");
  }
  return figures;
}

SuiteResult run(const BenchOptions& o) {
  if (o.arguments.size() == 3 && o.arguments[0] == "peer") {
    if (run_peer(o.arguments[1], o.arguments[2]) != 0) return fail(Errc::unavailable, "the peer could not start");
    return std::vector<Figure>{};
  }
  SLUICE_ASSIGN(const Plan plan, make_plan(o));
  const bool have_reference = perftest(kinds()[0].standard, 65536, 10) > 0;
  if (!have_reference)
    std::cerr << "transport: ucx_perftest did not run; install Debian's ucx-utils for the reference figures\n";
  std::vector<Figure> figures;
  for (const LinkKind& k : plan.links) {
    SLUICE_ASSIGN(const auto some, measure(k, plan, have_reference));
    figures.insert(figures.end(), some.begin(), some.end());
  }
  return figures;
}

const SuiteRegistration registration{"transport",
                                     "goodput of KV transfer over TCP and shared memory, beside ucx_perftest", run};

}  // namespace
}  // namespace sluice::bench
