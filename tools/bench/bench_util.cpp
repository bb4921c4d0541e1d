#include "tools/bench/bench_util.h"

#include <sched.h>

#include <barrier>
#include <cstring>
#include <fstream>
#include <thread>

namespace sluice::bench {
namespace {

/// Starts `threads` copies of body(thread) together, several times; median seconds of a round.
template <class F>
double together(std::uint32_t threads, std::size_t rounds, F&& body) {
  std::vector<double> times(rounds);
  std::barrier start(threads + 1), end(threads + 1);
  std::vector<std::jthread> pool;
  for (std::uint32_t t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      for (std::size_t r = 0; r < rounds; ++r) {
        start.arrive_and_wait();
        body(t);
        end.arrive_and_wait();
      }
    });
  for (double& time : times) {
    start.arrive_and_wait();
    time = seconds_of([&] { end.arrive_and_wait(); });
  }
  times.erase(times.begin());  // the first round faults pages in
  return median(std::move(times));
}

std::uint64_t read_all(const std::vector<std::uint64_t>& v) {
  // Independent sums, so that the adder's latency is no limit.
  std::uint64_t s[16] = {};
  for (std::size_t i = 0; i + 16 <= v.size(); i += 16)
    for (std::size_t j = 0; j < 16; ++j) s[j] += v[i + j];
  std::uint64_t sum = 0;
  for (const std::uint64_t part : s) sum += part;
  return sum;
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

std::string best_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bf16")) return "avx512_bf16";
  if (__builtin_cpu_supports("avx512f")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
#endif
  return "baseline";
}

std::string padded(std::string s, std::size_t width, bool right) {
  if (s.size() < width) s.insert(right ? 0 : s.size(), width - s.size(), ' ');
  return s;
}

}  // namespace

double median(std::vector<double> values) {
  const auto mid = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), mid, values.end());
  return *mid;
}

double read_bandwidth(std::uint32_t threads, bool quick) {
  const std::size_t words = (quick ? std::size_t{64} : std::size_t{256}) * 1024 * 1024 / 8 / threads;
  std::vector<std::vector<std::uint64_t>> data(threads, std::vector<std::uint64_t>(words, 1));
  std::vector<std::uint64_t> sink(std::size_t{threads} * 8);
  const double s = together(threads, quick ? 4 : 9, [&](std::uint32_t t) { sink[t * 8] += read_all(data[t]); });
  volatile std::uint64_t keep = sink[0];
  (void)keep;
  return static_cast<double>(words) * 8 * threads / s;
}

double copy_bandwidth(std::uint32_t threads, bool quick) {
  const std::size_t bytes = (quick ? std::size_t{32} : std::size_t{128}) * 1024 * 1024 / threads;
  std::vector<std::vector<char>> from(threads, std::vector<char>(bytes, 1)), to = from;
  const double s =
      together(threads, quick ? 4 : 9, [&](std::uint32_t t) { std::memcpy(to[t].data(), from[t].data(), bytes); });
  return static_cast<double>(bytes) * threads / s;
}

std::uint32_t core_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

nlohmann::json machine_json() { return {{"cpu", cpu_model()}, {"cores", core_count()}, {"isa", best_isa()}}; }

nlohmann::json to_json(std::string_view suite, const std::vector<Figure>& figures) {
  auto list = nlohmann::json::array();
  for (const auto& f : figures) {
    nlohmann::json j{{"name", f.name}, {"value", f.value}, {"unit", f.unit}};
    if (f.reference) {
      j["reference"] = {{"name", f.reference->name}, {"value", f.reference->value}, {"unit", f.reference->unit}};
      if (f.reference->value != 0) j["ratio"] = f.value / f.reference->value;
    }
    list.push_back(std::move(j));
  }
  return {{"suite", suite}, {"machine", machine_json()}, {"figures", std::move(list)}};
}

std::string to_table(std::string_view suite, const std::vector<Figure>& figures) {
  std::vector<std::vector<std::string>> rows{{"figure", "value", "unit", "reference", "ratio"}};
  for (const auto& f : figures) {
    std::vector<std::string> row{f.name, fmt::format("{:.4g}", f.value), f.unit, "", ""};
    if (f.reference) {
      row[3] = fmt::format("{:.4g} {} ({})", f.reference->value, f.reference->unit, f.reference->name);
      if (f.reference->value != 0) row[4] = fmt::format("{:.2f}", f.value / f.reference->value);
    }
    rows.push_back(std::move(row));
  }
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  const auto machine = machine_json();
  std::string out = fmt::format("{} on {}, {} cores, {}\n", suite, machine["cpu"].get<std::string>(),
                                machine["cores"].get<std::uint32_t>(), machine["isa"].get<std::string>());
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) line += padded(row[c], widths[c], c == 1 || c == 4) + "  ";
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

}  // namespace sluice::bench
