#pragma once
// /livez and /readyz of the coordinator. Live: its deciding thread answers, and no more is asked. Ready: it takes
// requests and can serve them: it does not drain, a prefill and a decode node are usable, and the threads that read
// requests go on. Threading: the io_context's thread. Lifetime: `health` and `prompts` outlive it, and it outlives the
// server.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "common/clock.h"
#include "common/stall_watch.h"
#include "coordinator/api/backend.h"
#include "coordinator/api/prompt_pool.h"
#include "coordinator/http/routes.h"

namespace sluice::coordinator {

class ProbePages {
 public:
  ProbePages(boost::asio::io_context& io, const Clock& clock, std::function<Health()> health, const PromptPool& prompts,
             Duration wedge);
  void add_routes(HttpRoutes& routes);

 private:
  void look();
  void ready(Responder& out) const;

  const Clock& clock_;
  std::function<Health()> health_;
  const PromptPool& prompts_;
  Duration wedge_;
  StallWatch readers_;
  boost::asio::steady_timer timer_;
};

}  // namespace sluice::coordinator
