#include "common/trace/context.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace sluice::trace {
namespace {

constexpr std::size_t kVersion00 = 55;  // "00-" 32 "-" 16 "-" 2
constexpr std::size_t kMaxMembers = 32;
constexpr std::size_t kLongMember = 128;  // goes first when a list is too long
constexpr std::size_t kMaxPart = 256;     // of a member: its key, its value

std::uint64_t random_u64() {
  thread_local std::mt19937_64 rng = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return rng();
}

template <std::size_t N>
std::string to_hex(const std::array<std::uint8_t, N>& bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * N);
  for (const std::uint8_t b : bytes) {
    out += kDigits[b >> 4U];
    out += kDigits[b & 15U];
  }
  return out;
}

/// -1: no lower-case hex digit.
int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

template <std::size_t N>
bool from_hex(std::string_view text, std::array<std::uint8_t, N>& out) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

bool lower_or_digit(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool key_part(std::string_view part, std::size_t most, bool may_begin_with_digit) {
  if (part.empty() || part.size() > most || !lower_or_digit(part[0])) return false;
  if (!may_begin_with_digit && digit(part[0]) >= 0 && part[0] <= '9') return false;
  return std::ranges::all_of(part,
                             [](char c) { return lower_or_digit(c) || c == '_' || c == '-' || c == '*' || c == '/'; });
}

/// "vendor", or "tenant@vendor".
bool is_key(std::string_view key) {
  const std::size_t at = key.find('@');
  if (at == std::string_view::npos) return key_part(key, kMaxPart, false);
  return key_part(key.substr(0, at), 241, true) && key_part(key.substr(at + 1), 14, false);
}

bool is_value(std::string_view value) {
  if (value.empty() || value.size() > kMaxPart || value.back() == ' ') return false;
  return std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; });
}

std::string_view trimmed(std::string_view s) {
  const std::size_t begin = s.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return s.substr(begin, s.find_last_not_of(" \t") - begin + 1);
}

/// With the commas between them.
std::size_t length_of(const std::vector<std::string_view>& members) {
  std::size_t n = members.empty() ? 0 : members.size() - 1;
  for (const auto m : members) n += m.size();
  return n;
}

void shorten(std::vector<std::string_view>& members) {
  while (length_of(members) > kMaxTracestate) {
    const auto is_long = [](std::string_view m) { return m.size() > kLongMember; };
    const auto last_long = std::find_if(members.rbegin(), members.rend(), is_long);
    members.erase(last_long == members.rend() ? std::prev(members.end()) : std::prev(last_long.base()));
  }
}

}  // namespace

std::string TraceId::hex() const { return to_hex(bytes); }
std::string SpanId::hex() const { return to_hex(bytes); }

TraceId random_trace_id() {
  TraceId id;
  do {
    const std::uint64_t halves[] = {random_u64(), random_u64()};
    std::memcpy(id.bytes.data(), halves, sizeof(halves));
  } while (!id);
  return id;
}

SpanId random_span_id() {
  SpanId id;
  do {
    const std::uint64_t v = random_u64();
    std::memcpy(id.bytes.data(), &v, sizeof(v));
  } while (!id);
  return id;
}

Result<SpanContext> parse_traceparent(std::string_view text) {
  const auto wrong = [](std::string_view why) { return fail_param("traceparent", "traceparent: {}", why); };
  if (text.size() < kVersion00) return wrong("it is too short");
  if (text.size() > kMaxTraceparent) return wrong("it is too long");
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  SpanContext c;
  const bool dashed = text[2] == '-' && text[35] == '-' && text[52] == '-';
  if (!dashed || !from_hex(text.substr(0, 2), version) || !from_hex(text.substr(3, 32), c.trace.bytes) ||
      !from_hex(text.substr(36, 16), c.span.bytes) || !from_hex(text.substr(53, 2), flags))
    return wrong("it must be VERSION-TRACE-PARENT-FLAGS in lower-case hex, of 2, 32, 16 and 2 digits");
  if (version[0] == 0xff) return wrong("there is no version ff");
  if (version[0] == 0 && text.size() != kVersion00) return wrong("something follows its flags");
  if (text.size() > kVersion00 && text[kVersion00] != '-') return wrong("its flags have more than two digits");
  if (!c.trace) return wrong("a trace id of zeroes is none");
  if (!c.span) return wrong("a parent id of zeroes is none");
  c.sampled = (flags[0] & 1U) != 0;
  return c;
}

std::string format_traceparent(const SpanContext& c) {
  return fmt::format("00-{}-{}-{}", c.trace.hex(), c.span.hex(), c.sampled ? "01" : "00");
}

Result<std::string> parse_tracestate(std::string_view text) {
  const auto wrong = [](std::string_view why) { return fail_param("tracestate", "tracestate: {}", why); };
  std::vector<std::string_view> members;
  std::vector<std::string_view> keys;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view member = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    if (member.empty()) continue;
    const std::size_t equals = std::min(member.find('='), member.size());
    const std::string_view key = member.substr(0, equals);
    if (equals == member.size() || !is_key(key) || !is_value(member.substr(equals + 1)))
      return wrong("a member must be KEY=VALUE");
    if (std::ranges::find(keys, key) != keys.end()) return wrong("a key is there twice");
    if (keys.size() == kMaxMembers) return wrong("it has more than 32 members");
    keys.push_back(key);
    members.push_back(member);
  }
  shorten(members);
  std::string out;
  for (const auto m : members) {
    if (!out.empty()) out += ',';
    out += m;
  }
  return out;
}

bool within_share(const TraceId& id, double share) noexcept {
  if (share >= 1) return true;
  if (!(share > 0)) return false;
  std::uint64_t low = 0;  // the last 7 bytes, the ones that whoever makes an id must draw by chance
  for (std::size_t i = 9; i < 16; ++i) low = low << 8U | id.bytes[i];
  return static_cast<double>(low) < std::ldexp(share, 56);
}

Joined join_trace(std::optional<std::string_view> traceparent, std::string_view tracestate, double share) {
  if (traceparent) {
    if (auto parent = parse_traceparent(*traceparent)) {
      Joined j{std::move(*parent), {}};
      j.parent = j.context.span;
      j.context.span = random_span_id();
      j.context.state = parse_tracestate(tracestate).value_or("");
      return j;
    }
  }
  Joined j;
  j.context.trace = random_trace_id();
  j.context.span = random_span_id();
  j.context.sampled = within_share(j.context.trace, share);
  return j;
}

}  // namespace sluice::trace
