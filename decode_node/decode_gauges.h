#pragma once
// What a decode node shows of its present state, written before each exposition. Threading: one thread at a time.
#include <vector>

#include "common/metrics.h"
#include "decode_node/automata.h"
#include "decode_node/decode_loop.h"
#include "kvtransfer/flow/kv_receiver.h"
#include "node/node_figures.h"

namespace sluice::decode {

class DecodeGauges {
 public:
  explicit DecodeGauges(Metrics& m);
  void set(const DecodeFigures& f, const Automata::Figures& g, const kv::KvReceiver::Figures& k) const;

 private:
  node::BlockGauges blocks_;
  Gauge legs_, awaiting_kv_, step_s_, step_batch_, staged_, mapped_, connections_, grammars_waiting_, grammars_,
      grammar_bytes_;
  Gauge parked_, parked_blocks_, swap_used_, swap_limit_;
  Counter steps_, violations_, parked_seconds_;
  std::vector<Counter> preemptions_;  // by WayBack
};

}  // namespace sluice::decode
