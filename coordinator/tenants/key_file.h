#pragma once
// The file of API keys: one JSON object a line, empty lines and lines that begin with # aside. It holds no key, only
// the hash of each, so who reads it can use none of them.
//
// Why a plain SHA-256: a key is 256 random bits that `sluicectl key new` draws. Slow hashes (scrypt) protect passwords,
// which can be guessed; 2^256 keys cannot be tried, whatever one try costs, and a slow hash on every request would be a
// way to keep the coordinator busy.
// Threading: pure functions. Failure: words with the line and the field; unknown fields are refused.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.h"
#include "common/result.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

/// Nothing: no bound.
struct KeyLimits {
  std::optional<std::uint64_t> requests_per_minute;
  std::optional<std::uint64_t> tokens_per_minute;  // of prompts and answers
  std::optional<std::uint64_t> concurrent;         // requests at a time
  bool operator==(const KeyLimits&) const = default;
};

struct ApiKey : Caller {
  Digest hash{};
  KeyLimits limits;
  std::vector<std::string> models;       // that may be asked for; empty: all
  std::vector<std::string> slo_classes;  // likewise
  std::optional<std::chrono::sys_seconds> expires;
};

inline constexpr std::size_t kMaxKeys = 10'000;
inline constexpr std::size_t kMaxKeyFileBytes = std::size_t{16} << 20;

[[nodiscard]] Result<std::vector<ApiKey>> parse_keys(std::string_view text);
/// Of a file that must be private (common/secret_file.h).
[[nodiscard]] Result<std::vector<ApiKey>> load_keys(const std::string& file);
/// The line of the file for `key`, which was drawn for it.
[[nodiscard]] std::string key_line(const ApiKey& entry, std::string_view key);
/// "sk-" and 256 random bits as hex.
[[nodiscard]] std::string new_key();

}  // namespace sluice::coordinator
