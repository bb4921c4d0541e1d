#include "decode_node/automata.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/clock.h"
#include "common/log.h"

namespace sluice::decode {

Automata::Automata(Compile compile, Metrics& metrics, std::size_t cache_bytes)
    : compile_(std::move(compile)),
      seconds_(metrics.histogram("sluice_grammar_compile_seconds", "Time to compile one grammar for the vocabulary.",
                                 stage_buckets())),
      known_(metrics.counter("sluice_grammar_cache_hits_total", "Legs whose grammar was compiled already.")),
      shared_(metrics.counter("sluice_grammar_joins_total", "Legs that waited for a grammar others wanted before.")),
      made_(metrics.counter("sluice_grammar_compiles_total", "Grammars compiled.")),
      refused_(metrics.counter("sluice_grammar_refusals_total", "Grammars that could not be compiled.")),
      cache_(cache_bytes) {
  start(short_, "grammars");
  start(long_, "long grammars");
}

void Automata::start(Lane& lane, const char* name) {
  constexpr int kNice = 10;
  lane.thread = std::thread([this, &lane, name] {
    (void)::pthread_setname_np(::pthread_self(), name);
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);  // the engine's threads come first
    run(lane);
  });
}

Automata::~Automata() { stop(); }

void Automata::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (Lane* lane : {&short_, &long_}) {
      lane->queue.clear();
      lane->running.waiters.clear();
    }
  }
  for (Lane* lane : {&short_, &long_}) {
    lane->came.notify_all();
    if (lane->thread.joinable()) lane->thread.join();
  }
}

Result<> Automata::want(RequestId leg, const std::string& tenant, const SharedText& grammar, const Tell& tell) {
  const GrammarKey key = key_of(grammar);
  std::optional<Compiled> known;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::unavailable, "the node stops");
    known = cache_.find(key, grammar);
    if (!known) return queue({key, tenant, grammar, {{leg, tell}}});
  }
  known_.add();
  tell(*known);
  return {};
}

/// Under the mutex. With those that want the same, if there are any.
Result<> Automata::queue(Job job) {
  Lane& lane = job.grammar.value().size() <= kShortBytes ? short_ : long_;
  const auto join = [&](Job& other) {
    if (other.key != job.key || other.grammar != job.grammar) return false;
    other.waiters.push_back(std::move(job.waiters.front()));
    shared_.add();
    return true;
  };
  if (lane.busy && join(lane.running)) return {};
  if (std::ranges::any_of(lane.queue, join)) return {};
  if (lane.queue.size() >= kMostWaiting)
    return fail(Errc::resource_exhausted, "{} grammars wait to be compiled already", lane.queue.size());
  lane.queue.push_back(std::move(job));
  lane.came.notify_one();
  return {};
}

template <class Gone>
void Automata::forget(const Gone& gone) {
  const auto leave = [&](Job& job) {
    std::erase_if(job.waiters, [&](const Waiter& w) { return gone(w.leg); });
    return job.waiters.empty();
  };
  const std::lock_guard lock(mutex_);
  for (Lane* lane : {&short_, &long_}) {
    (void)leave(lane->running);
    std::erase_if(lane->queue, leave);
  }
}

void Automata::drop(RequestId leg) {
  forget([leg](RequestId l) { return l == leg; });
}

void Automata::drop_all(control::LegSpace of) {
  forget([of](RequestId l) { return control::space_of(l) == of; });
}

/// Tenants take turns where several wait.
Automata::Job Automata::Lane::next() {
  auto turn = std::ranges::find_if(queue, [this](const Job& job) { return job.tenant != last_tenant; });
  if (turn == queue.end()) turn = queue.begin();
  Job job = std::move(*turn);
  queue.erase(turn);
  last_tenant = job.tenant;
  return job;
}

void Automata::run(Lane& lane) {
  const SteadyClock clock;
  std::unique_lock lock(mutex_);
  while (true) {
    lane.came.wait(lock, [&] { return stopping_ || !lane.queue.empty(); });
    if (stopping_) return;
    lane.running = lane.next();
    lane.busy = true;
    const SharedText grammar = lane.running.grammar;
    lock.unlock();
    const TimePoint begin = clock.now();
    const Compiled compiled = compile_(grammar.value());
    seconds_.observe(seconds(clock.now() - begin));
    (compiled ? made_ : refused_).add();
    if (!compiled) log::info("grammar refused", {{"bytes", grammar.value().size()}, {"why", compiled.error().message}});
    lock.lock();
    cache_.put(lane.running.key, grammar, compiled);
    lane.busy = false;
    const auto told = std::exchange(lane.running, {}).waiters;
    lock.unlock();
    for (const Waiter& w : told) w.tell(compiled);
    lock.lock();
  }
}

Automata::Figures Automata::figures() const {
  const std::lock_guard lock(mutex_);
  Figures f{.waiting = 0, .cached = cache_.size(), .cached_bytes = cache_.bytes()};
  for (const Lane* lane : {&short_, &long_}) f.waiting += lane->queue.size() + (lane->busy ? 1 : 0);
  return f;
}

}  // namespace sluice::decode
