#pragma once
// Puts the load on: starts conversations when they are due, keeps the bound of how many run at once, and gathers what
// came back. One thread (the caller's) with asynchronous requests, so a thousand streams cost a thousand sockets and no
// more; what it costs in CPU time is measured, since a client at its limit measures itself.
// Threading: run() blocks. Failure: unavailable when the server's name does not resolve; a request's failure is in its
// result.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/http/async_client.h"
#include "coordinator/ctl/load/answer.h"
#include "coordinator/ctl/load/arrival.h"
#include "coordinator/ctl/load/dataset.h"
#include "coordinator/ctl/load/progress.h"
#include "coordinator/ctl/load/server.h"

namespace sluice::ctl::load {

struct RunPlan {
  std::size_t first = 0;               // conversation of the dataset to begin with
  std::size_t conversations = 0;       // at least 1
  std::size_t concurrency = 1;         // conversations at once at most
  std::optional<Arrivals> arrivals{};  // an open loop; else the next one begins when one ends
  bool recorded_times = false;         // an open loop with the dataset's times
};

struct RunOutcome {
  std::vector<RequestResult> results;
  double duration_s = 0;
  double latest_start_ms = 0;
  double cpu_s = 0;
};

class Runner {
 public:
  struct Setting {
    const Server& server;
    const Dataset& dataset;
    BodyRules rules;
    double think_time_s = 0;
    std::chrono::milliseconds timeout{600000};
  };
  explicit Runner(Setting setting);

  /// Before the first run().
  [[nodiscard]] Result<> resolve() { return client_.resolve(); }
  /// Until every conversation has ended. `progress` hears of it meanwhile.
  [[nodiscard]] RunOutcome run(const RunPlan& plan, Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;
  /// A conversation under way.
  struct Live {
    std::size_t index = 0;
    std::size_t turn = 0;
    Turn now;
    std::vector<Said> said;
    Clock::time_point due;  // of the turn
  };
  struct Call;

  void await_arrivals();
  void arrive(Clock::time_point due);
  void begin(std::size_t index, Clock::time_point due);
  void ask(std::shared_ptr<Live> live);
  void answered(const std::shared_ptr<Live>& live, Call& call, Result<http::ClientResponse> r);
  void next_turn(std::shared_ptr<Live> live);
  void ended();
  void tell();
  [[nodiscard]] bool open_loop() const { return plan_.arrivals || plan_.recorded_times; }
  [[nodiscard]] Clock::time_point due_of(std::size_t n);

  Setting set_;
  std::string target_;
  boost::asio::io_context io_;
  http::AsyncClient client_;
  boost::asio::steady_timer arrival_, telling_;

  // Of the run.
  RunPlan plan_;
  Progress* progress_ = nullptr;
  RunOutcome out_;
  Clock::time_point start_;
  std::size_t arrived_ = 0;  // conversations that are or were due
  std::size_t over_ = 0;     // ended
  std::size_t running_ = 0;
  std::deque<std::pair<std::size_t, Clock::time_point>> waiting_;  // due, and the bound is reached
  RunState state_;
};

}  // namespace sluice::ctl::load
