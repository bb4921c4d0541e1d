#include "coordinator/api/prompt_desk.h"

#include <boost/asio/post.hpp>
#include <unordered_map>
#include <utility>

namespace sluice::coordinator {

/// Who waits for a result, by job.
struct PromptDesk::Waiting {
  struct One {
    std::shared_ptr<Responder> out;
    Then then;
  };
  std::unordered_map<std::uint64_t, One> by_job;

  void deliver(std::uint64_t id, PromptResult result) {
    auto node = by_job.extract(id);
    if (node.empty() || node.mapped().out->closed()) return;
    node.mapped().then(std::move(result), std::move(node.mapped().out));
  }
};

PromptDesk::PromptDesk(boost::asio::io_context& io, PromptPool& pool)
    : io_(io), pool_(pool), waiting_(std::make_shared<Waiting>()) {}

PromptDesk::~PromptDesk() { close(); }

void PromptDesk::close() {
  for (auto& [id, w] : std::exchange(waiting_->by_job, {}))
    w.out->respond(error_response(ApiError::from(Error{Errc::unavailable, "The server is stopping.", {}})));
}

void PromptDesk::submit(PromptJob job, std::shared_ptr<Responder> out, Then then) {
  const auto id = ++last_;
  const std::weak_ptr<Waiting> waiting = waiting_;
  auto gone = std::make_shared<std::atomic<bool>>(false);
  waiting_->by_job.emplace(id, Waiting::One{out, std::move(then)});
  out->on_disconnect([waiting, id, gone](Disconnect) {
    gone->store(true, std::memory_order_relaxed);
    if (const auto w = waiting.lock()) w->by_job.erase(id);
  });
  if (gone->load(std::memory_order_relaxed)) return;
  PromptQueue::Entry entry{.id = id, .job = std::move(job), .gone = std::move(gone), .since = {}};
  entry.done = [&io = io_, waiting, id](PromptResult result) {
    boost::asio::post(io, [waiting, id, result = std::move(result)]() mutable {
      if (const auto w = waiting.lock()) w->deliver(id, std::move(result));
    });
  };
  const auto refused = pool_.take(std::move(entry));
  if (!refused) return;
  waiting_->by_job.erase(id);
  out->respond(error_response(*refused));
}

}  // namespace sluice::coordinator
