// Suite "quality": what a model is worth under each KV profile, measured by this engine on real text.
//   sluice-bench quality [--quick] -- MODEL_DIR [f32] [PROFILES.json]
// (default models/sluice-tiny, bf16, the profiles of this build; texts are read from MODEL_DIR/eval). Definitions are
// at the head of tools/quality/score.h.
#include <cstdio>

#include "tools/bench/bench_util.h"
#include "tools/quality/channels.h"
#include "tools/quality/score.h"

namespace sluice::bench {
namespace {

using quality::Lab;

struct Profiles {
  std::unique_ptr<kv::CodecRegistry> registry;
  std::vector<const kv::Profile*> list;
  std::vector<const kv::Codec*> codecs;
};

Result<Profiles> load_profiles(const Lab& lab, const std::string& model_dir, const std::string& file) {
  Profiles p;
  SLUICE_ASSIGN(p.registry, kv::load_registry(model_dir, file));
  const auto& s = lab.shape();
  for (const kv::Profile& profile : p.registry->profiles()) {
    const kv::SegmentShape shape{.tokens = lab.segment_tokens(),
                                 .kv_heads = s.kv_heads,
                                 .head_dim = s.head_dim,
                                 .dtype = s.dtype == engine::DType::f32 ? kv::KvDType::f32 : kv::KvDType::bf16,
                                 .layers = s.layers,
                                 .end_token = 1U << 20};
    if (!profile.codec->supports(shape)) continue;
    p.list.push_back(&profile);
    p.codecs.push_back(profile.codec);
  }
  return p;
}

void add_score(std::vector<Figure>& out, const kv::Profile& p, const quality::Score& s) {
  out.push_back({p.name + " ratio", s.ratio, "x", std::nullopt});
  out.push_back({p.name + " ratio p50", s.ratio_p50, "x", std::nullopt});
  out.push_back({p.name + " ratio worst", s.ratio_worst, "x", std::nullopt});
  out.push_back({p.name + " K error", s.key_error, "of power", std::nullopt});
  out.push_back({p.name + " V error", s.value_error, "of power", std::nullopt});
  out.push_back({p.name + " KL mean", s.kl_mean, "nats/token", Measured{"stated", p.stated_kl, "nats/token"}});
  out.push_back({p.name + " KL p99", s.kl_p99, "nats/token", std::nullopt});
  out.push_back({p.name + " top-1 agreement", s.top1, "", std::nullopt});
  out.push_back({p.name + " top-1 low", s.top1_95.low, "", std::nullopt});
  out.push_back({p.name + " top-1 high", s.top1_95.high, "", std::nullopt});
  out.push_back({p.name + " perplexity change", s.perplexity_change, "", std::nullopt});
}

/// Channel figures of a few windows' KV.
Result<> add_channels(std::vector<Figure>& out, Lab& lab, std::span<const TokenId> windows, std::uint32_t window,
                      std::size_t count) {
  if (lab.shape().dtype != engine::DType::bf16) return {};
  std::vector<quality::Row> rows;
  for (std::uint32_t w = 0; w < std::min<std::size_t>({count, windows.size() / window, lab.rows_that_fit(window)});
       ++w) {
    rows.push_back(lab.row(w, window));
    SLUICE_TRY(lab.run(rows.back(), windows.subspan(std::size_t{w} * window, window), {}));
  }
  for (const auto& f : quality::channel_figures(lab, rows, window)) {
    const std::string name = fmt::format("channels layer {} {}", f.layer, f.value ? "V" : "K");
    out.push_back({name + " shift", f.shift_bits, "bits", std::nullopt});
    out.push_back({name + " power AM/GM", f.power_bits, "bits", std::nullopt});
    out.push_back({name + " spread AM/GM", f.spread_bits, "bits", std::nullopt});
    out.push_back({name + " rotated AM/GM", f.rotated_bits, "bits", std::nullopt});
    out.push_back({name + " crest", f.crest, "", std::nullopt});
    out.push_back({name + " rotated crest", f.rotated_crest, "", std::nullopt});
  }
  return {};
}

SuiteResult run_quality_suite(const BenchOptions& options) {
  const auto argument = [&](std::size_t i, std::string otherwise) {
    return options.arguments.size() > i ? options.arguments[i] : std::move(otherwise);
  };
  const std::string dir = argument(0, "models/sluice-tiny");
  quality::LabOptions lab_options{.threads = options.threads};
  lab_options.precision = argument(1, "bf16");
  SLUICE_ASSIGN(Lab lab, Lab::open(dir, lab_options));
  SLUICE_ASSIGN(const Profiles profiles, load_profiles(lab, dir, argument(2, "")));
  const std::filesystem::path eval = std::filesystem::path(dir) / "eval";
  quality::ScoreOptions o;
  if (options.quick) o.windows = 2;
  o.progress = [](std::size_t done, std::size_t of) {
    std::fprintf(stderr, "quality: window %zu of %zu\r%s", done, of, done == of ? "\n" : "");
  };
  SLUICE_ASSIGN(const auto text, quality::text_windows(lab, eval / "heldout.txt", o.window));
  std::vector<Figure> out;
  SLUICE_ASSIGN(const double ppl, quality::perplexity(lab, text, o));
  const std::size_t windows = o.windows == 0 ? text.size() / o.window : o.windows;
  out.push_back({fmt::format("perplexity, {} windows of {} tokens", windows, o.window), ppl, "", std::nullopt});
  SLUICE_TRY(add_channels(out, lab, text, o.window, 8));
  SLUICE_ASSIGN(const auto scores, quality::score(lab, profiles.codecs, text, o));
  for (std::size_t i = 0; i < scores.size(); ++i) add_score(out, *profiles.list[i], scores[i]);
  for (const int length : {256, 512, 1024, 2048, 4096}) {
    if (options.quick && length > 512) break;
    std::fprintf(stderr, "quality: recall at %d tokens\n", length);
    const auto file = eval / fmt::format("recall_{}.jsonl", length);
    SLUICE_ASSIGN(const auto r, quality::recall(lab, profiles.codecs, file, options.quick ? 10 : 100));
    for (std::size_t i = 0; i < r.size(); ++i) {
      const std::string name = i == 0 ? "unchanged KV" : profiles.list[i - 1]->name;
      out.push_back(
          {fmt::format("{} recall {}", name, length), r[i].share, "", Measured{"unchanged KV", r[0].share, ""}});
      out.push_back({fmt::format("{} recall {} error", name, length), r[i].standard_error, "", std::nullopt});
    }
  }
  return out;
}

const SuiteRegistration registration{"quality", "perplexity, recall and KL of every KV profile on real text",
                                     run_quality_suite};

}  // namespace
}  // namespace sluice::bench
