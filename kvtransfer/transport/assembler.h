#pragma once
// Puts one connection's chunks together into messages, in memory the handler owns. Pure logic: no threads, no network.
//
// A message travels as one `first` chunk (message header, total payload size, leading payload bytes) and as many `more`
// chunks as the payload needs. Chunks of a connection come in order; anything else breaks the protocol.
// Failure: a returned error is a protocol violation of the peer; the caller disconnects it. Every bound is checked
// before the handler is asked for memory.
#include <array>
#include <cstdint>
#include <span>

#include "kvtransfer/transport/transport.h"

namespace sluice::kv {

class Assembler {
 public:
  Assembler(ConnId conn, TransportHandler& handler) : conn_(conn), handler_(handler) {}

  [[nodiscard]] Result<> first(MessageId id, std::span<const std::byte> header, std::uint64_t total,
                               std::span<const std::byte> bytes);
  [[nodiscard]] Result<> more(std::uint64_t offset, std::span<const std::byte> bytes);

 private:
  [[nodiscard]] Result<> take(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> header() const { return {header_.data(), header_bytes_}; }

  ConnId conn_;
  TransportHandler& handler_;
  bool open_ = false;  // inside a message
  MessageId id_ = 0;
  std::array<std::byte, kMaxMessageHeader> header_{};
  std::size_t header_bytes_ = 0;
  std::size_t total_ = 0, received_ = 0;  // payload bytes
  std::span<std::byte> target_;           // empty: refused, or an empty payload
};

}  // namespace sluice::kv
