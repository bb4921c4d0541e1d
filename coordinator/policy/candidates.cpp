#include "coordinator/policy/candidates.h"

#include <algorithm>

namespace sluice::coordinator {
namespace {

inline float larger(float a, float b) { return a < b ? b : a; }
inline float smaller(float a, float b) { return a < b ? a : b; }

/// Of a queue that never empties the price would be infinite; what counts then is the order of the candidates.
constexpr float kMostLoad = 0.95F;

/// `compute`: what the prefill stage takes. Others see a delay only as far as they wait for longer than they compute.
/// From one prefill node work comes no faster than it computes, so that it queues only by what it takes longer; the
/// `mixed` share (below) comes from other nodes and queues as in M/D/1.
inline float delay_of_others(float rate, float wait, float own, float compute, float size_share) {
  const float busy = rate * own;
  const float load = smaller(busy * size_share, kMostLoad);
  return busy * larger(wait + own - compute, 0) / (1 - load);
}

inline float delay_of_others_mixed(float rate, float own, float compute, float mixed, float size_share) {
  const float busy = rate * own;
  const float load = smaller(busy * size_share, kMostLoad);
  const float inverse = 1 / (1 - load);
  const float queue = 0.5F * load * own * inverse;
  return busy * (larger(own - compute, 0) + mixed * larger(queue - compute, 0)) * inverse;
}

}  // namespace

void CandidateTable::shape() {
  const std::size_t np = prefills.size();
  const std::size_t nd = decodes.size();
  stride = (profiles.size() + kLanes - 1) / kLanes * kLanes;
  for (auto* v : {&queue, &prefill, &load, &prefill_rate}) v->resize(np);
  // Padding never wins: it takes for ever to encode.
  encode.assign(np * stride, kNever);
  for (auto* v : {&wire_bytes, &encode_var}) v->assign(np * stride, 0);
  for (auto* v : {&first, &tpot, &fill, &decode_rate}) v->resize(nd);
  for (auto* v : {&decode, &decode_var}) v->assign(nd * stride, 0);
  for (auto* v : {&byte_s, &byte_var, &log_bandwidth, &rtt, &wait, &fixed, &factor, &link_rate}) v->resize(np * nd);
  profile_factor.assign(stride, 1);
  kl.assign(stride, kNever);
  log_wire_mb.assign(stride, 0);
}

void predict_all(const CandidateTable& t, std::vector<float>& ttft) {
  constexpr std::size_t kLanes = CandidateTable::kLanes;
  ttft.resize(t.size());
  const std::size_t nd = t.decodes.size();
  const float u = t.inverse_units;
  for (std::size_t p = 0; p < t.prefills.size(); ++p) {
    const float queue = t.queue[p];
    const float prefill = t.prefill[p];
    for (std::size_t d = 0; d < nd; ++d) {
      const std::size_t pair = p * nd + d;
      const float byte_s = t.byte_s[pair];
      const float rtt = t.rtt[pair];
      const float wait = t.wait[pair];
      const float factor = t.factor[pair];
      const float rest = t.fixed[pair] + t.first[d];
      for (std::size_t block = 0; block < t.stride; block += kLanes) {
        const float* encode = &t.encode[p * t.stride + block];
        const float* bytes = &t.wire_bytes[p * t.stride + block];
        const float* decode = &t.decode[d * t.stride + block];
        const float* by_profile = &t.profile_factor[block];
        float* out = &ttft[pair * t.stride + block];
        for (std::size_t i = 0; i < kLanes; ++i) {
          const float wire = bytes[i] * byte_s + rtt;
          const float tail = larger(wire, decode[i]);
          const float most = larger(larger(prefill, encode[i]), tail);
          const float flow = queue + most + (prefill + encode[i] + wire + decode[i] - most) * u;
          const float held = wait + tail + (wire + decode[i] - tail) * u;
          out[i] = (larger(flow, held) + rest) * factor * by_profile[i];
        }
      }
    }
  }
}

void price_all(const CandidateTable& t, std::vector<float>& price) {
  constexpr std::size_t kLanes = CandidateTable::kLanes;
  price.resize(t.size());
  const std::size_t nd = t.decodes.size();
  const float mixed = 1 - 1 / static_cast<float>(t.prefills.size());
  const float size_share = t.size_share;
  for (std::size_t p = 0; p < t.prefills.size(); ++p) {
    const float compute = t.prefill[p];
    for (std::size_t block = 0; block < t.stride; block += kLanes) {
      const float* encode = &t.encode[p * t.stride + block];
      const float* bytes = &t.wire_bytes[p * t.stride + block];
      float coded[kLanes];  // the encoder is the same whatever the decode node
      for (std::size_t i = 0; i < kLanes; ++i)
        coded[i] = delay_of_others(t.prefill_rate[p], 0, encode[i], compute, size_share);
      for (std::size_t d = 0; d < nd; ++d) {
        const std::size_t pair = p * nd + d;
        const float byte_s = t.byte_s[pair];
        const float link_rate = t.link_rate[pair];
        const float wait = t.wait[pair];
        const float decode_rate = t.decode_rate[d];
        const float* decode = &t.decode[d * t.stride + block];
        float* out = &price[pair * t.stride + block];
        for (std::size_t i = 0; i < kLanes; ++i)
          out[i] = delay_of_others(link_rate, wait, bytes[i] * byte_s, compute, size_share) + coded[i] +
                   delay_of_others_mixed(decode_rate, decode[i], compute, mixed, size_share);
      }
    }
  }
}

}  // namespace sluice::coordinator
