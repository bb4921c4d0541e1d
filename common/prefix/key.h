#pragma once
// The cluster's key of prefix names: 16 secret bytes. Who has it can name prefixes, so it goes over the control plane
// and into secret files, and never into a log: it has no formatter, and errors do not show the text they were read
// from. Other keys are derived from it, each for one purpose. Values; any thread. Failure: invalid_argument.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice::prefix {

class PrefixKey {
 public:
  static constexpr std::size_t kBytes = 16;
  /// From the system's randomness; throws std::runtime_error where it has none.
  [[nodiscard]] static PrefixKey draw();
  [[nodiscard]] static PrefixKey of(const std::array<std::uint8_t, kBytes>& bytes) noexcept {
    PrefixKey key;
    key.bytes_ = bytes;
    return key;
  }
  /// 32 hex digits, or base64 of 16 bytes (24 characters, the last two "=").
  [[nodiscard]] static Result<PrefixKey> parse(std::string_view text);

  /// 32 lower-case hex digits. For the control plane, the registry and secret files alone.
  [[nodiscard]] std::string reveal() const;
  [[nodiscard]] std::span<const std::uint8_t, kBytes> bytes() const noexcept { return bytes_; }
  /// 32 bytes for one purpose (BLAKE2b keyed with this key). They tell nothing of this key or of other purposes' bytes.
  [[nodiscard]] std::array<std::uint8_t, 32> derive(std::string_view purpose) const;

  /// Takes as long whatever differs.
  friend bool operator==(const PrefixKey& a, const PrefixKey& b) noexcept;

 private:
  std::array<std::uint8_t, kBytes> bytes_{};
};

}  // namespace sluice::prefix
