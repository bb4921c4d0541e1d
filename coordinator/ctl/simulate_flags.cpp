#include "coordinator/ctl/simulate_flags.h"

#include <utility>

namespace sluice::ctl {

void add_simulate_flags(flags::App& s, SimulateOptions& o) {
  s.add_option("--experiment", o.experiment, "Registered scenarios with comparators and seeds (JSON)")
      ->check(flags::existing_file());
  s.add_option("--scenario", o.scenario, "A cluster and load (JSON); flags win over it")->check(flags::existing_file());
  s.add_option("--policy", o.policy,
               "sluice, sluice-split, sluice-local, sluice-fast, sluice-keep, static:PROFILE, break-even, kvserve, "
               "kvserve-alone or ucb1; a "
               "search takes several")
      ->capture_default_str();
  s.add_option("--trace", o.trace, "Azure or BurstGPT CSV, or Mooncake JSONL")->check(flags::existing_file());
  s.add_option("--time-scale", o.time_scale, "Stretches (> 1) or presses (< 1) a trace's time")
      ->capture_default_str()
      ->check(flags::positive());
  s.add_option("--model", o.model, "llama-3.1-8b, or a JSON file");
  s.add_option("--prefill-hardware", o.prefill_hardware, "a100, h100, h200, rtx5090, cpu, or a JSON file");
  s.add_option("--decode-hardware", o.decode_hardware, "As --prefill-hardware");
  s.add_option("--profiles", o.profiles, "published or sluice, or a JSON file; default: the hardware's own");
  s.add_option("--hardware", o.hardware,
               "Of all nodes: a name or JSON file. In a search, those to choose from, NAME:PRICE with a price per hour")
      ->delimiter(',');
  s.add_flag("--search", o.search, "Rank splits of --nodes, or of --budget, by goodput within the objectives");
  s.add_option("--nodes", o.nodes, "Of a search: nodes at most; default: 8, or as many as --budget buys, up to 64")
      ->check(flags::range(2, 10000));
  s.add_option("--budget", o.budget, "Of a search: price per hour at most")->check(flags::positive());
  s.add_option("--attainment", o.attainment, "Of a search: share of requests that must meet both objectives")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  s.add_option("--prefill", o.prefill, "Prefill nodes")->check(flags::range(1, 10000));
  s.add_option("--decode", o.decode, "Decode nodes")->check(flags::range(1, 10000));
  s.add_option("--link-gbps", o.link_gbps, "Each link's rate, Gb/s")->check(flags::positive());
  s.add_option("--requests", o.requests, "How many; a trace is repeated as needed")
      ->check(flags::range(1, 100'000'000));
  s.add_option("--rate", o.rate, "Arrivals per second")->check(flags::positive());
  s.add_option("--burstiness", o.burstiness, "Variation of the gaps; 1 is Poisson, above it a gamma process")
      ->check(flags::positive());
  s.add_option("--input-len", o.input_len, "Mean prompt tokens")->check(flags::positive());
  s.add_option("--output-len", o.output_len, "Mean output tokens")->check(flags::positive());
  for (auto& [flag, values] : {std::pair{"--slo-ttft-ms", &o.slo_ttft_ms}, {"--slo-tpot-ms", &o.slo_tpot_ms}})
    s.add_option(flag, *values, "Objective; a search takes several, with commas, and ranks for each")
        ->delimiter(',')
        ->check(flags::positive());
  s.add_option("--max-tpot-ms", o.max_tpot_ms, "Refuse what is expected to be decoded slower, as the coordinator's")
      ->check(flags::positive());
  s.add_flag("--no-admission", o.no_admission, "Let requests wait that are not expected to start in time");
  s.add_flag("--moves", o.moves, "Move running requests between decode nodes, as the coordinator does");
  s.add_option(
       "--memory", o.memory,
       "How decode memory is given out: sluice, reserve (all that a request may become), greedy (whose prompt "
       "fits now) or oracle (lengths are known); several are compared. Default: reserve, with --hidden-lengths sluice")
      ->delimiter(',')
      ->check(flags::one_of({"sluice", "reserve", "greedy", "oracle"}));
  s.add_flag("--hidden-lengths", o.hidden_lengths,
             "Requests do not say how much they will generate; they set no limit, or --max-tokens");
  s.add_option("--max-tokens", o.max_tokens, "With --hidden-lengths: the limit that every request states")
      ->check(flags::range(1, 1'000'000'000));
  s.add_option("--context-tokens", o.context_tokens, "Prompt and output of a request at most")
      ->check(flags::range(1, 1'000'000'000));
  s.add_option("--decode-kv-gb", o.decode_kv_gb, "KV memory of each decode node; default: its hardware's")
      ->check(flags::positive());
  s.add_flag("--regret", o.regret, "Runs every static profile too: regret to the best, and to each interval's best");
  s.add_option("--interval-s", o.interval_s, "Of --regret")->capture_default_str()->check(flags::positive());
  s.add_option("--quality-kl", o.quality_kl, "Quality budget")->check(flags::non_negative());
  s.add_option("--objective", o.objective,
               "quality (the default): the least lossy profile in time; latency: the fastest")
      ->check(flags::one_of({"quality", "latency"}));
  s.add_option("--seed", o.seed, "Of load, noise and probing")->capture_default_str();
  s.add_option("--out", o.out, "Directory for result.json and plots");
}

}  // namespace sluice::ctl
