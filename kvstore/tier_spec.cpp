#include "kvstore/tier_spec.h"

#include <array>
#include <charconv>
#include <limits>
#include <set>

namespace sluice::kvstore {
namespace {

constexpr std::string_view kForms = "memory:SIZE, disk:/FOLDER:SIZE or redis://[USER@]HOST:PORT[/DATABASE]";

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 5> kUnits{
      {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}}};
  for (const auto& [unit, shift] : kUnits) {
    if (!text.ends_with(unit)) continue;
    const auto digits = text.substr(0, text.size() - unit.size());
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (error != std::errc{} || end != digits.data() + digits.size() || n == 0 ||
        n > std::uint64_t{std::numeric_limits<std::int64_t>::max()} >> shift)
      break;
    return n << shift;
  }
  return fail(Errc::invalid_argument, "'{}' is no size of a tier: write it as 512MiB or 10GiB", text);
}

Result<TierSpec> parse_disk(std::string_view rest) {
  const auto colon = rest.rfind(':');
  if (colon == rest.npos) return fail(Errc::invalid_argument, "'disk:{}' says no size: write disk:/FOLDER:10GiB", rest);
  const auto root = rest.substr(0, colon);
  if (!root.starts_with('/'))
    return fail(Errc::invalid_argument, "the folder '{}' of a disk tier must begin with '/'", root);
  SLUICE_ASSIGN(const auto bytes, parse_size(rest.substr(colon + 1)));
  auto folder = std::filesystem::path(root).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // "/kv/" is "/kv"
  return DiskSpec{std::move(folder), bytes};
}

Result<TierSpec> parse_redis(std::string_view rest) {
  RedisSpec spec;
  if (const auto at = rest.rfind('@'); at != rest.npos) {
    spec.server.user = rest.substr(0, at);
    if (spec.server.user.find(':') != std::string::npos)
      return fail(Errc::invalid_argument,
                  "a password stands in the address of a Redis tier, where every user of this machine can read it: "
                  "write redis://USER@HOST:PORT, and give the password in a file");
    if (spec.server.user.empty())
      return fail(Errc::invalid_argument, "no user stands before the '@' of 'redis://{}'", rest);
    rest.remove_prefix(at + 1);
  }
  if (const auto slash = rest.find('/'); slash != rest.npos) {
    const auto digits = rest.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), spec.server.database);
    if (error != std::errc{} || end != digits.data() + digits.size())
      return fail(Errc::invalid_argument, "'{}' is no number of a Redis database", digits);
    rest = rest.substr(0, slash);
  }
  SLUICE_ASSIGN(spec.server.address, net::parse_address(rest));
  return spec;
}

Result<TierSpec> parse_tier(std::string_view text) {
  if (text.starts_with("memory:")) {
    SLUICE_ASSIGN(const auto bytes, parse_size(text.substr(7)));
    return MemorySpec{bytes};
  }
  if (text.starts_with("disk:")) return parse_disk(text.substr(5));
  if (text.starts_with("redis://")) return parse_redis(text.substr(8));
  if (text.starts_with("redis+cluster://"))
    return fail(Errc::unsupported, "'{}': Redis Cluster is not supported; name a single Redis server", text);
  if (text.starts_with("rediss://"))
    return fail(Errc::unsupported,
                "'{}': TLS to Redis is not supported; use redis:// over a private network or a tunnel", text);
  return fail(Errc::invalid_argument, "'{}' is no tier: write {}", text, kForms);
}

/// What there can be one of only.
std::string place_of(const TierSpec& spec) {
  if (const auto* d = std::get_if<DiskSpec>(&spec)) return "the folder " + d->root.string();
  if (const auto* r = std::get_if<RedisSpec>(&spec))
    return fmt::format("Redis at {}, database {}", r->server.address.str(), r->server.database);
  return "memory";
}

}  // namespace

Result<std::vector<TierSpec>> parse_tiers(std::string_view text) {
  std::vector<TierSpec> tiers;
  std::set<std::string> places;
  while (!text.empty()) {
    const auto comma = text.find(',');
    SLUICE_ASSIGN(auto tier, parse_tier(text.substr(0, comma)));
    if (!places.insert(place_of(tier)).second)
      return fail(Errc::invalid_argument, "{} is named by two tiers", place_of(tier));
    tiers.push_back(std::move(tier));
    if (comma == text.npos) break;
    text.remove_prefix(comma + 1);
    if (text.empty()) return fail(Errc::invalid_argument, "a tier is missing after the last comma: write {}", kForms);
  }
  return tiers;
}

}  // namespace sluice::kvstore
