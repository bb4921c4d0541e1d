#include "coordinator/front_threads.h"

#include "coordinator/http/relay.h"

namespace sluice::coordinator {
namespace {

/// How often fronts learn what the nodes can hold.
constexpr std::chrono::milliseconds kRefresh{100};

}  // namespace

FrontThreads::FrontThreads(Ios& ios, boost::asio::io_context& deciding, Backend& real, const FrontUses& uses)
    : deciding_(deciding) {
  for (auto& io : ios) threads_.push_back(std::make_unique<Thread>(io, deciding, real, uses));
  if (threads_.empty()) return;
  refresh_.emplace(deciding, kRefresh, [this] {
    for (const auto& t : threads_) t->backend.desk().refresh();
  });
}

FrontThreads::~FrontThreads() { stop(); }

std::vector<HttpLane> FrontThreads::lanes(const HttpRoutes& deciding, const std::function<void(HttpRoutes&)>& more) {
  std::vector<HttpLane> lanes;
  for (const auto& t : threads_) {
    HttpRoutes routes;
    t->front.add_routes(routes);
    routes.add_all(deciding, [&](const HttpHandler& handler) { return relayed(handler, t->io, deciding_); });
    more(routes);
    lanes.push_back({t->io, std::move(routes), std::ref(t->front.observer())});
  }
  return lanes;
}

void FrontThreads::start() {
  for (std::size_t i = 0; i < threads_.size(); ++i)
    threads_[i]->thread = std::make_unique<WorkerThread>(WorkerThreadOptions{.name = fmt::format("front-{}", i)},
                                                         [&io = threads_[i]->io] { io.run(); });
}

void FrontThreads::stop() {
  for (const auto& t : threads_) t->io.stop();
  for (const auto& t : threads_) t->thread.reset();
}

}  // namespace sluice::coordinator
