#pragma once
// What a request leaves behind: a count by method, route, status and code, and a log line. Refused ones (400 and above)
// are logged at level info, the others at debug; a flood of refusals is summed up by the second (RefusalRate).
// Threading: the server's thread. Lifetime: outlives the server that calls it; the io_context and metrics outlive it.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/metrics.h"
#include "coordinator/http/refusal_rate.h"
#include "coordinator/http/server.h"

namespace sluice::coordinator {

class HttpObserver {
 public:
  HttpObserver(boost::asio::io_context& io, Metrics& metrics);
  void operator()(const HttpExchange& x);

 private:
  void count(const HttpExchange& x);
  void log_refused(const HttpExchange& x);
  void arm();

  const Counters requests_;
  RefusalRate rate_;
  boost::asio::steady_timer timer_;
  bool armed_ = false;
};

}  // namespace sluice::coordinator
