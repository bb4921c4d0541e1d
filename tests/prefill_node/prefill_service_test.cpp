// A prefill node's work without network and coordinator: the link keeps frames, the test is the control thread.
#include "prefill_node/prefill_service.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <thread>

#include "kvtransfer/wire/reference.h"
#include "tests/prefill_node/prompt.h"
#include "tests/support/fake_model.h"
#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::prefill;

namespace {

class Frames final : public node::FrameOut {
 public:
  void send(const std::string&, RequestId tag, std::span<const std::byte>, kv::Buffer, Done done) override {
    {
      const std::lock_guard lock(mutex);
      ++sent[tag];
      changed.notify_all();
    }
    done({});
  }
  void cancel(const std::string&, RequestId) override {}
  [[nodiscard]] node::LinkNow link(const std::string&) const override { return {}; }
  std::mutex mutex;
  std::condition_variable changed;
  std::map<RequestId, std::size_t> sent;
};

struct Rig {
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
      {.max_waiting = 4},
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

}  // namespace

TEST_CASE("a prompt is computed, sent, confirmed and reported, and holds nothing then") {
  Rig r;
  const auto t = r.ticket(1);
  REQUIRE(r.start(prefill::test::call(t)));
  CHECK(r.service.open_requests() == 1);
  r.leaves(1);
  r.note(t, true);
  r.reported(1);
  CHECK(r.reports[0].request == RequestId(1));
  CHECK(r.reports[0].attempt == 2);
  CHECK(r.reports[0].tokens == 40);
  CHECK_FALSE(r.reports[0].error);
  CHECK(r.service.open_requests() == 0);
  CHECK(r.comes([&] { return r.free() == 32; }));
}

TEST_CASE("a request is taken once, and again after its end") {
  Rig r;
  const auto t = r.ticket(1);
  REQUIRE(r.start(prefill::test::call(t)));
  CHECK(r.start(prefill::test::call(r.ticket(1))).error().code == Errc::already_exists);
  r.leaves(1);
  r.note(t, false);
  r.reported(1);
  CHECK(r.reports[0].error->code == Errc::data_corrupt);
  CHECK(r.comes([&] { return r.free() == 32; }));
  CHECK(r.start(prefill::test::call(r.ticket(1))));
}

TEST_CASE("what the loop refuses leaves no request behind") {
  Rig r;
  auto call = prefill::test::call(r.ticket(1));
  call.tokens[3] = sluice::test::FakeModel::kVocab;
  CHECK(r.start(call).error().param == "tokens");
  CHECK(r.start(prefill::test::call(r.ticket(2, 1000))).error().code == Errc::invalid_argument);
  CHECK(r.service.open_requests() == 0);
}

TEST_CASE("a cancelled request is not reported, and its blocks come back") {
  Rig r;
  REQUIRE(r.start(prefill::test::call(r.ticket(1))));
  const bool all = GENERATE(false, true);
  if (all) r.service.cancel_all({});
  if (!all) CHECK(r.service.cancel(RequestId(1)));
  CHECK_FALSE(r.service.cancel(RequestId(1)));
  CHECK(r.comes([&] { return r.free() == 32; }));
  const auto t = r.ticket(2);
  REQUIRE(r.start(prefill::test::call(t)));
  r.leaves(2);
  r.note(t, true);
  r.reported(1);
  CHECK(r.reports[0].request == RequestId(2));
}

TEST_CASE("a lost decode node fails what goes to it") {
  Rig r;
  REQUIRE(r.start(prefill::test::call(r.ticket(1))));
  r.leaves(1);
  r.service.on_peer_down("elsewhere", Error{Errc::unavailable, "gone", {}});
  r.service.on_peer_down("10.0.0.1:99", Error{Errc::unavailable, "gone", {}});
  r.reported(1);
  CHECK(r.reports[0].error->code == Errc::unavailable);
  CHECK(r.comes([&] { return r.free() == 32; }));
}

TEST_CASE("a probed request's reference follows its confirmation") {
  Rig r;
  const auto t = r.ticket(1);
  auto call = prefill::test::call(t);
  call.probe_token = 5;
  REQUIRE(r.start(call));
  r.leaves(1);
  CHECK(r.references == 0);
  r.note(t, true);
  r.reported(1);
  std::unique_lock lock(r.mutex);
  CHECK(r.changed.wait_for(lock, std::chrono::seconds(30), [&] { return r.references == 1; }));
  lock.unlock();
  CHECK(r.comes([&] { return r.free() == 32; }));
}

TEST_CASE("what the service counts keeps the rules of names") {
  Rig r;
  CHECK(sluice::test::metrics_faults(r.metrics.text()) == std::vector<std::string>{});
}

TEST_CASE("noise for a note harms nobody") {
  Rig r;
  r.service.on_note({});
  r.service.on_note(std::vector<std::byte>(64));
  CHECK(r.reports.empty());
}

TEST_CASE("a prompt's log-probabilities leave in order, in bounded parts, before its report") {
  Rig r;
  const auto t = r.ticket(1);
  auto call = prefill::test::call(t);
  call.prompt_logprobs = control::PromptRating{.top = 2, .last = 5};
  REQUIRE(r.start(call));
  r.leaves(1);
  r.note(t, true);
  r.reported(1);
  CHECK_FALSE(r.reports[0].error);
  std::uint32_t next = 1;
  TokenId last = -1;
  for (const control::PromptLogprobs& l : r.logprobs) {
    CHECK(l.request == RequestId(1));
    CHECK(l.attempt == 2);
    CHECK(l.first == next);
    CHECK(l.tokens.front().top.size() == 2);
    next += static_cast<std::uint32_t>(l.tokens.size());
    last = l.tokens.back().id;
  }
  CHECK(next == 41);
  CHECK(last == 5);
}

TEST_CASE("log-probabilities of a long pass are cut, and those of another run of the id are dropped") {
  Rig r;
  const std::vector<engine::RatedToken> many(1100, engine::RatedToken{7, -0.5F, 2, {{3, -0.25F}}});
  REQUIRE(r.start(prefill::test::call(r.ticket(1, 128))));
  r.leaves(1);
  REQUIRE(r.start(prefill::test::call(r.ticket(2, 40))));  // no room: its run has not begun
  r.service.on_rated(RequestId(1), 3, many);
  r.service.on_rated(RequestId(2), 1, many);
  r.service.on_rated(RequestId(3), 1, many);
  REQUIRE(r.logprobs.size() == 3);
  CHECK(r.logprobs[0].first == 3);
  CHECK(r.logprobs[0].tokens.size() == control::kMaxRatedTokens);
  CHECK(r.logprobs[2].first == 3 + 2 * control::kMaxRatedTokens);
  CHECK(r.logprobs[2].tokens.size() == 1100 - 2 * control::kMaxRatedTokens);
  CHECK(r.logprobs[2].tokens[0].rank == 2);
  CHECK(r.logprobs[2].tokens[0].top[0].id == 3);
}
