#pragma once
// A prefill node's work without network and coordinator: the link keeps frames, the test is the control thread.
#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <thread>

#include "kvtransfer/wire/frame.h"
#include "prefill_node/prefill_service.h"
#include "tests/prefill_node/prompt.h"
#include "tests/support/fake_model.h"

namespace sluice::prefill::test {

class Frames final : public node::FrameOut {
 public:
  struct Frame {
    std::vector<std::byte> header, payload;
  };
  void send(const std::string&, RequestId tag, std::span<const std::byte> header, kv::Buffer payload,
            Done done) override {
    {
      const std::lock_guard lock(mutex);
      ++sent[tag];
      const std::span<const std::byte> bytes = payload.bytes();
      frames[tag].push_back({{header.begin(), header.end()}, {bytes.begin(), bytes.end()}});
      const auto h = kv::parse_frame_header(header);
      if (h) rows[tag] += h->spec.layers.count * h->spec.tokens.count;
      changed.notify_all();
    }
    done({});
  }
  void cancel(const std::string&, RequestId) override {}
  [[nodiscard]] node::LinkNow link(const std::string&) const override { return {}; }
  std::mutex mutex;
  std::condition_variable changed;
  std::map<RequestId, std::size_t> sent;
  std::map<RequestId, std::vector<Frame>> frames;
  std::map<RequestId, std::uint32_t> rows;  // token and layer
};

struct ServiceRig {
  explicit ServiceRig(bool prefix_cache = true) : options{.max_waiting = 4, .prefix_cache = prefix_cache} {}

  const PrefillOptions options;
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  sluice::test::FakeModel model;
  std::unique_ptr<engine::KvPool> pool = *engine::KvPool::create(model.kv_shape(4, 32, engine::DType::bf16));
  SteadyClock clock;
  Metrics metrics;
  Frames frames;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> posted;
  std::vector<control::PrefillDone> reports;
  std::vector<control::PromptLogprobs> logprobs;
  std::size_t references = 0;
  PrefillService service{
      prefill::test::me(),
      *codecs,
      {model, *pool, {.max_batch_tokens = 32, .max_seqs = 8, .prefill_chunk = 8}},
      options,
      clock,
      metrics,
      {.frames = frames,
       .link = [](const std::string&) { return kv::LinkStats{}; },
       .send_note =
           [this](const std::string&, std::span<const std::byte>) {
             tell([&] { ++references; });
             return Result<>{};
           },
       .post = [this](std::function<void()> f) { tell([&] { posted.push_back(std::move(f)); }); },
       .report = [this](const control::PrefillDone& d) { reports.push_back(d); },
       .report_logprobs = [this](const control::PromptLogprobs& l) { tell([&] { logprobs.push_back(l); }); }}};

  template <class F>
  void tell(F f) {
    const std::lock_guard lock(mutex);
    f();
    changed.notify_all();
  }
  kv::Ticket ticket(std::uint64_t id, std::uint32_t tokens = 40) const {
    return prefill::test::ticket(*codecs, id, tokens);
  }
  Result<> start(const control::PrefillRequest& call) {
    SLUICE_ASSIGN(auto p, service.check(to_json(call)));
    return service.start(std::move(p));
  }
  /// Until some frame of the request is out: its export has begun.
  void leaves(std::uint64_t id) {
    std::unique_lock lock(frames.mutex);
    REQUIRE(frames.changed.wait_for(lock, std::chrono::seconds(30), [&] { return frames.sent[RequestId(id)] > 0; }));
  }
  /// Until all of it is out.
  void left(const kv::Ticket& t) {
    std::unique_lock lock(frames.mutex);
    REQUIRE(frames.changed.wait_for(lock, std::chrono::seconds(30),
                                    [&] { return frames.rows[t.request] == t.tokens.count * t.layout.layers; }));
  }
  void note(const kv::Ticket& t, bool committed) {
    service.on_note(kv::write_note({.ticket = t.id, .committed = committed, .code = Errc::data_corrupt}));
  }
  /// Runs what was posted until a report is there.
  void reported(std::size_t n) {
    while (reports.size() < n) {
      std::unique_lock lock(mutex);
      REQUIRE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return !posted.empty(); }));
      const auto f = std::move(posted.front());
      posted.pop_front();
      lock.unlock();
      f();
    }
  }
  std::uint32_t free() { return service.figures().counters.free_blocks; }
  bool comes(const std::function<bool()>& what) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!what() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return what();
  }
};

}  // namespace sluice::prefill::test
