#pragma once
// Tokens on their way to the coordinators: one message per step and coordinator, whatever the batch.
// Threading: DecodeSink calls from any thread; what was gathered is posted to the control thread by flush().
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "common/metrics.h"
#include "decode_node/decode_loop.h"

namespace sluice::decode {

class TokenOut final : public DecodeSink {
 public:
  /// send runs on whatever thread calls flush(); it hands the message to the control thread.
  /// `leg` tells the coordinator; all that one message is of are of one coordinator.
  using Send = std::function<void(RequestId leg, const char* type, nlohmann::json body)>;
  TokenOut(Metrics& metrics, Send send);
  void on_token(RequestId id, std::uint32_t index, const engine::Sampled& s, bool stop) override;
  void on_finished(const control::Finished& f) override;
  void flush() override;

 private:
  static constexpr std::size_t kMostIdle = 16;  // coordinators whose buffers are kept
  Counter sampled_;
  Counters ended_;
  Send send_;
  std::mutex mutex_;
  std::map<control::LegSpace, control::Tokens> tokens_;  // by coordinator
  std::vector<control::Finished> finished_;
};

}  // namespace sluice::decode
