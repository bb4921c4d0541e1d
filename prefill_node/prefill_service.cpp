#include "prefill_node/prefill_service.h"

#include <algorithm>

#include "common/log.h"
#include "prefill_node/prefill_report.h"
#include "prefill_node/prefill_trace.h"

namespace sluice::prefill {
namespace {

control::RatedToken to_message(const engine::RatedToken& t) {
  control::RatedToken out{t.token, t.logprob, t.rank, {}};
  for (const auto& [token, logprob] : t.top) out.top.push_back({token, logprob});
  return out;
}

}  // namespace

PrefillService::PrefillService(const node::KvIdentity& me, const kv::CodecRegistry& codecs, PrefillEngine engine,
                               const PrefillOptions& o, const Clock& clock, Metrics& metrics, PrefillOutside outside)
    : layout_(me.layout),
      clock_(clock),
      outside_(std::move(outside)),
      ended_(metrics.counters("sluice_prefill_requests_total", "Prompts by outcome.")),
      check_(me, codecs),
      references_(metrics, outside_.send_note),
      loop_(engine.model, engine.pool, engine.limits,
            {.max_waiting = o.max_waiting, .tokens_per_s = engine.tokens_per_s, .prefix_cache = o.prefix_cache}, *this),
      export_(layout_, engine.pool, clock, o.exporting, metrics, outside_.frames,
              {.on_end = [this](const node::ExportEnd& e) { outside_.post([this, e] { on_export_end(e); }); },
               .release = [this](const std::vector<engine::BlockHandle>& b) { loop_.release_blocks(b); }}) {}

PrefillService::~PrefillService() { stop(); }

void PrefillService::stop() {
  loop_.stop();
  export_.stop();
}

Result<> PrefillService::start(CheckedPrompt p) {
  const RequestId id = p.call.request;
  Prompt prompt{id, std::move(p.call.tokens), p.call.priority};
  if (p.call.probe_token >= 0) prompt.probe = p.call.probe_token;
  prompt.rating = p.call.prompt_logprobs;
  prompt.root = p.root;
  if (!requests_.add(id, {.prompt = std::move(p), .received = clock_.now()}))
    return fail(Errc::already_exists, "request {} is being computed", id);
  auto accepted = loop_.submit(std::move(prompt));
  if (!accepted) requests_.erase(id);
  return accepted;
}

bool PrefillService::cancel(RequestId id) {
  const bool found = requests_.erase(id);
  references_.forget(id);
  (void)loop_.cancel(id);
  export_.cancel(id);
  return found;
}

void PrefillService::cancel_all(control::LegSpace of) {
  loop_.cancel_all(of);
  const std::vector<RequestId> ids = requests_.clear(of);
  references_.clear(of);
  for (const RequestId id : ids) export_.cancel(id);
}

void PrefillService::on_note(std::span<const std::byte> bytes) {
  const auto note = kv::parse_note(bytes);
  if (!note) {
    if (const auto held = bad_notes_.pass(0, clock_.now()))
      log::warn("bad note", {{"why", note.error().message}, {"held_back", *held}});
    return;
  }
  export_.on_note(*note);
}

void PrefillService::on_peer_down(const std::string& address, const Error& why) {
  log::warn("decode node lost", {{"address", address}, {"why", why.message}});
  export_.on_peer_down(address, why);
}

bool PrefillService::on_admitted(RequestId id, const std::vector<engine::BlockHandle>& blocks, double tokens_per_s) {
  // The export begins under the table's mutex, which a cancel takes first: one of the two sees the other.
  return requests_.with(id, [&](OpenRequest& r) {
    const CheckedPrompt& p = r.prompt;
    r.admitted = true;
    r.link = outside_.link(p.call.data_address);
    node::ExportStart s{id, p.call.data_address, p.ticket, p.profile, blocks, p.plan};
    s.plan.compute_bps = tokens_per_s * static_cast<double>(layout_.token_bytes());
    export_.begin(std::move(s));
  });
}

void PrefillService::on_layer(RequestId id, std::uint32_t first, std::uint32_t count, std::uint32_t layer) {
  export_.layer_done(id, {first, count}, layer);
}

void PrefillService::on_rated(RequestId id, std::uint32_t first, std::span<const engine::RatedToken> tokens) {
  for (std::size_t done = 0; done < tokens.size(); done += control::kMaxRatedTokens) {
    control::PromptLogprobs part{.request = id, .first = first + static_cast<std::uint32_t>(done)};
    for (const auto& t : tokens.subspan(done, std::min(control::kMaxRatedTokens, tokens.size() - done)))
      part.tokens.push_back(to_message(t));
    // Reported under the table's mutex: of a request that is cancelled nothing leaves, whoever takes its id next.
    requests_.with(id, [&](OpenRequest& r) {
      if (!r.admitted) return;
      part.attempt = r.prompt.call.attempt;
      outside_.report_logprobs(part);
    });
  }
}

void PrefillService::on_computed(RequestId id, const PromptTimes& times) {
  requests_.with(id, [&](OpenRequest& r) { r.times = times; });
  export_.computed(id);
}

void PrefillService::on_failed(RequestId id, const Error& why) { export_.fail(id, why); }

void PrefillService::on_probed(RequestId id, Result<std::span<const float>> logits) {
  references_.on_probed(id, logits);
}

void PrefillService::on_export_end(const node::ExportEnd& e) {
  auto r = requests_.take(e.request, e.ticket);
  if (!r) return;  // cancelled
  const control::PrefillDone done = report_of(*r, e, outside_.link(r->prompt.call.data_address), clock_.now());
  ended_.with({{"outcome", e.outcome ? "ok" : std::string(name(e.outcome.error().code))}}).add();
  if (e.outcome && e.changed_to == nullptr) {
    if (r->prompt.call.probe_token >= 0)
      references_.keep(e.request, std::move(r->prompt.ticket), std::move(r->prompt.call.data_address));
    if (!loop_.run_probe(e.request)) references_.forget(e.request);
  } else {
    // Of a broken transfer the remaining chunks are wasted work. Of one that changed its profile the blocks kept for a
    // probe go: what it measured would be said of the request's own.
    (void)loop_.cancel(e.request);
  }
  outside_.report(done);
  if (outside_.spans != nullptr) trace_prefill(*r, e, clock_.now(), *outside_.spans);
}

}  // namespace sluice::prefill
