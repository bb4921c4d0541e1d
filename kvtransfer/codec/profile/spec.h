#pragma once
// What a profile is made of, as plain data: classes (parts/class_spec.h) and a map that gives every (layer, kind, head)
// its class. Read from JSON (docs/codecs.md has the fields), checked there, never changed after.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kvtransfer/codec/parts/class_spec.h"

namespace sluice::kv {

/// First rule that fits decides.
struct ClassRule {
  std::vector<std::int32_t> layers;  // negative: from the last; empty: all
  std::vector<std::uint32_t> heads;  // empty: all
  bool keys = true, values = true;
  std::size_t use = 0;  // index into ProfileSpec::classes
};

struct ProfileSpec {
  std::string name, about;
  std::string codec;         // "raw" or "ll", which are no compositions and carry f32 too; else empty
  double stated_kl = 0;      // mean KL(bf16 || profile), nats per token
  double nominal_ratio = 1;  // raw / wire bytes, before anything was measured
  std::vector<ClassSpec> classes;
  std::size_t key = 0, value = 0;  // classes where no rule fits
  std::vector<ClassRule> rules;
  bool comparator = false;  // to be measured beside the others, not offered to requests
  std::uint32_t sinks = 0;  // first tokens of the sequence, kept exact
  std::uint32_t tail = 0;   // last tokens of the sequence, kept exact
  [[nodiscard]] bool lossless() const noexcept;
  [[nodiscard]] bool calibrated() const noexcept;
};

inline constexpr std::uint32_t kMaxExactTokens = 4096;

/// Reads {"profiles": [...]}; invalid_argument names the profile and the field.
[[nodiscard]] Result<std::vector<ProfileSpec>> parse_profiles(std::string_view json);
/// The profiles of this build.
[[nodiscard]] std::string_view builtin_profiles_json() noexcept;

/// Everything that changes the bytes of a profile, and nothing else, as text; equal text, equal bytes.
[[nodiscard]] std::string canonical(const ProfileSpec& p);

}  // namespace sluice::kv
