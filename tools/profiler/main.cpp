// sluice-profiler: figures of a model that nodes and the coordinator use, measured offline.
//   sluice-profiler calibrate --model DIR --text FILE [--out DIR/kv_calibration.json]
//   sluice-profiler search --model DIR --prompts FILE --budget N [--out LIB.json]
//   sluice-profiler search-evidence
#include <cstdio>

#include "common/flags/program.h"
#include "tools/profiler/commands.h"

namespace sluice::profiler {
namespace {

void add_calibrate(flags::App& app, CalibrateOptions& o) {
  auto* c = app.add_subcommand("calibrate", "Mean and scale of every KV channel, for profiles that are calibrated");
  c->add_option("--model", o.model, "Hugging Face model directory")->required()->check(flags::existing_directory());
  c->add_option("--text", o.text, "Text like what the model will read")->required()->check(flags::existing_file());
  c->add_option("--out", o.out, "Default: kv_calibration.json in the model directory");
  c->add_option("--windows", o.windows, "Stretches of text")->capture_default_str()->check(flags::range(1, 1024));
  c->add_option("--window", o.window, "Tokens of one")->capture_default_str()->check(flags::range(16, 1 << 20));
  c->add_option("--scale-power", o.scale_power, "Divide key channels by their deviation to this power")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  c->add_option("--threads", o.threads, "Compute threads; 0 takes all cores")->capture_default_str();
}

/// What both searches measure with.
void add_rig(flags::App& c, RigOptions& o) {
  c.add_option("--state", o.state, "Measurements, kept as they are made; a later run goes on from them");
  c.add_option("--window", o.window, "Tokens of a stretch of text: prompt, and what is forced after it")
      ->capture_default_str()
      ->check(flags::range(16, 1 << 20));
  c.add_option("--prompt", o.prompt, "Tokens whose KV goes through the codec")
      ->capture_default_str()
      ->check(flags::range(8, 1 << 20));
  c.add_option("--windows", o.windows, "Stretches of text")->capture_default_str()->check(flags::range(1, 1024));
  c.add_option("--segment-tokens", o.segment_tokens, "Tokens of a transfer's segment")
      ->capture_default_str()
      ->check(flags::range(16, 4096));
  c.add_option("--kv-memory-mib", o.kv_memory_mib, "For the KV of all stretches, twice")
      ->capture_default_str()
      ->check(flags::positive());
  c.add_option("--threads", o.threads, "Compute threads; 0 takes all cores")->capture_default_str();
}

void add_search(flags::App& app, SearchCommand& o) {
  auto* c = app.add_subcommand("search", "Find the KV profiles that are worth offering, within a quality budget");
  c->add_option("--model", o.rig.model, "Hugging Face model directory")->required()->check(flags::existing_directory());
  c->add_option("--prompts", o.rig.prompts, "Text like what the model will read, or JSON lines {prompt, answer?}")
      ->required()
      ->check(flags::existing_file());
  c->add_option("--budget", o.budget, "Quality evaluations")->capture_default_str()->check(flags::range(1, 100'000));
  c->add_option("--quality-kl", o.quality_kl, "Mean KL to bf16 KV that a profile may cost, nats per token")
      ->capture_default_str()
      ->check(flags::range(1e-6, 10.0));
  c->add_option("--out", o.out, "The library, for the nodes' --kv-profiles")->capture_default_str();
  c->add_option("--plot", o.plot, "Default: the library's name with .svg");
  c->add_option("--keep", o.keep, "Profiles in the library, at most")
      ->capture_default_str()
      ->check(flags::range(1, 1024));
  c->add_option("--seed", o.seed, "Of the first picks and the fits")->capture_default_str();
  c->add_flag("--json", o.json, "The result as JSON on standard output");
  add_rig(*c, o.rig);
}

void add_evidence(flags::App& app, EvidenceCommand& o) {
  auto* c = app.add_subcommand("search-evidence", "Hold the search against a sub-space that is measured whole");
  c->add_option("--model", o.rig.model, "Hugging Face model directory")->capture_default_str();
  c->add_option("--prompts", o.rig.prompts, "Text")->capture_default_str();
  c->add_option("--quality-kl", o.quality_kl, "Quality budget")->capture_default_str();
  c->add_option("--seeds", o.seeds, "Searches")->capture_default_str()->check(flags::range(1, 100));
  c->add_option("--fewer", o.fewer, "Evaluations of a search: the sub-space over this")
      ->capture_default_str()
      ->check(flags::range(1, 1000));
  c->add_option("--out", o.out, "Directory")->capture_default_str();
  add_rig(*c, o.rig);
}

int run(int argc, char** argv) {
  flags::App app("Measures what nodes and the coordinator need to know about a model", "sluice-profiler");
  app.version(std::string("sluice-profiler ") + SLUICE_VERSION);
  add_config_option(app);
  app.require_subcommand(1);
  CalibrateOptions calibration;
  SearchCommand search;
  EvidenceCommand evidence;
  evidence.rig.model = "models/sluice-tiny";
  evidence.rig.prompts = "models/sluice-tiny/eval/heldout.txt";
  evidence.rig.small = true;
  add_calibrate(app, calibration);
  add_search(app, search);
  add_evidence(app, evidence);
  return run_main(app, argc, argv, [&] {
    const auto r = app.got_subcommand("calibrate") ? calibrate(calibration)
                   : app.got_subcommand("search")  ? search_profiles(search)
                                                   : search_evidence(evidence);
    if (r) return *r;
    std::fprintf(stderr, "sluice-profiler: %s\n", r.error().message.c_str());
    return r.error().code == Errc::cancelled ? 130 : kExitFailure;
  });
}

}  // namespace
}  // namespace sluice::profiler

int main(int argc, char** argv) { return sluice::profiler::run(argc, argv); }
