#pragma once
// The compositions that a search chooses from, as data. What decides quality (transform, quantizers, levels, pages,
// class map, tokens kept exact) is a Lossy; what remains (entropy coders, which lose nothing) makes it a Candidate.
// Pure. Only classes that the codec's own parser accepts get in.
#include <compare>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kvtransfer/codec/profile/spec.h"

namespace sluice::profiler {

/// One way to quantize keys or values, without its coder.
struct ClassChoice {
  std::string tag;        // unique among all choices
  kv::ClassSpec spec;     // with the first of `coders`
  kv::ClassSpec guarded;  // the finer class of layers that a guard protects
  std::string family;     // fineness compares within one family only
  double fineness = 0;    // larger is finer
  std::vector<kv::Coder> coders;
  bool for_keys = true, for_values = true;
};

/// Layers coded more finely than the rest; each protects what the one before does, and more.
enum class Guard : std::uint8_t { none, last_keys, last, ends };

/// Tokens that a candidate may keep exact: at the beginning of a prompt, at its end.
inline constexpr std::uint32_t kSinks = 4, kTail = 32;

struct Lossy {
  std::size_t key = 0, value = 0;  // into Space::choices
  Guard guard = Guard::none;
  std::uint32_t sinks = 0, tail = 0;
  friend auto operator<=>(const Lossy&, const Lossy&) = default;
};

struct Candidate {
  std::size_t lossy = 0;  // into Space::lossy
  kv::Coder key_coder = kv::Coder::pack, value_coder = kv::Coder::pack;
};

/// One class on keys or on values: what bytes, errors and seconds are measured of; a candidate is composed of them.
struct Part {
  std::size_t choice = 0;
  bool guarded = false, value = false;
  kv::Coder coder = kv::Coder::pack;
  std::uint32_t sinks = 0, tail = 0;
  friend auto operator<=>(const Part&, const Part&) = default;
};

struct SpaceOptions {
  bool calibrated = false;  // the model has a calibration
  bool small = false;       // the sub-space of the evidence: small enough to be measured whole
};

struct Space {
  std::vector<ClassChoice> choices;
  std::vector<Lossy> lossy;
  std::vector<Candidate> candidates;  // grouped by lossy, ascending

  [[nodiscard]] static Result<Space> make(const SpaceOptions& o);
  /// Canonical, unique: names the candidate in state files and libraries, and is a valid profile name.
  [[nodiscard]] std::string id(const Lossy& l) const;
  [[nodiscard]] std::string id(const Candidate& c) const;
  /// Its profile, without stated figures.
  [[nodiscard]] kv::ProfileSpec profile(const Candidate& c) const;
  [[nodiscard]] Part part(const Candidate& c, std::uint32_t layer, std::uint32_t layers, bool value) const;
  [[nodiscard]] std::string id(const Part& p) const;
  /// A profile whose keys and values are all coded as this part.
  [[nodiscard]] kv::ProfileSpec profile(const Part& p) const;
  /// Hash of what every choice stands for, so that figures are never taken for another space's.
  [[nodiscard]] std::string digest() const;
  /// Whether a loses nowhere more than b by construction: same families, no part coarser, no guard or exact tokens
  /// less.
  [[nodiscard]] bool finer(const Lossy& a, const Lossy& b) const;
  /// No quantizer at all.
  [[nodiscard]] bool lossless(const Lossy& l) const;
};

/// What parse_profiles() reads back as the same spec.
[[nodiscard]] nlohmann::json to_json(const kv::ClassSpec& c);
[[nodiscard]] nlohmann::json to_json(const kv::ProfileSpec& p);

}  // namespace sluice::profiler
