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
/// `mixed` share (walk) comes from other nodes and queues as in M/D/1.
inline float delay_of_others(float rate, float wait, float own, float compute, float size_share) {
  const float busy = rate * own;
  const float load = smaller(busy * size_share, kMostLoad);
  return busy * larger(wait + own - compute, 0) / (1 - load);
}

/// What the prices of all pairs share: by prefill node what it and its encoder cost, by decode node how busy its
/// decoder is.
void price_codecs(CandidateTable& t) {
  const float share = t.size_share;
  for (std::size_t p = 0; p < t.prefills.size(); ++p)
    for (std::size_t i = p * t.stride; i < (p + 1) * t.stride; ++i)
      t.encode_price[i] = delay_of_others(t.prefill_rate[p], 0, t.encode[i], t.prefill[p], share) + t.prefill_price[p];
  for (std::size_t d = 0; d < t.decodes.size(); ++d)
    for (std::size_t i = d * t.stride; i < (d + 1) * t.stride; ++i) {
      const float busy = t.decode_rate[d] * t.decode[i];
      const float load = smaller(busy * share, kMostLoad);
      const float inverse = 1 / (1 - load);
      t.decode_busy[i] = busy;
      t.decode_inverse[i] = inverse;
      t.decode_queue[i] = 0.5F * load * t.decode[i] * inverse;
    }
}

enum class Want { ttft, price, cost };

/// The way over all candidates. `ttft` and `out` as the functions below say; of what is not wanted they are null.
template <Want kWant>
[[gnu::always_inline]] inline std::size_t walk(const CandidateTable& t, float* __restrict ttft, float* __restrict out,
                                               float* __restrict least) {
  constexpr std::size_t kLanes = CandidateTable::kLanes;
  const std::size_t nd = t.decodes.size();
  const float size_share = t.size_share;
  const float scale = t.scale;
  const float mixed = 1 - 1 / static_cast<float>(t.prefills.size());
  std::size_t in_time = 0;
  for (std::size_t p = 0; p < t.prefills.size(); ++p) {
    const float queue = t.queue[p];
    const float compute = t.prefill[p];
    const float lead = t.head[p] * compute;
    const float tail_most = t.tail_most[p];
    const float tail_sum = t.tail_sum[p];
    const float u = t.unit[p];
    const float rest_of_most = 1 - u;
    const float encoder = t.encode_wait[p];
    for (std::size_t d = 0; d < nd; ++d) {
      const std::size_t pair = p * nd + d;
      const float byte_s = t.byte_s[pair];
      const float rtt = t.rtt[pair];
      const float wait = t.wait[pair];
      const float sharers = t.sharers[pair];
      const float factor = t.factor[pair];
      const float decoder = t.decode_wait[d];
      const float rest = t.fixed[pair] + t.first[d];
      const float link_rate = t.link_rate[pair];
      const float limit = kWant == Want::cost ? t.limit[pair] : 0;
      const float base = kWant == Want::cost ? t.base[d] : 0;
      float best[kLanes];
      std::int32_t ok_lanes[kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) {
        best[i] = CandidateTable::kNever;
        ok_lanes[i] = 0;
      }
      for (std::size_t block = 0; block < t.stride; block += kLanes) {
        const float* encode = &t.encode[p * t.stride + block];
        const float* encode_price = &t.encode_price[p * t.stride + block];
        const float* bytes = &t.wire_bytes[p * t.stride + block];
        const float* decode = &t.decode[d * t.stride + block];
        const float* decode_busy = &t.decode_busy[d * t.stride + block];
        const float* decode_inverse = &t.decode_inverse[d * t.stride + block];
        const float* decode_queue = &t.decode_queue[d * t.stride + block];
        const float* by_profile = &t.profile_factor[block];
        const std::size_t at = pair * t.stride + block;
        for (std::size_t i = 0; i < kLanes; ++i) {
          const float sent = bytes[i] * byte_s;
          float time = 0;
          if constexpr (kWant != Want::price) {
            const float wire = sent + rtt;
            const float last = larger(wire, decode[i]);
            const float most = larger(encode[i], last);
            const float both = wire + decode[i];
            const float sum = encode[i] + both;
            const float behind = compute + most * tail_most + sum * tail_sum;
            const float through = most * rest_of_most + sum * u;
            const float flow = queue + larger(behind, lead + through);
            const float held = smaller(wait, sharers * wire) + last * rest_of_most + both * u;
            const float coded = larger(encoder + through, decoder + decode[i]);
            time = (larger(larger(flow, held), coded) + rest) * factor * by_profile[i];
            ttft[at + i] = time;
          }
          if constexpr (kWant != Want::ttft) {
            const float beyond = larger(decode[i] - compute, 0) + mixed * larger(decode_queue[i] - compute, 0);
            const float price = delay_of_others(link_rate, wait, sent, compute, size_share) + encode_price[i] +
                                decode_busy[i] * beyond * decode_inverse[i];
            if constexpr (kWant == Want::price) {
              out[at + i] = price;
            } else {
              const bool ok = time <= limit;
              const float cost = ok ? (time + price) * scale + base : CandidateTable::kNever;
              out[at + i] = cost;
              best[i] = cost < best[i] ? cost : best[i];
              ok_lanes[i] += ok ? 1 : 0;
            }
          }
        }
      }
      if constexpr (kWant == Want::cost) {
        least[pair] = *std::ranges::min_element(best);
        for (const std::int32_t n : ok_lanes) in_time += static_cast<std::size_t>(n);
      }
    }
  }
  return in_time;
}

// The same arithmetic in wider registers where there are such; no operation is fused, so results are the same.
#if defined(__x86_64__)
template <Want kWant>
[[gnu::target("avx2")]] std::size_t walk_avx2(const CandidateTable& t, float* __restrict ttft, float* __restrict out,
                                              float* __restrict least) {
  return walk<kWant>(t, ttft, out, least);
}
bool has_avx2() {
  static const bool yes = __builtin_cpu_supports("avx2") != 0;
  return yes;
}
#else
template <Want kWant>
std::size_t walk_avx2(const CandidateTable& t, float* __restrict ttft, float* __restrict out, float* __restrict least) {
  return walk<kWant>(t, ttft, out, least);
}
bool has_avx2() { return false; }
#endif

template <Want kWant>
std::size_t walk_best(const CandidateTable& t, float* __restrict ttft, float* __restrict out, float* __restrict least) {
  return has_avx2() ? walk_avx2<kWant>(t, ttft, out, least) : walk<kWant>(t, ttft, out, least);
}

}  // namespace

void CandidateTable::shape() {
  const std::size_t np = prefills.size();
  const std::size_t nd = decodes.size();
  stride = (profiles.size() + kLanes - 1) / kLanes * kLanes;
  for (auto* v : {&queue, &prefill, &load, &encode_wait, &prefill_rate, &head, &tail_most, &tail_sum, &unit})
    v->resize(np);
  for (std::size_t p = 0; p < np; ++p) set_overlap(p, {});
  prefill_price.assign(np, 0);
  // Padding never wins: it takes for ever to encode.
  encode.assign(np * stride, kNever);
  for (auto* v : {&wire_bytes, &encode_var, &encode_price}) v->assign(np * stride, 0);
  for (auto* v : {&first, &tpot, &fill, &decode_wait, &decode_rate, &base}) v->resize(nd);
  for (auto* v : {&decode, &decode_var, &decode_busy, &decode_inverse, &decode_queue}) v->assign(nd * stride, 0);
  for (auto* v : {&byte_s, &byte_var, &log_bandwidth, &rtt, &wait, &sharers, &fixed, &factor, &link_rate, &limit})
    v->resize(np * nd);
  profile_factor.assign(stride, 1);
  kl.assign(stride, kNever);
  log_wire_mb.assign(stride, 0);
}

void CandidateTable::set_overlap(std::size_t row, const Overlap& o) {
  head[row] = static_cast<float>(o.head);
  tail_most[row] = static_cast<float>(o.tail * (1 - o.tail_unit));
  tail_sum[row] = static_cast<float>(o.tail * o.tail_unit);
  unit[row] = static_cast<float>(o.unit);
}

void predict_all(const CandidateTable& t, std::vector<float>& ttft) {
  ttft.resize(t.size());
  walk_best<Want::ttft>(t, ttft.data(), nullptr, nullptr);
}

void price_all(CandidateTable& t, std::vector<float>& price) {
  price.resize(t.size());
  price_codecs(t);
  walk_best<Want::price>(t, nullptr, price.data(), nullptr);
}

void cost_all(CandidateTable& t, CandidateCosts& out) {
  out.ttft.resize(t.size());
  out.cost.resize(t.size());
  out.least.resize(t.pairs());
  price_codecs(t);
  out.in_time = walk_best<Want::cost>(t, out.ttft.data(), out.cost.data(), out.least.data());
}

}  // namespace sluice::coordinator
