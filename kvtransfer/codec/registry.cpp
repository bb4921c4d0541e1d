#include <xxhash.h>

#include <algorithm>
#include <vector>

#include "kvtransfer/codec/codecs.h"

namespace sluice::kv {
namespace {

class Registry final : public CodecRegistry {
 public:
  static Result<std::unique_ptr<CodecRegistry>> make(const std::vector<ProfileSpec>& specs, Isa isa) {
    auto r = std::make_unique<Registry>();
    for (const ProfileSpec& p : specs) {
      const std::uint32_t id = codec_id(p);
      const Codec* codec = r->find(id);
      // Two names for one composition share its codec; two compositions never share a number.
      if (codec != nullptr && canonical(p) != r->texts_[r->index_of(codec)])
        return fail(Errc::invalid_argument, "profiles '{}' and '{}' have the same number; change a field of one",
                    p.name, codec->name());
      if (codec == nullptr) {
        r->owned_.push_back(make_codec(p, id, isa));
        codec = r->owned_.back().get();
        r->codecs_.push_back(codec);
        r->texts_.push_back(canonical(p));
      }
      r->profiles_.push_back({p.name, codec, p.stated_kl, p.nominal_ratio});
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
  static std::unique_ptr<Codec> make_codec(const ProfileSpec& p, std::uint32_t id, Isa isa) {
    if (p.builtin == "raw") return make_raw(id);
    if (p.builtin == "ll") return make_ll(id, kernels(isa));
    return make_pipeline(p, isa);
  }
  [[nodiscard]] std::size_t index_of(const Codec* c) const noexcept {
    return static_cast<std::size_t>(std::ranges::find(codecs_, c) - codecs_.begin());
  }

  std::vector<std::unique_ptr<Codec>> owned_;
  std::vector<const Codec*> codecs_;
  std::vector<std::string> texts_;  // canonical composition of each codec
  std::vector<Profile> profiles_;
};

}  // namespace

std::uint32_t codec_id(const ProfileSpec& p) {
  const std::string text = canonical(p);
  const auto h = static_cast<std::uint32_t>(XXH64(text.data(), text.size(), 0));
  return h == 0 ? 1 : h;  // 0 is nobody's
}

Result<std::unique_ptr<CodecRegistry>> make_registry(std::string_view profiles_json, Isa isa) {
  SLUICE_ASSIGN(const auto specs, parse_profiles(profiles_json));
  return Registry::make(specs, isa);
}

Result<std::unique_ptr<CodecRegistry>> make_registry(std::string_view profiles_json) {
  return make_registry(profiles_json, supported_isas().back());
}

std::unique_ptr<CodecRegistry> make_registry(Isa isa) {
  auto r = make_registry(builtin_profiles_json(), isa);
  return r ? std::move(*r) : nullptr;  // a test holds the built-in profiles to what is accepted
}

std::unique_ptr<CodecRegistry> make_registry() { return make_registry(supported_isas().back()); }

}  // namespace sluice::kv
