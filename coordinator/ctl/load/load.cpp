#include "coordinator/ctl/load/load.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/json/parse.h"
#include "coordinator/ctl/load/machine.h"
#include "coordinator/ctl/load/report.h"
#include "coordinator/ctl/load/runner.h"

namespace sluice::ctl::load {
namespace {

using nlohmann::json;

constexpr std::size_t kClosedBound = 8;
constexpr std::size_t kTimedBound = 4096;

/// The one objective that two flags may give.
Result<> join(const char* flag, const std::optional<double>& given, std::optional<double>& into) {
  if (given && into && *given != *into)
    return fail_param(flag, "--{} says {} ms and --goodput {} ms; give one of them", flag, *given, *into);
  if (given) into = given;
  return {};
}

Result<Goodput> goal_of(const LoadOptions& o) {
  SLUICE_ASSIGN(Goodput g, parse_goodput(o.goodput));
  SLUICE_TRY(join("slo-ttft-ms", o.slo_ttft_ms, g.ttft));
  SLUICE_TRY(join("slo-tpot-ms", o.slo_tpot_ms, g.tpot));
  SLUICE_TRY(join("slo-e2el-ms", o.slo_e2el_ms, g.e2el));
  return g;
}

/// Flags that make no sense together; --trace alone is a dataset.
Result<> settle(LoadOptions& o) {
  if (o.dataset.empty()) o.dataset = o.trace.empty() ? "random" : "trace";
  if (!o.trace.empty() && o.dataset != "trace")
    return fail_param("trace", "--trace is the file of --dataset trace, not of {}", o.dataset);
  if (!o.file.empty() && o.dataset != "sharegpt" && o.dataset != "file")
    return fail_param("dataset-file", "--dataset-file is for --dataset sharegpt or file, not {}", o.dataset);
  if (!o.rates.empty() && o.rate > 0) return fail_param("rates", "--rates and --rate: give one of them");
  if (o.dataset == "trace" && (!o.rates.empty() || o.rate > 0))
    return fail_param("rate", "a trace has its own times; --time-scale stretches or presses them");
  if (o.arrival == "poisson" && o.burstiness != 1) o.arrival = "gamma";
  if (o.arrival == "constant" && o.burstiness != 1) return fail_param("burstiness", "--arrival constant has no bursts");
  if (!std::ranges::is_sorted(o.rates) || std::ranges::adjacent_find(o.rates) != o.rates.end())
    return fail_param("rates", "--rates must rise");
  return {};
}

class Bench {
 public:
  explicit Bench(LoadOptions o) : o_(std::move(o)) {}

  Result<int> run() {
    SLUICE_TRY(settle(o_));
    SLUICE_ASSIGN(goal_, goal_of(o_));
    SLUICE_ASSIGN(json extra, extra_body());
    SLUICE_ASSIGN(server_, server_of(o_));
    SLUICE_TRY(look_at(server_, o_));
    SLUICE_ASSIGN(dataset_, make_dataset(o_, surroundings()));
    Runner runner({.server = server_,
                   .dataset = *dataset_,
                   .rules = rules(std::move(extra)),
                   .think_time_s = o_.think_time_s,
                   .timeout = std::chrono::seconds(o_.timeout_s)});
    SLUICE_TRY(runner.resolve());
    allow_many_sockets();
    Report report;
    report.ramp = !o_.rates.empty();
    report.share = o_.attainment;
    report.open_loop = report.ramp || o_.rate > 0 || o_.dataset == "trace";
    report.further_notes = notes();
    if (auto told = warm_up(runner); !told.empty()) report.further_notes.push_back(std::move(told));
    if (report.ramp)
      for (std::size_t i = 0; i < o_.rates.size(); ++i) report.steps.push_back(step(runner, o_.rates[i], i));
    else
      report.steps.push_back(step(runner, o_.rate, 0));
    if (report.ramp) report.knee = knee_of(report.steps, o_.attainment);
    report.setup = setup();
    return tell(report);
  }

 private:
  [[nodiscard]] bool chat() const { return o_.endpoint == "chat"; }

  [[nodiscard]] Result<json> extra_body() const {
    if (o_.extra_body.empty()) return json(nullptr);
    return parse_json_object(o_.extra_body, {.what = "--extra-body"});
  }

  [[nodiscard]] Surroundings surroundings() const {
    const Material words = Material::of_words(server_.tokens_per_word);
    const bool exact = !chat() && !server_.tokens.empty();
    // Words become about so many tokens, and a chat's template adds some: leave room.
    const std::uint64_t context = exact ? server_.context : server_.context * 9 / 10;
    return {.material = exact ? Material::of_tokens(server_.tokens) : words,
            .text = words,
            .context = context,
            .chat = chat(),
            .count_tokens = [this](const std::string& text) { return count_tokens(server_, text); }};
  }

  [[nodiscard]] BodyRules rules(json extra) const {
    BodyRules r;
    r.model = server_.model;
    r.chat = chat();
    r.usage = !o_.no_usage;
    r.explain = server_.sluice && !o_.no_explain;
    r.ignore_eos = o_.ignore_eos == "yes" || (o_.ignore_eos == "auto" && dataset_->fixed_output());
    r.extra = std::move(extra);
    r.profile = o_.profile;
    r.mode = o_.mode;
    return r;
  }

  [[nodiscard]] std::vector<std::string> notes() const {
    std::vector<std::string> all;
    if (auto note = dataset_->note(); !note.empty()) all.push_back(std::move(note));
    if (server_.tokens.empty())
      all.emplace_back("The server has no /tokenize: prompts are words, and their lengths in tokens a guess.");
    return all;
  }

  /// Conversations that the test itself does not send: those behind the last one. What to tell of it.
  [[nodiscard]] std::string warm_up(Runner& runner) const {
    if (o_.warmup == 0) return {};
    const std::size_t steps = std::max<std::size_t>(o_.rates.size(), 1);
    const std::size_t bound = o_.concurrency > 0 ? o_.concurrency : kClosedBound;
    Progress progress(progress_style(false, o_.quiet), "warm-up");
    const auto out =
        runner.run({.first = steps * dataset_->size(), .conversations = o_.warmup, .concurrency = bound}, progress);
    const LoadSummary s = summarize(out.results, out.duration_s, {});
    if (s.failed == 0) return {};
    return fmt::format("{} of the warm-up's requests failed: {}", s.failed, s.first_error);
  }

  [[nodiscard]] Step step(Runner& runner, double rate, std::size_t n) const {
    RunPlan plan{.first = n * dataset_->size(), .conversations = dataset_->size(), .concurrency = o_.concurrency};
    plan.recorded_times = o_.dataset == "trace";
    if (rate > 0) plan.arrivals.emplace(process_of(o_.arrival, o_.burstiness), rate, o_.burstiness, o_.seed + n);
    if (plan.concurrency == 0) plan.concurrency = rate > 0 || plan.recorded_times ? kTimedBound : kClosedBound;
    Progress progress(progress_style(o_.progress, o_.quiet), rate > 0 ? fmt::format("rate {:g}/s", rate) : o_.dataset);
    const RunOutcome out = runner.run(plan, progress);
    Step s{.rate = rate, .summary = summarize(out.results, out.duration_s, goal_)};
    s.summary.latest_start_ms = out.latest_start_ms;
    s.summary.client.cpu_s = out.cpu_s;
    return s;
  }

  [[nodiscard]] std::string arrivals_text() const {
    if (o_.dataset == "trace") return fmt::format("as recorded, times {:g}", o_.time_scale);
    if (o_.rate <= 0 && o_.rates.empty())
      return fmt::format("closed loop, {} at once", o_.concurrency > 0 ? o_.concurrency : kClosedBound);
    const std::string process =
        o_.arrival == "gamma" ? fmt::format("gamma, burstiness {:g}", o_.burstiness) : o_.arrival;
    if (o_.rates.empty()) return fmt::format("{}, {:g} per second", process, o_.rate);
    return fmt::format("{}, {:g} to {:g} per second", process, o_.rates.front(), o_.rates.back());
  }

  [[nodiscard]] std::vector<std::pair<std::string, std::string>> setup() const {
    std::string objectives;
    const auto add = [&](const char* name, const std::optional<double>& ms) {
      if (ms) objectives += fmt::format("{}{} {:g} ms", objectives.empty() ? "" : ", ", name, *ms);
    };
    add("TTFT", goal_.ttft);
    add("TPOT", goal_.tpot);
    add("end to end", goal_.e2el);
    return {{"command", o_.command.empty() ? "sluicectl bench" : o_.command},
            {"server", server_.url() + server_.path(o_.endpoint)},
            {"version", server_.version.empty() ? "unknown" : server_.version},
            {"model", server_.model},
            {"dataset", fmt::format("{}, seed {}", o_.dataset, o_.seed)},
            {"arrivals", arrivals_text()},
            {"warm-up requests", std::to_string(o_.warmup)},
            {"objectives", objectives.empty() ? "none" : objectives},
            {"client machine", machine_text()},
            {"client", std::string("sluicectl ") + SLUICE_VERSION},
            {"date", date_text()}};
  }

  [[nodiscard]] Result<int> tell(const Report& report) const {
    if (!o_.report.empty()) {
      std::ofstream file(o_.report, std::ios::binary);
      file << report_html(report);
      if (!file.flush()) return fail_param("report", "cannot write {}", o_.report);
    }
    fmt::print("{}", o_.json ? report_json(report).dump(2, ' ', false, json::error_handler_t::replace) + "\n"
                             : report_text(report));
    const bool any = std::ranges::any_of(report.steps, [](const Step& s) { return s.summary.completed > 0; });
    return any ? 0 : 1;
  }

  LoadOptions o_;
  Goodput goal_;
  Server server_;
  std::unique_ptr<Dataset> dataset_;
};

}  // namespace

Result<int> bench(LoadOptions o) { return Bench(std::move(o)).run(); }

}  // namespace sluice::ctl::load
