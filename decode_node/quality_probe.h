#pragma once
// Compares what received KV makes the model say with what exact KV would have: the decode node's end of a quality
// probe.
//
// A probe's life: expect (with the ticket) -> own logits, after the first step -> reference, a sealed note of the
// prefill node -> result; the two in either order. It ends without a result when the request is dropped, when the
// ticket runs out, or when the reference is not there kPatience after the own logits. The result is KL(reference ||
// own) of the next-token distribution over the reference's head and one bucket for the rest
// (node/quality/divergence.h): a lower bound of the whole KL. It is taken of the model's own logits, before penalties
// and temperature. Memory: at most kMostOpen probes, each with one copy of the logits. Threading: any thread; one
// mutex.
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.h"
#include "common/control/messages.h"
#include "common/metrics.h"
#include "kvtransfer/wire/reference.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::decode {

class QualityProbe {
 public:
  static constexpr std::size_t kMostOpen = 32;
  static constexpr std::chrono::seconds kPatience{30};
  /// Called without the mutex, from the thread that brought the second half.
  using OnResult = std::function<void(const control::ProbeResult&)>;

  QualityProbe(const Clock& clock, Metrics& metrics, OnResult on_result);

  /// False when too many are open: the request runs without a probe.
  bool expect(const kv::Ticket& ticket);
  void on_own(RequestId request, std::span<const float> logits);
  /// A note of a prefill node. What no open probe's bearer can have sent is dropped and counted.
  void on_note(std::span<const std::byte> note);
  void drop(RequestId request);
  /// Those of one coordinator's legs.
  void drop_all(control::LegSpace of);
  /// Ends the probes whose time is over; call now and then.
  void expire();
  [[nodiscard]] std::size_t open() const;

 private:
  struct Open {
    kv::Ticket ticket;
    TimePoint deadline{};
    std::vector<float> own;  // [vocab]; empty until the first step
    std::optional<kv::HeadDistribution> reference;
  };
  using OpenMap = std::map<RequestId, Open>;
  [[nodiscard]] Result<> take_note(std::span<const std::byte> note, std::optional<Open>& complete);
  void finish(const Open& o);
  void count(std::string_view outcome);

  const Clock& clock_;
  Counters ended_;
  OnResult on_result_;
  mutable std::mutex mutex_;
  OpenMap open_;
};

}  // namespace sluice::decode
