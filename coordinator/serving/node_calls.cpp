#include "coordinator/serving/node_calls.h"

#include <chrono>
#include <span>

#include "common/control/move_messages.h"
#include "common/log.h"
#include "coordinator/serving/answer_bits.h"

namespace sluice::coordinator {

using nlohmann::json;
namespace ctl = control;

namespace {

constexpr std::chrono::milliseconds kCallTimeout{5000};
constexpr std::chrono::milliseconds kProbeTimeout{20000};

template <class T>
Result<T> parsed(const Result<json>& reply) {
  if (!reply) return std::unexpected(reply.error());
  return ctl::parse<T>(*reply);
}

Result<> acknowledged(const Result<json>& reply) {
  if (!reply) return std::unexpected(reply.error());
  return {};
}

/// Nodes give up what does not come about in the time that a move may take.
std::uint32_t timeout_ms(const Moving& m) { return static_cast<std::uint32_t>(millis(m.deadline - m.began)); }

}  // namespace

ctl::ReserveRequest NodeCalls::reserve_request(const Session& s) const {
  ctl::ReserveRequest r;
  r.request = s.id;
  r.trace_id = s.asked.spec.request_id;
  r.tokens = *s.asked.spec.prompt;
  r.prompt_tokens = s.asked.features.prompt_tokens;
  r.tokens.insert(r.tokens.end(), s.answer.emitted.begin(), s.answer.emitted.end());
  r.max_new_tokens = s.asked.features.max_new_tokens;
  r.sampling = s.asked.spec.sampling;
  r.sampling.max_tokens = static_cast<int>(r.max_new_tokens);
  r.priority = s.asked.spec.priority;
  r.tenant = s.asked.spec.tenant;
  r.grows = s.grows();
  r.exact = exact_kv(s);
  if (s.trace) s.trace->tell(r.traceparent, r.tracestate);
  return r;
}

void NodeCalls::reserve(const Session& s, Done<ctl::ReserveReply> done) {
  ctl::ReserveRequest r = reserve_request(s);
  r.attempt = s.run.number;
  r.kv_tokens = s.run.cut;
  r.profile = s.run.profile;
  for (std::size_t i = 1; i < s.run.ways.size(); ++i) r.fallbacks.push_back(s.run.ways[i].profile);
  if (s.answer.change) r.fallbacks = {s.answer.change->to};
  r.prefill_node = s.run.prefill;
  if (const NodeRecord* p = view_.find(s.run.prefill)) r.prefill_incarnation = p->info.incarnation;
  r.timeout_ms = static_cast<std::uint32_t>(lifetime_s_ * 1e3);
  r.probe = s.run.probed;
  registry_.call(s.run.decode, ctl::type::kReserve, encode(r), kCallTimeout,
                 [done = std::move(done)](const Result<json>& reply) { done(parsed<ctl::ReserveReply>(reply)); });
}

void NodeCalls::reserve_target(const Session& s, Done<ctl::ReserveReply> done) {
  const Moving& m = *s.moves.now;
  ctl::ReserveRequest r = reserve_request(s);
  r.attempt = m.attempt;
  r.continues = true;
  r.kv_tokens = m.stop;
  r.profile = m.profile;
  r.prefill_node = s.run.decode;  // who sends the KV
  if (const NodeRecord* source = view_.find(s.run.decode)) r.prefill_incarnation = source->info.incarnation;
  r.timeout_ms = timeout_ms(m);
  registry_.call(m.target, ctl::type::kReserve, encode(r), kCallTimeout,
                 [done = std::move(done)](const Result<json>& reply) { done(parsed<ctl::ReserveReply>(reply)); });
}

void NodeCalls::move(const Session& s, ctl::ReserveReply ticket, Done<ctl::MoveReply> done) {
  const Moving& m = *s.moves.now;
  ctl::MoveRequest r{.request = s.id,
                     .attempt = s.run.number,
                     .ticket = std::move(ticket.ticket),
                     .data_address = std::move(ticket.data_address),
                     .data_key = std::move(ticket.data_key),
                     .profile = m.profile,
                     .stop = m.stop,
                     .timeout_ms = timeout_ms(m),
                     .trace_id = s.asked.spec.request_id};
  if (s.trace) s.trace->tell(r.traceparent, r.tracestate);
  registry_.call(s.run.decode, ctl::type::kMove, to_json(r), kCallTimeout,
                 [done = std::move(done)](const Result<json>& reply) { done(parsed<ctl::MoveReply>(reply)); });
}

void NodeCalls::go_on(const Session& s, Done<void> done) {
  const Moving& m = *s.moves.now;
  const auto missing = std::span(s.answer.emitted).subspan(m.told);
  const ctl::GoOnRequest r{
      .request = s.id, .attempt = m.attempt, .tokens = std::vector<TokenId>(missing.begin(), missing.end())};
  registry_.call(m.target, ctl::type::kGoOn, to_json(r), kCallTimeout,
                 [done = std::move(done)](const Result<json>& reply) { done(acknowledged(reply)); });
}

void NodeCalls::stay(const Session& s, Done<void> done) {
  registry_.call(s.run.decode, ctl::type::kStay, to_json(ctl::StayRequest{s.id, s.run.number}), kCallTimeout,
                 [done = std::move(done)](const Result<json>& reply) { done(acknowledged(reply)); });
}

void NodeCalls::prefill(const Session& s, ctl::ReserveReply ticket, Done<void> done) {
  ctl::PrefillRequest p;
  p.request = s.id;
  p.attempt = s.run.number;
  p.trace_id = s.asked.spec.request_id;
  p.tokens.assign(s.asked.spec.prompt->begin(), s.asked.spec.prompt->begin() + s.run.cut);
  p.ticket = std::move(ticket.ticket);
  p.data_address = std::move(ticket.data_address);
  p.data_key = std::move(ticket.data_key);
  p.profile = s.run.profile;
  p.priority = s.asked.spec.priority;
  p.timeout_ms = static_cast<std::uint32_t>(lifetime_s_ * 1e3);
  if (s.run.probed) p.probe_token = s.asked.spec.prompt->back();
  p.link_bps = s.run.link_bps;
  p.ways = s.run.ways;
  p.change = s.answer.change;
  if (const auto& top = s.asked.spec.prompt_logprobs)
    p.prompt_logprobs = {.top = static_cast<std::uint32_t>(*top), .last = s.asked.spec.prompt->back()};
  if (const NodeRecord* n = view_.find(s.run.prefill)) p.prefix_root = to_hex(prefixes_.root(s, n->info.model));
  if (s.trace) s.trace->tell(p.traceparent, p.tracestate);
  registry_.call(s.run.prefill, ctl::type::kPrefill, encode(p), kCallTimeout,
                 [done = std::move(done)](const Result<json>& reply) { done(acknowledged(reply)); });
}

void NodeCalls::cancel(const NodeId& node, RequestId id, std::function<void()> let_go) {
  if (view_.find(node) == nullptr) {
    if (let_go) let_go();
    return;
  }
  registry_.call(node, ctl::type::kCancel, to_json(ctl::CancelRequest{id}), kCallTimeout,
                 [node, id, let_go = std::move(let_go)](const Result<json>& r) {
                   if (!r)
                     log::warn("cancel not acknowledged",
                               {{"node", node}, {"leg", id.value()}, {"why", r.error().message}});
                   if (let_go) let_go();
                 });
}

void NodeCalls::drain(const NodeId& node) {
  registry_.call(node, ctl::type::kDrain, json::object(), kCallTimeout, [node](Result<json> r) {
    if (!r) log::warn("drain not acknowledged", {{"node", node}, {"why", r.error().message}});
  });
}

void NodeCalls::change_role(const NodeId& node, ctl::Role to, Done<void> done) {
  registry_.call(node, ctl::type::kRole, to_json(ctl::RoleRequest{to}), kCallTimeout,
                 [done = std::move(done)](const Result<json>& reply) {
                   done(reply ? Result<>() : Result<>(std::unexpected(reply.error())));
                 });
}

void NodeCalls::probe_path(const LinkProbes::Link& l, const std::string& data_address, std::uint32_t block_bytes,
                           Done<ctl::LinkReport> done) {
  const NodeRecord* const there = view_.find(l.decode);
  const std::string key = there == nullptr ? std::string() : there->info.data_key;
  registry_.call(l.prefill, ctl::type::kProbePath,
                 to_json(ctl::ProbePathRequest{data_address, block_bytes, l.decode, key}), kProbeTimeout,
                 [done = std::move(done)](const Result<json>& reply) { done(parsed<ctl::LinkReport>(reply)); });
}

}  // namespace sluice::coordinator
