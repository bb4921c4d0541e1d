#include "common/utf8.h"

namespace sluice {
namespace {

constexpr std::uint8_t byte_at(std::string_view s, std::size_t i) noexcept { return static_cast<std::uint8_t>(s[i]); }

struct Lead {
  std::uint8_t length;      // of the whole sequence; 0: not a lead byte
  std::uint8_t second_low;  // allowed range of the second byte (Unicode, table 3-7)
  std::uint8_t second_high;
};

constexpr Lead lead_of(std::uint8_t b) noexcept {
  if (b < 0x80) return {1, 0, 0};
  if (b < 0xC2) return {0, 0, 0};
  if (b < 0xE0) return {2, 0x80, 0xBF};
  if (b == 0xE0) return {3, 0xA0, 0xBF};
  if (b == 0xED) return {3, 0x80, 0x9F};
  if (b < 0xF0) return {3, 0x80, 0xBF};
  if (b == 0xF0) return {4, 0x90, 0xBF};
  if (b < 0xF4) return {4, 0x80, 0xBF};
  if (b == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step utf8_step(std::string_view s) noexcept {
  if (s.empty()) return {};
  const auto b0 = byte_at(s, 0);
  const auto lead = lead_of(b0);
  if (lead.length == 1) return {b0, 1, true, false};
  if (lead.length == 0) return {0xFFFD, 1, false, false};
  char32_t cp = b0 & (0xFF >> (lead.length + 1));
  for (std::uint8_t i = 1; i < lead.length; ++i) {
    if (i == s.size()) return {0xFFFD, i, false, true};
    const auto b = byte_at(s, i);
    const bool ok = i == 1 ? b >= lead.second_low && b <= lead.second_high : (b & 0xC0) == 0x80;
    if (!ok) return {0xFFFD, i, false, false};
    cp = cp << 6 | (b & 0x3F);
  }
  return {cp, lead.length, true, false};
}

std::size_t utf8_valid_prefix(std::string_view s) noexcept {
  std::size_t i = 0;
  while (i < s.size()) {
    if (byte_at(s, i) < 0x80) {
      ++i;
      continue;
    }
    const auto step = utf8_step(s.substr(i));
    if (!step.valid) break;
    i += step.length;
  }
  return i;
}

std::size_t utf8_last_start(std::string_view s) noexcept {
  auto at = s.size() - 1;
  while (at > 0 && (byte_at(s, at) & 0xC0U) == 0x80U) --at;
  return at;
}

std::string utf8_lossy(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  while (true) {
    const auto good = utf8_valid_prefix(s);
    out.append(s.substr(0, good));
    s.remove_prefix(good);
    if (s.empty()) return out;
    out.append(kReplacementChar);
    s.remove_prefix(utf8_step(s).length);
  }
}

std::string_view clip_utf8(std::string_view s, std::size_t bytes) noexcept {
  if (s.size() <= bytes) return s;
  while (bytes > 0 && (byte_at(s, bytes) & 0xC0U) == 0x80U) --bytes;
  return s.substr(0, bytes);
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t b) { out.push_back(static_cast<char>(b)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

}  // namespace sluice
