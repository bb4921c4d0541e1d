#pragma once
// What the front suite does to a front, whatever front that is: steady streams, or short requests one after another.
// Threading: runs the io_context on the calling thread until it is over. Failure: an Error, when a client is cut or
// nothing comes for a while.
#include <boost/asio/io_context.hpp>

#include "tools/bench/front_clients.h"
#include "tools/bench/front_nodes.h"
#include "tools/bench/front_process.h"

namespace sluice::bench {

/// A front and all who talk to it.
struct FrontUnderLoad {
  boost::asio::io_context& io;
  const FrontProcess& process;
  FrontNodes& nodes;
  FrontClients& clients;
};

inline constexpr std::size_t kMostStreamed = 4000;  // tokens of a stream; the bundled model's context is 4096
inline constexpr std::size_t kShortAnswer = 16;     // that a short request allows
inline constexpr std::size_t kEventBytes = 240;     // about those of a token

struct StreamLoad {
  std::size_t streams = 1, nodes = 1;
  double tokens_per_s = 1000;  // of all streams
  double seconds = 4;          // measured, after a quarter of it to warm up
};

struct StreamFigures {
  double cpu_us = 0, main_us = 0;             // per token: all of the process; its main thread
  double relay_p50_us = 0, relay_p99_us = 0;  // from a node's write to the client's read
  double event_bytes = 0;                     // per token, as clients read it
  double tokens_per_s = 0;                    // that came about
};
[[nodiscard]] Result<StreamFigures> load_streams(const FrontUnderLoad& front, const StreamLoad& load);

struct RequestFigures {
  double cpu_us = 0, main_us = 0;           // per request
  double ttft_p50_us = 0, ttft_p99_us = 0;  // nodes take no time
  double requests_per_s = 0;
};
/// Streamed chats of one token, `at_once` clients, each asking again as soon as it is answered.
[[nodiscard]] Result<RequestFigures> load_requests(const FrontUnderLoad& front, std::size_t at_once, double seconds);

}  // namespace sluice::bench
