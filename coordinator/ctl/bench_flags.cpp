#include "coordinator/ctl/bench_flags.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace sluice::ctl {
namespace {

void add_server_flags(flags::App& s, load::LoadOptions& o) {
  s.add_option("--endpoint", o.endpoint, "completions or chat")
      ->capture_default_str()
      ->check(flags::one_of({"completions", "chat"}));
  s.add_option("--model", o.model, "Name of the model; default: the first one the server lists");
  s.add_option("--header", o.headers, "Further header of each request, 'Name: value'");
  s.add_option("--extra-body", o.extra_body, "JSON object, merged into each request; null takes a field away");
  s.add_option("--ignore-eos", o.ignore_eos, "Ask for answers of full length: yes, no, or auto (made-up prompts only)")
      ->capture_default_str()
      ->check(flags::one_of({"auto", "yes", "no"}));
  s.add_flag("--no-usage", o.no_usage, "Do not ask for the usage (stream_options), for servers that refuse it");
  s.add_flag("--no-explain", o.no_explain, "Do not ask Sluice to explain its decisions");
  s.add_option("--profile", o.profile, "KV profile; default: the controller's choice");
  s.add_option("--mode", o.mode, "auto, colocated or split");
  s.add_option("--timeout-s", o.timeout_s, "Give a request up after so long without progress")
      ->capture_default_str()
      ->check(flags::range(1, 86400));
}

void add_dataset_flags(flags::App& s, load::LoadOptions& o) {
  s.add_option("--dataset", o.dataset,
               "random, prefix (prompts share beginnings), multi-turn, sharegpt, file (JSON lines) or trace; default: "
               "random, with --trace trace")
      ->check(flags::one_of({"random", "prefix", "multi-turn", "sharegpt", "file", "trace"}));
  s.add_option("--dataset-file", o.file,
               "Of sharegpt: its JSON. Of file: lines {\"prompt\" or \"messages\", \"max_tokens\"}")
      ->check(flags::existing_file());
  s.add_option("--requests", o.requests, "How many, for each rate")
      ->capture_default_str()
      ->check(flags::range(1, 10'000'000));
  s.add_option("--input-len", o.input_len, "Prompt tokens; of prefix: after the prefix; of multi-turn: of each turn")
      ->capture_default_str()
      ->check(flags::range(1, 10'000'000));
  s.add_option("--output-len", o.output_len, "Tokens to generate")
      ->capture_default_str()
      ->check(flags::range(1, 10'000'000));
  s.add_option("--range-ratio", o.range_ratio, "Lengths vary by this share of the above, both ways")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  s.add_option("--prefix-groups", o.prefix_groups, "Of prefix: how many beginnings there are")
      ->capture_default_str()
      ->check(flags::range(1, 10'000'000));
  s.add_option("--prefix-len", o.prefix_len, "Of prefix: tokens of a beginning")
      ->capture_default_str()
      ->check(flags::range(1, 10'000'000));
  s.add_option("--turns", o.turns, "Of multi-turn: questions of a conversation")
      ->capture_default_str()
      ->check(flags::range(1, 1000));
  s.add_option("--think-time-s", o.think_time_s, "Of multi-turn: pause between an answer and the next question")
      ->capture_default_str()
      ->check(flags::range(0, 86400));
  s.add_option("--trace", o.trace, "Azure CSV, BurstGPT CSV or Mooncake JSONL: recorded lengths and times")
      ->check(flags::existing_file());
  s.add_option("--time-scale", o.time_scale, "Stretches (> 1) or presses (< 1) a trace's time")
      ->capture_default_str()
      ->check(flags::positive());
  s.add_option("--seed", o.seed, "Of prompts and arrivals")->capture_default_str();
}

void add_arrival_flags(flags::App& s, load::LoadOptions& o) {
  s.add_option("--concurrency", o.concurrency,
               "At once at most (users of multi-turn); default: 8, with timed arrivals 4096")
      ->check(flags::range(1, 4096));
  s.add_option("--rate", o.rate, "Arrivals per second; default: as fast as --concurrency allows")
      ->check(flags::non_negative());
  s.add_option("--rates", o.rates,
               "Several rates, e.g. 1,2,4,8: one after another, to find where objectives are missed")
      ->delimiter(',')
      ->check(flags::positive());
  s.add_option("--arrival", o.arrival, "Gaps between arrivals: poisson, gamma or constant")
      ->capture_default_str()
      ->check(flags::one_of({"poisson", "gamma", "constant"}));
  s.add_option("--burstiness", o.burstiness, "Shape of gamma's gaps, as vLLM's: 1 is Poisson, below it are bursts")
      ->capture_default_str()
      ->check(flags::range(0.001, 1000));
  s.add_option("--warmup", o.warmup, "Requests (conversations) before the test that do not count")
      ->capture_default_str()
      ->check(flags::range(0, 1'000'000));
}

void add_report_flags(flags::App& s, load::LoadOptions& o) {
  s.add_option("--goodput", o.goodput, "Objectives, e.g. ttft:500 tpot:50 (ms)");
  s.add_option("--slo-ttft-ms", o.slo_ttft_ms, "Objective of the first token")->check(flags::positive());
  s.add_option("--slo-tpot-ms", o.slo_tpot_ms, "Objective of the tokens after it")->check(flags::positive());
  s.add_option("--slo-e2el-ms", o.slo_e2el_ms, "Objective of the whole answer")->check(flags::positive());
  s.add_option("--attainment", o.attainment, "Of --rates: share that must meet the objectives")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  s.add_option("--report", o.report, "Write a page with figures and plots (HTML)");
  s.add_flag("--progress", o.progress, "Count along on standard error, on no terminal too");
  s.add_flag("--quiet", o.quiet, "Nothing on standard error meanwhile");
}

}  // namespace

void add_bench_flags(flags::App& s, load::LoadOptions& o) {
  add_server_flags(s, o);
  add_dataset_flags(s, o);
  add_arrival_flags(s, o);
  add_report_flags(s, o);
}

std::string command_text(int argc, const char* const* argv) {
  std::string text;
  bool secret = false;
  for (int i = 0; i < argc; ++i) {
    std::string_view word = argv[i];
    if (i == 0) word = word.substr(word.rfind('/') == std::string_view::npos ? 0 : word.rfind('/') + 1);
    const bool flag = word == "--header";
    std::string shown(word);
    if (secret) shown = "***";
    if (constexpr std::string_view kName = "--header="; word.starts_with(kName)) shown = std::string(kName) + "***";
    // As a shell would take it back.
    const bool plain = std::ranges::all_of(shown, [](unsigned char c) {
      return (std::isalnum(c) != 0) ||
             std::string_view("-_=./:,@*+%").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (!plain || shown.empty()) {
      std::string quoted;
      for (const char c : shown) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
      shown = "'" + quoted + "'";
    }
    text += (text.empty() ? "" : " ") + shown;
    secret = flag;
  }
  return text;
}

}  // namespace sluice::ctl
