#pragma once
// AES-256-GCM over a frame, through OpenSSL. One Sealer per thread: it owns a reusable cipher context.
//
//   encrypt  payload encrypted in place, header authenticated (associated data)
//   digest   header and payload authenticated (GMAC), payload bytes untouched
//
// The nonce is (ticket nonce base xor direction, frame sequence): the caller never seals two frames of one ticket and
// direction with the same sequence.
#include <cstdint>
#include <memory>
#include <span>

#include "common/result.h"
#include "kvtransfer/wire/frame.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::kv {

/// reference: a quality probe's note (wire/reference.h), whose one sequence number is 0.
enum class Direction : std::uint32_t { prefill_to_decode = 0, decode_to_prefill = 1, reference = 2 };

using Nonce = std::array<std::uint8_t, 12>;
[[nodiscard]] Nonce make_nonce(std::uint32_t nonce_base, Direction d, std::uint64_t sequence) noexcept;

class Sealer {
 public:
  Sealer();
  ~Sealer();
  Sealer(Sealer&&) noexcept;
  Sealer& operator=(Sealer&&) noexcept;

  /// Seals in place and returns the tag.
  [[nodiscard]] Result<SealTag> seal(SealMode mode, const SealKey& key, const Nonce& nonce,
                                     std::span<const std::byte> header, std::span<std::byte> payload);
  /// Checks the tag (constant time) and, in encrypt mode, decrypts in place. data_corrupt when the tag is wrong; the
  /// payload's contents are then unspecified and must not be used.
  [[nodiscard]] Result<> open(SealMode mode, const SealKey& key, const Nonce& nonce, std::span<const std::byte> header,
                              std::span<std::byte> payload, const SealTag& tag);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::kv
