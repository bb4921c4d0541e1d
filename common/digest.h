#pragma once
// Hashes of secrets, by OpenSSL. Pure functions, any thread.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

using Digest = std::array<unsigned char, 32>;

[[nodiscard]] Digest sha256(std::string_view bytes);
[[nodiscard]] Digest hmac_sha256(std::span<const std::byte> key, std::span<const std::byte> bytes);
/// Takes as long whatever differs.
[[nodiscard]] bool same_digest(const Digest& a, const Digest& b);
/// Bytes that nobody can guess, from the system. Throws std::runtime_error where it has none.
[[nodiscard]] std::string random_bytes(std::size_t n);
[[nodiscard]] std::string hex(std::string_view bytes);

}  // namespace sluice
