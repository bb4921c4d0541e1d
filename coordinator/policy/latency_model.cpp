#include "coordinator/policy/latency_model.h"

#include <algorithm>

namespace sluice::coordinator {
namespace {

double or_default(double measured, double fallback) { return measured > 0 ? measured : fallback; }

}  // namespace

StageTimes stage_times(const ClusterSnapshot& c, std::size_t p, std::size_t d, std::size_t profile,
                       const RequestFeatures& r) {
  const PrefillView& pre = c.prefills[p];
  const DecodeView& dec = c.decodes[d];
  const LinkState& link = c.link(p, d);
  const ProfileSpeed& enc = pre.profiles[profile];
  const ProfileSpeed& out = dec.profiles[profile];
  const double rate = or_default(pre.tokens_per_s, kDefaultTokensPerS);
  // The last prompt token is computed on the decode node, so its KV never travels.
  const double tokens = r.prompt_tokens > 0 ? r.prompt_tokens - 1.0 : 0.0;
  const double raw = tokens * static_cast<double>(c.kv_bytes_per_token);
  StageTimes t;
  t.queue_s = static_cast<double>(pre.queued_tokens) / rate;
  t.prefill_s = tokens / rate;
  t.encode_s = raw / or_default(enc.encode_bps, kDefaultCodecBps);
  t.wire_s = (raw / std::max(enc.ratio, 0.1) + static_cast<double>(link.backlog_bytes)) /
                 or_default(link.bandwidth_bps, kDefaultLinkBps) +
             link.rtt_s;
  t.decode_s = raw / or_default(out.decode_bps, kDefaultCodecBps);
  t.step_s = predict_tpot(dec);
  return t;
}

double pipeline_ttft(const StageTimes& t, std::uint32_t layers) {
  const double sum = t.prefill_s + t.encode_s + t.wire_s + t.decode_s;
  const double bottleneck = std::max({t.prefill_s, t.encode_s, t.wire_s, t.decode_s});
  return t.queue_s + bottleneck + (sum - bottleneck) / std::max(layers, 1U) + t.step_s;
}

double predict_tpot(const DecodeView& d) {
  const double step = or_default(d.step_s, kDefaultStepS);
  const double batch = std::max(d.step_batch, 1.0);
  const double growth = (static_cast<double>(d.seqs) + 1.0) / batch - 1.0;
  return step * std::max(0.25, 1.0 + kBatchSlope * growth);
}

}  // namespace sluice::coordinator
