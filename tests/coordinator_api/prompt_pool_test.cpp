// Prompts are worked on beside the io thread. The incident: a client posted prompts of 15 MB, which the coordinator's
// one thread parsed and tokenized; leases lapsed, and healthy nodes were lost.
#include "coordinator/api/prompt_pool.h"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>
#include <ctime>
#include <future>
#include <thread>

#include "coordinator/api/prompt_desk.h"
#include "tests/support/fake_responder.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using namespace std::chrono_literals;

constexpr PromptQueueLimits kLimits{.short_bytes = 10, .total_bytes = 1000, .client_bytes = 300};

/// A pool whose io_context the test runs itself, so that it is the io thread. Jobs wait at gates that the test opens.
class Pool {
 public:
  explicit Pool(int threads) : pool_({.threads = threads, .limits = kLimits}), desk_(io_, pool_) {}
  ~Pool() { open(); }

  struct Asked {
    std::shared_ptr<FakeResponder> out = std::make_shared<FakeResponder>();
    std::shared_ptr<std::promise<std::thread::id>> begun = std::make_shared<std::promise<std::thread::id>>();
  };
  /// A job that waits until open(), if `gated`; its answer's body is `name`.
  Asked submit(const std::string& name, const std::string& client, std::size_t bytes, bool gated = false) {
    Asked a;
    PromptJob job{.client = client, .bytes = bytes, .work = {}};
    job.work = [name, gated, gate = gate_, begun = a.begun]() -> PromptResult {
      begun->set_value(std::this_thread::get_id());
      if (gated) gate.wait();
      return HttpResponse{200, {}, name};
    };
    desk_.submit(std::move(job), a.out, [this](PromptResult&& result, const std::shared_ptr<Responder>& out) {
      auto* answer = std::get_if<HttpResponse>(&result);
      REQUIRE(answer != nullptr);
      done.push_back(answer->body);
      out->respond(std::move(*answer));
    });
    return a;
  }
  static void wait_begun(const Asked& a) { REQUIRE(a.begun->get_future().wait_for(20s) == std::future_status::ready); }
  void open() {
    if (!std::exchange(opened_, true)) open_.set_value();
  }
  /// Runs the io thread's handlers until so many results were delivered.
  bool delivered(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (done.size() < count && std::chrono::steady_clock::now() < end) io_.run_for(5ms);
    return done.size() >= count;
  }
  bool eventually(const std::function<bool(const PromptPoolStats&)>& holds) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!holds(pool_.stats()) && std::chrono::steady_clock::now() < end) io_.run_for(1ms);
    return holds(pool_.stats());
  }
  PromptPool& pool() { return pool_; }
  PromptDesk& desk() { return desk_; }
  std::vector<std::string> done;

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();
  bool opened_ = false;
  PromptPool pool_;
  PromptDesk desk_;
};

using Names = std::vector<std::string>;

TEST_CASE("work runs elsewhere, and its result comes on the io thread") {
  Pool p(2);
  const auto a = p.submit("a", "client", 5);
  CHECK(a.begun->get_future().get() != std::this_thread::get_id());
  CHECK_FALSE(a.out->answer);
  REQUIRE(p.delivered(1));
  CHECK(a.out->answer->body == "a");
  const auto s = p.pool().stats().lanes[0];
  CHECK(s.done == 1);
  CHECK(s.done_bytes == 5);
  CHECK(s.running == 0);
}

TEST_CASE("short prompts do not wait behind long ones, however many") {
  Pool p(2);
  const auto first = p.submit("long 0", "crowd", 20, true);
  p.wait_begun(first);
  for (int i = 1; i < 10; ++i) p.submit("long " + std::to_string(i), "crowd", 20, true);
  p.submit("short", "crowd", 5);
  REQUIRE(p.delivered(1));
  CHECK(p.done == Names{"short"});
  CHECK(p.pool().stats().lanes[1].waiting == 9);
  CHECK(p.pool().stats().lanes[1].running == 1);
  p.open();
  REQUIRE(p.delivered(11));
}

TEST_CASE("another client's long prompt is next, not last") {
  Pool p(2);
  const auto first = p.submit("crowd 0", "crowd", 20, true);
  p.wait_begun(first);
  for (int i = 1; i < 6; ++i) p.submit("crowd " + std::to_string(i), "crowd", 20);
  p.submit("one", "one", 20);
  p.open();
  REQUIRE(p.delivered(7));
  CHECK(p.done == Names{"crowd 0", "crowd 1", "one", "crowd 2", "crowd 3", "crowd 4", "crowd 5"});
}

TEST_CASE("one thread takes both kinds, short ones first") {
  Pool p(1);
  const auto first = p.submit("first", "a", 20, true);
  p.wait_begun(first);
  p.submit("long", "a", 20);
  p.submit("short", "a", 5);
  p.open();
  REQUIRE(p.delivered(3));
  CHECK(p.done == Names{"first", "short", "long"});
}

TEST_CASE("what is too much to wait is refused in words, with a time to come again") {
  Pool p(2);
  const auto first = p.submit("first", "busy", 20, true);
  p.wait_begun(first);
  p.submit("second", "busy", 290, true);
  const auto own = p.submit("third", "busy", 20);
  REQUIRE(own.out->answer);
  CHECK(own.out->answer->status == 429);
  CHECK(own.out->answer->headers.find("retry-after") == "1");
  CHECK(own.out->answer->body.find("resource_exhausted") != std::string::npos);
  CHECK(own.out->answer->body.find("yours") != std::string::npos);
  for (const char* other : {"b", "c"}) CHECK_FALSE(p.submit(other, other, 300, true).out->answer);
  const auto all = p.submit("d", "d", 200);
  REQUIRE(all.out->answer);
  CHECK(all.out->answer->status == 429);
  CHECK(all.out->answer->body.find("yours") == std::string::npos);
  CHECK(p.pool().stats().lanes[1].refused == 2);
  CHECK_FALSE(p.submit("short", "e", 5).out->answer);
  p.open();
  REQUIRE(p.delivered(5));
  CHECK(p.pool().stats().lanes[1].waiting_bytes == 0);
}

TEST_CASE("nothing is done for a client that has gone, before, while or after its turn") {
  Pool p(2);
  const auto running = p.submit("running", "a", 20, true);
  p.wait_begun(running);
  const auto queued = p.submit("queued", "a", 20);
  running.out->leave();
  queued.out->leave();
  p.open();
  CHECK(p.eventually([](const PromptPoolStats& s) { return s.lanes[1].dropped == 1 && s.lanes[1].done == 1; }));
  const auto last = p.submit("last", "a", 5);
  REQUIRE(p.delivered(1));
  CHECK(p.done == Names{"last"});
  CHECK(queued.begun->get_future().wait_for(0s) == std::future_status::timeout);

  // It has gone before it is handed over.
  auto out = std::make_shared<FakeResponder>();
  out->leave();
  bool worked = false;
  p.desk().submit({.client = "a",
                   .bytes = 5,
                   .work = [&worked]() -> PromptResult {
                     worked = true;
                     return HttpResponse{};
                   }},
                  out, [](PromptResult&&, const std::shared_ptr<Responder>&) {});
  p.submit("after", "a", 5);
  REQUIRE(p.delivered(2));
  CHECK_FALSE(worked);
}

TEST_CASE("stopping lets what runs end, and tells those that wait") {
  Pool p(2);
  const auto running = p.submit("running", "a", 20, true);
  p.wait_begun(running);
  const auto queued = p.submit("queued", "a", 20);
  std::thread opener([&p] {
    std::this_thread::sleep_for(20ms);
    p.open();
  });
  p.pool().stop();
  p.desk().close();
  opener.join();
  for (const auto& a : {running, queued}) {
    REQUIRE(a.out->answer);
    CHECK(a.out->answer->status == 503);
  }
  const auto late = p.submit("late", "a", 5);
  REQUIRE(late.out->answer);
  CHECK(late.out->answer->status == 503);
  CHECK(p.done.empty());
}

TEST_CASE("work that throws is an answer, too") {
  Pool p(2);
  auto out = std::make_shared<FakeResponder>();
  p.desk().submit({.client = "a", .bytes = 5, .work = []() -> PromptResult { throw std::bad_alloc(); }}, out,
                  [&p](PromptResult&& result, const std::shared_ptr<Responder>& to) {
                    p.done.emplace_back();
                    if (auto* answer = std::get_if<HttpResponse>(&result)) to->respond(std::move(*answer));
                  });
  REQUIRE(p.delivered(1));
  CHECK(out->answer->status == 500);
}

TEST_CASE("refused work takes a small share of a thread, and others' long prompts go on beside it") {
  const int threads = GENERATE(1, 2);
  Pool p(threads);
  // Each computes for 20 ms, and is refused.
  const auto flood = [&p] {
    p.desk().submit({.client = "hostile",
                     .bytes = 20,
                     .work = []() -> PromptResult {
                       timespec t{}, end{};
                       ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
                       for (end.tv_nsec += 20'000'000;
                            t.tv_sec * 1'000'000'000 + t.tv_nsec < end.tv_sec * 1'000'000'000 + end.tv_nsec;)
                         ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
                       return HttpResponse{400, {}, "no"};
                     }},
                    std::make_shared<FakeResponder>(),
                    [&p](PromptResult&&, const std::shared_ptr<Responder>&) { p.done.emplace_back("no"); });
  };
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) flood();
  p.submit("other", "other", 20);
  p.submit("short", "hostile", 5);
  REQUIRE(p.delivered(5));
  // Two rests of 19 times 20 ms; the others waited for neither.
  CHECK(std::chrono::steady_clock::now() - begun >= 2 * 19 * 20ms);
  CHECK(std::ranges::count(p.done, "no") == 3);
  CHECK((p.done[3] == "no" && p.done[4] == "no"));
}

}  // namespace
}  // namespace sluice::test
