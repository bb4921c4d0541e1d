#pragma once
// A connection to a Redis server over hiredis, and a pool of them. Each call has a deadline that holds whatever the
// server does: sends nothing, or a byte at a time. (Looking up a host's name is the system's, and has its own limits.)
//
// Threading: a connection belongs to one thread at a time; the pool is thread-safe.
// Failure: deadline_exceeded, unavailable (no connection, or the server cannot now), resource_exhausted (the server is
// full), permission_denied (user, password, rights), unsupported (a server of a cluster), internal (an answer that no
// Redis gives, or more than was asked for). After a failure of the connection itself it is closed; the next call makes
// a new one.
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/net/address.h"
#include "common/result.h"

struct redisContext;
struct redisReply;

namespace sluice::kvstore {

struct RedisServer {
  net::Address address;
  std::string user;      // empty: the default one
  std::string password;  // empty: none is asked for
  std::uint32_t database = 0;
};

struct FreeReply {
  void operator()(redisReply* r) const noexcept;
};

/// One answer. Of an error there is none: call() fails.
class RedisReply {
 public:
  explicit RedisReply(redisReply* r) : reply_(r) {}
  [[nodiscard]] bool nil() const noexcept;
  /// 0 when it is no number.
  [[nodiscard]] std::int64_t number() const noexcept;
  /// Empty when it is no text.
  [[nodiscard]] std::string_view text() const noexcept;
  /// Of an array: how many, and each as text. An element that is nil has no data().
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::string_view text(std::size_t i) const noexcept;

 private:
  friend class RedisConnection;
  std::unique_ptr<redisReply, FreeReply> reply_;
};

using RedisCommand = std::vector<std::string_view>;

class RedisConnection {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RedisConnection>> open(const RedisServer& server, TimePoint deadline);
  /// Sends all, then reads an answer to each. At most max_bytes are taken from the server.
  [[nodiscard]] Result<std::vector<RedisReply>> call(std::span<const RedisCommand> commands, std::size_t max_bytes,
                                                     TimePoint deadline);
  [[nodiscard]] bool broken() const noexcept { return broken_; }

 private:
  struct Close {
    void operator()(redisContext* c) const noexcept;
  };
  explicit RedisConnection(redisContext* c) : context_(c) {}
  Result<> finish_connect(const net::Address& to, TimePoint deadline);
  Result<> await(short events, TimePoint deadline) const;
  Result<> send(std::string_view bytes, TimePoint deadline) const;
  Result<RedisReply> receive(std::size_t& budget, TimePoint deadline);
  std::unexpected<Error> lost() const;

  std::unique_ptr<redisContext, Close> context_;
  bool broken_ = false;
};

class RedisPool {
 public:
  explicit RedisPool(RedisServer server) : server_(std::move(server)) {}
  /// On an idle connection, or a new one. An idle one that the server closed meanwhile is replaced once.
  [[nodiscard]] Result<std::vector<RedisReply>> call(std::span<const RedisCommand> commands, std::size_t max_bytes,
                                                     TimePoint deadline);
  [[nodiscard]] const RedisServer& server() const noexcept { return server_; }

 private:
  [[nodiscard]] std::unique_ptr<RedisConnection> idle();

  const RedisServer server_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<RedisConnection>> idle_;  // as many as threads ever called at once
};

}  // namespace sluice::kvstore
