#pragma once
// A coordinator's control port that accepts or refuses registrations and remembers what it was told.
// Threading: lives on the given io_context's thread.
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "common/control/messages.h"
#include "common/control/rpc.h"
#include "common/net/listener.h"

namespace sluice::test {

class FakeCoordinator {
 public:
  FakeCoordinator(boost::asio::io_context& io, const std::string& address)
      : io_(io), listener_(io, address, [this](boost::asio::ip::tcp::socket s) { take(std::move(s)); }) {}
  ~FakeCoordinator() {
    drop();
    listener_.stop();
    io_.run_for(std::chrono::milliseconds(100));
  }
  FakeCoordinator(const FakeCoordinator&) = delete;

  [[nodiscard]] std::string address() const { return listener_.address(); }
  /// The newest connection; registered > 0.
  [[nodiscard]] control::Connection& node() { return *conns_.back(); }
  void drop() {
    for (auto& c : conns_) c->close(Error{Errc::cancelled, "gone", {}});
    conns_.clear();
  }
  /// Runs the io_context until pred holds; false when it does not within 10 s.
  template <class Pred>
  [[nodiscard]] bool until(Pred pred) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!pred() && std::chrono::steady_clock::now() < end) io_.run_one_for(std::chrono::milliseconds(20));
    return pred();
  }

  int registered = 0, beats = 0;
  std::optional<control::RegisterRequest> introduced;
  std::optional<control::Heartbeat> last_beat;
  std::vector<std::pair<std::string, nlohmann::json>> told;  // notifications but heartbeats
  std::optional<Error> refusal;
  bool echoes = false;  // says that it answers heartbeats
  bool silent = false;  // and does not
  control::LegSpace leg_space;

 private:
  void take(boost::asio::ip::tcp::socket s) {
    control::Connection::Handlers h;
    h.on_call = [this](const std::string& t, const nlohmann::json& b, const control::Connection::Reply& r) {
      if (t != control::type::kRegister) return r(fail(Errc::unsupported, "?"));
      ++registered;
      if (auto me = control::parse<control::RegisterRequest>(b)) introduced = *me;
      if (refusal) return r(std::unexpected(*refusal));
      r(to_json(control::RegisterReply{1, 20, 200, echoes, leg_space}));
    };
    h.on_notify = [this](const std::string& t, const nlohmann::json& b) {
      if (t != control::type::kHeartbeat) return told.emplace_back(t, b), void();
      ++beats;
      if (echoes && !silent) conns_.back()->notify(control::type::kHeartbeat, nlohmann::json::object());
      if (auto beat = control::parse<control::Heartbeat>(b)) last_beat = *beat;
    };
    h.on_close = [](const Error&) {};
    conns_.push_back(std::make_shared<control::Connection>(std::move(s), std::move(h)));
    conns_.back()->start();
  }

  boost::asio::io_context& io_;
  std::vector<std::shared_ptr<control::Connection>> conns_;
  net::Listener listener_;
};

}  // namespace sluice::test
