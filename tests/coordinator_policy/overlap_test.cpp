#include "coordinator/policy/overlap.h"

#include <catch2/catch.hpp>

#include "coordinator/policy/candidates.h"

using namespace sluice::coordinator;

namespace {

constexpr Overlap kLayers{.head = 0.1, .tail = 0.1, .unit = 0.1, .tail_unit = 1};  // ten layers, each on its own

/// A node with the daemon's defaults.
PrefillView node(std::uint32_t pass = 2048, std::uint32_t chunk = 512, std::uint32_t frame_kib = 1024) {
  PrefillView p;
  p.pass_tokens = pass;
  p.chunk_tokens = chunk;
  p.frame_kib = frame_kib;
  return p;
}

}  // namespace

TEST_CASE("a pipeline costs its bottleneck, plus one unit of the rest") {
  StageTimes t;
  t.prefill_s = 1.0;
  t.wire_s = 0.5;
  t.encode_s = 0.25;
  CHECK(pipeline_ttft(t, {}) == Approx(1.75));  // nothing overlaps
  CHECK(pipeline_ttft(t, kLayers) == Approx(1.0 + 0.75 / 10));
  t.wire_s = 4.0;
  CHECK(pipeline_ttft(t, kLayers) == Approx(4.0 + 1.25 / 10));  // the wire is the bottleneck now
  t.queue_s = 2.0;
  t.first_s = 0.01;
  t.fixed_s = 0.003;
  CHECK(pipeline_ttft(t, kLayers) == Approx(2.0 + 4.0 + 1.25 / 10 + 0.013));
  t.link_wait_s = 10;  // earlier requests hold the link longer than the queue lasts
  CHECK(pipeline_ttft(t, kLayers) == Approx(10 + 4.0 + 0.013));
}

TEST_CASE("a node that does not state its settings sends layer by layer") {
  const Overlap o = overlap_of({}, 10, 4096, 3000, 1);
  CHECK(first_pass_tokens({}, 3000) == 3000);
  CHECK(o.head == Approx(0.1));
  CHECK(o.tail == Approx(0.1));
  CHECK(o.unit == Approx(0.1));
  CHECK(o.tail_unit == 1);
}

TEST_CASE("of a small model all KV leaves when the pass is through") {
  // 2 KiB of KV a token, 512 tokens to a frame of 1 MiB: on a link of 1 Gb/s the model took 10 ms of wire to hide
  // behind 26 ms of computation, which they follow, and chose profiles of twice the bytes.
  const Overlap one = overlap_of(node(), 6, 2048, 1000, 1);
  CHECK(one.head == 1);
  CHECK(one.tail == 1);
  CHECK(one.unit == Approx(1.0 / 2));  // two chunks, a frame each
  CHECK(one.tail_unit == Approx(1.0 / 2));
  // 3000 tokens at 50 Mb/s: a pass of 2048 and one of 952. Measured 277 ms, and the layers' pipeline said 300.
  CHECK(first_pass_tokens(node(), 2999) == 2048);
  const Overlap two = overlap_of(node(), 6, 2048, 2999, 0.6);
  CHECK(two.head == Approx(0.6));
  CHECK(two.tail == Approx(951.0 / 2999));
  CHECK(two.unit == Approx(1.0 / 6));
  CHECK(two.tail_unit == Approx(1.0 / 2));
  StageTimes t;
  t.prefill_s = 0.134;
  t.wire_s = 0.190;
  CHECK(pipeline_ttft(t, two) == Approx(0.6 * 0.134 + 0.190));
}

TEST_CASE("a large model's KV leaves after every layer") {
  // 128 KiB a token in 32 layers: a layer of 512 tokens is 2 MiB, two frames.
  const Overlap o = overlap_of(node(), 32, 131072, 2048, 1);
  CHECK(o.head == Approx(1.0 / 32));
  CHECK(o.tail == Approx(1.0 / 32));
  CHECK(o.unit == Approx(1.0 / (4 * 32 * 2)));
  CHECK(o.tail_unit == Approx(1.0 / 8));
  // A short prompt's layers are small: ten of 25 tokens to a frame of 1 MiB, so four waves, the last of two layers.
  const Overlap small = overlap_of(node(), 32, 131072, 25, 1);
  CHECK(small.head == Approx(10.0 / 32));
  CHECK(small.tail == Approx(2.0 / 32));
  CHECK(small.unit == Approx(1.0 / 4));
  CHECK(small.tail_unit == 1);
}

TEST_CASE("passes are of whole chunks, and a chunk is no longer than its pass") {
  CHECK(first_pass_tokens(node(1000, 512), 3000) == 512);
  CHECK(first_pass_tokens(node(256, 512), 3000) == 256);
  CHECK(overlap_of(node(1000, 512), 6, 2048, 1024, 0.5).tail == Approx(0.5));
  CHECK(overlap_of(node(), 6, 2048, 0, 1).head == 1);  // no KV at all
}

TEST_CASE("the table of candidates says the same of overlap") {
  CandidateTable t;
  t.prefills = t.decodes = {0};
  t.profiles = {0};
  t.shape();
  StageTimes s{.queue_s = 0.01, .prefill_s = 0.1, .encode_s = 0.02, .wire_s = 0.2, .decode_s = 0.03};
  t.queue[0] = 0.01F;
  t.encode[0] = 0.02F;
  t.wire_bytes[0] = 0.2e9F;
  t.byte_s[0] = 1e-9F;
  t.decode[0] = 0.03F;
  t.rtt[0] = t.wait[0] = t.fixed[0] = t.first[0] = 0;
  t.sharers[0] = 1;
  t.factor[0] = 1;
  std::vector<float> ttft;
  for (const double compute : {0.01, 0.1, 0.19, 0.4})
    for (const double tokens : {100, 1000, 2500, 9000}) {
      const Overlap o = overlap_of(node(), 6, 2048, tokens, 0.4);
      t.prefill[0] = static_cast<float>(s.prefill_s = compute);
      t.set_overlap(0, o);
      predict_all(t, ttft);
      CHECK(ttft[0] == Approx(pipeline_ttft(s, o)));
    }
}
