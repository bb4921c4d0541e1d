#pragma once
// One prefill and one decode daemon, and who tells them what to do in a coordinator's place. It takes on more than the
// decode node has room for, which a coordinator with an account of it would not.
//
// Threading: one thread. Failure: exceptions where the daemons do not start or say what they must not.
#include <boost/asio/io_context.hpp>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tests/support/cluster.h"
#include "tests/support/fake_coordinator.h"
#include "tests/support/temp_dir.h"

namespace sluice::test {

struct HandAnswer {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  std::string reason, error;
  std::uint32_t swapped = 0, recomputed = 0, returned = 0;
};

struct HandRequest {
  std::vector<TokenId> prompt;
  std::uint32_t max_new_tokens = 0;
  control::SamplingSpec sampling;
  std::string profile;
  std::int32_t priority = 0;
};

class HandCoordinator {
 public:
  explicit HandCoordinator(const std::vector<std::string>& decode_flags);

  /// All of them, at most `at_once` on the nodes; who finds no room waits, who is given back is resumed.
  [[nodiscard]] std::vector<HandAnswer> serve(const std::vector<HandRequest>& requests, std::size_t at_once);
  /// What the decode node says of itself.
  [[nodiscard]] const control::Heartbeat& beat() const { return *decode_.last_beat; }
  [[nodiscard]] bool idle();

 private:
  struct Leg {
    HandRequest asked;
    HandAnswer got;
    std::uint32_t attempt = 0;
    bool placed = false, over = false;
  };
  void start(RequestId id);
  void prefill(RequestId id, const control::ReserveReply& r);
  void hear();
  void on_finished(const control::Finished& f);
  void wait_for_place(RequestId id);

  TempDir dir_;
  boost::asio::io_context io_;
  FakeCoordinator prefill_{io_, "127.0.0.1:0"}, decode_{io_, "127.0.0.1:0"};
  std::unique_ptr<Process> p0_, d0_;
  std::map<RequestId, Leg> legs_;
  std::map<std::pair<std::int32_t, RequestId>, std::chrono::steady_clock::time_point> waiting_;  // not before
  std::size_t placed_ = 0, over_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace sluice::test
