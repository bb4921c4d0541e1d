#include "coordinator/ctl/bench.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "coordinator/ctl/bench_stats.h"
#include "coordinator/ctl/trace.h"
#include "coordinator/ctl/views.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kClosedCrew = 8;
constexpr std::size_t kTimedCrew = 256;

double ms_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double, std::milli>(b - a).count();
}

struct Target {
  std::string model;
  std::uint64_t max_model_len = 0;
  std::vector<std::uint32_t> tokens;  // ordinary ones, to make prompts of
};

/// The tokens of some plain text: no special token is among them, whatever the vocabulary.
Result<Target> look_at(const Endpoint& e) {
  SLUICE_ASSIGN(const json models, get(e, "/v1/models"));
  const json data = list(models, "data");
  if (data.empty() || !data.front().is_object()) return fail(Errc::unavailable, "{} serves no model", e.address);
  Target t{word(data.front(), "id"), static_cast<std::uint64_t>(number(data.front(), "max_model_len")), {}};
  std::string text;
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'z'; ++b) text += std::string{' ', a, b, b, a};
  for (char c = ' '; c < 0x7f; ++c) text += c;
  SLUICE_ASSIGN(const json found, send(e, "POST", "/tokenize", {{"prompt", text}, {"add_special_tokens", false}}));
  std::set<std::uint32_t> ids;
  for (const auto& id : list(found, "tokens"))
    if (id.is_number_unsigned()) ids.insert(id.get<std::uint32_t>());
  t.tokens.assign(ids.begin(), ids.end());
  if (t.tokens.empty()) return fail(Errc::data_corrupt, "{} tokenizes nothing", e.address);
  return t;
}

class Generator {
 public:
  Generator(const Endpoint& e, const BenchOptions& o, const Target& t, const Plan& plan)
      : e_(e), o_(o), t_(t), plan_(plan), results_(plan.size()) {}

  BenchSummary run(const Goodput& goal) {
    start_ = Clock::now();
    const bool timed = plan_.back().at_s > 0;
    const std::size_t crew = o_.concurrency > 0 ? o_.concurrency : timed ? kTimedCrew : kClosedCrew;
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < std::min(crew, plan_.size()); ++i) threads.emplace_back([this] { work(); });
    }
    auto s = summarize(results_, ms_between(start_, Clock::now()) / 1000, goal);
    s.latest_start_ms = static_cast<double>(latest_us_.load()) / 1000;
    return s;
  }

 private:
  void work() {
    for (std::size_t i = next_++; i < plan_.size(); i = next_++) {
      const auto due =
          start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(plan_[i].at_s));
      std::this_thread::sleep_until(due);
      if (plan_[i].at_s > 0) note_lateness(Clock::now() - due);
      results_[i] = one(i);
      const std::size_t done = ++done_;
      if (o_.progress && (done % 10 == 0 || done == plan_.size()))
        std::fputs(fmt::format("{} / {}\n", done, plan_.size()).c_str(), stderr);
    }
  }

  void note_lateness(Clock::duration late) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(late).count();
    for (auto seen = latest_us_.load(); us > seen && !latest_us_.compare_exchange_weak(seen, us);) {
    }
  }

  json body(std::size_t i) const {
    // A stream per request: the prompts do not depend on which thread draws them.
    std::mt19937_64 random(o_.seed * 0x9e3779b97f4a7c15ULL + i);
    json prompt = json::array();
    for (std::uint64_t k = 0; k < plan_[i].input_tokens; ++k) prompt.push_back(t_.tokens[random() % t_.tokens.size()]);
    json b{{"model", t_.model},
           {"prompt", std::move(prompt)},
           {"max_tokens", plan_[i].output_tokens},
           {"temperature", 0},
           {"ignore_eos", true},
           {"stream", true},
           {"stream_options", {{"include_usage", true}}}};
    if (!o_.profile.empty()) b["sluice"]["profile"] = o_.profile;
    if (!o_.mode.empty()) b["sluice"]["mode"] = o_.mode;
    return b;
  }

  RequestResult one(std::size_t i) const {
    RequestResult r;
    r.input_tokens = plan_[i].input_tokens;
    const json b = body(i);
    const auto sent = Clock::now();
    auto last = sent;
    bool first = true;
    const auto ended =
        post_stream(e_, "/v1/completions", b, std::chrono::seconds(o_.timeout_s), [&](const json& event) {
          const auto now = Clock::now();
          if (const auto u = event.find("usage"); u != event.end() && u->is_object())
            r.output_tokens = static_cast<std::uint64_t>(number(*u, "completion_tokens"));
          const auto choices = event.find("choices");
          if (choices == event.end() || choices->empty()) return true;
          if (first)
            r.ttft_ms = ms_between(sent, now);
          else
            r.itl_ms.push_back(ms_between(last, now));
          first = false;
          last = now;
          return true;
        });
    r.e2el_ms = ms_between(sent, last);
    if (!ended)
      r.error = ended.error().message;
    else if (first)
      r.error = "the answer holds no token";
    return r;
  }

  const Endpoint& e_;
  const BenchOptions& o_;
  const Target& t_;
  const Plan& plan_;
  std::vector<RequestResult> results_;  // each written by the thread that drew its number
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> done_{0};
  std::atomic<std::int64_t> latest_us_{0};
  Clock::time_point start_;
};

Result<Plan> make_plan(const BenchOptions& o) {
  if (o.trace.empty()) return synthetic_plan(o.requests, o.rate, o.input_len, o.output_len, o.seed);
  std::ifstream in(o.trace, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot read {}", o.trace);
  std::ostringstream text;
  text << in.rdbuf();
  SLUICE_ASSIGN(auto plan, parse_trace(std::move(text).str()));
  for (auto& q : plan) q.at_s *= o.time_scale;
  if (o.requests > 0 && plan.size() > o.requests) plan.resize(o.requests);
  return plan;
}

}  // namespace

Result<int> bench(const Endpoint& e, const BenchOptions& o) {
  SLUICE_ASSIGN(const auto goal, parse_goodput(o.goodput));
  SLUICE_ASSIGN(auto plan, make_plan(o));
  SLUICE_ASSIGN(const auto target, look_at(e));
  const std::size_t clipped = target.max_model_len > 0 ? fit_context(plan, target.max_model_len) : 0;
  auto summary = Generator(e, o, target, plan).run(goal);
  summary.clipped = clipped;
  fmt::print("{}", o.json ? bench_json(summary).dump(2, ' ', false, json::error_handler_t::replace) + "\n"
                          : bench_text(summary));
  return summary.completed > 0 ? 0 : 1;
}

}  // namespace sluice::ctl
