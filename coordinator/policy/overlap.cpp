#include "coordinator/policy/overlap.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

bool stated(const PrefillView& p) { return p.pass_tokens > 0 && p.chunk_tokens > 0 && p.frame_kib > 0; }

double chunk_tokens(const PrefillView& p) { return std::min(p.chunk_tokens, p.pass_tokens); }

/// Rows of one prompt in one pass: whole chunks.
double pass_tokens(const PrefillView& p) {
  const double chunk = chunk_tokens(p);
  return std::floor(p.pass_tokens / chunk) * chunk;
}

/// How the frames of one chunk fill.
struct Waves {
  double layers = 1;  // in a frame
  double count = 1;   // one after another
  double frames = 1;  // in each
};

Waves waves_of(double chunk, double frame_bytes, double layers, double bytes_per_token) {
  const double layer_bytes = std::max(1.0, chunk * bytes_per_token / layers);
  if (layer_bytes > frame_bytes) return {1, layers, std::ceil(layer_bytes / frame_bytes)};
  const double gathered = std::min(layers, std::floor(frame_bytes / layer_bytes));
  return {gathered, std::ceil(layers / gathered), 1};
}

/// Of KV that is all computed.
Overlap overlap_cold(const PrefillView& p, std::uint32_t layers, std::uint64_t kv_bytes_per_token, double tokens,
                     double first_share) {
  const double all = std::max(layers, 1U);
  if (!stated(p)) return {.head = 1 / all, .tail = 1 / all, .unit = 1 / all, .tail_unit = 1};
  if (tokens < 1) return {};
  const double per_pass = pass_tokens(p);
  const double passes = std::ceil(tokens / per_pass);
  const double last = tokens - (passes - 1) * per_pass;
  const double chunk = chunk_tokens(p);
  const auto waves = [&](double pass) {
    return waves_of(std::min(pass, chunk), p.frame_kib * 1024.0, all, static_cast<double>(kv_bytes_per_token));
  };
  const Waves first_waves = waves(std::min(tokens, per_pass));
  const Waves last_waves = waves(last);
  const double last_wave_frames = std::ceil(last / chunk) * last_waves.frames;
  const double frames =
      (passes - 1) * per_pass / chunk * first_waves.count * first_waves.frames + last_waves.count * last_wave_frames;
  const double last_layers = all - (last_waves.count - 1) * last_waves.layers;
  return {.head = first_share * first_waves.layers / all,
          .tail = last / tokens * last_layers / all,
          .unit = 1 / frames,
          .tail_unit = 1 / last_wave_frames};
}

}  // namespace

double first_pass_tokens(const PrefillView& p, double tokens) {
  return stated(p) ? std::min(tokens, pass_tokens(p)) : tokens;
}

Overlap overlap_of(const PrefillView& p, std::uint32_t layers, std::uint64_t kv_bytes_per_token, double tokens,
                   double first_share, double had) {
  Overlap o = overlap_cold(p, layers, kv_bytes_per_token, tokens, first_share);
  if (had <= 0) return o;
  o.head = 0;
  o.tail *= tokens / (had + tokens);
  o.unit = overlap_cold(p, layers, kv_bytes_per_token, had + tokens, 1).unit;
  return o;
}

double pipeline_ttft(const StageTimes& t, const Overlap& o) {
  const double sum = t.encode_s + t.wire_s + t.decode_s;
  const double most = std::max({t.encode_s, t.wire_s, t.decode_s});
  const double behind = t.prefill_s + o.tail * (most + (sum - most) * o.tail_unit);
  const double beside = o.head * t.prefill_s + most + (sum - most) * o.unit;
  const double flow = t.queue_s + std::max(behind, beside);
  const double last = std::max(t.wire_s, t.decode_s);
  const double held = t.link_wait_s + last + (t.wire_s + t.decode_s - last) * o.unit;
  const double coded = t.encode_wait_s + most + (sum - most) * o.unit;
  const double uncoded = t.decode_wait_s + t.decode_s;
  return t.fixed_s + std::max({flow, held, coded, uncoded}) + t.first_s + t.local_queue_s + t.local_s;
}

}  // namespace sluice::coordinator
