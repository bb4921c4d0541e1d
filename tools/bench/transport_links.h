#pragma once
// The two things the transport suite drives: a bare transport connection, and KvSender to KvReceiver under credit.
// Each has a receiving half that runs in a child process and a sending half that runs here.
#include <memory>
#include <string>

#include "common/result.h"
#include "tools/bench/transport_process.h"

namespace sluice::bench {

/// The receiving half: prints its address, receives until stdin ends. kind: "raw" or "flow".
[[nodiscard]] int run_peer(const std::string& kind, const std::string& tls);

/// What the payloads' memory was before it is sent. Memory that was mapped and never written is one page of zeros, read
/// from the cache however large the payload: ucx_perftest sends that over TCP.
enum class Source { written, unwritten };

/// The sending half.
class Link {
 public:
  virtual ~Link() = default;
  /// Sends `count` payloads of `bytes`, several at a time, and returns the seconds until the receiver had them all.
  [[nodiscard]] virtual Result<double> move(std::size_t bytes, std::size_t count, Source source) = 0;
  /// CPU time of the receiving process so far.
  [[nodiscard]] virtual double peer_cpu_seconds() const = 0;
  /// What carries the bytes.
  [[nodiscard]] virtual std::string describe() const = 0;
};
[[nodiscard]] Result<std::unique_ptr<Link>> open_link(const std::string& kind, const std::string& tls);

}  // namespace sluice::bench
