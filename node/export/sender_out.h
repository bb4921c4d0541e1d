#pragma once
// KvSender as the export wants it. Threading: any thread.
#include "kvtransfer/flow/kv_sender.h"
#include "node/export/frame_out.h"

namespace sluice::node {

class SenderOut final : public FrameOut {
 public:
  explicit SenderOut(kv::KvSender& sender) : sender_(sender) {}
  void send(const std::string& address, RequestId tag, std::span<const std::byte> header, kv::Buffer payload,
            Done done) override {
    sender_.send_frame(address, tag.value(), header, std::move(payload), std::move(done));
  }
  void cancel(const std::string& address, RequestId tag) override { sender_.cancel(address, tag.value()); }
  [[nodiscard]] LinkNow link(const std::string& address) const override {
    const kv::LinkStats s = sender_.stats(address);
    return {s.now_bytes_per_s, static_cast<double>(s.bytes_in_flight + s.queue_bytes)};
  }

 private:
  kv::KvSender& sender_;
};

}  // namespace sluice::node
