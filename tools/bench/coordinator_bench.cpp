// How long one decision takes: every candidate of 16 prefill nodes x 16 decode nodes x 12 profiles predicted, weighed
// and compared, as each request pays for it in the coordinator. CPU time of one thread would hide a page fault or a
// lock, so these are wall times of single decisions; take the percentiles from an idle machine.
#include <random>

#include "coordinator/policy/output_lengths.h"
#include "coordinator/policy/placement.h"
#include "tools/bench/bench_util.h"

namespace sluice::bench {
namespace {

using namespace sluice::coordinator;

ClusterSnapshot make_cluster(std::size_t p, std::size_t d, std::size_t profiles) {
  ClusterSnapshot c;
  c.topology = 1;
  c.layers = 32;
  c.kv_bytes_per_token = 131072;
  for (std::size_t f = 0; f < profiles; ++f)
    c.profiles.push_back({fmt::format("profile-{}", f), 0.002 * static_cast<double>(f)});
  std::vector<ProfileSpeed> speeds;
  for (std::size_t f = 0; f < profiles; ++f) {
    const auto x = static_cast<double>(f);
    speeds.push_back({40e9 / (1 + 0.3 * x), 60e9 / (1 + 0.2 * x), 1 + 0.4 * x});
  }
  for (std::size_t i = 0; i < p; ++i)
    c.prefills.push_back({NodeId(fmt::format("prefill-{}", i)), Incarnation(1), true,
                          8000.0 + 100.0 * static_cast<double>(i), 0, speeds});
  for (std::size_t i = 0; i < d; ++i)
    c.decodes.push_back({NodeId(fmt::format("decode-{}", i)), Incarnation(1), true, 16, 100000, 100000, 256,
                         static_cast<std::uint32_t>(i), 0.01, 8, speeds});
  for (auto& x : c.decodes) {  // that could compute the prompt themselves, too
    x.prompt_tokens_per_s = 8000;
    x.chunk_tokens = 512;
  }
  for (std::size_t i = 0; i < p * d; ++i) c.links.push_back({1e9 + 1e7 * static_cast<double>(i % 97), 1e-4, 0});
  return c;
}

/// Decode nodes take blocks as positions come, and each has sequences whose ends are forecast.
void make_grow(ClusterSnapshot& c, const OutputLengths& lengths) {
  constexpr std::uint32_t kSequences = 100;
  for (auto& x : c.decodes) {
    x.grows = true;
    for (std::uint32_t i = 0; i < kSequences; ++i)
      x.memory.add(memory_part({.tokens = 1000 + i, .left = 4096 - i, .block_size = x.block_size},
                               expected_stay(lengths, i, 4096)));
  }
}

OutputLengths some_lengths() {
  OutputLengths out;
  for (int i = 0; i < 500; ++i) out.observe(20 + i, true);
  return out;
}

/// Wall times of decisions in a cluster that teaches as it goes, in microseconds.
std::vector<double> decide_many(std::size_t p, std::size_t d, std::size_t profiles, int decisions, bool grows) {
  ClusterSnapshot c = make_cluster(p, d, profiles);
  const OutputLengths lengths = some_lengths();
  if (grows) make_grow(c, lengths);
  Placement placement({.seed = 7});
  std::mt19937_64 random(3);
  TimePoint now{std::chrono::seconds(1000)};
  RequestFeatures r{.max_new_tokens = 128, .ttft_slo_s = 2, .tpot_slo_s = 0.05, .quality_budget = 1};
  std::vector<double> out;
  for (int i = 0; i < decisions; ++i) {
    r.prompt_tokens = 64 + static_cast<std::uint32_t>(random() % 8000);
    now += std::chrono::milliseconds(2);
    const auto start = std::chrono::steady_clock::now();
    if (grows) r.stay = expected_stay(lengths, 0, r.max_new_tokens);
    Placed placed = placement.decide(c, r, 60, now);
    out.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    auto* decision = std::get_if<Decision>(&placed);
    if (decision == nullptr) continue;
    Candidate& k = decision->chosen;
    placement.placed(k, now);
    const double noise = 0.9 + 0.2 * static_cast<double>(random() % 1000) * 1e-3;
    coordinator::Measured m{.compute_s = k.stages.prefill_s * noise,
                            .encode_s = k.stages.encode_s * noise,
                            .wire_s = k.stages.wire_s * noise,
                            .exposed_s = 0.01 * noise,
                            .decode_s = k.stages.decode_s * noise,
                            .first_step_s = 0.01,
                            .raw_bytes = k.raw_bytes,
                            .wire_bytes = k.wire_bytes,
                            .ttft_s = k.model_ttft_s * noise,
                            .tpot_s = 0.012,
                            .output_tokens = 64,
                            .local_s = k.stages.local_s * noise};
    if (k.here_tokens > 0) placement.here_done(k, now + from_seconds(m.ttft_s));
    if (!k.local) placement.prefill_done(k, m, now + from_seconds(m.ttft_s));
    placement.finished(k, m, now + from_seconds(m.ttft_s));
  }
  return out;
}

/// What a token costs that takes another block.
double part_us(bool quick) {
  const OutputLengths lengths = some_lengths();
  MemoryForecast f;
  MemoryPart part;
  f.add(part);
  const std::uint32_t n = quick ? 10'000 : 1'000'000;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < n; ++i) {
    const MemoryPart next = memory_part({.tokens = 100 + i % 4096, .left = 4096 - i % 4096, .block_size = 16},
                                        expected_stay(lengths, i % 4096, 4096));
    f.replace(part, next);
    part = next;
  }
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / n;
}

double percentile(std::vector<double> v, double share) {
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(v.size() - 1));
  std::nth_element(v.begin(), v.begin() + at, v.end());
  return v[static_cast<std::size_t>(at)];
}

SuiteResult run_coordinator_suite(const BenchOptions& o) {
  std::vector<Figure> figures;
  struct Size {
    std::size_t p, d, f;
  };
  for (const auto& [p, d, f] : {Size{1, 1, 5}, Size{4, 4, 12}, Size{16, 16, 12}, Size{64, 64, 12}, Size{500, 500, 12}})
    for (const bool grows : {false, true}) {
      auto times = decide_many(p, d, f, o.quick ? 500 : 20000, grows);
      times.erase(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 10));  // while buffers grow
      const std::string what =
          fmt::format("decision over {} x {} nodes x {} profiles{}", p, d, f, grows ? ", memory by forecast" : "");
      figures.push_back({what + ", p50", percentile(times, 0.5), "us", {}});
      figures.push_back({what + ", p99", percentile(times, 0.99), "us", {}});
    }
  figures.push_back({"a growing sequence's part in its node's forecast", part_us(o.quick), "us", {}});
  return figures;
}

const SuiteRegistration registration{"coordinator", "one placement decision, by cluster size", run_coordinator_suite};

}  // namespace
}  // namespace sluice::bench
