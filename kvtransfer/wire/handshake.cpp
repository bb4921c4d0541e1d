#include "kvtransfer/wire/handshake.h"

#include <array>
#include <concepts>
#include <cstring>

namespace sluice::kv {
namespace {

constexpr std::uint32_t kHelloMagic = 0x48564b53;  // "SKVH"
constexpr std::uint32_t kNoteMagic = 0x4e564b53;   // "SKVN"
constexpr std::size_t kMaxText = 256;

class Writer {
 public:
  template <std::unsigned_integral T>
  Writer& put(T v) {
    for (std::size_t i = 0; i < sizeof(T); ++i) out_.push_back(static_cast<std::byte>(v >> (8 * i)));
    return *this;
  }
  Writer& text(std::string_view s) {
    s = s.substr(0, kMaxText);
    return put(static_cast<std::uint16_t>(s.size())).raw(s.data(), s.size());
  }
  Writer& raw(const void* p, std::size_t n) {
    const auto* b = static_cast<const std::byte*>(p);
    out_.insert(out_.end(), b, b + n);
    return *this;
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

/// Reads in order; after the first shortage everything reads as zero and complete() is false.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) : in_(in) {}
  template <std::unsigned_integral T>
  T get() {
    std::array<std::byte, sizeof(T)> b{};
    raw(b.data(), b.size());
    T v = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) v = static_cast<T>(v | static_cast<T>(static_cast<T>(b[i]) << (8 * i)));
    return v;
  }
  std::string text() {
    const std::size_t n = get<std::uint16_t>();
    if (n > kMaxText || n > in_.size() - pos_) ok_ = false;
    if (!ok_) return {};
    std::string s(n, '\0');
    raw(s.data(), n);
    return s;
  }
  void raw(void* p, std::size_t n) {
    if (!ok_ || n > in_.size() - pos_) {
      ok_ = false;
      return;
    }
    std::memcpy(p, in_.data() + pos_, n);
    pos_ += n;
  }
  [[nodiscard]] bool complete() const noexcept { return ok_ && pos_ == in_.size(); }

 private:
  std::span<const std::byte> in_;
  std::size_t pos_ = 0;
  bool ok_ = true;
};

Result<> check_head(Reader& r, std::uint32_t magic, std::string_view what) {
  if (r.get<std::uint32_t>() != magic) return fail(Errc::data_corrupt, "{}: wrong magic", what);
  if (const auto v = r.get<std::uint8_t>(); v != kHandshakeVersion)
    return fail(Errc::unsupported, "{}: version {}, this build speaks {}", what, v, kHandshakeVersion);
  return {};
}

}  // namespace

std::vector<std::byte> write_hello(const Hello& h) {
  Writer w;
  w.put(kHelloMagic).put(kHandshakeVersion).put(h.incarnation.value()).put(h.model_hash).put(h.format_hash);
  w.put(h.layout.layers).put(h.layout.kv_heads).put(h.layout.head_dim).put(static_cast<std::uint8_t>(h.layout.dtype));
  w.text(h.node.value());
  return w.take();
}

Result<Hello> parse_hello(std::span<const std::byte> bytes) {
  Reader r(bytes);
  SLUICE_TRY(check_head(r, kHelloMagic, "hello"));
  Hello h;
  h.incarnation = Incarnation(r.get<std::uint64_t>());
  h.model_hash = r.get<std::uint64_t>();
  h.format_hash = r.get<std::uint64_t>();
  h.layout.layers = r.get<std::uint32_t>();
  h.layout.kv_heads = r.get<std::uint32_t>();
  h.layout.head_dim = r.get<std::uint32_t>();
  const auto dtype = r.get<std::uint8_t>();
  h.node = NodeId(r.text());
  if (!r.complete() || dtype > static_cast<std::uint8_t>(KvDType::f32))
    return fail(Errc::data_corrupt, "hello: malformed");
  h.layout.dtype = static_cast<KvDType>(dtype);
  return h;
}

std::vector<std::byte> write_note(const TransferNote& n) {
  Writer w;
  w.put(kNoteMagic).put(kHandshakeVersion).raw(n.ticket.value().data(), n.ticket.value().size());
  w.put(static_cast<std::uint8_t>(n.committed)).put(static_cast<std::uint8_t>(n.code));
  w.put(n.decode_us).put(n.wire_bytes).text(n.message);
  return w.take();
}

Result<TransferNote> parse_note(std::span<const std::byte> bytes) {
  Reader r(bytes);
  SLUICE_TRY(check_head(r, kNoteMagic, "note"));
  TransferNote n;
  std::array<std::uint8_t, 16> id{};
  r.raw(id.data(), id.size());
  n.ticket = TicketId(id);
  n.committed = r.get<std::uint8_t>() == 1;
  const auto code = r.get<std::uint8_t>();
  n.decode_us = r.get<std::uint32_t>();
  n.wire_bytes = r.get<std::uint64_t>();
  n.message = r.text();
  if (!r.complete()) return fail(Errc::data_corrupt, "note: malformed");
  n.code = code <= static_cast<std::uint8_t>(Errc::internal) ? static_cast<Errc>(code) : Errc::internal;
  return n;
}

}  // namespace sluice::kv
