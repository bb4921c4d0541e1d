#include "decode_node/automata.h"

#include <pthread.h>

#include <algorithm>

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
      cache_(cache_bytes),
      thread_([this] {
        (void)::pthread_setname_np(::pthread_self(), "grammars");
        run();
      }) {}

Automata::~Automata() { stop(); }

void Automata::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
    running_.waiters.clear();
  }
  came_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Automata::join(Job& job, const GrammarKey& key, const SharedText& grammar, RequestId leg, Tell& tell) {
  if (job.key != key || job.grammar != grammar) return false;
  job.waiters.push_back({leg, std::move(tell)});
  shared_.add();
  return true;
}

Result<> Automata::want(RequestId leg, const std::string& tenant, const SharedText& grammar, Tell tell) {
  const GrammarKey key = key_of(grammar);
  std::optional<Compiled> known;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::unavailable, "the node stops");
    known = cache_.find(key, grammar);
    if (!known) {
      if (busy_ && join(running_, key, grammar, leg, tell)) return {};
      for (Job& job : queue_)
        if (join(job, key, grammar, leg, tell)) return {};
      if (queue_.size() >= kMostWaiting)
        return fail(Errc::resource_exhausted, "{} grammars wait to be compiled already", queue_.size());
      Job& job = queue_.emplace_back(Job{key, tenant, grammar, {}});
      job.waiters.push_back({leg, std::move(tell)});
    }
  }
  if (!known) {
    came_.notify_one();
    return {};
  }
  known_.add();
  tell(*known);
  return {};
}

template <class Gone>
void Automata::forget(const Gone& gone) {
  const auto leave = [&](Job& job) {
    std::erase_if(job.waiters, [&](const Waiter& w) { return gone(w.leg); });
    return job.waiters.empty();
  };
  const std::lock_guard lock(mutex_);
  (void)leave(running_);
  std::erase_if(queue_, leave);
}

void Automata::drop(RequestId leg) {
  forget([leg](RequestId l) { return l == leg; });
}

void Automata::drop_all(control::LegSpace of) {
  forget([of](RequestId l) { return control::space_of(l) == of; });
}

/// Tenants take turns where several wait.
std::deque<Automata::Job>::iterator Automata::next() {
  const auto other = std::ranges::find_if(queue_, [this](const Job& job) { return job.tenant != last_tenant_; });
  return other == queue_.end() ? queue_.begin() : other;
}

void Automata::run() {
  const SteadyClock clock;
  std::unique_lock lock(mutex_);
  while (true) {
    came_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const auto turn = next();
    running_ = std::move(*turn);
    queue_.erase(turn);
    last_tenant_ = running_.tenant;
    busy_ = true;
    const SharedText grammar = running_.grammar;
    lock.unlock();
    const TimePoint begin = clock.now();
    const Compiled compiled = compile_(grammar.value());
    seconds_.observe(seconds(clock.now() - begin));
    (compiled ? made_ : refused_).add();
    if (!compiled) log::info("grammar refused", {{"bytes", grammar.value().size()}, {"why", compiled.error().message}});
    lock.lock();
    cache_.put(running_.key, grammar, compiled);
    busy_ = false;
    const auto told = std::exchange(running_, {}).waiters;
    lock.unlock();
    for (const Waiter& w : told) w.tell(compiled);
    lock.lock();
  }
}

Automata::Figures Automata::figures() const {
  const std::lock_guard lock(mutex_);
  return {queue_.size() + (busy_ ? 1 : 0), cache_.size(), cache_.bytes()};
}

}  // namespace sluice::decode
