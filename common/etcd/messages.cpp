#include "common/etcd/messages.h"

#include <openssl/evp.h>

#include <charconv>

#include "common/json/parse.h"

namespace sluice::etcd {

using nlohmann::json;

namespace {

constexpr std::size_t kMostKeys = 100'000;  // in one answer

Error damaged(const char* what) { return {Errc::data_corrupt, fmt::format("etcd's answer is damaged: {}", what), {}}; }

Result<KeyValue> key_value(const json& j) {
  KeyValue kv;
  SLUICE_ASSIGN(kv.key, from_base64(text_at(j, "key")));
  SLUICE_ASSIGN(kv.value, from_base64(text_at(j, "value")));
  kv.create_revision = int_at(j, "create_revision");
  kv.mod_revision = int_at(j, "mod_revision");
  kv.lease = int_at(j, "lease");
  return kv;
}

std::int64_t revision_of(const json& j) {
  const auto header = j.is_object() ? j.find("header") : j.end();
  return j.is_object() && header != j.end() ? int_at(*header, "revision") : 0;
}

/// A list that may be left out; null of another type.
const json* list_at(const json& j, const char* key) {
  static const json kNone = json::array();
  const auto it = j.find(key);
  if (it == j.end()) return &kNone;
  return it->is_array() && it->size() <= kMostKeys ? &*it : nullptr;
}

}  // namespace

KeyRange KeyRange::prefix(const std::string& p) {
  std::string end = p;
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return {p, end.empty() ? std::string(1, '\0') : end};  // "\0": to the end of all keys
}

std::string to_base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // and the NUL that OpenSSL writes
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  if (text.empty()) return std::string();
  if (text.size() % 4 != 0 || text.size() > (std::size_t{64} << 20)) return std::unexpected(damaged("no base64"));
  std::string out(text.size() / 4 * 3, '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (n < 0) return std::unexpected(damaged("no base64"));
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  out.resize(static_cast<std::size_t>(n) - padding);
  return out;
}

std::int64_t int_at(const json& j, const char* key) {
  const auto it = j.is_object() ? j.find(key) : j.end();
  if (!j.is_object() || it == j.end()) return 0;
  if (it->is_number_integer()) return it->get<std::int64_t>();
  if (!it->is_string()) return 0;
  const auto& s = it->get_ref<const std::string&>();
  std::int64_t n = 0;
  const auto r = std::from_chars(s.data(), s.data() + s.size(), n);
  return r.ec == std::errc() && r.ptr == s.data() + s.size() ? n : 0;
}

std::string text_at(const json& j, const char* key) {
  const auto it = j.is_object() ? j.find(key) : j.end();
  return j.is_object() && it != j.end() && it->is_string() ? it->get<std::string>() : std::string();
}

json range_json(const KeyRange& r, std::int64_t limit, std::int64_t revision, bool count_only) {
  json j{{"key", to_base64(r.begin)}, {"range_end", to_base64(r.end)}};
  if (limit > 0) j["limit"] = std::to_string(limit);
  if (revision > 0) j["revision"] = std::to_string(revision);
  if (count_only) j["count_only"] = true;
  return j;
}

json txn_json(const Txn& t) {
  json when = json::array();
  for (const Compare& c : t.when) {
    const bool created = c.of == Compare::Of::created;
    when.push_back({{"key", to_base64(c.key)},
                    {"target", created ? "CREATE" : "MOD"},
                    {"result", "EQUAL"},
                    {created ? "create_revision" : "mod_revision", std::to_string(c.revision)}});
  }
  json then = json::array();
  for (const Write& w : t.then) {
    if (!w.value) {
      then.push_back({{"request_delete_range", {{"key", to_base64(w.key)}}}});
      continue;
    }
    json put{{"key", to_base64(w.key)}, {"value", to_base64(*w.value)}};
    if (w.lease != 0) put["lease"] = std::to_string(w.lease);
    then.push_back({{"request_put", std::move(put)}});
  }
  return {{"compare", std::move(when)}, {"success", std::move(then)}};
}

json watch_json(const KeyRange& r, std::int64_t from_revision) {
  return {{"create_request",
           {{"key", to_base64(r.begin)},
            {"range_end", to_base64(r.end)},
            {"start_revision", std::to_string(from_revision)}}}};
}

Result<RangeAnswer> parse_range(const json& j) {
  const json* keys = j.is_object() ? list_at(j, "kvs") : nullptr;
  if (keys == nullptr || revision_of(j) == 0) return std::unexpected(damaged("no range"));
  RangeAnswer out{.keys = {}, .count = int_at(j, "count"), .revision = revision_of(j), .more = false};
  for (const json& k : *keys) {
    SLUICE_ASSIGN(auto kv, key_value(k));
    out.keys.push_back(std::move(kv));
  }
  out.more = j.value("more", json()) == true;
  return out;
}

Result<TxnAnswer> parse_txn(const json& j) {
  if (!j.is_object() || revision_of(j) == 0) return std::unexpected(damaged("no transaction"));
  return TxnAnswer{j.value("succeeded", json()) == true, revision_of(j)};
}

Result<WatchAnswer> parse_watch(std::string_view line) {
  SLUICE_ASSIGN(const json j, parse_json_object(line, {.what = "etcd's watch", .code = Errc::data_corrupt}));
  const auto result = j.find("result");
  if (result == j.end() || !result->is_object()) {
    const auto error = j.find("error");
    const std::string why = error != j.end() ? text_at(*error, "message") : std::string();
    return fail(Errc::unavailable, "etcd ended the watch: {}", why.empty() ? std::string(line.substr(0, 200)) : why);
  }
  WatchAnswer out{.revision = revision_of(*result),
                  .canceled = result->value("canceled", json()) == true,
                  .compacted = int_at(*result, "compact_revision"),
                  .why = text_at(*result, "cancel_reason"),
                  .events = {}};
  const json* events = list_at(*result, "events");
  if (events == nullptr) return std::unexpected(damaged("no events"));
  for (const json& e : *events) {
    if (!e.is_object() || !e.contains("kv")) return std::unexpected(damaged("no event"));
    SLUICE_ASSIGN(auto kv, key_value(e["kv"]));
    out.events.push_back({text_at(e, "type") == "DELETE", std::move(kv)});
  }
  return out;
}

}  // namespace sluice::etcd
