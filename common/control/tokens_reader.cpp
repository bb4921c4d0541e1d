#include "common/control/tokens_reader.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

#include "common/json/field_list.h"

namespace sluice::control {
namespace {

// CBOR (RFC 8949): a head's three upper bits, and the values that are heads alone.
constexpr unsigned kUnsigned = 0, kNegative = 1, kList = 4;
constexpr std::uint8_t kFalse = 0xf4, kTrue = 0xf5, kHalf = 0xf9, kFloat = 0xfa, kDouble = 0xfb;

constexpr std::string_view kOpening =
    "\xa2\x61"
    "b\xa1\x65"
    "items";
constexpr std::string_view kEnding =
    "\x61"
    "t\x66"
    "tokens";

/// The bytes that are left, and whether all before them were as they must be.
class Cursor {
 public:
  explicit Cursor(std::span<const std::uint8_t> bytes) : left_(bytes) {}

  bool literal(std::string_view text) {
    if (left_.size() < text.size() || std::memcmp(left_.data(), text.data(), text.size()) != 0) return false;
    left_ = left_.subspan(text.size());
    return true;
  }
  bool whole(unsigned major, std::uint64_t& out) {
    if (left_.empty() || left_[0] >> 5U != major) return false;
    const unsigned info = left_[0] & 31U;
    if (info < 24) return out = info, skip(1);
    if (info > 27) return false;
    const std::size_t n = std::size_t{1} << (info - 24);
    return big_endian(n, out);
  }
  bool list(std::size_t most, std::uint64_t& count) { return whole(kList, count) && count <= most; }
  bool boolean(bool& out) {
    if (left_.empty() || (left_[0] != kFalse && left_[0] != kTrue)) return false;
    out = left_[0] == kTrue;
    return skip(1);
  }
  /// Beyond a float's range only what is no finite number at all, as the common reader has it.
  bool number(float& out) {
    std::uint64_t bits = 0;
    if (left_.empty()) return false;
    const std::uint8_t head = left_[0];
    if (head == kFloat) {
      if (!big_endian(4, bits)) return false;
      out = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      return true;
    }
    if (head == kDouble) {
      if (!big_endian(8, bits)) return false;
      const auto d = std::bit_cast<double>(bits);
      out = static_cast<float>(d);
      return !std::isfinite(d) || std::fabs(d) <= std::numeric_limits<float>::max();
    }
    return head == kHalf && big_endian(2, bits) && endless(bits, out);
  }
  [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }

 private:
  bool skip(std::size_t n) { return left_ = left_.subspan(n), true; }
  /// n bytes after a head.
  bool big_endian(std::size_t n, std::uint64_t& out) {
    if (n > left_.size() - 1) return false;
    out = 0;
    for (std::size_t i = 1; i <= n; ++i) out = out << 8U | left_[i];
    return skip(n + 1);
  }
  /// What our writer says as a half: infinities and what is no number.
  static bool endless(std::uint64_t half, float& out) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    out = half == 0x7c00 ? kInfinity : half == 0xfc00 ? -kInfinity : std::numeric_limits<float>::quiet_NaN();
    return half == 0x7c00 || half == 0xfc00 || half == 0x7e00;
  }

  std::span<const std::uint8_t> left_;
};

bool token_id(Cursor& in, TokenId& out) {
  std::uint64_t v = 0;
  const bool negative = !in.whole(kUnsigned, v);
  if (negative && !in.whole(kNegative, v)) return false;
  if (v > static_cast<std::uint64_t>(std::numeric_limits<TokenId>::max())) return false;
  out = negative ? static_cast<TokenId>(-1 - static_cast<std::int64_t>(v)) : static_cast<TokenId>(v);
  return true;
}

bool top_token(Cursor& in, TopToken& out) {
  std::uint64_t fields = 0;
  return in.list(2, fields) && fields == 2 && token_id(in, out.id) && in.number(out.logprob);
}

bool item(Cursor& in, Tokens::Item& out) {
  std::uint64_t fields = 0, request = 0, index = 0, top = 0;
  const bool read = in.list(6, fields) && fields == 6 && in.whole(kUnsigned, request) && in.whole(kUnsigned, index) &&
                    index <= std::numeric_limits<std::uint32_t>::max() && token_id(in, out.token.id) &&
                    in.boolean(out.token.stop) && in.number(out.token.logprob) && in.list(kMaxListItems, top);
  if (!read) return false;
  out.request = RequestId(request);
  out.index = static_cast<std::uint32_t>(index);
  out.token.top.clear();
  for (std::uint64_t i = 0; i < top; ++i)
    if (!top_token(in, out.token.top.emplace_back())) return false;
  return true;
}

/// Grown as items are read: a count alone costs no memory.
bool items(Cursor& in, std::vector<Tokens::Item>& out) {
  std::uint64_t count = 0;
  if (!in.list(kMaxListItems, count)) return false;
  for (std::uint64_t i = 0; i < count; ++i)
    if (!item(in, i < out.size() ? out[i] : out.emplace_back())) return false;
  out.resize(count);
  return true;
}

}  // namespace

bool read_tokens_message(std::span<const std::uint8_t> message, Tokens& out) {
  Cursor in(message);
  if (in.literal(kOpening) && items(in, out.items) && in.literal(kEnding) && in.at_end()) return true;
  out.items.clear();
  return false;
}

}  // namespace sluice::control
