#include "coordinator/ctl/keys.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/digest.h"
#include "coordinator/ctl/table.h"
#include "coordinator/tenants/key_file.h"

namespace sluice::ctl {
namespace {

using coordinator::ApiKey;
using nlohmann::json;

std::optional<std::uint64_t> count(const std::optional<int>& n) {
  return n ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(*n)) : std::nullopt;
}
std::string shown(const std::optional<std::uint64_t>& n) { return n ? std::to_string(*n) : "-"; }

}  // namespace

Result<int> new_key(const NewKeyOptions& o) {
  constexpr std::size_t kIdBytes = 4;
  const std::string key = coordinator::new_key();
  ApiKey e;
  e.tenant = o.tenant;
  e.key_id = o.id.empty() ? o.tenant + "-" + hex(random_bytes(kIdBytes)) : o.id;
  e.admin = o.admin;
  e.limits = {count(o.requests_per_minute), count(o.tokens_per_minute), count(o.concurrent)};
  e.models = o.models;
  e.slo_classes = o.slo_classes;
  std::string line = coordinator::key_line(e, key);
  if (!o.expires.empty()) {
    auto j = nlohmann::ordered_json::parse(line);
    j["expires"] = o.expires;
    line = j.dump();
  }
  // By the reader's own rules: what is printed here, the coordinator takes.
  if (const auto parsed = coordinator::parse_keys(line); !parsed)
    return fail(Errc::invalid_argument, "this would be no key: {}", parsed.error().message);
  if (o.json) {
    fmt::print("{}\n", json{{"key", key}, {"line", line}}.dump());
    return 0;
  }
  fmt::print("{}\n", line);
  std::fflush(stdout);
  fmt::print(stderr, "The key, shown this once; only its hash is in the line above:\n{}\n", key);
  return 0;
}

Result<int> check_keys(const std::string& file, bool as_json) {
  SLUICE_ASSIGN(const auto keys, coordinator::load_keys(file));
  json all = json::array();
  Table t({"ID", "TENANT", "ADMIN", "REQUESTS/MIN", "TOKENS/MIN", "CONCURRENT", "STATE"});
  for (const ApiKey& k : keys) {
    const bool expired = k.expires && *k.expires <= std::chrono::system_clock::now();
    const char* const state = expired ? "expired" : "valid";
    t.row({k.key_id, k.tenant, k.admin ? "yes" : "no", shown(k.limits.requests_per_minute),
           shown(k.limits.tokens_per_minute), shown(k.limits.concurrent), state});
    all.push_back({{"id", k.key_id}, {"tenant", k.tenant}, {"admin", k.admin}, {"state", state}});
  }
  if (as_json)
    fmt::print("{}\n", json{{"keys", std::move(all)}}.dump(2));
  else
    fmt::print("{}{} keys\n", keys.empty() ? std::string() : t.text(), keys.size());
  return 0;
}

}  // namespace sluice::ctl
