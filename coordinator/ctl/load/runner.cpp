#include "coordinator/ctl/load/runner.h"

#include <ctime>
#include <utility>

#include "common/http/sse.h"

namespace sluice::ctl::load {
namespace {

using Clock = std::chrono::steady_clock;
using boost::system::error_code;

double ms_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double, std::milli>(b - a).count();
}

Clock::duration of_seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

double thread_cpu_s() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

std::string kind_of(Errc code) {
  switch (code) {
    case Errc::deadline_exceeded:
      return "timeout";
    case Errc::unavailable:
      return "connection";
    case Errc::data_corrupt:
      return "bad answer";
    default:
      return std::string(name(code));
  }
}

}  // namespace

/// A request under way.
struct Runner::Call {
  Call(bool keep_text, Clock::time_point from, RunState& s)
      : reader(result, keep_text),
        parser([this](std::string_view data) {
          reader.event(data, at_ms);
          ++state.events;
        }),
        start(from),
        state(s) {}
  RequestResult result;
  AnswerReader reader;
  http::SseParser parser;
  Clock::time_point start;
  double at_ms = 0;  // when the bytes came that are read now
  RunState& state;
};

Runner::Runner(Setting setting)
    : set_(std::move(setting)),
      target_(set_.server.path(set_.rules.chat ? "chat" : "completions")),
      client_(io_, {.address = set_.server.address, .timeout = set_.timeout, .make_wire = set_.server.wire()}),
      arrival_(io_),
      telling_(io_) {}

RunOutcome Runner::run(const RunPlan& plan, Progress& progress) {
  plan_ = plan;
  progress_ = &progress;
  out_ = {};
  arrived_ = over_ = running_ = 0;
  state_ = {.total = plan_.conversations * set_.dataset.turns()};
  io_.restart();
  const double cpu = thread_cpu_s();
  start_ = Clock::now();
  if (open_loop())
    await_arrivals();
  else
    while (arrived_ < std::min(plan_.concurrency, plan_.conversations)) arrive(start_);
  tell();
  io_.run();
  out_.duration_s = ms_between(start_, Clock::now()) / 1000;
  out_.cpu_s = thread_cpu_s() - cpu;
  state_.seconds = out_.duration_s;
  progress.ended(state_);
  return std::move(out_);
}

Runner::Clock::time_point Runner::due_of(std::size_t n) {
  return start_ + of_seconds(plan_.arrivals ? plan_.arrivals->next() : set_.dataset.due_s(plan_.first + n).value_or(0));
}

/// Begins what is due and sleeps until the next one is.
void Runner::await_arrivals() {
  if (arrived_ == plan_.conversations) return;
  const auto due = due_of(arrived_);
  arrival_.expires_at(due);
  arrival_.async_wait([this, due](error_code ec) {
    if (ec) return;
    arrive(due);
    await_arrivals();
  });
}

void Runner::arrive(Clock::time_point due) {
  const std::size_t index = plan_.first + arrived_++;
  if (running_ < plan_.concurrency)
    begin(index, due);
  else
    waiting_.emplace_back(index, due);
}

void Runner::begin(std::size_t index, Clock::time_point due) {
  ++running_;
  auto live = std::make_shared<Live>();
  live->index = index;
  live->due = due;
  ask(std::move(live));
}

void Runner::ask(std::shared_ptr<Live> live) {
  live->now = set_.dataset.turn(live->index, live->turn);
  const bool more = live->turn + 1 < set_.dataset.turns();
  auto q = set_.server.request("POST", target_);
  q.headers["content-type"] = "application/json";
  q.body = body_of(set_.rules, live->now, live->said);
  const auto sent = Clock::now();
  // In an open loop a request that waits for the bound, or for this client, has begun all the same.
  if (open_loop()) out_.latest_start_ms = std::max(out_.latest_start_ms, ms_between(live->due, sent));
  auto call = std::make_shared<Call>(more, open_loop() ? live->due : sent, state_);
  call->result.start_s = ms_between(start_, call->start) / 1000;
  call->result.input_tokens = live->now.input_tokens;
  call->result.clipped = live->now.clipped;
  ++state_.in_flight;
  client_.start(
      std::move(q),
      [call](std::string_view piece) {
        call->at_ms = ms_between(call->start, Clock::now());
        if (const auto read = call->parser.push(piece); !read) call->reader.failed("bad answer", read.error().message);
        return !call->reader.broken();
      },
      [this, live = std::move(live), call](Result<http::ClientResponse> r) { answered(live, *call, std::move(r)); });
}

void Runner::answered(const std::shared_ptr<Live>& live, Call& call, Result<http::ClientResponse> r) {
  if (!r)
    call.reader.failed(kind_of(r.error().code), r.error().message);
  else if (r->status / 100 != 2)
    call.reader.failed(fmt::format("HTTP {}", r->status), error_words(r->status, r->body));
  else
    call.reader.end();
  const bool failed = call.reader.broken();
  --state_.in_flight;
  ++state_.done;
  state_.errors += failed ? 1U : 0U;
  progress_->one_done(state_);
  out_.results.push_back(std::move(call.result));
  const std::size_t turns = set_.dataset.turns();
  if (failed || live->turn + 1 == turns) {
    state_.done += failed ? turns - live->turn - 1 : 0;  // what cannot be asked any more
    return ended();
  }
  live->said.push_back({live->now.prompt.text, call.reader.text()});
  ++live->turn;
  next_turn(live);
}

void Runner::next_turn(std::shared_ptr<Live> live) {
  live->due = Clock::now() + of_seconds(set_.think_time_s);
  if (set_.think_time_s <= 0) return ask(std::move(live));
  auto timer = std::make_shared<boost::asio::steady_timer>(io_, live->due);
  timer->async_wait([this, timer, live = std::move(live)](error_code ec) mutable {
    if (!ec) ask(std::move(live));
  });
}

void Runner::ended() {
  --running_;
  ++over_;
  if (over_ == plan_.conversations) return io_.stop();  // timers may still wait
  if (!waiting_.empty()) {
    const auto [index, due] = waiting_.front();
    waiting_.pop_front();
    begin(index, due);
  } else if (!open_loop() && arrived_ < plan_.conversations) {
    arrive(Clock::now());
  }
}

void Runner::tell() {
  telling_.expires_after(std::chrono::milliseconds(500));
  telling_.async_wait([this](error_code ec) {
    if (ec) return;
    state_.seconds = ms_between(start_, Clock::now()) / 1000;
    progress_->tick(state_);
    tell();
  });
}

}  // namespace sluice::ctl::load
