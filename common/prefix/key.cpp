#include "common/prefix/key.h"

#include <sodium.h>

#include <algorithm>

#include "common/digest.h"

namespace sluice::prefix {

static_assert(PrefixKey::kBytes == crypto_shorthash_siphashx24_KEYBYTES);
static_assert(PrefixKey::kBytes >= crypto_generichash_KEYBYTES_MIN);

PrefixKey PrefixKey::draw() {
  PrefixKey key;
  const std::string drawn = random_bytes(kBytes);
  std::ranges::copy(drawn, key.bytes_.begin());
  return key;
}

Result<PrefixKey> PrefixKey::parse(std::string_view text) {
  PrefixKey key;
  std::size_t n = 0;
  const char* end = nullptr;
  const bool as_hex = text.size() == 2 * kBytes;
  const int read = as_hex ? sodium_hex2bin(key.bytes_.data(), kBytes, text.data(), text.size(), nullptr, &n, &end)
                          : sodium_base642bin(key.bytes_.data(), kBytes, text.data(), text.size(), nullptr, &n, &end,
                                              sodium_base64_VARIANT_ORIGINAL);
  if (read != 0 || n != kBytes || end != text.data() + text.size())
    return fail(Errc::invalid_argument,
                "a prefix key is 16 bytes as 32 hex digits or as base64; this text of {} characters is neither",
                text.size());
  return key;
}

std::string PrefixKey::reveal() const { return hex({reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}); }

std::array<std::uint8_t, 32> PrefixKey::derive(std::string_view purpose) const {
  std::array<std::uint8_t, 32> out;
  crypto_generichash(out.data(), out.size(), reinterpret_cast<const unsigned char*>(purpose.data()), purpose.size(),
                     bytes_.data(), bytes_.size());
  return out;
}

bool operator==(const PrefixKey& a, const PrefixKey& b) noexcept {
  return sodium_memcmp(a.bytes_.data(), b.bytes_.data(), a.bytes_.size()) == 0;
}

}  // namespace sluice::prefix
