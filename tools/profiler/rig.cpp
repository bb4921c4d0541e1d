#include "tools/profiler/rig.h"

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "kvtransfer/codec/profile/calibration_json.h"

namespace sluice::profiler {
namespace {

using nlohmann::json;

constexpr std::size_t kSampleWindows = 3;                    // of the parts' KV: enough for a segment of 1,024 tokens
constexpr std::size_t kSampleBytes = std::size_t{64} << 20;  // but of a large model's no more than needed, at least one
constexpr std::size_t kRecallPrompts = 50;

Result<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  return std::string{std::istreambuf_iterator<char>(in), {}};
}

struct Prompts {
  std::string text;
  bool answers = false;  // every line has one
};

/// A file of JSON lines {"prompt", "answer"?} or plain text.
Result<Prompts> read_prompts(const std::string& file) {
  SLUICE_ASSIGN(const std::string all, read_text(file));
  if (!file.ends_with(".jsonl")) return Prompts{all, false};
  Prompts p{"", true};
  std::size_t number = 0;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\n', at), all.size());
    const std::string line = all.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \r\t") == std::string::npos) continue;
    const json j = json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("prompt") || !j["prompt"].is_string())
      return fail(Errc::invalid_argument, "{}: line {} has no \"prompt\"", file, number);
    p.text += j["prompt"].get<std::string>() + "\n\n";
    p.answers &= j.contains("answer") && j["answer"].is_string();
  }
  return p;
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

json figures_of(const PartFigures& f) {
  return {{"wire", f.wire_bytes}, {"encode_s", f.encode_s},       {"decode_s", f.decode_s},
          {"error", f.error},     {"first_error", f.first_error}, {"last_error", f.last_error}};
}
Error damaged(const char* kind, const std::string& id) {
  return {Errc::data_corrupt, fmt::format("the state's {} of {} is damaged; remove the state", kind, id), {}};
}

bool is_speed(const json& j) {
  return j.is_object() && j.value("backend", json()).is_string() && j.value("tokens", json()).is_number() &&
         j.value("encode_bytes_per_s", json()).is_number() && j.value("decode_bytes_per_s", json()).is_number();
}

/// One figure for each layer in every list.
Result<PartFigures> part_from(const json& j, std::size_t layers, const std::string& id) {
  PartFigures f;
  for (const auto& [key, to] : {std::pair{"wire", &f.wire_bytes},
                                {"encode_s", &f.encode_s},
                                {"decode_s", &f.decode_s},
                                {"error", &f.error},
                                {"first_error", &f.first_error},
                                {"last_error", &f.last_error}}) {
    const json list = j.is_object() ? j.value(key, json()) : json();
    if (!list.is_array() || list.size() != layers || !std::ranges::all_of(list, &json::is_number))
      return std::unexpected(damaged("part", id));
    *to = list.get<std::vector<double>>();
  }
  return f;
}

}  // namespace

json to_json(const quality::Score& s) {
  return {{"kl_mean", s.kl_mean},     {"kl_error", s.kl_error},       {"kl_p99", s.kl_p99},
          {"top1", s.top1},           {"top1_low", s.top1_95.low},    {"top1_high", s.top1_95.high},
          {"key_error", s.key_error}, {"value_error", s.value_error}, {"perplexity_change", s.perplexity_change},
          {"ratio", s.ratio},         {"kl_first", s.kl_first},       {"kl_first_error", s.kl_first_error}};
}

quality::Score score_from(const json& j) {
  return {.ratio = j.value("ratio", 0.0),
          .key_error = j.value("key_error", 0.0),
          .value_error = j.value("value_error", 0.0),
          .kl_mean = j.value("kl_mean", 0.0),
          .kl_error = j.value("kl_error", 0.0),
          .kl_p99 = j.value("kl_p99", 0.0),
          .kl_first = j.value("kl_first", 0.0),
          .kl_first_error = j.value("kl_first_error", 0.0),
          .top1 = j.value("top1", 0.0),
          .top1_95 = {j.value("top1_low", 0.0), j.value("top1_high", 0.0)},
          .perplexity_change = j.value("perplexity_change", 0.0)};
}

Result<std::unique_ptr<Rig>> Rig::open(const RigOptions& o) {
  quality::LabOptions l{.threads = o.threads, .kv_memory_mib = o.kv_memory_mib, .segment_tokens = o.segment_tokens};
  SLUICE_ASSIGN(quality::Lab lab, quality::Lab::open(o.model, l));
  std::unique_ptr<Rig> rig(new Rig(o, std::move(lab)));
  SLUICE_TRY(rig->load());
  return rig;
}

Result<> Rig::load() {
  SLUICE_ASSIGN(const Prompts prompts, read_prompts(o_.prompts));
  answers_ = prompts.answers;
  SLUICE_ASSIGN(windows_, quality::windows_of_text(lab_, prompts.text, o_.window));
  const std::size_t there = windows_.size() / o_.window;
  if (there == 0) return fail(Errc::invalid_argument, "{} has fewer than {} tokens", o_.prompts, o_.window);
  o_.windows = std::min<std::uint32_t>(o_.windows, static_cast<std::uint32_t>(there));
  const auto size = static_cast<std::ptrdiff_t>(std::size_t{o_.windows} * o_.window);
  if (there >= 2 * std::size_t{o_.windows}) held_out_.assign(windows_.begin() + size, windows_.begin() + 2 * size);
  windows_.resize(static_cast<std::size_t>(size));

  const auto beside = std::filesystem::path(o_.model) / "kv_calibration.json";
  std::string calibration;
  if (std::filesystem::exists(beside)) {
    SLUICE_ASSIGN(calibration, read_text(beside));
    SLUICE_ASSIGN(calibration_, kv::parse_calibration(calibration));
  }
  SLUICE_ASSIGN(space_, Space::make({.calibrated = calibration_ != nullptr, .small = o_.small}));
  header_ = {{"format", "sluice-profile-search/2"},
             {"model_hash", lab_.model_hash()},
             {"prompts", fmt::format("{:016x}", XXH64(prompts.text.data(), prompts.text.size(), 0))},
             {"calibration", fmt::format("{:016x}", XXH64(calibration.data(), calibration.size(), 0))},
             {"window", o_.window},
             {"prompt", o_.prompt},
             {"windows", o_.windows},
             {"segment_tokens", o_.segment_tokens},
             {"space", space_.digest()},
             {"backend", kv::name(kv::supported_isas().back())},
             {"processor", cpu_model()}};
  SLUICE_ASSIGN(state_, State::open(o_.state, header_));
  SLUICE_ASSIGN(scorer_, scorer(windows_));
  const auto rows = scorer_->reference();
  const auto& shape = lab_.shape();
  const std::size_t window_bytes = std::size_t{2} * shape.layers * shape.kv_heads * shape.head_dim * 2 * o_.prompt;
  const std::size_t count = std::clamp<std::size_t>(kSampleBytes / window_bytes, 1, kSampleWindows);
  sample_ = take_sample(lab_, rows.first(std::min(rows.size(), count)), o_.prompt);
  return {};
}

Result<quality::Scorer> Rig::scorer(std::span<const TokenId> windows) {
  return quality::Scorer::make(lab_, windows, {.window = o_.window, .prompt = o_.prompt, .windows = 0});
}

std::unique_ptr<kv::Codec> Rig::codec(const kv::ProfileSpec& p, kv::Isa isa) const {
  return kv::make_pipeline(kv::codec_id(kv::composition(p, calibration_)), p, isa, calibration_);
}

Result<> Rig::measure_parts(const Progress& progress) {
  const auto all = parts_of(space_, layers());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string id = space_.id(all[i]);
    const json* known = state_.find("part", id);
    if (known == nullptr) {
      const auto c = codec(space_.profile(all[i]), kv::supported_isas().back());
      const MeasureOptions m{.segment_tokens = o_.segment_tokens, .repeats = o_.repeats};
      SLUICE_ASSIGN(const PartFigures f, measure(*c, sample_, all[i].value, m));
      SLUICE_TRY(state_.add("part", id, figures_of(f)));
      known = state_.find("part", id);
    }
    SLUICE_ASSIGN(parts_[all[i]], part_from(*known, layers(), id));
    if (progress) SLUICE_TRY(progress(i + 1, all.size()));
  }
  return {};
}

Result<quality::Score> Rig::score_with(const char* kind, std::optional<quality::Scorer>& s,
                                       std::span<const TokenId> windows, std::size_t lossy) {
  const std::string id = space_.id(space_.lossy[lossy]);
  if (const json* known = state_.find(kind, id)) {
    if (!known->is_object() || !std::ranges::all_of(*known, &json::is_number))
      return std::unexpected(damaged(kind, id));
    return score_from(*known);
  }
  if (!s) {
    SLUICE_ASSIGN(s, scorer(windows));
  }
  // Coders lose nothing: any candidate of it will do.
  const auto first = std::ranges::lower_bound(space_.candidates, lossy, {}, &Candidate::lossy);
  const auto c = codec(space_.profile(*first), kv::supported_isas().back());
  SLUICE_ASSIGN(const quality::Score score, s->score(*c));
  SLUICE_TRY(state_.add(kind, id, to_json(score)));
  return score;
}

Result<quality::Score> Rig::score(std::size_t lossy) { return score_with("quality", scorer_, windows_, lossy); }

Result<quality::Score> Rig::score_held_out(std::size_t lossy) {
  if (held_out_.empty()) return score(lossy);
  // Both keep their rows in the same memory; the search is over when this one is asked.
  scorer_.reset();
  return score_with("held_out", held_out_scorer_, held_out_, lossy);
}

Result<std::vector<quality::Recall>> Rig::recall(std::span<const Candidate> all) {
  if (!answers_ || all.empty()) return std::vector<quality::Recall>{};
  std::vector<std::unique_ptr<kv::Codec>> codecs;
  std::vector<const kv::Codec*> pointers;
  for (const Candidate& c : all) {
    codecs.push_back(codec(space_.profile(c), kv::supported_isas().back()));
    pointers.push_back(codecs.back().get());
  }
  scorer_.reset(), held_out_scorer_.reset();
  return quality::recall(lab_, pointers, o_.prompts, kRecallPrompts);
}

Result<std::vector<Rig::Speed>> Rig::speeds(const Candidate& c) {
  const std::string id = space_.id(c);
  if (state_.find("speed", id) == nullptr) {
    KvSample whole = sample_;  // as one sequence, for long segments
    whole.tokens *= std::exchange(whole.sequences, 1U);
    json rows = json::array();
    for (const kv::Isa isa : kv::supported_isas()) {
      const auto made = codec(space_.profile(c), isa);
      for (const std::uint32_t tokens : {64U, 256U, 1024U}) {
        if (tokens > whole.tokens) continue;
        double encode = 0, decode = 0;
        for (const bool value : {false, true}) {
          SLUICE_ASSIGN(const auto f, measure(*made, whole, value, {.segment_tokens = tokens, .repeats = o_.repeats}));
          for (std::uint32_t l = 0; l < layers(); ++l) encode += f.encode_s[l], decode += f.decode_s[l];
        }
        const double raw = 2.0 * layers() * static_cast<double>(whole.plane_bytes());
        rows.push_back({{"backend", kv::name(isa)},
                        {"tokens", tokens},
                        {"encode_bytes_per_s", std::round(raw / encode)},
                        {"decode_bytes_per_s", std::round(raw / decode)}});
      }
    }
    SLUICE_TRY(state_.add("speed", id, std::move(rows)));
  }
  std::vector<Speed> out;
  for (const json& r : *state_.find("speed", id)) {
    if (!is_speed(r)) return std::unexpected(damaged("speed", id));
    out.push_back({r["backend"].get<std::string>(), r["tokens"].get<std::uint32_t>(),
                   r["encode_bytes_per_s"].get<double>(), r["decode_bytes_per_s"].get<double>()});
  }
  return out;
}

}  // namespace sluice::profiler
