#include "kvstore/tier/redis_connection.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>

namespace sluice::kvstore {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kSmallAnswer = 64U << 10U;
constexpr int kMostElements = 16;  // of an array; no command here asks for more

/// As a server reads it: an array of texts.
void append(std::string& out, const RedisCommand& command) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", command.size());
  for (const auto word : command) {
    fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
    out.append(word).append("\r\n");
  }
}

/// hiredis' own, but for arrays: it allocates what an array's head says before any of it came, and each array in an
/// array again.
redisReplyObjectFunctions* bounded(const redisReader& reader) {
  static const redisReplyObjectFunctions own = *reader.fn;
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions f = own;
    f.createArray = [](const redisReadTask* task, auto elements) -> void* {
      return task->parent == nullptr && elements <= kMostElements ? own.createArray(task, elements) : nullptr;
    };
    return f;
  }();
  return &functions;
}

std::unexpected<Error> too_late() { return fail(Errc::deadline_exceeded, "Redis took too long"); }

/// What a server's error means to a caller, by its first word.
Errc meaning_of(std::string_view error) noexcept {
  const std::string_view word = error.substr(0, error.find(' '));
  if (word == "OOM") return Errc::resource_exhausted;
  if (word == "NOAUTH" || word == "WRONGPASS" || word == "NOPERM") return Errc::permission_denied;
  if (word == "MOVED" || word == "ASK" || word == "CROSSSLOT" || word == "CLUSTERDOWN") return Errc::unsupported;
  return Errc::unavailable;  // LOADING, READONLY, MISCONF, BUSY, ...: it may do so later
}

std::unexpected<Error> server_says(std::string_view error) {
  const Errc code = meaning_of(error);
  if (code == Errc::unsupported)
    return fail(code, "Redis says '{}': it is part of a cluster, and only single servers are spoken to", error);
  return fail(code, "Redis says '{}'", error.substr(0, 200));
}

}  // namespace

void FreeReply::operator()(redisReply* r) const noexcept { freeReplyObject(r); }
void RedisConnection::Close::operator()(redisContext* c) const noexcept { redisFree(c); }

bool RedisReply::nil() const noexcept { return reply_->type == REDIS_REPLY_NIL; }
std::int64_t RedisReply::number() const noexcept { return reply_->type == REDIS_REPLY_INTEGER ? reply_->integer : 0; }
std::string_view RedisReply::text() const noexcept {
  return reply_->type == REDIS_REPLY_STRING ? std::string_view(reply_->str, static_cast<std::size_t>(reply_->len))
                                            : std::string_view{};
}
std::size_t RedisReply::size() const noexcept { return reply_->type == REDIS_REPLY_ARRAY ? reply_->elements : 0; }
std::string_view RedisReply::text(std::size_t i) const noexcept {
  const redisReply* e = reply_->element[i];
  return e->type == REDIS_REPLY_STRING ? std::string_view(e->str, static_cast<std::size_t>(e->len))
                                       : std::string_view{};
}

Result<std::unique_ptr<RedisConnection>> RedisConnection::open(const RedisServer& server, TimePoint deadline) {
  std::string host = server.address.host;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  redisContext* context = redisConnectNonBlock(host.c_str(), server.address.port);
  if (context == nullptr) return fail(Errc::resource_exhausted, "no memory for a connection to Redis");
  std::unique_ptr<RedisConnection> c(new RedisConnection(context));
  if (context->reader != nullptr) context->reader->fn = bounded(*context->reader);
  SLUICE_TRY(c->finish_connect(server.address, deadline));
  std::vector<RedisCommand> first;
  if (!server.user.empty() || !server.password.empty()) {  // a user may have no password
    first.push_back({"AUTH"});
    if (!server.user.empty()) first.back().push_back(server.user);
    first.back().push_back(server.password);
  }
  const std::string database = std::to_string(server.database);
  if (server.database != 0) first.push_back({"SELECT", database});
  if (!first.empty())
    if (auto r = c->call(first, kSmallAnswer, deadline); !r) return std::unexpected(std::move(r).error());
  return c;
}

Result<> RedisConnection::finish_connect(const net::Address& to, TimePoint deadline) {
  if (context_->err != 0)
    return fail(Errc::unavailable, "no connection to Redis at {}: {}", to.str(), context_->errstr);
  SLUICE_TRY(await(POLLOUT, deadline));
  int error = 0;
  socklen_t n = sizeof error;
  ::getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &error, &n);
  if (error != 0) return fail(Errc::unavailable, "no connection to Redis at {}: {}", to.str(), std::strerror(error));
  return {};
}

Result<> RedisConnection::await(short events, TimePoint deadline) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return too_late();
    pollfd p{context_->fd, events, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (n > 0) return {};  // an error on the socket is told by the next read or write
    if (n < 0 && errno != EINTR) return fail(Errc::unavailable, "poll: {}", std::strerror(errno));
  }
}

std::unexpected<Error> RedisConnection::lost() const {
  return fail(Errc::unavailable, "the connection to Redis ended: {}", context_->errstr);
}

Result<> RedisConnection::send(std::string_view bytes, TimePoint deadline) const {
  while (!bytes.empty()) {
    SLUICE_TRY(await(POLLOUT, deadline));
    // Not redisBufferWrite(): where the server went it raises SIGPIPE, which ends the process.
    const ssize_t n = ::send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return fail(Errc::unavailable, "the connection to Redis ended: {}", std::strerror(errno));
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<RedisReply> RedisConnection::receive(std::size_t& budget, TimePoint deadline) {
  for (;;) {
    void* reply = nullptr;
    if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK)
      return fail(Errc::internal, "Redis gave an answer that is none: {}", context_->errstr);
    if (reply != nullptr) return RedisReply(static_cast<redisReply*>(reply));
    SLUICE_TRY(await(POLLIN, deadline));
    const std::size_t before = context_->reader->len;
    if (redisBufferRead(context_.get()) != REDIS_OK) return lost();
    const std::size_t now = context_->reader->len, came = now > before ? now - before : 0;
    if (came > budget) return fail(Errc::internal, "Redis gave more than it was asked for");
    budget -= came;
  }
}

Result<std::vector<RedisReply>> RedisConnection::call(std::span<const RedisCommand> commands, std::size_t max_bytes,
                                                      TimePoint deadline) {
  broken_ = true;  // until all answers are read: a later call must not take what is left of this one for its own
  std::string out;
  for (const auto& c : commands) append(out, c);
  SLUICE_TRY(send(out, deadline));
  std::vector<RedisReply> replies;
  std::size_t budget = max_bytes + kSmallAnswer;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    SLUICE_ASSIGN(auto reply, receive(budget, deadline));
    replies.push_back(std::move(reply));
  }
  if (context_->reader->pos != context_->reader->len)
    return fail(Errc::internal,
                "Redis gave more than it was asked for");  // and the next call would take it for its own
  broken_ = false;
  for (const auto& r : replies)
    if (r.reply_->type == REDIS_REPLY_ERROR)
      return server_says({r.reply_->str, static_cast<std::size_t>(r.reply_->len)});
  return replies;
}

std::unique_ptr<RedisConnection> RedisPool::idle() {
  const std::scoped_lock lock(mutex_);
  if (idle_.empty()) return nullptr;
  auto c = std::move(idle_.back());
  idle_.pop_back();
  return c;
}

Result<std::vector<RedisReply>> RedisPool::call(std::span<const RedisCommand> commands, std::size_t max_bytes,
                                                TimePoint deadline) {
  for (;;) {
    auto connection = idle();
    const bool fresh = connection == nullptr;
    if (fresh) {
      SLUICE_ASSIGN(connection, RedisConnection::open(server_, deadline));
    }
    auto replies = connection->call(commands, max_bytes, deadline);
    if (!connection->broken()) {
      const std::scoped_lock lock(mutex_);
      idle_.push_back(std::move(connection));
      return replies;
    }
    // The server went and came while this one lay idle. Commands here may be said twice.
    if (fresh || replies.error().code != Errc::unavailable) return replies;
  }
}

}  // namespace sluice::kvstore
