#pragma once
// etcd's v3 requests and answers in its JSON form: bytes in base64, 64-bit numbers as strings, defaults left out.
// Answers are not trusted: what is missing or of another type is an error or a default, never a crash.
// Threading: pure functions.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::etcd {

using LeaseId = std::int64_t;

struct KeyValue {
  std::string key, value;
  std::int64_t create_revision = 0, mod_revision = 0;
  LeaseId lease = 0;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

/// Keys in [begin, end).
struct KeyRange {
  std::string begin, end;
  /// All keys with this prefix.
  [[nodiscard]] static KeyRange prefix(const std::string& p);
  [[nodiscard]] static KeyRange one(const std::string& key) { return {key, key + '\0'}; }
};

struct RangeAnswer {
  std::vector<KeyValue> keys;
  std::int64_t count = 0;     // in the range, whether they came along or not
  std::int64_t revision = 0;  // of the store as it was read
  bool more = false;
};

/// What must hold for a transaction to succeed: a key's revision. 0: there is no such key.
struct Compare {
  enum class Of { created, modified } of = Of::modified;
  std::string key;
  std::int64_t revision = 0;
};
struct Write {
  std::string key;
  std::optional<std::string> value;  // nothing: the key is deleted
  LeaseId lease = 0;
};
struct Txn {
  std::vector<Compare> when;
  std::vector<Write> then;
};
struct TxnAnswer {
  bool succeeded = false;
  std::int64_t revision = 0;
};

struct WatchEvent {
  bool deleted = false;
  KeyValue key;
};
struct WatchAnswer {
  std::int64_t revision = 0;
  bool canceled = false;
  std::int64_t compacted = 0;  // canceled since what it asked for is gone up to this revision
  std::string why;
  std::vector<WatchEvent> events;
};

[[nodiscard]] std::string to_base64(std::string_view bytes);
[[nodiscard]] Result<std::string> from_base64(std::string_view text);
/// A number that may come as a string; 0 when it is left out or is none.
[[nodiscard]] std::int64_t int_at(const nlohmann::json& j, const char* key);
[[nodiscard]] std::string text_at(const nlohmann::json& j, const char* key);

[[nodiscard]] nlohmann::json range_json(const KeyRange& r, std::int64_t limit, std::int64_t revision, bool count_only);
[[nodiscard]] nlohmann::json txn_json(const Txn& t);
[[nodiscard]] nlohmann::json watch_json(const KeyRange& r, std::int64_t from_revision);
[[nodiscard]] Result<RangeAnswer> parse_range(const nlohmann::json& j);
[[nodiscard]] Result<TxnAnswer> parse_txn(const nlohmann::json& j);
/// One line of a watch.
[[nodiscard]] Result<WatchAnswer> parse_watch(std::string_view line);

}  // namespace sluice::etcd
