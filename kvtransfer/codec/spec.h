#pragma once
// What a profile is made of, as plain data: classes (transform x quantizer x coder) and a map that gives every (layer,
// kind, head) its class. Read from JSON (docs/codecs.md has the fields), checked there, never changed after.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::kv {

enum class Transform : std::uint8_t { none, hadamard };
enum class Quantizer : std::uint8_t {
  none,     // lossless
  absmax,   // symmetric integers under the largest magnitude
  fp8,      // e4m3 under the largest magnitude
  lloyd,    // Lloyd-Max levels of a unit Gaussian, under the norm
  uniform,  // a uniform step, in units of the norm
  minmax,   // `levels` from the smallest to the largest
};
/// Which values share a scale: those of one token and head (or `group` of them), or those of one channel over a page.
enum class Axis : std::uint8_t { token, channel };
enum class Scale : std::uint8_t {
  bf16,  // 16 bits, for lloyd and uniform corrected after quantizing so that the error is least
  log8,  // 8 bits, eight steps per octave, chosen before quantizing; lloyd and uniform only
};
enum class Coder : std::uint8_t { pack, rans, zstd, lz4, raw, split4, exp_rans };

struct ClassSpec {
  std::string name;
  Transform transform = Transform::none;
  Quantizer quantizer = Quantizer::none;
  std::uint32_t levels = 0;  // symbols; absmax: 255 or 15, fp8: 256, lloyd: 4, 8 or 16, uniform: odd
  float step = 0;            // uniform: distance of levels, in norms
  float shrink = 0;          // uniform: how far a level's value lies below its middle, in steps
  Axis axis = Axis::token;
  std::uint32_t page = 64;  // channel axis: tokens
  std::uint32_t group = 0;  // token axis, minmax: values; 0 = the whole head
  Scale scale = Scale::bf16;
  Coder coder = Coder::raw;
  bool calibrated = false;  // each channel shifted and scaled first, by figures measured offline
  [[nodiscard]] bool lossless() const noexcept { return quantizer == Quantizer::none; }
  /// Bits of a packed symbol.
  [[nodiscard]] std::uint32_t bits() const noexcept;
};

/// First rule that fits decides.
struct ClassRule {
  std::vector<std::int32_t> layers;  // negative: from the last; empty: all
  std::vector<std::uint32_t> heads;  // empty: all
  bool keys = true, values = true;
  std::size_t use = 0;  // index into ProfileSpec::classes
};

struct ProfileSpec {
  std::string name, about;
  std::string builtin;       // "raw" or "ll": one of the codecs that also carry f32; then nothing below counts
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

inline constexpr std::uint32_t kMaxPage = 4096, kMaxExactTokens = 4096;

/// Reads {"profiles": [...]}; invalid_argument names the profile and the field.
[[nodiscard]] Result<std::vector<ProfileSpec>> parse_profiles(std::string_view json);
/// The profiles of this build.
[[nodiscard]] std::string_view builtin_profiles_json() noexcept;

/// Everything that changes the bytes of a profile, and nothing else, as text; equal text, equal bytes.
[[nodiscard]] std::string canonical(const ProfileSpec& p);

}  // namespace sluice::kv
