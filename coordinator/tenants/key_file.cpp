#include "coordinator/tenants/key_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <set>

#include "common/json/parse.h"
#include "common/json/reader.h"
#include "common/secret_file.h"

namespace sluice::coordinator {
namespace {

using nlohmann::json;

constexpr std::string_view kHashScheme = "sha256:";
constexpr Length kName{1, 128};
constexpr Length kList{1, 256};

std::optional<Digest> parse_hash(std::string_view text) {
  Digest d{};
  if (!text.starts_with(kHashScheme)) return std::nullopt;
  text.remove_prefix(kHashScheme.size());
  if (text.size() != 2 * d.size()) return std::nullopt;
  for (std::size_t i = 0; i < d.size(); ++i) {
    const std::string pair(text.substr(2 * i, 2));
    const char* const last = pair.data() + pair.size();
    const auto [end, ec] = std::from_chars(pair.data(), last, d[i], 16);
    if (ec != std::errc{} || end != last) return std::nullopt;
  }
  return d;
}

/// "2027-01-31" (its first moment) or "2027-01-31T12:00:00Z".
std::optional<std::chrono::sys_seconds> parse_time(const std::string& text) {
  for (const char* form : {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"}) {
    std::tm t{};
    const char* const end = ::strptime(text.c_str(), form, &t);
    if (end != nullptr && *end == '\0') return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&t)));
  }
  return std::nullopt;
}

/// It stands in metrics and logs.
bool is_label(std::string_view name) {
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

Result<ApiKey> parse_line(std::string_view line, const std::string& what) {
  SLUICE_ASSIGN(const json j,
                parse_json_object(line, {.what = what, .max_bytes = 64U << 10U, .refuse_repeated = true}));
  JsonReader in(j, {.what = what, .null_is_absent = false});
  JsonObject f = in.object();
  ApiKey k;
  k.admin = false;
  const auto name = [&f](FieldName field, std::string& to) {
    const JsonValue v = f.need(field);
    if (v.into(to, kName) && !is_label(to)) v.wrong("takes letters, digits, '-', '_' and '.'");
  };
  name("tenant", k.tenant);
  name("id", k.key_id);
  std::string text;
  if (const JsonValue hash = f.need("hash"); hash.into(text)) {
    const auto d = parse_hash(text);
    if (!d) hash.wrong("must be 'sha256:' and 64 hex digits, as `sluicectl key new` prints it; never the key itself");
    k.hash = d.value_or(Digest{});
  }
  f.want("admin").into(k.admin);
  constexpr NumberRange<std::uint64_t> kCount{.least = 1, .most = 1'000'000'000'000};
  f.want("requests_per_minute").into(k.limits.requests_per_minute, kCount);
  f.want("tokens_per_minute").into(k.limits.tokens_per_minute, kCount);
  f.want("concurrent").into(k.limits.concurrent, kCount);
  f.want("models").into(k.models, kList, kName);
  f.want("slo_classes").into(k.slo_classes, kList, kName);
  if (const JsonValue expires = f.want("expires"); expires.into(text)) {
    k.expires = parse_time(text);
    if (!k.expires) expires.wrong("must be a time in UTC, 2027-01-31 or 2027-01-31T12:00:00Z");
  }
  f.closed();
  SLUICE_TRY(in.done());
  return k;
}

}  // namespace

Result<std::vector<ApiKey>> parse_keys(std::string_view text) {
  std::vector<ApiKey> all;
  std::set<std::string> ids;
  std::set<Digest> hashes;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') continue;
    const std::string what = fmt::format("line {}", number);
    SLUICE_ASSIGN(ApiKey k, parse_line(line, what));
    if (!ids.insert(k.key_id).second)
      return fail(Errc::invalid_argument, "{}: the id '{}' is there twice", what, k.key_id);
    if (!hashes.insert(k.hash).second)
      return fail(Errc::invalid_argument, "{}: the hash of '{}' is another line's too", what, k.key_id);
    if (all.size() == kMaxKeys) return fail(Errc::invalid_argument, "{}: there are more than {} keys", what, kMaxKeys);
    all.push_back(std::move(k));
  }
  return all;
}

Result<std::vector<ApiKey>> load_keys(const std::string& file) {
  SLUICE_ASSIGN(const std::string text, read_secret_file(file, kMaxKeyFileBytes));
  auto keys = parse_keys(text);
  if (!keys) return fail(keys.error().code, "{}: {}", file, keys.error().message);
  return keys;
}

std::string key_line(const ApiKey& e, std::string_view key) {
  const Digest d = sha256(key);
  nlohmann::ordered_json j;
  j["id"] = e.key_id;
  j["hash"] = std::string(kHashScheme) + hex({reinterpret_cast<const char*>(d.data()), d.size()});
  j["tenant"] = e.tenant;
  if (e.admin) j["admin"] = true;
  if (e.limits.requests_per_minute) j["requests_per_minute"] = *e.limits.requests_per_minute;
  if (e.limits.tokens_per_minute) j["tokens_per_minute"] = *e.limits.tokens_per_minute;
  if (e.limits.concurrent) j["concurrent"] = *e.limits.concurrent;
  if (!e.models.empty()) j["models"] = e.models;
  if (!e.slo_classes.empty()) j["slo_classes"] = e.slo_classes;
  if (e.expires) {
    const std::time_t t = std::chrono::system_clock::to_time_t(*e.expires);
    std::tm utc{};
    ::gmtime_r(&t, &utc);
    std::array<char, 32> text{};
    const auto n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
    j["expires"] = std::string(text.data(), n);
  }
  return j.dump();
}

std::string new_key() {
  constexpr std::size_t kBytes = 32;
  return "sk-" + hex(random_bytes(kBytes));
}

}  // namespace sluice::coordinator
