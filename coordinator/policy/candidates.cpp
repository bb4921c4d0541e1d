#include "coordinator/policy/candidates.h"

#include <algorithm>

namespace sluice::coordinator {
namespace {

inline float larger(float a, float b) { return a < b ? b : a; }

}  // namespace

void CandidateTable::shape() {
  const std::size_t np = prefills.size();
  const std::size_t nd = decodes.size();
  stride = (profiles.size() + kLanes - 1) / kLanes * kLanes;
  for (auto* v : {&queue, &prefill, &load}) v->resize(np);
  // Padding never wins: it takes for ever to encode.
  encode.assign(np * stride, kNever);
  for (auto* v : {&wire_bytes, &encode_var}) v->assign(np * stride, 0);
  for (auto* v : {&first, &tpot, &fill}) v->resize(nd);
  for (auto* v : {&decode, &decode_var}) v->assign(nd * stride, 0);
  for (auto* v : {&byte_s, &byte_var, &log_bandwidth, &rtt, &wait, &fixed, &factor}) v->resize(np * nd);
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

}  // namespace sluice::coordinator
