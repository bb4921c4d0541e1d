#pragma once
// A leg of the decode loop, for the files of that class alone. Guarded by the core's mutex, but for what the loop's
// engine thread alone reads and writes.
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "decode_node/decode_loop.h"

namespace sluice::decode {

struct DecodeLoop::Leg {
  RequestId id;
  std::uint32_t attempt = 0;
  engine::Sampler sampler;
  TimePoint ready{}, first_pass{};  // the latter of those with prompt_tokens
  double first_step_s = 0;
  std::uint32_t prompt_tokens = 0;  // that are computed here, but for the last alone
  bool ended = false;               // under the mutex
  bool awaits_kv = false, awaits_constraint = false, awaits_tokens = false;
  std::function<void(std::span<const float>)> on_first_logits;
  std::function<void(const LegTimes&)> on_end;
  TimePoint admitted{};
  KvArrival kv;
  std::uint32_t replayed = 0;  // output tokens it came with

  // One that comes from another node, until its tokens are here, and for what binds it afterwards.
  std::uint32_t known = 0, missing = 0;
  std::vector<TokenId> brought;

  // One that is parked, and what it has been through.
  bool exact = false;  // its KV can be computed here once more, with the same bits
  ImagePtr image;      // null while it is parked: it is computed once more
  TimePoint parked{};
  std::uint32_t swapped = 0, recomputed = 0;
  double parked_s = 0;

  // One that leaves.
  std::optional<LeaveOrder> leaving;
  std::uint32_t told = 0;  // positions of the last report
  bool halted = false;

  [[nodiscard]] std::uint32_t prompt_tokens_left() const { return first_step_s == 0 ? prompt_tokens : 0; }
  /// Of what is computed of the prompt here: until its first pass, and from then to the first token.
  [[nodiscard]] double queued_s() const { return first_pass == TimePoint{} ? 0 : seconds(first_pass - ready); }
  [[nodiscard]] double prompt_s() const {
    return first_step_s > 0 && prompt_tokens > 0 ? first_step_s - queued_s() : 0;
  }
};

}  // namespace sluice::decode
