#include "common/prefix/name.h"

#include "common/digest.h"

namespace sluice::prefix {
namespace {

int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string to_hex(const PrefixName& name) {
  return hex({reinterpret_cast<const char*>(name.bytes.data()), name.bytes.size()});
}

Result<PrefixName> name_from_hex(std::string_view text) {
  PrefixName name;
  bool good = text.size() == 2 * name.bytes.size();
  for (std::size_t i = 0; good && i < name.bytes.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    name.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  if (!good)
    return fail(Errc::invalid_argument, "'{}' is no prefix name: 32 lower-case hex digits", text.substr(0, 64));
  return name;
}

std::string to_hex(std::span<const PrefixName> names) {
  std::string out;
  out.reserve(32 * names.size());
  for (const PrefixName& n : names) out += to_hex(n);
  return out;
}

Result<std::vector<PrefixName>> names_from_hex(std::string_view text) {
  constexpr std::size_t kDigits = 32;
  if (text.size() % kDigits != 0)
    return fail(Errc::invalid_argument, "{} digits are no whole number of prefix names", text.size());
  std::vector<PrefixName> out;
  out.reserve(text.size() / kDigits);
  for (; !text.empty(); text.remove_prefix(kDigits)) {
    SLUICE_ASSIGN(out.emplace_back(), name_from_hex(text.substr(0, kDigits)));
  }
  return out;
}

}  // namespace sluice::prefix
