#pragma once
// A TransportHandler that writes everything down and lets a test wait for what it expects.
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "kvtransfer/transport/transport.h"

namespace sluice::kv::test {

/// Far longer than anything here takes: a test that waits this long has failed.
inline constexpr std::chrono::seconds kPatience{30};

struct Received {
  ConnId conn;
  MessageId id = 0;
  std::vector<std::byte> header, payload;
};

class RecordingHandler : public TransportHandler {
 public:
  void on_connected(ConnId conn, bool inbound) override {
    change([&] { connected.emplace_back(conn, inbound); });
  }
  std::span<std::byte> on_payload(ConnId conn, MessageId id, std::span<const std::byte>, std::size_t bytes) override {
    const std::lock_guard lock(mu);
    ++payloads_asked;
    if (id == refuse_id) return {};
    return landing[conn].emplace_back(bytes);
  }
  void on_message(ConnId conn, MessageId id, std::span<const std::byte> h, std::span<std::byte> p) override {
    change([&] {
      messages.push_back({conn, id, {h.begin(), h.end()}, {p.begin(), p.end()}});
      landing[conn].clear();
    });
  }
  void on_closed(ConnId conn, const Error& why) override {
    change([&] {
      closed[conn].push_back(why);
      landing.erase(conn);
    });
  }

  /// A done() that records its result in `into`, which must outlive the call: wait for it.
  SendDone done(std::vector<Result<>>& into) {
    return [this, &into](Result<> r) { change([&] { into.push_back(std::move(r)); }); };
  }

  template <class Pred>
  [[nodiscard]] bool wait(Pred pred, std::chrono::milliseconds at_most = kPatience) {
    std::unique_lock lock(mu);
    return cv.wait_for(lock, at_most, pred);
  }
  template <class F>
  auto read(F f) {
    const std::lock_guard lock(mu);
    return f();
  }

  std::mutex mu;
  std::condition_variable cv;
  // guarded by mu
  std::vector<std::pair<ConnId, bool>> connected;
  std::vector<Received> messages;
  std::map<ConnId, std::vector<Error>> closed;
  std::map<ConnId, std::vector<std::vector<std::byte>>> landing;
  std::size_t payloads_asked = 0;
  int refuse_id = -1;

 private:
  template <class F>
  void change(F f) {
    {
      const std::lock_guard lock(mu);
      f();
    }
    cv.notify_all();
  }
};

/// Bytes that depend on the seed and on every position.
inline std::vector<std::byte> pattern(std::size_t n, std::uint64_t seed) {
  std::vector<std::byte> v(n);
  std::uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    std::memcpy(v.data() + i, &x, 8);
  }
  for (; i < n; ++i) v[i] = static_cast<std::byte>(x >> (8 * (i % 8)));
  return v;
}

inline std::vector<std::byte> bytes_of(std::string_view s) {
  const auto b = std::as_bytes(std::span(s));
  return {b.begin(), b.end()};
}

}  // namespace sluice::kv::test
