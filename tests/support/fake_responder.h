#pragma once
// A Responder that keeps what it is told; the test plays the client that goes away. One thread's.
#include <functional>
#include <optional>
#include <utility>

#include "coordinator/http/types.h"

namespace sluice::test {

class FakeResponder final : public coordinator::Responder {
 public:
  void respond(coordinator::HttpResponse response) override {
    if (closed()) return;
    answer = std::move(response);
    gone_ = nullptr;
  }
  std::shared_ptr<coordinator::StreamWriter> begin_stream(int, coordinator::HttpHeaders) override { return nullptr; }
  void on_disconnect(std::function<void(coordinator::Disconnect)> gone) override {
    if (left_) return gone(coordinator::Disconnect::client_closed);
    gone_ = std::move(gone);
  }
  [[nodiscard]] bool closed() const override { return left_ || answer.has_value(); }

  void leave() {
    left_ = true;
    if (auto gone = std::exchange(gone_, nullptr)) gone(coordinator::Disconnect::client_closed);
  }
  std::optional<coordinator::HttpResponse> answer;

 private:
  bool left_ = false;
  std::function<void(coordinator::Disconnect)> gone_;
};

}  // namespace sluice::test
