#include "text/grammar/automaton/stepper.h"

#include <algorithm>
#include <functional>

namespace sluice::text::grammar {

void Stepper::open(Stacks& stacks, ThreadSet& out) {
  out.clear();
  forget();
  calls_.push_back({net_->root, true, 0, 0, Stacks::kBottom});
  settle(stacks, out);
  out.bottom = net_->matches_empty;
}

void Stepper::step(std::span<const Thread> in, std::uint8_t byte, Stacks& stacks, ThreadSet& out) {
  out.clear();
  forget();
  for (const auto& t : in) {
    for (const auto& e : net_->edges_of(net_->places[t.place])) {
      ++work_;
      if (e.first > byte) break;
      if (byte <= e.last) arrive({e.to, t.count, t.frame});
    }
  }
  if (arrived_.empty()) return;
  settle(stacks, out);
}

void Stepper::come_back(std::span<const Thread> from, Stacks& stacks, ThreadSet& out) {
  out.clear();
  forget();
  for (const auto& t : from) leave(t.frame, stacks, out);
  settle(stacks, out);
}

void Stepper::settle(Stacks& stacks, ThreadSet& out) {
  while (!arrived_.empty()) {
    const auto t = arrived_.back();
    arrived_.pop_back();
    reach(t, stacks, out);
  }
  make_calls(stacks, out);
  std::ranges::sort(out.threads);
}

void Stepper::arrive(Thread t) {
  if (!full() && !seen(t)) arrived_.push_back(t);
}

void Stepper::reach(Thread t, const Stacks& stacks, ThreadSet& out) {
  const auto& place = net_->places[t.place];
  keep(t, place, out);
  call_all(t, place);
  if (!place.final) return;
  const auto& unit = net_->units[place.unit];
  if (!unit.counts) return leave(t.frame, stacks, out);
  // Without an upper bound a count beyond the lower one says no more.
  const bool unbounded = unit.most == Unit::kUnbounded;
  const auto complete = unbounded ? std::min(t.count + 1, unit.least) : t.count + 1;
  if (complete >= unit.least) leave(t.frame, stacks, out);
  if (unbounded || complete < unit.most) arrive({unit.start, complete, t.frame});
}

void Stepper::leave(FrameIndex frame, const Stacks& stacks, ThreadSet& out) {
  if (list_ != nullptr) list_->push_back(frame);
  if (frame == Stacks::kBottom) {
    out.bottom = true;
    return;
  }
  // A frame of this very step is never left in it: units match no empty text.
  const auto& f = stacks.frame(frame);
  for (auto i = f.parents_begin; i < f.parents_end && !full(); ++i) arrive({f.back, f.count, stacks.parent(i)});
}

void Stepper::keep(Thread t, const Place& place, ThreadSet& out) {
  if (place.edges_begin == place.edges_end) return;
  if (out.threads.size() < kThreads)
    out.threads.push_back(t);
  else
    gave_up_ = true;
}

void Stepper::call_all(Thread t, const Place& place) {
  for (const auto& c : net_->calls_of(place)) {
    const bool tail = net_->places[c.back].ends;
    ++work_;
    calls_.push_back({c.unit, tail, tail ? 0 : c.back, tail ? 0 : t.count, t.frame});
    std::ranges::push_heap(calls_, std::greater{});
  }
}

void Stepper::make_calls(Stacks& stacks, ThreadSet& out) {
  const auto take = [&] {
    std::ranges::pop_heap(calls_, std::greater{});
    const auto c = calls_.back();
    calls_.pop_back();
    return c;
  };
  while (!calls_.empty()) {
    const auto call = take();
    auto frame = call.parent;
    if (!call.tail) {
      // Calls of one unit with one way back, whoever made them: what they call has later turns.
      parents_.assign(1, call.parent);
      while (!calls_.empty() && calls_.front().unit == call.unit && !calls_.front().tail &&
             calls_.front().back == call.back && calls_.front().count == call.count) {
        const auto also = take();
        if (also.parent != parents_.back()) parents_.push_back(also.parent);
      }
      work_ += 4 + parents_.size();
      frame = stacks.push(call.back, call.count, parents_);
    }
    const Thread t{net_->units[call.unit].start, 0, frame};
    if (seen(t)) continue;
    const auto& place = net_->places[t.place];
    keep(t, place, out);
    call_all(t, place);
  }
}

bool Stepper::seen(Thread t) {
  ++work_;
  ++arrivals_;
  const auto hash = [](Thread x) {
    const auto h = ((std::uint64_t{x.place} << 32U | x.frame) ^ std::uint64_t{x.count} << 16U) * 0x9E3779B97F4A7C15ULL;
    return static_cast<std::size_t>(h >> 32U);
  };
  if (used_ * 2 >= slots_.size()) {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const auto& s : old) {
      if (s.step != step_) continue;
      auto at = hash(s.thread) & (slots_.size() - 1);
      while (slots_[at].step == step_) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = s;
    }
  }
  auto at = hash(t) & (slots_.size() - 1);
  for (; slots_[at].step == step_; at = (at + 1) & (slots_.size() - 1))
    if (slots_[at].thread == t) return true;
  slots_[at] = {t, step_};
  ++used_;
  return false;
}

void Stepper::forget() {
  arrived_.clear();
  calls_.clear();
  used_ = 0;
  arrivals_ = 0;
  if (++step_ == 0) {
    slots_.assign(slots_.size(), {});
    step_ = 1;
  }
}

}  // namespace sluice::text::grammar
