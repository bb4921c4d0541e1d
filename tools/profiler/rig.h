#pragma once
// Everything a search measures with: the model, its prompts' windows, the space, and the state that remembers.
// Threading: one thread; the engine uses its own.
#include <memory>

#include "tools/profiler/parts.h"
#include "tools/profiler/state.h"
#include "tools/quality/scorer.h"

namespace sluice::profiler {

struct RigOptions {
  std::string model, prompts, state;
  std::uint32_t window = 512, prompt = 448;  // tokens
  std::uint32_t windows = 8;                 // that the search measures on; as many more restate what it chose
  std::uint32_t segment_tokens = 256;        // of a transfer's segments
  std::uint32_t repeats = 3;                 // of timings
  std::uint32_t kv_memory_mib = 512;
  std::uint32_t threads = 0;  // 0: all cores
  bool small = false;         // the evidence's sub-space
};

using Progress = std::function<Result<>(std::size_t done, std::size_t of)>;

class Rig {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Rig>> open(const RigOptions& o);

  [[nodiscard]] const Space& space() const noexcept { return space_; }
  [[nodiscard]] std::uint32_t layers() const { return lab_.shape().layers; }
  /// What the state belongs to: model, prompts, windows, space, processor.
  [[nodiscard]] const nlohmann::json& header() const noexcept { return header_; }

  /// Measures every part that is not known yet.
  [[nodiscard]] Result<> measure_parts(const Progress& progress);
  /// After measure_parts().
  [[nodiscard]] Cheap cheap(const Candidate& c) const {
    return compose(space_, c, parts_, layers(), sample_.plane_bytes());
  }

  /// Whether score(lossy) costs nothing.
  [[nodiscard]] bool known(std::size_t lossy) const { return state_.find("quality", space_.id(space_.lossy[lossy])); }
  /// On the search's windows; measured unless known.
  [[nodiscard]] Result<quality::Score> score(std::size_t lossy);
  /// On windows that the search has not seen, where the prompts have that many; else on its own.
  [[nodiscard]] Result<quality::Score> score_held_out(std::size_t lossy);
  [[nodiscard]] std::size_t held_out_windows() const noexcept { return held_out_.size() / o_.window; }
  /// Share of the prompts' answers that still come out, for unchanged KV and then each; empty without answers.
  [[nodiscard]] Result<std::vector<quality::Recall>> recall(std::span<const Candidate> all);

  struct Speed {
    std::string backend;
    std::uint32_t tokens = 0;  // of a segment
    double encode_bytes_per_s = 0, decode_bytes_per_s = 0;
  };
  /// Per backend against segment size; measured unless known.
  [[nodiscard]] Result<std::vector<Speed>> speeds(const Candidate& c);

 private:
  Rig(const RigOptions& o, quality::Lab lab) : o_(o), lab_(std::move(lab)) {}
  Result<> load();
  Result<quality::Scorer> scorer(std::span<const TokenId> windows);
  Result<quality::Score> score_with(const char* kind, std::optional<quality::Scorer>& s,
                                    std::span<const TokenId> windows, std::size_t lossy);
  [[nodiscard]] std::unique_ptr<kv::Codec> codec(const kv::ProfileSpec& p, kv::Isa isa) const;

  RigOptions o_;
  quality::Lab lab_;
  Space space_;
  nlohmann::json header_;
  State state_{State::in_memory()};
  kv::CalibrationPtr calibration_;
  std::vector<TokenId> windows_, held_out_;
  bool answers_ = false;
  std::optional<quality::Scorer> scorer_, held_out_scorer_;
  KvSample sample_;
  PartTable parts_;
};

/// As the library and the state write it.
[[nodiscard]] nlohmann::json to_json(const quality::Score& s);
[[nodiscard]] quality::Score score_from(const nlohmann::json& j);

}  // namespace sluice::profiler
