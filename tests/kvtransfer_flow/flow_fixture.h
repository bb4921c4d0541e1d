#pragma once
// A receiving node and sending nodes on one network, with a sink that keeps what it gets until told to free it.
#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "kvtransfer/flow/kv_receiver.h"
#include "kvtransfer/flow/kv_sender.h"
#include "tests/support/kv/networks.h"
#include "tests/support/kv/recording_handler.h"

namespace sluice::kv::test {

/// Lets a test wait for what callbacks change.
class Watched {
 public:
  template <class Pred>
  [[nodiscard]] bool wait(Pred pred, std::chrono::milliseconds at_most = kPatience) {
    std::unique_lock lock(mu);
    return cv.wait_for(lock, at_most, pred);
  }
  template <class F>
  void change(F f) {
    {
      const std::lock_guard lock(mu);
      f();
    }
    cv.notify_all();
  }
  std::mutex mu;
  std::condition_variable cv;
};

/// Waits for what no callback of ours announces.
template <class Pred>
[[nodiscard]] bool eventually(Watched& w, Pred pred) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (!pred() && std::chrono::steady_clock::now() < give_up)
    (void)w.wait([] { return false; }, std::chrono::milliseconds(5));
  return pred();
}

struct KeepingSink final : FrameSink, Watched {
  Result<> on_hello(ConnId, std::span<const std::byte> hello) override {
    if (std::ranges::equal(hello, bytes_of("stranger"))) return fail(Errc::permission_denied, "we do not know you");
    change([&] { ++hellos; });
    return {};
  }
  void on_frame(ConnId conn, std::span<const std::byte> header, StagingBuffer payload) override {
    const auto got = payload.bytes();
    const bool whole = std::ranges::equal(got, pattern(got.size(), static_cast<std::uint64_t>(header[0])));
    StagingBuffer freed;  // outside the mutex: release calls back into the receiver
    change([&] {
      ++frames;
      last_header = {header.begin(), header.end()};
      order.push_back(static_cast<int>(header[0]));
      ++senders[conn];
      intact &= whole;
      (keep ? kept.emplace_back() : freed) = std::move(payload);
    });
  }
  void on_note(ConnId, std::span<const std::byte> n) override {
    change([&] { notes.emplace_back(n.begin(), n.end()); });
  }
  void on_peer_down(ConnId, const Error&) override {
    change([&] { ++downs; });
  }

  void free_all() {
    std::vector<StagingBuffer> gone;
    change([&] { gone.swap(kept); });
  }

  bool keep = false;
  bool intact = true;
  int hellos = 0, frames = 0, downs = 0;
  std::vector<std::byte> last_header;
  std::vector<int> order;  // first header byte of each frame
  std::map<ConnId, int> senders;
  std::vector<std::vector<std::byte>> notes;
  std::vector<StagingBuffer> kept;
};

struct ReceivingNode {
  ReceivingNode(const Network& n, const ReceiverOptions& o) : receiver(o, sink), transport(n.make(receiver)) {
    receiver.attach(*transport);
    address = transport->listen(n.listen_at).value();
  }
  ~ReceivingNode() { stop(); }
  void stop() {
    receiver.detach();
    transport.reset();
  }
  KeepingSink sink;
  KvReceiver receiver;
  std::unique_ptr<Transport> transport;
  std::string address;
};

struct SendingNode : Watched {
  explicit SendingNode(const Network& n, std::string_view hello = "friend", const SenderOptions& o = {})
      : sender(bytes_of(hello), o, clock,
               {.on_note =
                    [this](const std::string&, std::span<const std::byte> b) {
                      change([&] { notes.emplace_back(b.begin(), b.end()); });
                    },
                .on_peer_down = [this](const std::string&, const Error& e) { change([&] { downs.push_back(e); }); }}),
        transport(n.make(sender)) {
    sender.attach(*transport);
  }
  ~SendingNode() { transport.reset(); }
  void send(const std::string& to, std::size_t bytes, std::uint64_t tag = 1, std::uint8_t seed = 3) {
    const std::array header{std::byte{seed}};
    Buffer payload = pool.take(bytes);
    std::ranges::copy(pattern(bytes, seed), payload.data());
    sender.send_frame(to, tag, header, std::move(payload),
                      [this](Result<> r) { change([&] { done.push_back(std::move(r)); }); });
  }
  [[nodiscard]] bool all_credit_back() {
    return eventually(*this, [&] { return sender.stats().at(0).second.bytes_in_flight == 0; });
  }
  [[nodiscard]] std::size_t failed() const {
    return static_cast<std::size_t>(std::ranges::count_if(done, [](const auto& r) { return !r; }));
  }
  SteadyClock clock;
  BufferPool pool{64U << 20};
  std::vector<Result<>> done;
  std::vector<Error> downs;
  std::vector<std::vector<std::byte>> notes;
  KvSender sender;
  std::unique_ptr<Transport> transport;
};

}  // namespace sluice::kv::test
