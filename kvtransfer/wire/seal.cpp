#include "kvtransfer/wire/seal.h"

#include <openssl/evp.h>

#include <cstring>

namespace sluice::kv {
namespace {

struct CtxFree {
  void operator()(EVP_CIPHER_CTX* c) const noexcept { EVP_CIPHER_CTX_free(c); }
};

unsigned char* bytes(std::span<std::byte> s) noexcept { return reinterpret_cast<unsigned char*>(s.data()); }
const unsigned char* bytes(std::span<const std::byte> s) noexcept {
  return reinterpret_cast<const unsigned char*>(s.data());
}

/// OpenSSL takes int lengths.
bool fits_int(std::size_t n) noexcept { return n <= (1U << 30); }

}  // namespace

Nonce make_nonce(std::uint32_t nonce_base, Direction d, std::uint64_t sequence) noexcept {
  Nonce n;
  const std::uint32_t head = nonce_base ^ static_cast<std::uint32_t>(d);
  std::memcpy(n.data(), &head, 4);
  std::memcpy(n.data() + 4, &sequence, 8);
  return n;
}

struct Sealer::Impl {
  std::unique_ptr<EVP_CIPHER_CTX, CtxFree> ctx{EVP_CIPHER_CTX_new()};

  /// Runs the cipher over header and payload up to the tag. encrypting: 1 or 0.
  bool run(SealMode mode, const SealKey& key, const Nonce& nonce, std::span<const std::byte> header,
           std::span<std::byte> payload, int encrypting) {
    if (!ctx || !fits_int(header.size()) || !fits_int(payload.size())) return false;
    EVP_CIPHER_CTX* c = ctx.get();
    // Naming the cipher once lets later calls skip its look-up; 96-bit nonces are GCM's default.
    const EVP_CIPHER* cipher = EVP_CIPHER_CTX_get0_cipher(c) ? nullptr : EVP_aes_256_gcm();
    int n = 0;
    if (EVP_CipherInit_ex(c, cipher, nullptr, key.data(), nonce.data(), encrypting) != 1) return false;
    if (EVP_CipherUpdate(c, nullptr, &n, bytes(header), static_cast<int>(header.size())) != 1) return false;
    if (payload.empty()) return true;
    unsigned char* out = mode == SealMode::encrypt ? bytes(payload) : nullptr;
    return EVP_CipherUpdate(c, out, &n, bytes(payload), static_cast<int>(payload.size())) == 1;
  }
};

Sealer::Sealer() : impl_(std::make_unique<Impl>()) {}
Sealer::~Sealer() = default;
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;

Result<SealTag> Sealer::seal(SealMode mode, const SealKey& key, const Nonce& nonce, std::span<const std::byte> header,
                             std::span<std::byte> payload) {
  EVP_CIPHER_CTX* c = impl_->ctx.get();
  SealTag tag;
  unsigned char rest[16];
  int n = 0;
  if (!impl_->run(mode, key, nonce, header, payload, 1) || EVP_CipherFinal_ex(c, rest, &n) != 1 ||
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, kSealTagBytes, tag.data()) != 1)
    return fail(Errc::internal, "AES-256-GCM failed to seal {} bytes", payload.size());
  return tag;
}

Result<> Sealer::open(SealMode mode, const SealKey& key, const Nonce& nonce, std::span<const std::byte> header,
                      std::span<std::byte> payload, const SealTag& tag) {
  EVP_CIPHER_CTX* c = impl_->ctx.get();
  unsigned char rest[16];
  int n = 0;
  if (!impl_->run(mode, key, nonce, header, payload, 0))
    return fail(Errc::internal, "AES-256-GCM failed to open {} bytes", payload.size());
  auto expected = tag;  // OpenSSL wants it mutable
  if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, kSealTagBytes, expected.data()) != 1 ||
      EVP_CipherFinal_ex(c, rest, &n) != 1)
    return fail(Errc::data_corrupt, "the frame's seal does not match its bytes");
  return {};
}

}  // namespace sluice::kv
