#pragma once
// Both ends of KV flow on one transport: who connects here sends, and whom we connect to is sent to.
// Threading: as TransportHandler, whose calls come one at a time. Both ends outlive the transport.
#include <unordered_set>

#include "kvtransfer/flow/kv_receiver.h"
#include "kvtransfer/flow/kv_sender.h"

namespace sluice::kv {

class TwoWay final : public TransportHandler {
 public:
  TwoWay(KvReceiver& in, KvSender& out) : in_(in), out_(out) {}

  void on_connected(ConnId conn, bool inbound) override {
    if (inbound) inbound_.insert(conn);
    of(conn).on_connected(conn, inbound);
  }
  std::span<std::byte> on_payload(ConnId conn, MessageId id, std::span<const std::byte> header,
                                  std::size_t payload_bytes) override {
    return of(conn).on_payload(conn, id, header, payload_bytes);
  }
  void on_message(ConnId conn, MessageId id, std::span<const std::byte> header, std::span<std::byte> payload) override {
    of(conn).on_message(conn, id, header, payload);
  }
  void on_closed(ConnId conn, const Error& why) override {
    of(conn).on_closed(conn, why);
    inbound_.erase(conn);
  }

 private:
  [[nodiscard]] TransportHandler& of(ConnId conn) {
    if (inbound_.contains(conn)) return in_;
    return out_;
  }

  KvReceiver& in_;
  KvSender& out_;
  std::unordered_set<ConnId> inbound_;  // progress thread only
};

}  // namespace sluice::kv
