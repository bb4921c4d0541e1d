#include "text/unicode/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "common/utf8.h"
#include "text/unicode/property_tables.h"
#include "text/unicode/unicode_frozen.h"

namespace sluice::text {
namespace {

using unicode_tables::kLowerCase;

std::vector<char32_t> decode_all(std::string_view s) {
  std::vector<char32_t> out;
  out.reserve(s.size());
  while (!s.empty()) {
    const auto step = utf8_step(s);
    out.push_back(step.code_point);
    s.remove_prefix(step.length);
  }
  return out;
}

// utf8proc's own reordering of combining marks is an insertion sort: a megabyte of marks in falling order would
// take minutes. Sort each run of marks here; the result is the same (canonical ordering is stable).
void order_marks(std::vector<utf8proc_int32_t>& cps) {
  const auto ccc = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto it = cps.begin(); it != cps.end();) {
    const auto end = std::find_if(it, cps.end(), [&](auto c) { return ccc(c) == 0; });
    if (end - it > 1) std::stable_sort(it, end, [&](auto a, auto b) { return ccc(a) < ccc(b); });
    it = end == cps.end() ? end : end + 1;
  }
}

// An unassigned character neither moves, decomposes nor composes, and nothing moves or composes across it.
bool is_frozen(char32_t c) noexcept {
  const auto* it = std::ranges::lower_bound(kFrozen, c, {}, &std::pair<char32_t, char32_t>::second);
  return it != kFrozen.end() && c >= it->first;
}

char32_t lower_case(char32_t c) noexcept {
  if (c == 0x130) return U'i';
  const auto* newer = std::ranges::lower_bound(kLowerCase, c, {}, &std::pair<char32_t, char32_t>::first);
  if (newer != kLowerCase.end() && newer->first == c) return newer->second;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

std::vector<utf8proc_int32_t> normalize_run(std::span<const char32_t> run, bool compat, bool compose) {
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> cps;
  cps.reserve(run.size());
  std::array<utf8proc_int32_t, 64> parts{};  // the longest decomposition is 18 code points (U+FDFA)
  for (const char32_t c : run) {
    int boundclass = 0;
    const auto n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(), options, &boundclass);
    if (n < 0 || static_cast<std::size_t>(n) > parts.size())
      cps.push_back(static_cast<utf8proc_int32_t>(c));
    else
      cps.insert(cps.end(), parts.begin(), parts.begin() + n);
  }
  order_marks(cps);
  if (!compose) return cps;
  const auto composing = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  const auto n = utf8proc_normalize_utf32(cps.data(), static_cast<utf8proc_ssize_t>(cps.size()), composing);
  cps.resize(static_cast<std::size_t>(std::max<utf8proc_ssize_t>(n, 0)));
  return cps;
}

}  // namespace

bool is_white_space(char32_t c) noexcept {
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string to_lower(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  for (const char32_t c : decode_all(s)) {
    append_utf8(out, lower_case(c));
    if (c == 0x130) append_utf8(out, 0x307);  // the one character whose lower case is two (SpecialCasing.txt)
  }
  return out;
}

std::string normalize(std::string_view s, NormalForm form) {
  const bool compat = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const bool compose = form == NormalForm::nfc || form == NormalForm::nfkc;
  // Every normal form leaves ASCII alone, and NFC leaves everything below U+0300 alone (lead bytes up to 0xCB).
  const auto limit = form == NormalForm::nfc ? 0xCC : 0x80;
  if (std::ranges::all_of(s, [&](char b) { return static_cast<std::uint8_t>(b) < limit; })) return std::string(s);

  const auto text = decode_all(s);
  std::string out;
  out.reserve(s.size());
  for (auto it = text.begin(); it != text.end();) {
    const auto frozen = std::find_if(it, text.end(), is_frozen);
    for (const auto c : normalize_run({it, frozen}, compat, compose)) append_utf8(out, static_cast<char32_t>(c));
    if (frozen != text.end()) append_utf8(out, *frozen);
    it = frozen == text.end() ? frozen : frozen + 1;
  }
  return out;
}

}  // namespace sluice::text
