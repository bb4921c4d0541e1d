#include "kvstore/tier/redis_tier.h"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <optional>

#include "common/random_id.h"

namespace sluice::kvstore {
namespace {

constexpr std::size_t kChunk = std::size_t{512} << 10U;
constexpr std::size_t kChunksAtOnce = 8;  // read in one round trip
/// A put that nobody ends: its process died.
constexpr std::chrono::seconds kLeftAlone{60};

/// KEYS: new, final. ARGV: fields that must be there, time to live in ms. 1: published; 0: there already; -1: chunks
/// are missing (evicted, expired or flushed meanwhile).
constexpr std::string_view kPublish = R"(
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('UNLINK', KEYS[1]) return 0 end
if redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) then redis.call('UNLINK', KEYS[1]) return -1 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1)";

std::string name_of(const ObjectKey& key) { return "sluice:kv:{" + to_hex(key) + "}"; }

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

/// "name:value\r\n" of INFO's answer; 0 when it is not there.
std::uint64_t field_of(std::string_view info, std::string_view name) {
  const auto at = info.find(name);
  if (at == info.npos) return 0;
  const auto value = info.substr(at + name.size());
  return number_in(value.substr(0, value.find('\r'))).value_or(0);
}

std::string milliseconds(std::chrono::milliseconds t) { return std::to_string(std::max<std::int64_t>(t.count(), 1)); }

class RedisTier final : public Tier {
 public:
  RedisTier(RedisTierOptions options, const ObjectKeys& keys)
      : keys_(keys), idle_(milliseconds(options.idle)), pool_(std::move(options.server)) {}

  std::string_view kind() const noexcept override { return "redis"; }
  Result<std::unique_ptr<Put>> begin(const ObjectKey& key, const ObjectFacts& facts, Deadline deadline) override;
  Result<ObjectBytes> get(const ObjectKey& key, Deadline deadline) override;
  Result<std::vector<bool>> has(std::span<const ObjectKey> keys, Deadline deadline) override;
  Result<> erase(const ObjectKey& key, Deadline deadline) override;
  Result<TierUse> use(Deadline deadline) override;
  TierCounts counts() const override {
    const std::scoped_lock lock(mutex_);
    return counts_;
  }

 private:
  class RedisPut;

  Result<std::vector<RedisReply>> call(const std::vector<RedisCommand>& commands, Deadline deadline,
                                       std::size_t max_bytes = 0) {
    return pool_.call(commands, max_bytes, deadline);
  }
  /// The chunks after the first.
  Result<> read_rest(const ObjectKey& key, std::vector<std::byte>& into, std::size_t bytes, Deadline deadline);
  std::unexpected<Error> refuse(const ObjectKey& key, Refusal why, const std::string& message, Deadline deadline);
  static std::unexpected<Error> not_here(const ObjectKey& key) {
    return fail(Errc::not_found, "object {} is not in Redis", to_hex(key));
  }

  const ObjectKeys& keys_;
  const std::string idle_;  // in ms, as Redis is told
  RedisPool pool_;
  mutable std::mutex mutex_;
  TierCounts counts_;  // under mutex_
};

class RedisTier::RedisPut final : public Put {
 public:
  RedisPut(RedisTier& tier, const ObjectKey& key, std::uint64_t bytes, Deadline deadline)
      : tier_(tier),
        final_(name_of(key)),
        new_(fmt::format("{}:new:{:016x}", final_, random_incarnation())),
        size_(bytes),
        left_(bytes),
        deadline_(deadline) {
    chunk_.reserve(std::min<std::uint64_t>(bytes, kChunk));
  }
  ~RedisPut() override {
    if (published_ || chunks_ == 0) return;
    // Where this fails, the name expires.
    (void)tier_.call({{"UNLINK", new_}},
                     std::min(deadline_, std::chrono::steady_clock::now() + std::chrono::seconds(1)));
  }
  Result<> part(std::span<const std::byte> bytes) override {
    if (bytes.size() > left_) return fail(Errc::invalid_argument, "{} is longer than was announced", final_);
    left_ -= bytes.size();
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), kChunk - chunk_.size());
      chunk_.insert(chunk_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
      bytes = bytes.subspan(n);
      if (chunk_.size() == kChunk) SLUICE_TRY(send());
    }
    return {};
  }
  Result<> commit() override {
    if (published_ || left_ != 0) return fail(Errc::invalid_argument, "{} bytes of {} did not come", left_, final_);
    if (!chunk_.empty()) SLUICE_TRY(send());
    const std::string fields = std::to_string(chunks_ + 1);
    SLUICE_ASSIGN(const auto r, tier_.call({{"EVAL", kPublish, "2", new_, final_, fields, tier_.idle_}}, deadline_));
    published_ = true;  // in each case the script left nothing of it
    if (r[0].number() == 1) return {};
    if (r[0].number() == 0) return fail(Errc::already_exists, "{} was written by another meanwhile", final_);
    return fail(Errc::unavailable, "Redis lost parts of {} while it was written", final_);
  }

 private:
  Result<> send() {
    const std::string field = std::to_string(chunks_), size = std::to_string(size_);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
    const std::string expires = milliseconds(std::max<std::chrono::milliseconds>(left, {}) + kLeftAlone);
    RedisCommand set{"HSET", new_, field, text_of(chunk_)};
    if (chunks_ == 0) set.insert(set.end(), {"b", size});
    // Together or not at all: what had no expiry would stay for ever where this process ends between the two. An error
    // of either inside EXEC leaves a field missing, which the script at the end sees.
    const std::vector<RedisCommand> commands{{"MULTI"}, std::move(set), {"PEXPIRE", new_, expires}, {"EXEC"}};
    ++chunks_;  // also when it fails: something may have come
    if (auto r = tier_.call(commands, deadline_); !r) return std::unexpected(std::move(r).error());
    chunk_.clear();
    return {};
  }

  RedisTier& tier_;
  std::string final_, new_;
  std::uint64_t size_, left_;
  Deadline deadline_;
  std::vector<std::byte> chunk_;
  std::size_t chunks_ = 0;
  bool published_ = false;
};

Result<std::unique_ptr<Put>> RedisTier::begin(const ObjectKey& key, const ObjectFacts& facts, Deadline deadline) {
  SLUICE_ASSIGN(const auto there, has({&key, 1}, deadline));
  if (there[0]) return fail(Errc::already_exists, "object {} is in Redis", to_hex(key));
  return std::make_unique<RedisPut>(*this, key, facts.bytes, deadline);
}

Result<ObjectBytes> RedisTier::get(const ObjectKey& key, Deadline deadline) {
  const std::string name = name_of(key);
  SLUICE_ASSIGN(const auto first,
                call({{"HMGET", name, "b", "0"}, {"PEXPIRE", name, idle_}}, deadline, kMaxObjectBytes));
  if (first[0].size() != 2 || first[0].text(0).data() == nullptr) return not_here(key);
  const std::string_view chunk = first[0].text(1);
  const auto bytes = number_in(first[0].text(0));
  if (!bytes || *bytes > kMaxObjectBytes || chunk.size() != std::min<std::uint64_t>(*bytes, kChunk))
    return refuse(key, Refusal::length, "its length is not what it says", deadline);
  std::vector<std::byte> object;
  object.reserve(*bytes);
  const auto raw = std::as_bytes(std::span(chunk));
  object.insert(object.end(), raw.begin(), raw.end());
  if (const auto r = read_rest(key, object, *bytes, deadline); !r) {
    if (r.error().code == Errc::data_corrupt) return refuse(key, Refusal::length, r.error().message, deadline);
    return std::unexpected(r.error());
  }
  auto checked = check_object(keys_, key, std::move(object));
  if (!checked) return refuse(key, checked.error().why, checked.error().message, deadline);
  return std::move(*checked);
}

Result<> RedisTier::read_rest(const ObjectKey& key, std::vector<std::byte>& into, std::size_t bytes,
                              Deadline deadline) {
  const std::string name = name_of(key);
  for (std::size_t next = 1; into.size() < bytes;) {
    std::vector<std::string> fields;
    for (std::size_t i = 0; i < kChunksAtOnce && (next + i) * kChunk < bytes; ++i)
      fields.push_back(std::to_string(next + i));
    std::vector<RedisCommand> commands;
    for (const auto& f : fields) commands.push_back({"HGET", name, f});
    SLUICE_ASSIGN(const auto chunks, call(commands, deadline, bytes - into.size()));
    for (const auto& c : chunks) {
      if (c.nil()) return not_here(key);  // it went meanwhile
      if (c.text().size() != std::min(kChunk, bytes - into.size()))
        return fail(Errc::data_corrupt, "a chunk of {} bytes", c.text().size());
      const auto raw = std::as_bytes(std::span(c.text()));
      into.insert(into.end(), raw.begin(), raw.end());
    }
    next += fields.size();
  }
  return {};
}

std::unexpected<Error> RedisTier::refuse(const ObjectKey& key, Refusal why, const std::string& message,
                                         Deadline deadline) {
  {
    const std::scoped_lock lock(mutex_);
    ++counts_.refused[static_cast<std::size_t>(why)];
  }
  const bool gone = erase(key, deadline).has_value();
  return fail(Errc::data_corrupt, "object {} in Redis was refused{}: {}", to_hex(key), gone ? " and deleted" : "",
              message);
}

Result<std::vector<bool>> RedisTier::has(std::span<const ObjectKey> keys, Deadline deadline) {
  std::vector<bool> there;
  std::vector<std::string> names;
  std::vector<RedisCommand> commands;
  for (const auto& k : keys) names.push_back(name_of(k));
  for (const auto& n : names) commands.push_back({"EXISTS", n});
  if (commands.empty()) return there;
  SLUICE_ASSIGN(const auto replies, call(commands, deadline, 16 * commands.size()));
  for (const auto& r : replies) there.push_back(r.number() == 1);
  return there;
}

Result<> RedisTier::erase(const ObjectKey& key, Deadline deadline) {
  const std::string name = name_of(key);
  SLUICE_ASSIGN(const auto r, call({{"UNLINK", name}}, deadline));
  if (r[0].number() == 0) return not_here(key);
  return {};
}

Result<TierUse> RedisTier::use(Deadline deadline) {
  SLUICE_ASSIGN(const auto r, call({{"INFO", "memory"}, {"DBSIZE"}}, deadline));
  TierUse use;
  use.bytes = field_of(r[0].text(), "used_memory:");
  use.capacity = field_of(r[0].text(), "maxmemory:");
  use.objects = static_cast<std::uint64_t>(std::max<std::int64_t>(r[1].number(), 0));
  return use;
}

}  // namespace

std::unique_ptr<Tier> make_redis_tier(RedisTierOptions options, const ObjectKeys& keys) {
  return std::make_unique<RedisTier>(std::move(options), keys);
}

}  // namespace sluice::kvstore
