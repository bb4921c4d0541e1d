#include "prefill_node/reference_out.h"

#include "common/log.h"
#include "kvtransfer/wire/reference.h"
#include "node/quality/divergence.h"

namespace sluice::prefill {

ReferenceOut::ReferenceOut(Metrics& metrics, Send send)
    : ended_(metrics.counters("sluice_quality_references_total", "References of quality probes by outcome.")),
      send_(std::move(send)) {}

void ReferenceOut::keep(RequestId id, kv::Ticket ticket, std::string address) {
  const std::lock_guard lock(mutex_);
  kept_[id] = {std::move(ticket), std::move(address)};
}

void ReferenceOut::forget(RequestId id) {
  const std::lock_guard lock(mutex_);
  kept_.erase(id);
}

void ReferenceOut::clear(control::LegSpace of) {
  const std::lock_guard lock(mutex_);
  std::erase_if(kept_, [&](const auto& k) { return control::space_of(k.first) == of; });
}

std::size_t ReferenceOut::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

void ReferenceOut::on_probed(RequestId id, const Result<std::span<const float>>& logits) {
  Target to;
  {
    const std::lock_guard lock(mutex_);
    const auto it = kept_.find(id);
    if (it == kept_.end()) return;  // cancelled meanwhile
    to = std::move(it->second);
    kept_.erase(it);
  }
  const Result<> sent = send(to, logits);
  ended_.with({{"outcome", sent ? "sent" : std::string(name(sent.error().code))}}).add();
  if (!sent) log::warn("no reference sent", {{"leg", id}, {"why", sent.error().message}});
}

Result<> ReferenceOut::send(const Target& to, const Result<std::span<const float>>& logits) const {
  if (!logits) return std::unexpected(logits.error());
  SLUICE_ASSIGN(const auto head, node::head_of(*logits, kv::kMaxReferenceTokens));
  SLUICE_ASSIGN(const auto note, kv::write_reference(to.ticket, head));
  return send_(to.address, note);
}

}  // namespace sluice::prefill
