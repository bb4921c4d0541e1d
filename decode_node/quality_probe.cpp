#include "decode_node/quality_probe.h"

#include <algorithm>

#include "common/log.h"
#include "node/quality/divergence.h"

namespace sluice::decode {

QualityProbe::QualityProbe(const Clock& clock, Metrics& metrics, OnResult on_result)
    : clock_(clock),
      ended_(metrics.counters("sluice_quality_probes_total", "Quality probes of this node by outcome.")),
      on_result_(std::move(on_result)) {}

void QualityProbe::count(std::string_view outcome) { ended_.with({{"outcome", std::string(outcome)}}).add(); }

bool QualityProbe::expect(const kv::Ticket& ticket) {
  {
    const std::lock_guard lock(mutex_);
    if (open_.size() < kMostOpen || open_.contains(ticket.request)) {
      open_[ticket.request] = {.ticket = ticket, .deadline = clock_.now() + ticket.valid_for, .own = {}};
      return true;
    }
  }
  count("refused");
  return false;
}

void QualityProbe::on_own(RequestId request, std::span<const float> logits) {
  std::optional<Open> complete;
  {
    const std::lock_guard lock(mutex_);
    const auto it = open_.find(request);
    if (it == open_.end()) return;
    it->second.own.assign(logits.begin(), logits.end());
    it->second.deadline = clock_.now() + kPatience;
    if (it->second.reference) {
      complete = std::move(it->second);
      open_.erase(it);
    }
  }
  if (complete) finish(*complete);
}

void QualityProbe::on_note(std::span<const std::byte> note) {
  if (!kv::is_reference(note)) return;  // a newer peer's note
  std::optional<Open> complete;
  if (const auto taken = take_note(note, complete); !taken) {
    count(name(taken.error().code));
    log::debug("reference not used", {{"why", taken.error().message}});
  }
  if (complete) finish(*complete);
}

Result<> QualityProbe::take_note(std::span<const std::byte> note, std::optional<Open>& complete) {
  SLUICE_ASSIGN(const kv::TicketId id, kv::reference_ticket(note));
  const std::lock_guard lock(mutex_);
  const auto it = std::ranges::find_if(open_, [&](const auto& o) { return o.second.ticket.id == id; });
  if (it == open_.end()) return fail(Errc::not_found, "no probe waits for this reference");
  Open& o = it->second;
  if (o.reference) return fail(Errc::already_exists, "a second reference under one ticket");
  SLUICE_ASSIGN(o.reference, kv::open_reference(o.ticket, note));
  if (!o.own.empty()) {
    complete = std::move(o);
    open_.erase(it);
  }
  return {};
}

void QualityProbe::finish(const Open& o) {
  const auto d = node::divergence(*o.reference, o.own);
  count(d ? "ok" : name(d.error().code));
  if (!d) return log::warn("quality probe failed", {{"leg", o.ticket.request}, {"why", d.error().message}});
  on_result_({o.ticket.request, o.ticket.profile, d->kl, d->top1});
}

void QualityProbe::drop(RequestId request) {
  const std::lock_guard lock(mutex_);
  open_.erase(request);
}

void QualityProbe::drop_all(control::LegSpace of) {
  const std::lock_guard lock(mutex_);
  std::erase_if(open_, [&](const auto& o) { return control::space_of(o.first) == of; });
}

void QualityProbe::expire() {
  std::size_t late = 0;
  {
    const std::lock_guard lock(mutex_);
    const TimePoint now = clock_.now();
    late = std::erase_if(open_, [now](const auto& o) { return o.second.deadline <= now; });
  }
  for (; late > 0; --late) count("deadline_exceeded");
}

std::size_t QualityProbe::open() const {
  const std::lock_guard lock(mutex_);
  return open_.size();
}

}  // namespace sluice::decode
