#include "tests/system/hand_coordinator.h"

#include <stdexcept>

namespace sluice::test {

using namespace std::chrono_literals;
namespace ctl = control;

HandCoordinator::HandCoordinator(const std::vector<std::string>& decode_flags) {
  const auto args = [&](const std::string& name, const FakeCoordinator& c) {
    return std::vector<std::string>{"--name",    name, "--coordinator", c.address(), "--model", Cluster::model_dir(),
                                    "--threads", "1",  "--ucx-tls",     kTcp};
  };
  auto p = args("p0", prefill_);
  p.insert(p.end(), {"--kv-memory-mib", "64"});
  auto d = args("d0", decode_);
  d.insert(d.end(), decode_flags.begin(), decode_flags.end());
  p0_ = std::make_unique<Process>(SLUICE_BIN_DIR "/sluice-prefill", p, (dir_.path() / "p0.log").string());
  d0_ = std::make_unique<Process>(SLUICE_BIN_DIR "/sluice-decode", d, (dir_.path() / "d0.log").string());
  for (int i = 0; i < 3 && !(prefill_.introduced && decode_.last_beat); ++i)
    (void)decode_.until([&] { return prefill_.introduced && decode_.last_beat; });
  if (!prefill_.introduced || !decode_.last_beat) throw std::runtime_error("the nodes did not come");
}

std::vector<HandAnswer> HandCoordinator::serve(const std::vector<HandRequest>& requests, std::size_t at_once) {
  std::vector<RequestId> ids;
  over_ = placed_ = 0;
  for (const HandRequest& r : requests) {
    const RequestId id(next_id_++);
    ids.push_back(id);
    legs_[id].asked = r;
    wait_for_place(id);
  }
  while (over_ < ids.size()) {
    const auto now = std::chrono::steady_clock::now();
    for (auto w = waiting_.begin(); w != waiting_.end() && placed_ < at_once; w = waiting_.begin()) {
      if (w->second > now) break;  // nobody goes before it
      const RequestId id = w->first.second;
      waiting_.erase(w);
      start(id);
    }
    io_.run_one_for(5ms);
    hear();
    if (d0_->wait(0ms)) throw std::runtime_error("the decode node ended");
  }
  std::vector<HandAnswer> out;
  for (const RequestId id : ids) out.push_back(std::move(legs_.extract(id).mapped().got));
  return out;
}

void HandCoordinator::wait_for_place(RequestId id) {
  Leg& leg = legs_.at(id);
  if (std::exchange(leg.placed, false)) --placed_;
  waiting_[{leg.asked.priority, id}] = std::chrono::steady_clock::now();
}

void HandCoordinator::start(RequestId id) {
  Leg& leg = legs_.at(id);
  leg.placed = true;
  ++placed_;
  ctl::ReserveRequest r;
  r.request = id;
  r.attempt = ++leg.attempt;
  r.tokens = leg.asked.prompt;
  r.prompt_tokens = static_cast<std::uint32_t>(r.tokens.size());
  r.tokens.insert(r.tokens.end(), leg.got.tokens.begin(), leg.got.tokens.end());
  r.kv_tokens = r.prompt_tokens - 1;
  r.max_new_tokens = leg.asked.max_new_tokens;
  r.sampling = leg.asked.sampling;
  r.profile = leg.asked.profile;
  r.prefill_node = prefill_.introduced->node;
  r.prefill_incarnation = prefill_.introduced->incarnation;
  r.priority = leg.asked.priority;
  r.grows = leg.got.returned < 2;
  r.exact = true;  // both nodes compute alike; whether the profile loses something is the node's to see
  decode_.node().call(ctl::type::kReserve, to_json(r), 10s, [this, id](const Result<nlohmann::json>& reply) {
    if (reply) return prefill(id, ctl::parse<ctl::ReserveReply>(*reply).value());
    if (reply.error().code != Errc::resource_exhausted) throw std::runtime_error(reply.error().message);
    wait_for_place(id);
    waiting_[{legs_.at(id).asked.priority, id}] += 10ms;
  });
}

void HandCoordinator::prefill(RequestId id, const ctl::ReserveReply& r) {
  const Leg& leg = legs_.at(id);
  ctl::PrefillRequest p;
  p.request = id;
  p.attempt = leg.attempt;
  p.tokens.assign(leg.asked.prompt.begin(), leg.asked.prompt.end() - 1);
  p.ticket = r.ticket;
  p.data_address = r.data_address;
  p.data_key = r.data_key;
  p.profile = leg.asked.profile;
  prefill_.node().call(ctl::type::kPrefill, to_json(p), 10s, [](const Result<nlohmann::json>& reply) {
    if (!reply) throw std::runtime_error(reply.error().message);
  });
}

void HandCoordinator::hear() {
  for (const auto& [type, body] : std::exchange(decode_.told, {})) {
    if (type == ctl::type::kFinished) on_finished(ctl::parse<ctl::Finished>(body).value());
    if (type != ctl::type::kTokens) continue;
    const auto tokens = ctl::parse<ctl::Tokens>(body).value();
    for (const auto& t : tokens.items) {
      HandAnswer& got = legs_.at(t.request).got;
      if (t.index < got.tokens.size()) continue;  // replayed
      if (t.index > got.tokens.size()) throw std::runtime_error("a token is missing");
      got.tokens.push_back(t.token.id);
      got.logprobs.push_back(t.token.logprob);
    }
  }
  prefill_.told.clear();
}

void HandCoordinator::on_finished(const ctl::Finished& f) {
  Leg& leg = legs_.at(f.request);
  leg.got.swapped += f.swapped;
  leg.got.recomputed += f.recomputed;
  if (f.reason == "preempted") {
    ++leg.got.returned;
    // Its report may still be on its way, and it takes a request once at a time.
    prefill_.node().call(ctl::type::kCancel, to_json(ctl::CancelRequest{f.request}), 10s, [](const auto&) {});
    return wait_for_place(f.request);
  }
  leg.got.reason = f.reason;
  if (f.error) leg.got.error = f.error->message;
  leg.over = true;
  ++over_;
  --placed_;
}

bool HandCoordinator::idle() {
  const int beats = decode_.beats;
  return decode_.until(
      [&] { return decode_.beats > beats + 1 && beat().free_blocks == beat().total_blocks && beat().parked == 0; });
}

}  // namespace sluice::test
