#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/profile/calibration_json.h"

namespace sluice::kv {
namespace {

class Registry final : public CodecRegistry {
 public:
  static Result<std::unique_ptr<CodecRegistry>> make(const std::vector<ProfileSpec>& specs, Isa isa,
                                                     const CalibrationPtr& calibration) {
    auto r = std::make_unique<Registry>();
    for (const ProfileSpec& p : specs) {
      if (p.calibrated() && calibration == nullptr) continue;
      const std::string text = composition(p, calibration);
      const std::uint32_t id = codec_id(text);
      const Codec* codec = r->find(id);
      // Two names for one composition share its codec; two compositions never share a number.
      if (codec != nullptr && text != r->texts_[r->index_of(codec)])
        return fail(Errc::invalid_argument, "profiles '{}' and '{}' have the same number; change a field of one",
                    p.name, codec->name());
      if (codec == nullptr) {
        r->owned_.push_back(make_codec(p, id, isa, calibration));
        codec = r->owned_.back().get();
        r->codecs_.push_back(codec);
        r->texts_.push_back(text);
      }
      r->profiles_.push_back({p.name, codec, p.stated_kl, p.nominal_ratio, p.comparator});
    }
    return r;
  }

  const Codec* find(std::uint32_t id) const noexcept override {
    const auto it = std::ranges::find_if(codecs_, [id](const Codec* c) { return c->id() == id; });
    return it == codecs_.end() ? nullptr : *it;
  }
  const Profile* profile(std::string_view name) const noexcept override {
    const auto it = std::ranges::find(profiles_, name, &Profile::name);
    return it == profiles_.end() ? nullptr : &*it;
  }
  std::span<const Profile> profiles() const noexcept override { return profiles_; }
  std::span<const Codec* const> codecs() const noexcept override { return codecs_; }
  std::uint64_t format_hash() const noexcept override {
    std::string all;
    for (const Profile& p : profiles_) all += p.name + '=' + texts_[index_of(p.codec)] + '\n';
    return XXH64(all.data(), all.size(), 0);
  }

 private:
  static std::unique_ptr<Codec> make_codec(const ProfileSpec& p, std::uint32_t id, Isa isa,
                                           const CalibrationPtr& calibration) {
    if (p.codec == "raw") return make_raw(id);
    if (p.codec == "ll") return make_ll(id, exponent_kernels(isa));
    return make_pipeline(id, p, isa, calibration);
  }
  [[nodiscard]] std::size_t index_of(const Codec* c) const noexcept {
    return static_cast<std::size_t>(std::ranges::find(codecs_, c) - codecs_.begin());
  }

  std::vector<std::unique_ptr<Codec>> owned_;
  std::vector<const Codec*> codecs_;
  std::vector<std::string> texts_;  // canonical composition of each codec
  std::vector<Profile> profiles_;
};

Result<std::string> read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  return std::string{std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::string composition(const ProfileSpec& p, const CalibrationPtr& calibration) {
  return p.calibrated() ? fmt::format("{} calibration {:016x}", canonical(p), calibration->digest) : canonical(p);
}

std::uint32_t codec_id(std::string_view composition) {
  const auto h = static_cast<std::uint32_t>(XXH64(composition.data(), composition.size(), 0));
  return h == 0 ? 1 : h;  // 0 is nobody's
}

Result<std::unique_ptr<CodecRegistry>> make_registry(std::string_view profiles_json, Isa isa,
                                                     const CalibrationPtr& calibration) {
  SLUICE_ASSIGN(const auto specs, parse_profiles(profiles_json));
  return Registry::make(specs, isa, calibration);
}

Result<std::unique_ptr<CodecRegistry>> load_registry(const std::string& model_dir, const std::string& profiles_file) {
  std::string profiles(builtin_profiles_json());
  if (!profiles_file.empty()) {
    SLUICE_ASSIGN(profiles, read_text(profiles_file));
  }
  const auto beside = std::filesystem::path(model_dir) / "kv_calibration.json";
  CalibrationPtr calibration;
  if (std::filesystem::exists(beside)) {
    SLUICE_ASSIGN(const std::string text, read_text(beside));
    SLUICE_ASSIGN(calibration, parse_calibration(text));
  }
  return make_registry(profiles, supported_isas().back(), calibration);
}

std::unique_ptr<CodecRegistry> make_registry(Isa isa) {
  auto r = make_registry(builtin_profiles_json(), isa);
  return r ? std::move(*r) : nullptr;  // a test holds the built-in profiles to what is accepted
}

std::unique_ptr<CodecRegistry> make_registry() { return make_registry(supported_isas().back()); }

}  // namespace sluice::kv
