#include "coordinator/ctl/doctor/pd.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>
#include <thread>

#include "coordinator/ctl/views.h"

namespace sluice::ctl::doctor {
namespace {

using Clock = Asker::Clock;

constexpr std::uint64_t kWarm = 8;        // tokens of a running answer before anything is measured beside it
constexpr std::uint64_t kRunning = 4000;  // tokens of a running answer at most

/// One length, one round: both ways, in an order that changes from round to round.
Result<> one_round(const Asker& asker, std::uint64_t round, std::uint64_t output, PdLength& l) {
  for (int k = 0; k < 2; ++k) {
    const bool split = (round + static_cast<std::uint64_t>(k)) % 2 == 0;
    SLUICE_ASSIGN(const Answer a, asker.ask({l.prompt_tokens, output, split ? "split" : "colocated"}));
    (split ? l.split_ttft_ms : l.colocated_ttft_ms).push_back(a.ttft_ms);
    (split ? l.split_tpot_ms : l.colocated_tpot_ms).push_back(a.tpot_ms());
  }
  return {};
}

double mean(const std::vector<double>& v) {
  return v.empty() ? 0 : std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

struct Felt {
  double alone_ms = 0, mean_ms = 0, worst_ms = 0;
  std::string running_on, computed_on;  // decode nodes; the first is empty when nobody can tell
};

/// Starts an answer, has a prompt of `tokens` computed beside it, and looks at the answer's times between tokens.
Result<Felt> feel(const Asker& asker, std::uint64_t tokens, const std::string& mode) {
  std::vector<Clock::time_point> times;  // of the running answer; its thread's alone until it has ended
  std::atomic<std::uint64_t> seen{0};
  std::atomic<bool> over{false};
  Result<Answer> running = fail(Errc::internal, "did not run");
  const std::uint64_t room = asker.max_tokens() > 64 ? asker.max_tokens() - 64 : 1;
  std::jthread stream([&] {
    running = asker.ask({32, std::min(kRunning, room), "split"}, [&](Clock::time_point t) {
      times.push_back(t);
      ++seen;
      return !over;
    });
    seen = UINT64_MAX;  // whoever waits for it need not
  });
  while (seen < kWarm) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto begun = Clock::now();
  auto end = begun;
  const auto beside = asker.ask({tokens, 1, mode}, [&](Clock::time_point t) {
    end = t;
    return true;
  });
  over = true;
  stream.join();
  if (!beside) return std::unexpected(beside.error());
  if (!running) return std::unexpected(running.error());
  Felt f;
  f.computed_on = word(beside->explained, "decode_node");
  f.running_on = asker.last_cancelled_on();
  std::vector<double> alone, during;
  for (std::size_t i = 1; i < times.size(); ++i) {
    const double gap = std::chrono::duration<double, std::milli>(times[i] - times[i - 1]).count();
    if (times[i] <= begun) alone.push_back(gap);
    if (times[i] > begun && times[i - 1] < end) during.push_back(gap);
  }
  if (during.empty()) return fail(Errc::unavailable, "the running answer ended before the prompt was computed");
  f.alone_ms = mean(alone);
  f.mean_ms = mean(during);
  f.worst_ms = *std::ranges::max_element(during);
  return f;
}

Result<> measure_beside(const Asker& asker, const PdOptions& o, PdBeside& b) {
  std::vector<double> alone;
  for (std::uint64_t r = 0; r < o.rounds; ++r)
    for (int k = 0; k < 2; ++k) {
      const bool split = (r + static_cast<std::uint64_t>(k)) % 2 == 0;
      SLUICE_ASSIGN(const Felt f, feel(asker, b.prompt_tokens, split ? "split" : "colocated"));
      alone.push_back(f.alone_ms);
      if (!split && f.running_on != f.computed_on) {
        ++b.elsewhere;
        continue;
      }
      (split ? b.split_worst_ms : b.colocated_worst_ms).push_back(f.worst_ms);
      (split ? b.split_mean_ms : b.colocated_mean_ms).push_back(f.mean_ms);
    }
  b.alone_ms = median(alone);
  return {};
}

}  // namespace

PdFacts measure_pd(const Endpoint& e, const PdOptions& o) {
  PdFacts f;
  const auto measure = [&]() -> Result<> {
    SLUICE_ASSIGN(const Asker asker, Asker::look_at(e));
    const std::uint64_t longest =
        asker.max_tokens() > o.output_tokens + 1 ? asker.max_tokens() - o.output_tokens - 1 : 1;
    std::set<std::uint64_t> lengths;
    for (const auto n : o.prompts) lengths.insert(std::min(n, longest));
    for (const char* mode : {"split", "colocated"}) {  // once each, so that neither pays for what is cold
      SLUICE_ASSIGN(const Answer warm, asker.ask({*lengths.begin(), 2, mode}));
    }
    for (const auto n : lengths) {
      PdLength& l = f.lengths.emplace_back();
      l.prompt_tokens = n;
      for (std::uint64_t r = 0; r < o.rounds; ++r) SLUICE_TRY(one_round(asker, r, o.output_tokens, l));
    }
    f.beside.prompt_tokens = *lengths.rbegin();
    return measure_beside(asker, o, f.beside);
  };
  if (auto done = measure(); !done) f.error = done.error();
  return f;
}

}  // namespace sluice::ctl::doctor
