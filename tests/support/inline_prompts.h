#pragma once
// A PromptExecutor without threads: work is done when it is submitted, or when the test says, so that tests are
// deterministic. The io thread's.
#include <memory>
#include <utility>
#include <vector>

#include "coordinator/api/prompt_executor.h"

namespace sluice::test {

class InlinePrompts final : public coordinator::PromptExecutor {
 public:
  void submit(coordinator::PromptJob job, std::shared_ptr<coordinator::Responder> out, Then then) override {
    held_.push_back({std::move(job), std::move(out), std::move(then)});
    if (!hold) release();
  }
  /// Does what was held back.
  void release() {
    for (auto& h : std::exchange(held_, {})) h.then(h.job.work(), std::move(h.out));
  }
  [[nodiscard]] bool client_gone() const { return !held_.empty() && held_.front().out->closed(); }

  bool hold = false;

 private:
  struct Held {
    coordinator::PromptJob job;
    std::shared_ptr<coordinator::Responder> out;
    Then then;
  };
  std::vector<Held> held_;
};

}  // namespace sluice::test
