#pragma once
// The front suite's reference: a process that carries the same bytes over the same hops as a coordinator, and does
// nothing else. A request goes to a decode node and comes back, to its prefill node and back; each token is written to
// its client. Plain Asio callbacks on one thread, one read of a node's message and one write of a client's chunk each.
//
// Frame between relay and node: u32 little-endian bytes that follow, u8 what, u32 count, count x u32 client, padding.
// Threading: run_relay() blocks its thread until stdin ends. Failure: an exit code.
#include <cstdint>
#include <string>
#include <vector>

#include "tools/bench/front_nodes.h"

namespace sluice::bench {

/// What a frame is about: a reserve, a prompt, tokens, an end.
enum class RelayWhat : std::uint8_t { reserve, prefill, tokens, end };

struct RelayFrame {
  RelayWhat what = RelayWhat::tokens;
  std::vector<std::uint32_t> clients;
};

inline constexpr std::size_t kRelayFrameHead = 9;

/// At least `bytes` long.
[[nodiscard]] std::string write_frame(const RelayFrame& frame, std::size_t bytes);
/// Of what follows the length.
[[nodiscard]] RelayFrame read_frame(const std::string& body);
[[nodiscard]] std::uint32_t frame_length(const char* head);

struct RelaySizes {
  std::size_t request = 0, reserve = 0, prefill = 0, event = 0;
  [[nodiscard]] std::vector<std::string> arguments() const;
};

[[nodiscard]] Result<> run_relay(const std::vector<std::string>& arguments);

}  // namespace sluice::bench
