#include <xxhash.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/signs.h"

namespace sluice::kv {
namespace {

struct ProfileRow {
  std::string_view name;
  std::uint16_t key, value;
  double stated_kl;      // mean KL(bf16 || profile), nats per token: ten times what the bundled model shows, rounded up
  double nominal_ratio;  // all metadata counted, head_dim 128
};

constexpr ProfileRow kProfiles[] = {
    {"raw", kRawId, kRawId, 0.0, 1.0},  {"ll", kLlId, kLlId, 0.0, 1.40},  {"q8", kQ8Id, kQ8Id, 5e-4, 1.95},
    {"k8v4", kQ8Id, kH4Id, 5e-3, 2.60}, {"h4", kH4Id, kH4Id, 2e-2, 3.87},
};

/// Every number that changes what the bytes mean.
constexpr std::array<std::uint64_t, 9> kFormat = {kRawId,     kRawVersion, kLlId,      kLlVersion,   kQ8Id,
                                                  kQ8Version, kH4Id,       kH4Version, kSignsVersion};

class Registry final : public CodecRegistry {
 public:
  explicit Registry(const Kernels& k) {
    owned_.push_back(make_raw());
    owned_.push_back(make_ll(k));
    owned_.push_back(make_q8(k));
    owned_.push_back(make_h4(k));
    for (const auto& c : owned_) codecs_.push_back(c.get());
    for (const ProfileRow& p : kProfiles)
      profiles_.push_back({std::string(p.name), find(p.key), find(p.value), p.stated_kl, p.nominal_ratio});
  }

  const Codec* find(std::uint16_t id) const noexcept override {
    const auto it = std::ranges::find_if(codecs_, [id](const Codec* c) { return c->id() == id; });
    return it == codecs_.end() ? nullptr : *it;
  }
  const Profile* profile(std::string_view name) const noexcept override {
    const auto it = std::ranges::find(profiles_, name, &Profile::name);
    return it == profiles_.end() ? nullptr : &*it;
  }
  std::span<const Profile> profiles() const noexcept override { return profiles_; }
  std::span<const Codec* const> codecs() const noexcept override { return codecs_; }
  std::uint64_t format_hash() const noexcept override { return XXH64(kFormat.data(), sizeof kFormat, 0); }

 private:
  std::vector<std::unique_ptr<Codec>> owned_;
  std::vector<const Codec*> codecs_;
  std::vector<Profile> profiles_;
};

}  // namespace

std::unique_ptr<CodecRegistry> make_registry(Isa isa) { return std::make_unique<Registry>(kernels(isa)); }

std::unique_ptr<CodecRegistry> make_registry() { return make_registry(supported_isas().back()); }

}  // namespace sluice::kv
